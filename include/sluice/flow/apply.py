"""What planning and applying do in one location, for the command line and for the DAG patch_policy alike.

    plan_of = planner(policy)
    plan = plan_of(connection)                                        # to be shown, and agreed to
    make_so(connection, policy, plan_of, plan, take_over, tell)       # exactly that, or nothing

Killed at any point, a new plan goes on from there (docs/adr/0026-apply-without-a-journal.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from sluice.aws import nodes
from sluice.aws.actual import read_actual
from sluice.aws.apply import apply_plan
from sluice.aws.operations import bucket_of
from sluice.aws.recalls import merged
from sluice.aws.session import Connection
from sluice.core.errors import SluiceError
from sluice.core.policy.desired import desired
from sluice.core.policy.objects import AWSObject, Key
from sluice.core.policy.pilot import check_alone
from sluice.core.policy.plan import Plan, Step, make_plan
from sluice.core.policy.policy import Policy


def planner(policy: Policy, *, empty: bool = False) -> Callable[[Connection], Plan]:
    """What makes the plan of a location; `empty`: to remove everything that is the deployment's.

    It refuses a pilot whose patch groups are somebody's, or have too many nodes: SluiceError.
    """

    def plan(connection: Connection) -> Plan:
        wanted: Mapping[Key, AWSObject] = {}
        if not empty:
            wanted = desired(merged(policy, connection), connection.account, connection.region)
        actual = read_actual(connection, policy.deployment)
        if policy.pilot and not empty:
            check_alone(policy, actual, nodes.listed(connection))
        return make_plan(connection.account, connection.region, wanted, actual)

    return plan


def make_so(
    connection: Connection,
    policy: Policy,
    plan_of: Callable[[Connection], Plan],
    shown: Plan | None,
    take_over: tuple[str, ...],
    tell: Callable[[Connection, Step], None],
) -> int:
    """Do exactly what was shown, and look whether it is so; how many steps it took. `tell` hears of each before it.

    Raises SluiceError, with nothing changed, where AWS is no longer as the plan has it, and where something is left.
    """
    plan = plan_of(connection)
    if shown is None or plan.changes != shown.changes or plan.notices != shown.notices:
        raise SluiceError(
            f"{connection.key}: nothing was changed: AWS is no longer as the plan has it, somebody else is at work"
            " there: look at a new plan"
        )
    steps = apply_plan(
        connection,
        policy.deployment,
        plan,
        take_over,
        partial(tell, connection),
        operations_bucket=bucket_of(policy, connection) if policy.operations_bucket else None,
    )
    left = plan_of(connection).pending
    if left:
        names = ", ".join(f"{change.action} {change.key}" for change in left)
        raise SluiceError(f"{connection.key}: after {steps} steps the plan should be empty, it says: {names}")
    return steps
