"""Read back once more, a release's evidence is whole and is still what it was: a retry takes nothing from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flow_world import HERE, NONPROD, SCAN, SMALL, at, prepare, run_of, small
from read_back import UntilClosed, driven, failing, rows

from lab.faults import FaultRule
from lab.testing import LabHandle
from lab.world import NodeFaults
from sluice.core.ledger import Demand, fold
from sluice.core.policy.policy import Policy
from sluice.evidence import tables
from sluice.evidence.store import Store
from sluice.flow.manifest import known_sightings
from sluice.flow.report import report
from sluice.flow.run import Run
from sluice.flow.verify import verify

pytestmark = pytest.mark.usefixtures("in_process")


def test_where_somebody_scans_before_it_is_read_back_that_is_said_and_what_the_node_is_now_counts(
    lab: LabHandle, policy: Policy
) -> None:
    run = driven(lab, policy, NONPROD, at(17, 3))
    scanned(lab, [one.node_id for one in lab.location().nodes.values()])
    assert verify(run)["succeeded"] == 2
    assert {(one["ours"], one["joined_by"]) for one in rows(run, "patch_summaries")} == {(False, None)}
    assert all("its state is of a later Scan" in one["line"] for one in rows(run, "patch_summaries"))


def test_read_back_again_later_a_node_stays_as_it_was_read_and_what_failed_and_soaks_stays_so(
    lab: LabHandle, policy: Policy
) -> None:
    bad = failing(lab, "web-nonprod-02")
    run = driven(lab, policy, NONPROD, at(17, 3))
    told = verify(run)
    before = {table: rows(run, table) for table in ("patch_summaries", "patch_states")}
    lab.location().nodes[bad].faults = NodeFaults()
    for day in range(18, 21):
        verify(driven(lab, policy, SCAN, at(day, 1)))
    known = entries_of(run, policy, at(20, 3))
    assert {entry.status for entry in known} >= {"void"}
    scanned(lab, [bad])
    assert verify(run) == told
    assert {table: rows(run, table) for table in before} == before
    assert entries_of(run, policy, at(20, 3)) == known


def test_what_this_release_did_to_a_node_after_it_was_read_back_is_read_anew(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(17, 2))
    run = run_of(policy, NONPROD, at(17, 3), run_id="twice")
    drive = UntilClosed(lab, run)
    drive.until_admitted()
    drive.wave(HERE, 1, "install")
    assert verify(run)["pending_reboot"] == 2
    waiting = {one["operation_end"] for one in rows(run, "patch_summaries")}
    for kind in ("reboot", "rescan"):
        drive.wave(HERE, 1, kind)
    assert verify(run)["succeeded"] == 2
    assert min(one["operation_end"] for one in rows(run, "patch_summaries")) > max(waiting)


def test_a_scan_of_others_before_it_is_read_back_hides_no_failure(aws_environment: LabHandle, tmp_path: Path) -> None:
    lab = aws_environment
    windows = [{**one, **({"reboot": "never"} if one["name"] == NONPROD else {})} for one in SMALL["windows"]]
    policy = small(tmp_path, windows=windows)
    prepare(lab, policy)
    bad = failing(lab, "web-nonprod-02")
    run = driven(lab, policy, NONPROD, at(17, 3))
    scanned(lab, [bad])
    verify(run)
    failed = {(one["node"], one["state"]) for one in rows(run, "patch_states") if one["state"] == "FAILED"}
    assert failed == {(bad, "FAILED")}
    assert {entry.status for entry in entries_of(run, policy, at(17, 8))} >= {"void"}


def scanned(lab: LabHandle, nodes: list[str]) -> None:
    """Somebody scans nodes by hand, a while after what was done to them before."""
    lab.advance(minutes=10)
    parameters = {"Operation": ["Scan"]}
    lab.client("ssm").send_command(DocumentName="AWS-RunPatchBaseline", InstanceIds=nodes, Parameters=parameters)
    lab.advance(hours=1)


def entries_of(run: Run, policy: Policy, when: datetime) -> list[Any]:
    """What the ledger knows of the patches on non-production at a time."""
    _, ring = policy.rings
    return list(fold(known_sightings(run, when), "AMAZON_LINUX_2023", Demand(ring, "nonprod"), when))


def test_what_was_read_of_a_location_stays_when_it_cannot_be_read_once_more(lab: LabHandle, policy: Policy) -> None:
    run = driven(lab, policy, SCAN, at(4, 1))
    assert verify(run)["succeeded"] == 4
    arrival = {"location": HERE, "node": "i-1", "product": "AMAZON_LINUX_2023", "id": "a.x86_64", "title": "a.x86_64:1"}
    tables.write(run.store, "arrivals", run.release, "all", [{**arrival, "cause": "dependency", "detail": "of b"}])
    before = content(run.store)
    lab.server.faults.add(FaultRule(kind="access_denied", service="ssm", operation="ListCommandInvocations"))
    told = verify(run)
    assert (told["succeeded"], told["missed"], list(told["unread"])) == (4, 0, [HERE])
    after = content(run.store)
    assert {key: after[key] for key in before if "verified" not in key} == {
        key: one for key, one in before.items() if "verified" not in key
    }
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("partial", False), "that it could not be read is told all the same"


class Died(BaseException):
    """What a kill is to a process."""


class Dying:
    """A store that dies at a write, before it or after it."""

    def __init__(self, store: Store, at_write: int, *, after: bool) -> None:
        self.store, self.left, self.after = store, at_write, after

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Died
        done = self.store.put(key, content, once=once)
        if self.left == 0:
            raise Died
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_evidence_that_was_half_written_is_whole_after_the_retry_with_no_row_twice(
    lab: LabHandle, policy: Policy
) -> None:
    run = driven(lab, policy, SCAN, at(4, 1))
    before = {key: run.store.get(key) for key in list(run.store.keys())}
    report(run)
    whole = content(run.store)
    writes = len(whole) - len(before)
    assert writes > 8
    folder = Path(run.store.describe())
    for number in range(1, writes + 1):
        for key in set(run.store.keys()) - before.keys():
            (folder / key).unlink()
        with pytest.raises(Died):
            report(replace(run, store=Dying(run.store, number, after=number % 2 == 0)))
        report(run)
        assert content(run.store) == whole


def content(store: Store) -> dict[str, bytes | None]:
    return {key: store.get(key) for key in list(store.keys())}
