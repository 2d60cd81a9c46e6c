"""Policy: plan, approval, apply.

**Purpose.** Every day the policy is compared with what is in AWS, in each target location: baselines, patch groups,
maintenance windows. What differs is drift, and is reported, and so is a window that no release was begun for.
Triggered with `apply`, a run makes AWS as the policy says once a person has approved the plan. It is
`python -m sluice plan` and `python -m sluice apply`.

**Owner.** Whoever owns the policy's files.

**Outcomes**, in the run's note, the task `report` (log, and XCom `report`) and to whom the policy's `notify` names:

| outcome | what it means | what to do |
|---|---|---|
| in sync | nothing differs | nothing |
| drift | something differs; nothing was changed | read the log of `plan`: change the policy, or trigger with `apply` |
| applied | AWS is now as the policy says | nothing |
| rejected | somebody said no, or nobody answered in time | ask them, then trigger again |
| needs take-over | applying would change what others have | talk to them, then name it in `take_over` |
| failed | the policy or a location could not be read, or applying stopped | see below |

**Triage.**
- `locations` failed: the policy has errors. Its log names file, line and what to do; nothing was compared with AWS.
  Where it cannot be read at all, nobody can be told, as it says whom: the run fails.
- `plan` failed: that location cannot be read (role, endpoint, throttling). The others are planned and applied.
- `approve` failed: the approval does not count, as it came from the requester, or not from an approver. Trigger again.
- `apply` failed: it stops where it is, and nothing can fire. Trigger again: the next plan goes on from there. It
  never goes on by itself, since an approval is one of the plan that was shown and of no other.
- `supervise` names windows of the last three days that no release was begun for, which no deadline would tell: look
  whether their DAG is paused, and since when Airflow did not run.
- Not finished in time (the policy's hours for an approval, and its margin): whom `notify` names is told. See which
  task waits; a plan that takes longer than minutes has a location that hardly answers.
- Marking a run failed stops nothing in AWS that has begun.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from sluice_airflow import policy
from sluice_airflow.approval import PolicyApproval
from sluice_airflow.deadlines import deadline
from sluice_airflow.notifiers import PolicyNotifier
from sluice_airflow.schedules import POLICY_CHECK, check_time

PARAMS = {
    "apply": Param(
        default=False, type="boolean", title="Apply", description="Make the changes, once they are approved."
    ),
    "take_over": Param(
        [],
        type="array",
        items={"type": "string"},
        title="Take over",
        description="Patch groups on which to change what others have, as the plan says; one a line.",
    ),
    "locations": Param(
        [],
        type="array",
        items={"type": "string"},
        title="Locations",
        description="Only these, as ACCOUNT/REGION, one a line; none: all of the policy.",
    ),
}

TO_APPROVE = """\
{% set run = dag_run %}Asked for by **{{ run.triggering_user_name or "nobody" }}**, who cannot approve it.

{% for plan in ti.xcom_pull(task_ids="ask") %}- **{{ plan.found }}**: {{ plan.summary }}
{% endfor %}
{% if params.take_over %}Taken over from others: **{{ params.take_over | join(", ") }}**.{% endif %}

The plans in full are in the logs of `plan`."""

with DAG(
    dag_id="patch_policy",
    description="Compares the policy with AWS every day; applies it on demand, after approval.",
    doc_md=__doc__,
    schedule=POLICY_CHECK,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["sluice", "policy"],
    default_args={"owner": "patching"},
    deadline=deadline(check_time(), "approval and margin"),
):
    locations = policy.locations()
    plans = policy.plan.override(retries=2, retry_delay=timedelta(minutes=1)).expand(location=locations)
    to_approve = policy.ask(plans)
    waits = PolicyNotifier("Sluice policy: an approval is waited for", "The plans are in the logs of run {{ run_id }}.")
    approve = PolicyApproval(task_id="approve", subject="Apply the policy to AWS?", body=TO_APPROVE, notifiers=[waits])
    applied = policy.apply.override(retries=0).expand(planned=to_approve)
    report = policy.report(locations, plans, applied, policy.supervise())

    to_approve >> approve >> applied >> report
