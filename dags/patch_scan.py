"""Scan: what is missing, everywhere.

**Purpose.** Every day the window `scan-daily` runs `Scan` on the whole fleet, tagged or not. What each node has and
lacks is read back and kept: it is what patches soak by, and what compliance is reported from. Nothing is installed.

**Owner.** Whoever owns patching.

**Outcomes**, in the run's note, the task `report` (log, XCom `report`) and the record of the release:

| outcome | what it means | what to do |
|---|---|---|
| released | every node that can be reached was scanned | nothing |
| partial | some nodes or locations were not | read the report: each has its reason |
| held, run failed | a step before the admission failed: nothing was opened | its log says why |
| late | the window was too short for it | see why the run began late |
| halted | somebody halted it | ask them, and lift the halt |

**Triage.**
- `begin` failed: the policy, or what was asked for, cannot be used. Its log says what to do.
- `resolve` failed in a location: it cannot be read (role, endpoint, throttling). The others are scanned.
- `preflight` failed: AWS is not as the policy says, in no location. `patch_policy` shows the difference.
- `wave_1.scan` failed in a location: its log has the reason, its links lead to the window's execution.
- A policy with `trigger: native` has AWS start the scan; the DAG waits for it and reads what came of it.
- Marking a run failed stops no scan that has begun. docs/dags.md says what else it does.
"""

from __future__ import annotations

from sluice_airflow import release, schedules

WINDOW = schedules.find("scan-daily")

if WINDOW:  # a policy without that window has no such DAG
    with release.dag(WINDOW, "Scans every node each day, and reads back what is missing.", __doc__):
        ready = release.find_nodes()
        release.run_scan(ready)
