"""Install on production Windows: what has soaked, behind a gate.

**Purpose.** The window `install-prod-windows` installs on production the patches that have been on non-production, and
healthy there, for the soak period: that list and nothing else. A gate decides whether it may, and a person where the
policy says so.

**Owner.** Whoever owns patching, with the approvers of the policy's gate.

**Outcomes**, in the run's note, the task `report` (log, XCom `report`) and the record of the release:

| outcome | what it means | what to do |
|---|---|---|
| released | every admitted node has what the manifest lists | nothing |
| partial | nodes or locations failed; beyond the allowed ratio the run is failed | read the report |
| held | the gate is closed, or nobody approved in time, or somebody rejected | the log of `gate` has each rule |
| held, run failed | a step before the admission failed: nothing was opened | its log says why |
| nothing | nothing has soaked that is not there yet | nothing |
| late | the window would have closed too soon; nothing was opened | see why the run began late |
| halted | somebody halted it | ask them, and lift the halt |

**Triage.**
- `begin` failed: who asked may not, or what was asked for cannot be used. Its log says what to do.
- `gate` says closed: `python -m sluice gate replay` decides again from what it was decided by.
- `approve` skipped with an open gate: no answer could come in time. Its log says which `occurrence` leaves time.
- `approve` waits: under Browse, Required Actions. Whoever triggered the run cannot approve it; no answer is a
  rejection. Failed: the approval does not count. Trigger again.
- `resolve` or `backup` failed in a location: the release goes on without it.
- `patch` or `reboot` failed in a location: its log has the reason, its links lead to the window's execution. A retry
  finds the same execution and opens no second one.
- `before` or `after` failed in a location: a step of the policy; its log says which, and why. Behind one before that
  failed nothing was installed there.
- `settle` skipped: the failure budget is used up, or the release is halted. Nothing further opens.
- `close` failed: clear it. A window that it left is at rest all the same: its time is past, and fires nothing.
- An emergency: trigger with `expedite` and `because`; it needs an approval by somebody else.
- Marking a run failed stops nothing that AWS has begun: `patch_halt` does. docs/dags.md says what else it does.
"""

from __future__ import annotations

from sluice_airflow import release, schedules

WINDOW = schedules.find("install-prod-windows")

if WINDOW:  # a policy without that window has no such DAG
    with release.dag(WINDOW, "Installs on production Windows what has soaked, behind a gate.", __doc__):
        ready = release.find_nodes()
        allowed = release.ask(ready)
        first = release.admit(ready, allowed)
        release.run_waves(WINDOW, first)
