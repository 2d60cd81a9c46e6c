"""What became of a node is told from this release's own results, and from nobody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.release.patch_state import PatchState
from sluice.core.release.terms import Expected, Kind, PatchRow, Reason, WavePart
from sluice.core.release.verify import CLOCKS, Place, Ran, Verified, verify
from sluice.core.window_record import MISSING, Result, WaveRecord

HERE = "111111111111/eu-west-3"
NODE = "i-00000000000000001"
OPEN = datetime(2025, 6, 9, 3, tzinfo=UTC)
URL = "s3://operations/manifests/r/amazon-linux-2023.yaml"
TITLE = "openssl-3.0.8-1.amzn2023.0.2"
ASKED_AT: dict[Kind, int] = {"scan": 0, "install": 0, "reboot": 20, "ask": 20, "rescan": 30}


def expected(**more: Any) -> Expected:
    return Expected(NODE, HERE, "web", "prod-linux", "AMAZON_LINUX_2023", "web", "slot", **more)


def record(kind: Kind, status: str = "Success", details: str = "", **more: Any) -> WaveRecord:
    result = Result(NODE, status, details, None if status == MISSING else f"c-{kind}")
    given = {"verdict": "done", "results": (result,), "slots": (("slot", (NODE,)),), **more}
    return WaveRecord("r", 1, HERE, kind, "mw-1", "closed", OPEN, started=OPEN, **given)


def ran(kind: Kind, details: str = "Success", said: str = "") -> Ran:
    start = OPEN + timedelta(minutes=ASKED_AT[kind])
    return Ran(NODE, f"c-{kind}", "AWS-RunPatchBaseline", details, 0, start, start + timedelta(minutes=9), said=said)


def state(operation: str = "Install", minutes: int = 1, **more: Any) -> PatchState:
    start = OPEN + timedelta(minutes=minutes)
    return PatchState(NODE, "prod-linux", operation, start, start + timedelta(minutes=5), **more)  # type: ignore[arg-type]  # Scan or Install


def row(patch_state: str, title: str = TITLE) -> PatchRow:
    return PatchRow(NODE, "AMAZON_LINUX_2023", "openssl.x86_64", title, "Security", "Important", patch_state)


def became(
    *records: WaveRecord,
    found: PatchState | None = None,
    rows: tuple[PatchRow, ...] = (),
    gated: bool = False,
    run_by: str | None = None,
    node: Expected | None = None,
    told: bool = True,
    said: str = "",
    **more: Any,
) -> Verified:
    place = Place(
        HERE,
        (node or expected(),),
        parts=more.pop("parts", (WavePart("r", 1, HERE, (("slot", (NODE,)),)),)),
        records=records,
        states={NODE: found} if found else {},
        rows={NODE: rows},
        ran={(f"c-{one.kind}", NODE): ran(one.kind, one.results[0].status, said) for one in records if one.results}
        if told
        else {},
        run_by={NODE: run_by} if run_by else {},
        lists={"slot": URL} if gated else {},
        requested={"slot": frozenset({("openssl.x86_64", TITLE)})} if gated else {},
        **more,
    )
    (only,) = verify(place)
    return only


# whose the state is


def test_a_production_install_is_known_by_its_override_list() -> None:
    found = became(record("install"), found=state(override_list=URL), gated=True)
    assert (found.became, found.ours, found.joined_by) == ("succeeded", True, "override list")


def test_an_install_with_another_list_is_not_this_releases_even_at_its_time() -> None:
    found = became(record("install"), found=state(override_list=f"{URL}.old"), run_by="c-install", gated=True)
    assert (found.became, found.ours, found.reason) == ("failed", False, Reason.NOT_VERIFIED)


def test_without_a_list_it_is_known_by_its_command() -> None:
    found = became(record("install"), found=state(), run_by="c-install", told=False)
    assert (found.ours, found.joined_by) == (True, "command")


def test_or_by_its_times_while_inventory_lags_behind() -> None:
    found = became(record("install"), found=state(), run_by="c-yesterday")
    assert (found.ours, found.joined_by) == (True, "times")


@pytest.mark.parametrize("minutes", [-60, -8, 13, 600])
def test_a_run_at_another_time_is_another_run(minutes: int) -> None:
    assert not became(record("install"), found=state(minutes=minutes)).ours


def test_after_a_reboot_it_is_the_scans() -> None:
    records = (record("install"), record("reboot"), record("rescan"))
    found = became(*records, found=state("Scan", 31), run_by="c-rescan")
    assert (found.became, found.joined_by, found.kind) == ("succeeded", "command", "rescan")


def test_a_scan_is_no_install_and_an_install_no_scan() -> None:
    assert not became(record("install"), found=state("Scan")).ours
    assert not became(record("scan"), found=state("Install")).ours


# what became of it


def test_what_an_earlier_run_left_proves_nothing() -> None:
    found = became(record("install"), found=state(minutes=-300))
    assert (found.became, found.reason) == ("failed", Reason.NOT_VERIFIED)
    assert "its state is of an earlier Install of 2025-06-08 22:05 UTC" in found.line


def test_a_node_that_never_reported_is_not_taken_for_patched() -> None:
    found = became(record("install"))
    assert (found.became, found.line) == (
        "failed",
        "the agent said Success, and no patch run of the node was ever reported",
    )


def test_what_a_later_run_shows_is_said_to_be_a_later_runs() -> None:
    found = became(record("install"), found=state("Scan", 120))
    assert (found.became, found.ours) == ("succeeded", False)
    assert "a later Scan" in found.line
    waits = became(record("install"), found=state("Scan", 120, installed_pending_reboot=1))
    assert (waits.became, waits.ours) == ("pending_reboot", False)


def test_a_patch_that_failed_fails_the_node_and_is_named() -> None:
    found = became(record("install", "Failed"), found=state(failed=1), rows=(row("FAILED"),))
    assert (found.became, found.line, found.needs_line) == ("failed", f"failed on it: {TITLE}", True)


def test_a_failed_install_is_not_healed_by_a_scan_that_calls_it_missing() -> None:
    records = (record("install", "Failed"), record("reboot"), record("rescan"))
    found = became(*records, found=state("Scan", 31, missing=1), rows=(row("MISSING"),))
    assert (found.became, found.line) == ("failed", f"still missing: {TITLE}")


def test_a_node_that_came_back_from_its_reboot_counts_by_what_it_is() -> None:
    found = became(record("install", "TimedOut"), found=state(installed=9), rows=(row("INSTALLED"),))
    assert (found.became, found.line) == ("succeeded", "its agent said TimedOut; the node has what was asked for")


def test_what_waits_for_a_reboot_is_neither_done_nor_failed() -> None:
    found = became(record("install"), found=state(installed_pending_reboot=2))
    assert (found.became, found.line) == ("pending_reboot", "2 patches wait for a reboot")


def test_what_waits_after_a_reboot_that_it_did_not_come_through_has_failed() -> None:
    refused = record("reboot", "Failed", "a reboot is still pending")
    for records in ((record("install"), refused), (refused,)):
        found = became(*records, found=state(installed_pending_reboot=2))
        told = "2 patches wait for a reboot after the reboot, which ended as Failed: a reboot is still pending"
        assert (found.became, found.line) == ("failed", told)


def test_what_aws_counts_as_waiting_and_the_operating_system_does_not_is_no_failure() -> None:
    for records in ((record("install"), record("reboot")), (record("reboot"),)):
        found = became(*records, found=state(installed_pending_reboot=2))
        told = "2 patches wait for a reboot, which its operating system did not need"
        assert (found.became, found.line) == ("pending_reboot", told)


@pytest.mark.parametrize(
    ("minutes", "asked", "needless"),
    [
        (10, "Success", True),
        (25, "Success", False),  # installed by somebody after it was asked
        (10, "Failed", False),
    ],
)
def test_a_reboot_is_needless_for_what_was_installed_before_the_operating_system_needed_none(
    minutes: int, asked: str, needless: bool
) -> None:
    records = (record("install"), record("reboot", asked), record("rescan"))
    found = became(*records, found=state("Scan", 31, installed_pending_reboot=2), run_by="c-rescan")
    assert found.kind == "rescan"
    installed = replace(row("INSTALLED_PENDING_REBOOT"), installed=OPEN + timedelta(minutes=minutes))
    assert found.needless(installed) is needless
    assert not found.needless(replace(installed, state="MISSING"))


@pytest.mark.parametrize(
    ("status", "said", "needless"),
    [
        ("Success", "reboot pending: no", True),
        ("Success", "reboot pending: False", True),
        ("Success", "reboot pending: yes", False),
        ("Success", "", False),
        ("Failed", "reboot pending: no", False),
    ],
)
def test_who_was_only_asked_needs_none_where_it_says_so(status: str, said: str, needless: bool) -> None:
    records = (record("install"), record("ask", status))
    shown = state("Install", 1, installed_pending_reboot=2)
    found = became(*records, found=shown, run_by="c-install", said=said)
    installed = replace(row("INSTALLED_PENDING_REBOOT"), installed=OPEN + timedelta(minutes=3))
    assert (found.became, found.kind, found.needless(installed)) == ("pending_reboot", "install", needless)
    assert ("did not need" in found.line) is needless
    alone = became(record("ask", status), found=shown, said=said)
    assert (alone.became, alone.needless(installed)) == ("pending_reboot", needless)


def test_where_no_time_of_an_install_is_known_it_is_needless_after_the_releases_own_alone() -> None:
    waits = row("INSTALLED_PENDING_REBOOT")
    shown = state("Scan", 31, installed_pending_reboot=2)
    both = became(record("install"), record("reboot"), record("rescan"), found=shown, run_by="c-rescan")
    alone = became(record("reboot"), record("rescan"), found=shown, run_by="c-rescan")
    assert (both.needless(waits), alone.needless(waits)) == (True, False)


def test_what_production_requested_has_to_be_there_whatever_the_agent_said() -> None:
    found = became(record("install"), found=state(override_list=URL), rows=(row("MISSING"),), gated=True)
    assert (found.became, found.line) == ("failed", f"still missing: {TITLE}")


def test_what_production_did_not_request_may_be_missing() -> None:
    found = became(record("install"), found=state(override_list=URL), rows=(row("MISSING", "other-1"),), gated=True)
    assert found.became == "succeeded"


def test_what_was_approved_after_an_install_that_succeeded_may_be_missing() -> None:
    assert became(record("install"), found=state(missing=1), rows=(row("MISSING"),)).became == "succeeded"


def test_a_scan_that_was_read_has_succeeded_whatever_is_missing() -> None:
    assert became(record("scan"), found=state("Scan", missing=40), rows=(row("MISSING"),)).became == "succeeded"


def test_a_command_that_failed_and_left_no_state_is_a_failure_with_its_status() -> None:
    found = became(record("install", "Failed", "DeliveryTimedOut"), found=state(minutes=-300))
    assert (found.became, found.line) == (
        "failed",
        "Failed: DeliveryTimedOut: its agent did not take the command in time",
    )


# who was not reached


def test_who_was_not_admitted_is_missed_for_the_reason_it_had() -> None:
    found = became(node=expected(reason=Reason.STOPPED, detail="since May"))
    assert (found.became, found.reason, found.line) == ("missed", Reason.STOPPED, "since May")


def test_a_wave_that_was_too_late_reached_nobody() -> None:
    found = became(record("install", verdict="late", reason="cutoff too near", results=()))
    assert (found.became, found.reason, found.line) == ("missed", Reason.NOT_OPENED, "cutoff too near")


def test_a_wave_behind_a_barrier_that_stopped_says_so() -> None:
    part = WavePart("r", 3, HERE, (("slot", (NODE,)),))
    found = became(parts=(part,), stops={1: "4 of 8 nodes failed", 3: "later"})
    assert (found.became, found.reason, found.line) == ("missed", Reason.NOT_OPENED, "4 of 8 nodes failed")


def test_a_node_that_its_execution_left_out_is_missed() -> None:
    found = became(record("install", MISSING, "the execution did not reach it"), found=state())
    assert (found.became, found.reason) == ("missed", Reason.NOT_INVOKED)


def test_a_node_that_needed_no_reboot_has_what_a_reboot_is_for() -> None:
    found = became(record("reboot", results=(), slots=(), verdict="skipped"))
    assert (found.became, found.line) == ("succeeded", "no reboot was needed")


@given(
    st.lists(st.sampled_from(["install", "reboot", "rescan", "scan"]), unique=True),
    st.sampled_from(["Success", "Failed", "TimedOut", MISSING]),
    st.none()
    | st.tuples(st.sampled_from(["Scan", "Install"]), st.integers(-900, 900), st.integers(0, 2), st.integers(0, 2)),
    st.booleans(),
    st.sampled_from(["INSTALLED", "MISSING", "FAILED", "INSTALLED_PENDING_REBOOT"]),
)
def test_success_is_claimed_only_of_what_this_release_or_a_later_run_shows(
    kinds: list[Kind], status: str, shown: tuple[str, int, int, int] | None, gated: bool, patch: str
) -> None:
    found = became(
        *(record(kind, status) for kind in kinds),
        found=state(shown[0], shown[1], failed=shown[2], installed_pending_reboot=shown[3]) if shown else None,
        rows=(row(patch),),
        gated=gated,
    )
    if found.became == "succeeded" and {"install", "scan"} & set(kinds):
        assert found.state is not None
        assert found.state.start >= OPEN - CLOCKS
        if "install" in kinds:
            assert (found.state.failed, found.state.installed_pending_reboot) == (0, 0)
    if found.became == "missed":
        assert found.reason
    if found.became == "failed":
        assert found.line
