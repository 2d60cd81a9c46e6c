"""Carries out plans in every location, for `apply` and `destroy`: plan, show, ask, plan again, do, look."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sluice import cli
from sluice.aws.apply import refusal
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.cli import plans
from sluice.flow.apply import make_so

if TYPE_CHECKING:
    from sluice.core.policy.places import Location
    from sluice.core.policy.plan import Plan
    from sluice.core.policy.policy import Policy


def carry_out(
    policy: Policy,
    locations: Sequence[Location],
    plan_of: Callable[[Connection], Plan],
    agreed: Callable[[int, str], bool],
    take_over: tuple[str, ...],
) -> int:
    """Make the plans so. `agreed` is asked with the number of changes and where; answers the exit code."""
    connections = Connections.of(policy)
    outcomes = in_each(connections, locations, Duty.POLICY_APPLIER, plan_of, plans.announce, plans.announce_waiting)
    plans.print_plans(outcomes, take_over)
    shown = {outcome.key: outcome.value for outcome in outcomes if outcome.value}
    pending = [outcome for outcome in outcomes if outcome.value and outcome.value.pending]
    waiting = [outcome for outcome in pending if outcome.value and not outcome.value.needs(take_over)]
    failed = plans.print_failures(outcomes) or len(waiting) < len(pending)
    for outcome in pending:
        if outcome.value and outcome not in waiting:
            print(refusal(outcome.value, take_over), file=sys.stderr)
    if not waiting:
        print("Nothing was changed." if failed else "Nothing to change.")
        return cli.FAILED if failed else cli.DONE
    changes = sum(len(outcome.value.pending) for outcome in waiting if outcome.value)
    if not agreed(changes, ", ".join(outcome.key for outcome in waiting)):
        print("Nothing was changed.")
        return cli.FAILED

    def work(connection: Connection) -> None:
        plan = shown.get(connection.key)
        steps = make_so(connection, policy, plan_of, plan, take_over, plans.announce_step)
        plans.announce_done(connection, steps)

    places = [outcome.location for outcome in waiting]
    results = in_each(connections, places, Duty.POLICY_APPLIER, work, plans.announce, plans.announce_waiting)
    return cli.FAILED if plans.print_failures(results) or failed else cli.DONE
