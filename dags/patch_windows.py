"""The other windows of the policy: each has its DAG, without new code.

**Purpose.** A window that the policy has beside the four named ones: a stack with a night of its own, or a scan of
some groups. It is released as those are: scans as `patch_scan` does, installs as `patch_install_nonprod` does, and
behind a gate, as `patch_install_prod_linux` does, where it reaches production.

**Owner.** Whoever owns the window in the policy.

**Outcomes** are those of the named DAGs, in the run's note, the task `report` (log, XCom `report`) and the record.

**Triage.**
- As the page of `patch_scan`, `patch_install_nonprod` or `patch_install_prod_linux` says.
- The DAG is gone: the policy has the window no more. What ran is in the evidence, and its runs are in Airflow.
- Marking a run failed stops nothing that AWS has begun: `patch_halt` does. docs/dags.md says what else it does.
"""

from __future__ import annotations

from sluice_airflow import release, schedules

for WINDOW in schedules.others():
    with release.dag(WINDOW, f"The window {WINDOW.name} of the policy.", __doc__) as dag:
        ready = release.find_nodes()
        if WINDOW.installs:
            allowed = release.ask(ready) if WINDOW.gated else None
            first = release.admit(ready, allowed)
            release.run_waves(WINDOW, first)
        else:
            release.run_scan(ready)
    globals()[WINDOW.dag_id] = dag
