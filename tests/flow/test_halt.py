"""A halt stops everything, everywhere, at once; what it cannot stop it names."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_world import NONPROD, SCAN, at, prepare, small
from shares import share

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws import halts, leases, operations
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AnswerError, ReleaseError
from sluice.core.policy.policy import Policy
from sluice.flow import halting
from sluice.flow.halt import halt, lift
from sluice.flow.halting import Halted

LOCATIONS = [
    {"account": account, "region": region}
    for account in ("111111111111", "222222222222")
    for region in ("eu-west-3", "eu-central-1")
]
HERE, FAR = "111111111111/eu-west-3", "222222222222/eu-central-1"
RELEASE = f"{SCAN}-20250603T0100-0a1b2c3d"
ONE = at(3, 1)
ANOTHER = f"{SCAN}-20250603T0100-ffffffff"


@pytest.fixture
def lab_fleet() -> str:
    return str(Path(__file__).with_name("halt_fleet.yaml"))


def slow(folder: Path, **changes: Any) -> Policy:
    """The small policy whose scan goes from node to node, one at a time."""
    policy = small(folder)
    windows = [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in policy.windows]
    windows[0]["concurrency"] = 1
    return small(folder, windows=windows, **changes)


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """Four locations, each as a role of its account, with everything applied."""
    found = slow(tmp_path / "evidence", locations=LOCATIONS, roles={"assume": True})
    prepare(aws_environment, found)
    return found


@pytest.fixture
def one(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """The first location alone."""
    found = slow(tmp_path / "evidence")
    prepare(aws_environment, found)
    return found


def everything(policy: Policy, **more: Any) -> tuple[Halted, ...]:
    return halt(policy, Connections.of(policy), None, by="alice", because="it goes wrong", **more)


def one_release(policy: Policy, release: str = RELEASE) -> tuple[Halted, ...]:
    return halt(policy, Connections.of(policy), release, by="alice", because="it goes wrong")


def open_window(lab: LabHandle, policy: Policy, name: str = SCAN, when: datetime = ONE) -> None:
    """Open a window in each location, as a release does: once, at a time, enabled."""
    for place in policy.locations:
        enable(lab, place.key, name, when)


def enable(lab: LabHandle, place: str, name: str, when: datetime) -> None:
    lab.client("ssm", *place.split("/")).update_maintenance_window(
        WindowId=window_id(lab, place, name),
        Enabled=True,
        StartDate="2025-06-01T00:00:00Z",  # at rest it begins in 2099
        Schedule=f"at({when:%Y-%m-%dT%H:%M:%S})",
        ScheduleTimezone="UTC",
    )


def window_id(lab: LabHandle, place: str, name: str) -> str:
    windows = lab.location(*place.split("/")).windows
    return next(id for id, one in windows.items() if one.name == f"sluice-{name}")


def enabled(lab: LabHandle, policy: Policy) -> list[str]:
    """What is enabled anywhere."""
    return [
        one.name for place in policy.locations for one in lab.location(*place.key.split("/")).windows.values()
        if one.enabled
    ]  # fmt: skip


def begun(lab: LabHandle, place: str) -> dict[str, datetime]:
    """When the agent of each node began what a command asked of it, as the lab knows."""
    return {
        one.node_id: one.start
        for command in lab.location(*place.split("/")).commands.values()
        for one in command.invocations.values()
        if one.start is not None
    }


def in_the_middle(lab: LabHandle, place: str) -> set[str]:
    return {
        one.node_id
        for command in lab.location(*place.split("/")).commands.values()
        for one in command.invocations.values()
        if one.details in ("InProgress", "Cancelling")
    }


def marks(policy: Policy, name: str) -> dict[str, str | None]:
    """What keeps a release from opening, by location."""
    found = {}
    for place in policy.locations:
        connection = Connections.of(policy).open(place, Duty.READER)
        found[place.key] = halts.mark_of(connection, operations.bucket_of(policy, connection), name)
        connection.close()
    return found


@contextmanager
def reader(policy: Policy) -> Iterator[tuple[Connection, str]]:
    connection = Connections.of(policy).open(policy.locations[0], Duty.READER)
    yield connection, operations.bucket_of(policy, connection)
    connection.close()


@contextmanager
def watched(after: Callable[[str], None] = lambda operation: None) -> Iterator[list[str]]:
    """Do something after each call of the product's; yields their operations."""
    calls: list[str] = []
    real = Connection.call

    def call(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
        calls.append(operation)
        answer = real(connection, service, operation, **parameters)
        after(operation)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "call", call)
        yield calls


class Killed(BaseException):
    """What no handler of the product catches."""


@contextmanager
def killed_before(number: int) -> Iterator[None]:
    """Die before the call with this number, counted from 1: no thread makes it, nor another one.

    It is what dying after the call before leaves, as nothing that a halt remembers outlives it.
    """
    made = itertools.count(1)
    real = Connection.call

    def call(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
        if next(made) >= number:
            raise Killed
        return real(connection, service, operation, **parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "call", call)
        yield


def test_within_60_seconds_of_a_halt_no_new_invocation_starts_in_any_location(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy)
    halted_at = lab.advance_to(at(3, 1, 4))
    before = {place.key: begun(lab, place.key) for place in policy.locations}
    assert all(0 < len(nodes) < 12 for nodes in before.values()), "some nodes have begun, others wait"

    found = everything(policy)

    assert [one.location for one in found] == [place.key for place in policy.locations]
    assert all(one.left == () and one.marked and one.disabled == (SCAN,) for one in found)
    lab.advance(days=2)
    for place in policy.locations:
        after = begun(lab, place.key)
        assert max(after.values()) <= halted_at + timedelta(seconds=60)
        assert len(after) < 12, "most nodes were never begun"
    assert enabled(lab, policy) == []


def test_the_nodes_in_the_middle_are_named_by_location(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy)
    lab.advance_to(at(3, 1, 4))
    middle = {place.key: in_the_middle(lab, place.key) for place in policy.locations}
    assert all(len(nodes) == 1 for nodes in middle.values())
    assert {one.location: set(one.nodes) for one in everything(policy)} == middle


def test_what_was_to_start_later_never_starts(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy, when=at(3, 1))
    lab.advance_to(at(3, 0, 59))
    everything(policy)
    lab.advance(days=3)
    assert all(begun(lab, place.key) == {} for place in policy.locations)


def test_a_location_that_is_denied_stops_no_other(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy)
    halted_at = lab.advance_to(at(3, 1, 4))
    lab.server.faults.add(FaultRule(kind="access_denied", operation="AssumeRole", contains="222222222222"))

    found = {one.location: one for one in everything(policy)}

    assert "sluice" not in found[HERE].left
    assert found[HERE].left == ()
    assert "the halter cannot be assumed" in found[FAR].left[0]
    lab.advance(hours=3)
    assert max(begun(lab, HERE).values()) <= halted_at + timedelta(seconds=60)
    assert len(begun(lab, FAR)) == 12, "the location that could not be reached was not halted, and that was said"


def test_a_location_that_answers_slowly_stops_no_other(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy)
    lab.advance_to(at(3, 1, 4))
    late = FaultRule(kind="delay", operation="DescribeMaintenanceWindows", account=FAR[:12], seconds=2)
    lab.server.faults.add(late)
    done: list[str] = []
    everything(policy, tell=lambda connection, text: done.append(connection.key) if "disabled" in text else None)
    assert len(done) == 4
    assert done[:2] == sorted(done[:2], reverse=True) or {*done[:2]} == {HERE, "111111111111/eu-central-1"}
    assert FAR in done[2:]


def test_what_could_not_be_disabled_is_named_and_the_rest_is_halted(lab: LabHandle, policy: Policy) -> None:
    open_window(lab, policy)
    lab.advance_to(at(3, 1, 4))
    id = window_id(lab, FAR, SCAN)
    rule = FaultRule(kind="access_denied", operation="UpdateMaintenanceWindow", contains=id, region="eu-central-1")
    lab.server.faults.add(rule)
    found = {one.location: one for one in everything(policy)}
    assert len(found[FAR].left) == 1
    assert f"window {SCAN} ({id})" in found[FAR].left[0]
    assert found[FAR].cancelled, "what runs is cancelled although its window stays enabled"
    assert all(one.left == () for key, one in found.items() if key != FAR)


def test_it_needs_no_evidence_store_no_airflow_and_no_sound_policy(lab: LabHandle, one: Policy, tmp_path: Path) -> None:
    open_window(lab, one)
    lab.advance_to(at(3, 1, 4))
    (tmp_path / "not-a-folder").write_text("")
    nowhere = one.model_copy(
        update={"evidence": one.evidence.model_copy(update={"folder": str(tmp_path / "not-a-folder")})}
    )
    file = tmp_path / "policy.yaml"
    data = json.loads(nowhere.model_dump_json(by_alias=True, exclude_unset=True))
    data["windows"][0]["shedule"] = data["windows"][0].pop("schedule")
    file.write_text(json.dumps(data))
    code = (
        "import sys; sys.modules['airflow'] = None; sys.modules['polars'] = None\n"
        "from sluice.__main__ import main\n"
        f"sys.exit(main(['halt', '--all', '--reason', 'it goes wrong', '--policy', {str(file)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "1 of 1 locations halted." in done.stdout) == (0, True), done.stderr
    assert "The policy has errors that no halt waits for: 2; `python -m sluice check` lists them." in done.stdout
    assert enabled(lab, one) == []


def test_without_a_bucket_for_marks_everything_is_disabled_and_the_missing_mark_is_said(
    lab: LabHandle, one: Policy
) -> None:
    open_window(lab, one)
    lab.advance_to(at(3, 1, 4))
    lab.server.faults.add(FaultRule(kind="access_denied", service="s3"))
    (found,) = everything(one)
    assert not found.marked
    assert [text.split(":")[0] for text in found.left] == ["the mark, so that it may open again"]
    assert (found.disabled, enabled(lab, one)) == ((SCAN,), [])
    assert set(found.nodes) == in_the_middle(lab, HERE)


def test_a_bucket_that_does_not_answer_holds_up_nothing(
    lab: LabHandle, one: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_window(lab, one)
    monkeypatch.setattr(halting, "MARK_SECONDS", 0.01)
    lab.server.faults.add(FaultRule(kind="delay", service="s3", operation="PutObject", seconds=1, times=1))
    with watched() as calls:
        (found,) = everything(one)
    assert (found.left, found.marked, enabled(lab, one)) == ((), True, [])
    finished = [name for name in calls if name in ("UpdateMaintenanceWindow", "PutObject")]
    assert finished.count("UpdateMaintenanceWindow") >= 3


def test_a_halted_release_has_a_mark_in_each_location_that_says_who_why_and_when(policy: Policy) -> None:
    one_release(policy)
    for text in marks(policy, RELEASE).values():
        assert text is not None
        assert text.startswith(f"{RELEASE} was halted by alice (arn:aws:")
        assert text.endswith("UTC: it goes wrong")
    assert set(marks(policy, ANOTHER).values()) == {None}


def test_the_mark_of_everything_is_every_releases(policy: Policy) -> None:
    everything(policy)
    assert all("everything was halted" in str(text) for text in marks(policy, ANOTHER).values())


def test_a_repeated_halt_changes_nothing_and_names_the_nodes_again(lab: LabHandle, one: Policy) -> None:
    open_window(lab, one)
    lab.advance_to(at(3, 1, 4))
    (first,) = everything(one)
    mark = marks(one, RELEASE)
    lab.advance(hours=1)
    (again,) = halt(one, Connections.of(one), None, by="bob", because="once more")
    assert (again.nodes, again.disabled, again.cancelled, again.left) == (first.nodes, (), (), ())
    assert marks(one, RELEASE) == mark, "who was first is what stands there"


def test_a_lifted_mark_lets_open_again_and_is_kept(lab: LabHandle, one: Policy) -> None:
    everything(one)
    one_release(one)
    assert [here.marked for here in lift(one, Connections.of(one), None, by="bob", because="it was nothing")] == [True]
    assert str(marks(one, RELEASE)[HERE]).startswith(RELEASE), "the release's own mark holds"
    lift(one, Connections.of(one), RELEASE, by="bob", because="it was nothing")
    assert marks(one, RELEASE) == {HERE: None}
    assert enabled(lab, one) == [], "lifting opens nothing"
    with reader(one) as (connection, bucket):
        kept = halts.read(connection, bucket, RELEASE)
    assert kept is not None
    assert (kept.by.split()[0], kept.lifted_by.split()[0], kept.lifted_because) == ("alice", "bob", "it was nothing")


def test_halted_after_it_was_lifted_it_is_halted(one: Policy) -> None:
    for _ in range(2):
        everything(one)
        assert marks(one, RELEASE)[HERE]
        lift(one, Connections.of(one), None, by="bob", because="it was nothing")
        assert marks(one, RELEASE)[HERE] is None


def test_what_was_not_halted_is_said_when_it_is_lifted(one: Policy) -> None:
    assert [here.marked for here in lift(one, Connections.of(one), RELEASE, by="bob", because="a slip")] == [False]


def test_a_mark_that_nobody_can_read_halts_until_it_is_written_anew(lab: LabHandle, one: Policy) -> None:
    with reader(one) as (connection, bucket):
        lab.client("s3").put_object(Bucket=bucket.name, Key="halts/sluice/all.json", Body=b"{")
        with pytest.raises(AnswerError, match=r"halts/sluice/all.json.*nothing opens"):
            halts.mark_of(connection, bucket, RELEASE)
        everything(one)
        assert "it goes wrong" in str(halts.mark_of(connection, bucket, RELEASE))


def test_the_halt_of_a_release_touches_no_other_window(lab: LabHandle, one: Policy) -> None:
    open_window(lab, one, NONPROD, at(3, 3))
    open_window(lab, one, SCAN)
    (found,) = one_release(one)
    assert (found.disabled, enabled(lab, one)) == ((SCAN,), [f"sluice-{NONPROD}"])


def test_the_halt_of_a_release_stops_nothing_of_the_release_that_has_its_window_now(
    lab: LabHandle, one: Policy
) -> None:
    open_window(lab, one)
    lab.advance_to(at(3, 1, 4))
    connection = Connections.of(one).open(one.locations[0], Duty.SCANNER)
    bucket = operations.bucket_of(one, connection)
    leases.acquire(connection, bucket, SCAN, ANOTHER, now=at(3), expires=at(3, 6))
    connection.close()
    (found,) = one_release(one)
    assert (found.marked, found.disabled, found.cancelled) == (True, (), ())
    lab.advance(hours=3)
    assert len(begun(lab, HERE)) == 12
    assert everything(one)[0].disabled == (SCAN,)


def test_windows_of_others_are_left_alone(lab: LabHandle, one: Policy) -> None:
    ssm = lab.client("ssm")
    theirs = ssm.create_maintenance_window(
        Name="theirs", Schedule="cron(0 1 * * ? *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True
    )["WindowId"]
    everything(one)
    assert ssm.get_maintenance_window(WindowId=theirs)["Enabled"]


def test_a_worker_that_opens_a_window_meanwhile_is_found_out(lab: LabHandle, one: Policy) -> None:
    opened: list[str] = []

    def worker(operation: str) -> None:
        if operation == "UpdateMaintenanceWindow" and len(opened) < 2:
            opened.append(operation)
            enable(lab, HERE, SCAN, at(3, 1))

    with watched(worker):
        (found,) = everything(one)
    assert len(opened) == 2
    assert (found.left, enabled(lab, one)) == ((), [])


def test_who_opens_windows_again_and_again_is_said_to_be_there(lab: LabHandle, one: Policy) -> None:
    def machine(operation: str) -> None:
        if operation == "UpdateMaintenanceWindow":
            enable(lab, HERE, SCAN, at(3, 1))

    with watched(machine):
        (found,) = everything(one)
    assert found.left == (
        f"windows: something was opened again at each of {halting.LOOKS} looks: find out who opens them",
    )


@pytest.mark.shared
def test_killed_before_any_call_and_repeated_it_ends_the_same(lab: LabHandle, one: Policy) -> None:
    def in_the_middle_of_a_scan() -> datetime:
        """Everything may open again, and a scan has begun."""
        lift(one, Connections.of(one), None, by="bob", because="again")
        start = lab.advance(hours=6).replace(microsecond=0) + timedelta(minutes=10)
        open_window(lab, one, when=start)
        return lab.advance_to(start + timedelta(minutes=4))

    in_the_middle_of_a_scan()
    with watched() as calls:
        everything(one)
    assert len(calls) > 20
    for last in share(range(1, len(calls) + 1), 3):
        halted_at = in_the_middle_of_a_scan()
        with killed_before(last), pytest.raises(Killed):
            everything(one)
        lab.advance(seconds=30)
        (found,) = everything(one)
        assert (found.left, found.marked, enabled(lab, one)) == ((), True, []), last
        lab.advance(hours=1)
        newest = max(lab.location().commands.values(), key=lambda command: command.requested)
        ran = [invocation for invocation in newest.invocations.values() if invocation.start]
        stopped = {invocation.node_id for invocation in ran if invocation.details == "Cancelled"}
        assert stopped <= set(found.nodes) <= {invocation.node_id for invocation in ran}, last
        assert max(invocation.start for invocation in ran) <= halted_at + timedelta(seconds=60), last


def test_what_is_no_release_is_refused_before_anything_is_done(lab: LabHandle, one: Policy) -> None:
    with watched() as calls, pytest.raises(ReleaseError, match=r"install-nonprod-2025"):
        one_release(one, "../all")
    assert calls == []
