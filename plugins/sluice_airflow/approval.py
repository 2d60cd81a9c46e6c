"""A person's approval as the policy asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluice_airflow.notifiers import PolicyNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sluice.core.policy.gate import Approval
    from sluice.flow.run import Run


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
        self.response_timeout = timedelta(hours=self.asked_for(context).hours)
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Judge the answer, then let Airflow go on or skip."""
        from sluice.core.release.answer import objection

        chosen = next(iter(event.get("chosen_options") or ()), None)
        responder = event.get("responded_by_user")
        context["ti"].xcom_push(key=ANSWER, value={"option": chosen, "by": responder["name"] if responder else None})
        if chosen == self.APPROVE:
            requester = getattr(context["dag_run"], "triggering_user_name", None)
            approvers = self.asked_for(context).approvers
            if why := objection(names_of(responder), requester, approvers, scheduled=self.by_calendar(context)):
                raise AirflowFailException(why)
        self.answered(context, chosen, responder)
        return super().execute_complete(context, event)

    def asked_for(self, context: Context) -> Approval:
        """What the policy asks for."""
        from sluice_airflow.policy import checked_policy

        return checked_policy().gate.approval

    def by_calendar(self, context: Context) -> bool:
        """Whether nobody asked for the run, so that everybody else is somebody else."""
        return False

    def answered(self, context: Context, chosen: str | None, responder: Mapping[str, Any] | None) -> None:
        """An answer counts: what is to be kept of it."""


WAITED_FOR = "Sluice {{ dag_run.dag_id }}: an approval is waited for"
WHERE = """\
{{ dag_run.dag_id }}, run {{ dag_run.run_id }}, waits for an approval: in Airflow, under Browse, Required Actions.
No answer is a rejection."""

TO_APPROVE = """\
{% set decision = ti.xcom_pull(task_ids="gate") or {} %}\
{% set manifest = ti.xcom_pull(task_ids="manifest") or {} %}\
{% set ready = ti.xcom_pull(task_ids="preflight", key="preflight") or {} %}\
Release **{{ ti.xcom_pull(task_ids="begin", key="release") }}**, \
{% if dag_run.run_type == "scheduled" %}by the calendar{% else %}\
asked for by **{{ dag_run.triggering_user_name or "nobody" }}**, who cannot approve it{% endif %}.

{% for product, number in manifest.get("products", {}) | dictsort %}- {{ product }}: {{ number }} patches
{% endfor %}
{% if params.get("expedite") %}- **Expedited, not soaked: {{ params.expedite | join(", ") }}**, because: \
{{ params.get("because") }}
{% endif %}
{% for line in decision.get("why", ()) %}- {{ line }}
{% endfor %}
{% for place, why in ready.get("refused", {}) | dictsort %}- not in this release: {{ place }}: {{ why }}
{% endfor %}
{% if decision %}What it installs and which rules hold in full: the logs of `manifest` and `gate`.{% else %}\
It reboots nodes ({{ params.get("reboot") }}) and installs nothing.{% endif %}"""


class ReleaseApproval(PolicyApproval):
    """The approval of a production release, between its gate and its backups, or of production's reboots.

    Skipped, with all that follows, where the gate is closed; not asked where gate and policy want no approval. An
    expedite, and a run that somebody asks for by hand, always need one. What is answered is kept with the release.
    """

    def __init__(self, **arguments: Any) -> None:
        settings: dict[str, Any] = {
            "subject": "Release to production?",
            "body": TO_APPROVE,
            "notifiers": [PolicyNotifier(subject=WAITED_FOR, text=WHERE)],
        }
        super().__init__(**{**settings, **arguments})

    def execute(self, context: Context) -> None:
        """Ask where it has to be asked, until the window's latest start less the time for backups."""
        from sluice.flow.gate import record_unasked, time_to_answer
        from sluice_airflow.failures import told
        from sluice_airflow.runs import run_of

        with told():
            run = run_of(context)
            if not self._needed(run, context):
                return
            left = time_to_answer(run)
            if left <= timedelta():
                raise AirflowSkipException(record_unasked(run))
        self.log.info("an answer is waited for: %s", left)
        self.response_timeout = left
        super(PolicyApproval, self).execute(context)

    def _needed(self, run: Run, context: Context) -> bool:
        """Whether a person is asked. Skips where nothing is to be approved."""
        from sluice.core.release.answer import must_agree

        decision = context["ti"].xcom_pull(task_ids="gate")
        if decision and decision["verdict"] != "open":
            raise AirflowSkipException(f"the gate is {decision['verdict']}: {'; '.join(map(str, decision['why']))}")
        if run.asked.dry_run:
            raise AirflowSkipException("a dry run: it ends before the approval")
        return must_agree(production=run.production, gate_asks=decision["needs_approval"] if decision else None)

    def asked_for(self, context: Context) -> Approval:
        """What the window's gate asks for."""
        from sluice.core.calendar import gate_of
        from sluice_airflow.runs import deployed_policy, named_window

        policy = deployed_policy()
        window = next(one for one in policy.windows if one.name == named_window(context))
        return gate_of(policy, window).approval

    def by_calendar(self, context: Context) -> bool:
        """Whether the schedule made the run."""
        from sluice_airflow.runs import scheduled

        return scheduled(context["dag_run"])

    def answered(self, context: Context, chosen: str | None, responder: Mapping[str, Any] | None) -> None:
        """Keep the answer; no answer is a rejection."""
        from sluice.flow.gate import record_approval
        from sluice_airflow.failures import told
        from sluice_airflow.runs import run_of

        with told():
            record_approval(run_of(context), chosen if responder else None, responder["name"] if responder else None)


def names_of(responder: Mapping[str, Any] | None) -> set[str]:
    """The `id` and the `name` of whoever answered, as Airflow knows them; empty: nobody did."""
    return {str(value) for value in (responder or {}).values() if value}
