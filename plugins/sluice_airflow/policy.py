"""The tasks of the DAG patch_policy: what `python -m sluice plan` and `apply` do, a target location a task.

The plans' text goes to the tasks' logs. Between tasks go keys, counts and the digest of the plan that was shown:
an approval is one of that plan, and where AWS is not as it was any more nothing is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.timezone import utcnow

from sluice.core.policy.outcome import Planned, outcome_of
from sluice_airflow.approval import ANSWER
from sluice_airflow.steps import NOTE

if TYPE_CHECKING:
    from sluice.aws.session import Connection
    from sluice.core.policy.plan import Plan
    from sluice.core.policy.policy import Policy

Parameters: TypeAlias = Mapping[str, Any]
"""The run's: `apply`, `take_over` and `locations`, as the DAG declares them."""

NOT_LOOKED = "windows without a release could not be looked for: the log of `supervise` says why"


@task
def locations(params: Parameters | None = None) -> list[str]:
    """Check the policy; the keys of the target locations."""
    from sluice.core.policy.places import chosen
    from sluice_airflow.failures import told
    from sluice_airflow.runs import refuse_unknown

    with told():
        refuse_unknown(get_current_context())
        return [location.key for location in chosen(checked_policy().locations, (params or {}).get("locations") or ())]


@task(map_index_template="{{ location }}", multiple_outputs=False)
def plan(location: str, params: Parameters | None = None) -> Planned:
    """Read a location and compare it with the policy. Changes nothing."""
    from sluice.aws.locations import in_each
    from sluice.aws.session import Duty
    from sluice.cli import plans
    from sluice.flow.apply import planner
    from sluice_airflow.aws import connections

    policy = _located(location)
    (outcome,) = in_each(connections(policy), policy.locations, Duty.READER, planner(policy), plans.announce)
    plans.print_plans([outcome], _agreed(params))
    _show(outcome.key)
    if outcome.value is None:
        raise _failure(outcome.error)
    return {
        "location": location,
        "found": outcome.key,
        "summary": plans.summary(outcome.value),
        "changes": len(outcome.value.pending),
        "needs": list(outcome.value.needs(_agreed(params))),
        "digest": digest(outcome.value),
    }


@task(trigger_rule=TriggerRule.ALL_DONE)
def ask(planned: Iterable[Planned], params: Parameters | None = None) -> list[Planned]:
    """The plans to approve; skipped where the run is not to apply or nothing can be."""
    if not (params or {}).get("apply"):
        raise AirflowSkipException("this run only plans: trigger one with `apply` to make the changes")
    waiting = [one for one in planned or () if one["changes"] and not one["needs"]]
    if not waiting:
        raise AirflowSkipException("nothing to apply")
    return waiting


@task(map_index_template="{{ location }}", multiple_outputs=False)
def apply(planned: Planned, params: Parameters | None = None) -> dict[str, Any]:
    """Make a location as the plan says that was approved, and look whether it is so."""
    from sluice.aws.locations import in_each
    from sluice.aws.session import Duty
    from sluice.cli import plans
    from sluice.core.errors import SluiceError
    from sluice.flow.apply import make_so, planner
    from sluice_airflow.aws import connections

    policy = _located(planned["location"])
    plan_of = planner(policy)
    _show(planned["found"])

    def work(connection: Connection) -> int:
        found = plan_of(connection)
        if digest(found) != planned["digest"]:
            raise SluiceError(
                f"{connection.key}: nothing was changed: AWS or the policy is no longer as the approved plan has it:"
                " plan again, and have that approved"
            )
        return make_so(connection, policy, plan_of, found, _agreed(params), plans.announce_step)

    (outcome,) = in_each(connections(policy), policy.locations, Duty.POLICY_APPLIER, work, plans.announce)
    if outcome.value is None:
        raise _failure(outcome.error)
    return {"location": planned["location"], "steps": outcome.value}


@task
def supervise(params: Parameters | None = None) -> list[str]:
    """Look for windows of the last days that no release was begun for: a run that was never made has no deadline."""
    from sluice.flow.supervise import never_begun
    from sluice_airflow.aws import connections
    from sluice_airflow.failures import told
    from sluice_airflow.runs import deployed_policy

    with told():
        policy = deployed_policy()  # what it looks at does not change with what the check finds
        found = list(never_begun(policy, connections(policy)))
    print("\n".join(found) or "every window of the last days has a release")
    return found


@task(trigger_rule=TriggerRule.ALL_DONE)
def report(
    keys: Sequence[str] | None,
    planned: Iterable[Planned] | None,
    applied: Iterable[Mapping[str, Any]] | None,
    never_begun: Sequence[str] | None = None,
    params: Parameters | None = None,
) -> None:
    """Say what came of it: in the log, as XCom, in the run's note and to whom the policy notifies.

    Also of a policy in which the check finds errors. Fails where anything did.
    """
    from sluice_airflow.failures import told
    from sluice_airflow.notices import send
    from sluice_airflow.runs import deployed_policy

    context = get_current_context()
    unmade = [NOT_LOOKED] if never_begun is None else list(never_begun)
    result = outcome_of(
        list(keys or ()),
        list(planned or ()),
        {str(one["location"]) for one in applied or ()},
        wanted=bool((params or {}).get("apply")),
        answer=(context["ti"].xcom_pull(task_ids="approve", key=ANSWER) or {}).get("option"),
    )
    text = "\n".join([f"Policy: {result['outcome']}", *result["lines"], *unmade])
    print(text)
    context["ti"].xcom_push(key="report", value={**result, "never_begun": unmade})
    context["ti"].xcom_push(key=NOTE, value=text)
    if result["outcome"] != "in sync" or unmade:
        subject = f"{result['outcome']}{', windows without a release' if unmade else ''}"
        with told():
            policy = deployed_policy()
        send(policy, f"Sluice policy: {subject}", text)
    if result["outcome"] in ("failed", "needs take-over"):
        raise AirflowFailException(text)


def digest(plan: Plan) -> str:
    """What tells one plan from another: everything that is to change, and everything that it tells of others."""
    return hashlib.sha256(repr((plan.key, plan.changes, plan.notices)).encode()).hexdigest()


def checked_policy() -> Policy:
    """The deployment's policy, if the check finds no error in it."""
    from sluice.core.errors import SluiceError
    from sluice.flow.policy_check import sound_policy

    try:
        return sound_policy(None, utcnow().date())
    except SluiceError as error:
        raise AirflowFailException(str(error)) from None


def _located(key: str) -> Policy:
    """The deployment's policy with one of its locations alone."""
    policy = checked_policy()
    return policy.model_copy(update={"locations": tuple(one for one in policy.locations if one.key == key)})


def _show(location: str) -> None:
    """Let Airflow's UI name a mapped task by its location."""
    cast("dict[str, Any]", get_current_context())["location"] = location


def _agreed(params: Parameters | None) -> tuple[str, ...]:
    return tuple((params or {}).get("take_over") or ())


def _failure(error: Exception | None) -> Exception:
    """What a task raises of what came of a location."""
    from sluice_airflow.failures import may_pass

    return error if error is not None and may_pass(error) else AirflowFailException(str(error))
