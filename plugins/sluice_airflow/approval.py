"""A person's approval as the policy asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context


ANSWER = "answer"
"""The XCom that has `option` and `by` (None: nobody answered in time). Airflow's own is left out on a rejection."""


class PolicyApproval(ApprovalOperator):
    """An approval by somebody else than the requester, from the approvers and within the hours of the policy's gate.

    Airflow lets everybody answer who may edit the DAG, the requester too. So the answer is judged here: an approval
    that does not count fails the task, and what hangs on it is not done. A rejection counts whoever gives it, and
    no answer is one. A run whose requester is not known cannot be approved.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(defaults=self.REJECT, **arguments)

    def execute(self, context: Context) -> None:
        """Ask, for as long as the policy says: that is known when it starts, not when the DAG is parsed."""
        from sluice_airflow.policy import policy_of

        self.response_timeout = timedelta(hours=policy_of(context["params"]).gate.approval.hours)
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Judge the answer, then let Airflow go on or skip."""
        from sluice_airflow.policy import policy_of

        chosen = next(iter(event.get("chosen_options") or ()), None)
        responder = event.get("responded_by_user")
        context["ti"].xcom_push(key=ANSWER, value={"option": chosen, "by": responder["name"] if responder else None})
        if chosen == self.APPROVE:
            approvers = policy_of(context["params"]).gate.approval.approvers
            requester = getattr(context["dag_run"], "triggering_user_name", None)
            objection = objection_to(responder, requester, approvers)
            if objection:
                raise AirflowFailException(objection)
        return super().execute_complete(context, event)


def objection_to(
    approver: Mapping[str, Any] | None, requester: str | None, approvers: tuple[str, ...] = ()
) -> str | None:
    """Why an approval does not count; None: it does. `approver` has `id` and `name`, as Airflow knows the user."""
    names = {str(value) for value in (approver or {}).values() if value}
    if not names:
        return "expected an approval by a person, found nobody who gave it: nothing is applied"
    shown = ", ".join(sorted(names))
    if not requester:
        return (
            f"{shown} approved, but who asked for this run is not known, so that they may be the same: nothing is"
            " applied. Trigger the DAG from Airflow's UI or API"
        )
    if requester in names:
        return f"{requester} asked for this run and approved it: nothing is applied. Somebody else has to approve"
    if approvers and not names & set(approvers):
        return (
            f"expected an approval by {', '.join(approvers)} (`gate.approval.approvers`), found one by {shown}: nothing"
            " is applied"
        )
    return None
