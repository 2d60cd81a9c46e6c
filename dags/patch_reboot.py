"""Reboot, by hand: the nodes for which a patch waits, in waves.

**Purpose.** Reboots nodes of a window that is chosen: those whose operating system says that a patch waits for it, or
all. They reboot as that window's nodes are patched: in its waves, each behind a barrier, and never too many at once.
A scan follows, so that what is reported is what is so. Nothing is installed.

**Owner.** Whoever owns patching.

**Outcomes**, in the run's note, the task `report` (log, XCom `report`) and the record of the release:

| outcome | what it means | what to do |
|---|---|---|
| released | every node that needed it has rebooted | nothing |
| partial | nodes or locations failed; beyond the allowed ratio the run is failed | read the report |
| held | somebody rejected it, or nobody answered in time | ask them |
| held, run failed | a step before the admission failed: nothing was opened | its log says why |
| nothing | no node needed it | nothing |
| late, halted | as elsewhere | as elsewhere |

**Triage.**
- `begin` failed: who asked may not reboot these nodes, or not at this hour, or named no change ticket where the policy
  asks for one. Its log says who may, when, and with what.
- `approve` waits: reboots of production need an approval by somebody else than whoever triggered the run.
- `approve` skipped: no answer could come in time. Its log says which `occurrence` leaves time for one.
- `reboot` failed in a location: its log has the reason. A node that does not come back is in the report.
- Marking a run failed stops nothing that AWS has begun: `patch_halt` does. docs/dags.md says what else it does.
"""

from __future__ import annotations

from sluice.core.dag_names import REBOOT
from sluice_airflow import params, release, schedules

WINDOWS = schedules.installs()

if WINDOWS:  # a policy without install windows has nothing to reboot by
    with release.dag(
        WINDOWS[0],
        "Reboots the nodes for which a patch waits, in waves.",
        __doc__,
        dag_id=REBOOT,
        schedule=None,
        params=params.of_reboot(WINDOWS),
        tags=["sluice", "reboot"],
        allowed_run_types=["manual"],
        is_paused_upon_creation=None,
        deadline=release.deadline(max(window.run_time for window in WINDOWS)),
    ):
        ready = release.find_nodes()
        approved = release.approve(ready, subject="Reboot production?")
        first = release.admit_reboots(ready, approved)
        release.run_reboots(max(window.waves for window in WINDOWS), first)
