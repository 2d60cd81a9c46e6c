"""Install on non-production: where patches are first.

**Purpose.** The window `install-nonprod` installs what the baselines approve on the nodes of non-production. What
stays healthy there for the soak period may go to production.

**Owner.** Whoever owns patching.

**Outcomes**, in the run's note, the task `report` (log, XCom `report`) and the record of the release:

| outcome | what it means | what to do |
|---|---|---|
| released | every admitted node has what was to be installed | nothing |
| partial | nodes or locations failed; beyond the allowed ratio the run is failed | read the report |
| nothing | there is nothing to install | nothing |
| held, run failed | a step before the admission failed: nothing was opened | its log says why |
| late | the window would have closed too soon; nothing was opened | see why the run began late |
| halted | somebody halted it | ask them, and lift the halt |

**Triage.**
- `begin` failed: who asked may not, or what was asked for cannot be used. Its log says what to do.
- `resolve` or `backup` failed in a location: the release goes on without it.
- `preflight` failed: something is wrong in every location, and nothing was changed. Its log lists it.
- `patch` or `reboot` failed in a location: its log has the reason, its links lead to the window's execution. A retry
  finds the same execution and opens no second one.
- `before` or `after` failed in a location: a step of the policy; its log says which, and why. Behind one before that
  failed nothing was installed there.
- `settle` skipped: the failure budget is used up, or the release is halted. Nothing further opens.
- `close` failed: clear it. A window that it left is at rest all the same: its time is past, and fires nothing.
- Only the failed nodes again: trigger with `retry_of`.
- Marking a run failed stops nothing that AWS has begun: `patch_halt` does. docs/dags.md says what else it does.
"""

from __future__ import annotations

from sluice_airflow import release, schedules

WINDOW = schedules.find("install-nonprod")

if WINDOW:  # a policy without that window has no such DAG
    with release.dag(WINDOW, "Installs on non-production what its baselines approve.", __doc__):
        ready = release.find_nodes()
        first = release.admit(ready)
        release.run_waves(WINDOW, first)
