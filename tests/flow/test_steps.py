"""Steps of the policy around the waves: executions of their own, once, in order; one that fails stops its location.

What ran is read from the lab's own records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.httpsession import URLLib3Session
from drive import Drive
from flow_world import FLEET, HERE, NONPROD, PROD, SMALL, at, prepare, run_of, small

from lab.faults import FaultRule
from lab.rules import Rule
from lab.ssm.model import Window, WindowExecution
from lab.testing import LabHandle
from sluice.aws import node_tags, window_tasks
from sluice.aws.actual import read_actual
from sluice.aws.halts import write
from sluice.aws.operations import bucket_of
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import ReleaseError
from sluice.core.halt_mark import Mark
from sluice.core.policy.desired import desired
from sluice.core.policy.plan import make_plan
from sluice.core.policy.policy import Policy
from sluice.core.window_objects import at_rest
from sluice.evidence import queries
from sluice.flow import sight
from sluice.flow.close import close
from sluice.flow.halt import halt
from sluice.flow.records import read_records
from sluice.flow.sweep import sweep
from sluice.flow.wave import advance
from sluice.report import story

pytestmark = pytest.mark.usefixtures("in_process")

THREE = at(3, 3)
THERE = "111111111111/eu-central-1"
TWO_PLACES = str(Path(__file__).parents[1] / "airflow" / "fleet.yaml")


def script(text: str, **more: Any) -> dict[str, Any]:
    return {"document": "AWS-RunShellScript", "parameters": {"commands": text}, **more}


DRAIN, FILL = script("echo drain"), script("echo fill")
TICKET = {"automation": "Open-Ticket", "parameters": {"Queue": "patching"}}
TELL = {"function": "SSM-Tell", "parameters": {"text": "done", "to": ["first", "second"]}}


@pytest.fixture
def released(aws_environment: LabHandle, tmp_path: Path) -> Callable[..., Drive]:
    """The small policy applied, a window of it with steps, and a release of it that is admitted."""

    def make(window: str = NONPROD, *, when: Any = THREE, policy: Any = (), asked: Any = (), **changes: Any) -> Drive:
        windows = [{**one, **(changes if one["name"] == window else {})} for one in SMALL["windows"]]
        found = small(tmp_path / "evidence", windows=windows, **dict(policy))
        prepare(aws_environment, found)
        aws_environment.advance_to(when - timedelta(minutes=10))
        return Drive(aws_environment, run_of(found, window, when, **dict(asked)))

    return make


@pytest.fixture
def connected() -> Iterator[Callable[[Policy], Connection]]:
    opened = []

    def connect(policy: Policy) -> Connection:
        opened.append(Connections.of(policy).open(policy.locations[0], Duty.NONPROD_INSTALLER))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def ran(lab: LabHandle, place: str = HERE) -> list[str]:
    """What the executions of a location ran, in their order: scripts, operations, automations and functions."""
    found = sorted(lab.location(*place.split("/")).executions.values(), key=lambda one: one.start)
    return [_told(lab, place, one) for one in found]


def _told(lab: LabHandle, place: str, execution: WindowExecution) -> str:
    (task,) = {run.task.task_arn: run.task for run in execution.tasks}.values()
    if task.task_type != "RUN_COMMAND":
        return str(task.task_arn)
    given = task.invocation_parameters["RunCommand"]["Parameters"]
    return str((given.get("commands") or given.get("Operation") or [task.task_arn])[0])


def nodes_of(lab: LabHandle, text: str) -> list[str]:
    """The nodes that a script ran on, once for each time."""
    commands = [one for one in lab.location().commands.values() if one.parameters.get("commands") == [text]]
    return sorted(node for one in commands for node in one.invocations)


def pending(policy: Policy, connection: Connection) -> Any:
    wanted = desired(policy, connection.account, connection.region)
    actual = read_actual(connection, policy.deployment)
    return make_plan(connection.account, connection.region, wanted, actual).pending


def window_of(lab: LabHandle, name: str) -> Window:
    return next(one for one in lab.location().windows.values() if one.name == f"sluice-{name}")


def test_documents_run_before_and_after_the_waves_on_every_admitted_node_once_and_in_order(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    check = script("echo check")
    drive = released(before=[DRAIN, check], after=[FILL], reboot="never", waves={"canary": 1, "settle_minutes": 0})
    told = drive.release()
    assert ran(lab) == ["echo drain", "echo check", "Install", "Install", "echo fill"]
    assert told["report"]["outcome"] == "released", told["report"]
    admitted = sorted(node for number in (1, 2) for node in _wave_nodes(drive, number))
    assert len(admitted) == 2
    for text in ("echo drain", "echo check", "echo fill"):
        assert nodes_of(lab, text) == admitted
    prefix = f"install-nonprod/2025/06/03/{drive.run.release.id}/0-before-1/nonprod-linux.AMAZON_LINUX_2023"
    assert prefix in {one.prefix for one in lab.location().commands.values()}
    assert pending(drive.run.policy, connected(drive.run.policy)) == ()


def test_the_report_shows_steps_where_they_stood_and_the_next_preflight_knows_how_long_they_took(
    released: Callable[..., Drive],
) -> None:
    drive = released(before=[DRAIN, TICKET], after=[FILL], reboot="never")
    told = drive.release()
    shown = story.read(drive.run.store, drive.run.release.id)
    assert [row["kind"] for row in shown.executions] == ["before-1", "before-2", "install", "ask", "after-1"]
    page = Path(told["report"]["files"]["html"]).read_text("utf-8")
    assert "step of the policy" in page
    assert "wave 0" not in page
    day = THREE.date()
    took = queries.step_durations(drive.run.store, NONPROD, day, day)
    assert took.keys() == {"before-1", "before-2", "after-1"}
    assert all(0 < seconds < 600 for seconds in took.values()), took


def _wave_nodes(drive: Drive, wave: int) -> list[str]:
    (place,) = drive.run.recorded("admitted")["locations"].values()
    return [node for part in place["parts"] if part["wave"] == wave for _, nodes in part["slots"] for node in nodes]


def test_automations_and_functions_run_in_windows_of_their_own_which_are_at_rest_again(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    drive = released(before=[TICKET, DRAIN], after=[FILL, TELL], reboot="never")
    told = drive.release()
    assert ran(lab) == ["Open-Ticket", "echo drain", "Install", "echo fill", "SSM-Tell"]
    assert told["report"]["outcome"] == "released", told["report"]
    (automation,) = lab.location().automations.values()
    assert automation.parameters == {"Queue": ["patching"]}
    (task,) = window_of(lab, "install-nonprod-after-2").tasks.values()
    payload = task.invocation_parameters["Lambda"]["Payload"]
    assert b'{"text": "done", "to": ["first", "second"]}' in (payload, str(payload).encode())
    assert pending(drive.run.policy, connected(drive.run.policy)) == ()


@pytest.mark.parametrize(
    ("step", "rule", "why"),
    [
        (DRAIN, Rule(kind="script", match="*drain*", exit_code=1, times=1), "did not succeed on 1 of 2 nodes"),
        (TICKET, Rule(kind="automation", match="Open-Ticket", outcome="Failed"), "found FAILED"),
        (TELL, Rule(kind="lambda", match="SSM-Tell", outcome="TimedOut"), "found TIMED_OUT"),
    ],
    ids=["document", "automation", "function"],
)
def test_a_step_before_that_fails_stops_its_location_and_nothing_is_installed(
    lab: LabHandle,
    released: Callable[..., Drive],
    connected: Callable[[Policy], Connection],
    step: dict[str, Any],
    rule: Rule,
    why: str,
) -> None:
    lab.world.rules.add(rule)
    drive = released(before=[step, DRAIN], after=[FILL], errors="100%")
    told = drive.release()
    assert len(ran(lab)) == 1, "nothing follows it: no further step, no wave, no step after"
    found = told["report"]
    assert (found["outcome"], found["ok"]) == ("partial", False)
    assert f"{HERE}: step before-1" in found["line"]
    assert why in found["line"]
    assert told["barrier-1"] == {"stop": told["barrier-1"]["stop"], "failed": 2, "of": 2}
    assert told["verify"]["reasons"] == {"its wave was not opened": 2}
    assert pending(drive.run.policy, connected(drive.run.policy)) == ()


class TestOfTwoLocations:
    @pytest.fixture
    def lab_fleet(self) -> str:
        return TWO_PLACES

    def test_one_whose_step_fails_keeps_no_other_from_its_release(
        self, lab: LabHandle, released: Callable[..., Drive]
    ) -> None:
        places = [{"account": "111111111111", "region": one.partition("/")[2]} for one in (HERE, THERE)]
        drive = released(before=[DRAIN], after=[FILL], reboot="never", policy={"locations": places})
        for node in lab.location(*HERE.split("/")).nodes.values():
            node.faults = None
        lab.world.rules.add(Rule(kind="script", match="*drain*", exit_code=1, times=1))
        told = drive.release()
        assert ran(lab) == ["echo drain"]
        assert ran(lab, THERE) == ["echo drain", "Install", "echo fill"]
        assert told["report"]["outcome"] == "partial"
        assert f"{HERE}: step before-1" in told["report"]["line"]


def test_a_step_after_that_fails_makes_the_release_partial_and_is_named(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    lab.world.rules.add(Rule(kind="automation", match="Open-Ticket", outcome="Failed"))
    drive = released(after=[TICKET], reboot="never")
    told = drive.release()
    assert ran(lab) == ["Install", "Open-Ticket"]
    assert (told["report"]["outcome"], told["report"]["ok"]) == ("partial", True)
    assert f"{HERE}: step after-1 (automation Open-Ticket): failed" in told["report"]["line"]
    assert pending(drive.run.policy, connected(drive.run.policy)) == ()


def test_steps_after_run_also_behind_a_wave_that_failed(lab: LabHandle, released: Callable[..., Drive]) -> None:
    drive = released(before=[DRAIN], after=[FILL], reboot="never", waves={"canary": 1, "settle_minutes": 0})
    drive.until_admitted()
    drive.steps("before")
    rule = FaultRule(kind="access_denied", service="ssm", operation="UpdateMaintenanceWindowTarget")
    lab.server.faults.add(rule)
    with pytest.raises(Exception, match="AccessDenied"):
        drive.wave(HERE, 1, "install")
    lab.server.faults.clear()
    drive.steps("after")
    assert ran(lab) == ["echo drain", "echo fill"]


def test_a_step_may_be_run_again_at_any_time_without_a_second_execution(
    lab: LabHandle, released: Callable[..., Drive]
) -> None:
    drive = released(before=[DRAIN, TICKET])
    drive.until_admitted()
    for kind in ("before-1", "before-2"):
        progress = advance(drive.run, HERE, 0, kind)
        while progress.state == "waiting":
            for other in (drive.run, run_of(drive.run.policy, NONPROD, THREE)):
                progress = advance(other, HERE, 0, kind)
            lab.advance(minutes=2)
        assert progress.state == "done", progress
    assert ran(lab) == ["echo drain", "Open-Ticket"]


def test_no_wave_and_no_later_step_opens_while_a_step_before_has_not_ended(
    lab: LabHandle, released: Callable[..., Drive]
) -> None:
    drive = released(before=[DRAIN, TICKET], after=[FILL])
    drive.until_admitted()
    advance(drive.run, HERE, 0, "before-1")
    for wave, kind in ((1, "install"), (0, "before-2"), (0, "after-1")):
        with pytest.raises(ReleaseError, match=r"expected step before-1 .* to have ended"):
            advance(drive.run, HERE, wave, kind)
    with pytest.raises(ReleaseError, match="does not have"):
        advance(drive.run, HERE, 0, "before-3")


def test_a_step_that_does_not_end_in_time_is_cancelled_and_has_failed(
    lab: LabHandle, released: Callable[..., Drive]
) -> None:
    lab.world.rules.add(Rule(kind="script", match="*drain*", seconds=7200))
    drive = released(before=[{**DRAIN, "timeout_minutes": 10}])
    told = drive.release()
    assert "did not end within 10 minutes" in told["report"]["line"]
    assert {one.status for one in lab.location().commands.values()} <= {"Cancelling", "Cancelled"}
    assert ran(lab) == ["echo drain"]


def test_a_halted_release_opens_no_step_and_a_late_one_is_late(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    drive = released(before=[TICKET], after=[TELL])
    drive.until_admitted()
    connection = connected(drive.run.policy)
    mark = Mark(drive.run.release.id, "somebody", "a test", connection.now())
    write(connection, bucket_of(drive.run.policy, connection), mark)
    drive.waves()
    assert {one.verdict for one in read_records(drive.run, connection).values()} == {"halted", "skipped"}
    lab.advance_to(at(4, 5))
    late = Drive(lab, run_of(drive.run.policy, NONPROD, at(4, 3), run_id="r2"))
    told = late.release()
    assert told["report"]["outcome"] == "late"
    assert ran(lab) == []


def test_a_gate_that_closes_again_holds_the_steps_before_and_lets_those_after_end_what_began(
    lab: LabHandle, released: Callable[..., Drive], monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = released(before=[DRAIN], after=[FILL])
    drive.until_admitted()
    drive.steps("before")
    monkeypatch.setattr(sight, "allowed_now", lambda run, connection: "the calendar is closed")
    assert drive.wave(HERE, 1, "install").state == "held"
    drive.steps("after")
    assert ran(lab) == ["echo drain", "echo fill"]
    other = Drive(lab, run_of(drive.run.policy, NONPROD, at(4, 3), run_id="r2"))
    close(drive.run)
    lab.advance_to(at(4, 2, 50))
    told = other.release()
    assert (told["report"]["outcome"], told["report"]["ok"]) == ("held", True)
    assert "step before-1" in told["report"]["line"]
    assert ran(lab) == ["echo drain", "echo fill"]


def test_halting_a_release_disables_the_window_of_its_step(lab: LabHandle, released: Callable[..., Drive]) -> None:
    drive = released(before=[TICKET])
    drive.until_admitted()
    advance(drive.run, HERE, 0, "before-1")
    (found,) = halt(drive.run.policy, drive.run.connections, drive.run.release.id, by="somebody", because="a test")
    assert (found.disabled, found.left) == (("install-nonprod-before-1",), ())
    lab.advance_to(THREE + timedelta(hours=1))
    assert ran(lab) == []


def test_a_step_that_was_armed_when_its_release_was_closed_never_fires_and_its_window_is_at_rest(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    drive = released(before=[TICKET])
    drive.until_admitted()
    advance(drive.run, HERE, 0, "before-1")
    assert window_of(lab, "install-nonprod-before-1").enabled
    other = run_of(drive.run.policy, NONPROD, at(4, 3), run_id="r2")
    connection = connected(drive.run.policy)
    assert any("left alone" in one for one in sweep(other, connection)), "its window's lease guards it"
    assert close(drive.run)["at_rest"] == 1
    lab.advance_to(THREE + timedelta(hours=1))
    assert ran(lab) == []
    assert (sweep(other, connection), pending(drive.run.policy, connection)) == ([], ())


def test_a_steps_window_that_is_left_open_is_swept(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    drive = released(before=[TICKET])
    drive.until_admitted()
    advance(drive.run, HERE, 0, "before-1")
    lab.advance_to(at(4, 2))
    other = run_of(drive.run.policy, NONPROD, at(4, 3), run_id="r2")
    connection = connected(drive.run.policy)
    assert any("install-nonprod-before-1 was left open" in one for one in sweep(other, connection))
    assert (sweep(other, connection), pending(drive.run.policy, connection)) == ([], ())


class TestOfManyNodes:
    @pytest.fixture
    def lab_fleet(self, tmp_path: Path) -> str:
        data = yaml.safe_load(FLEET.read_text("utf-8"))
        data["groups"][0]["count"] = 60
        file = tmp_path / "fleet.yaml"
        file.write_text(yaml.safe_dump(data), "utf-8")
        return str(file)

    def test_more_than_a_target_can_name_by_id_are_reached_by_their_tags_in_all_waves_at_once(
        self, lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
    ) -> None:
        drive = released(before=[DRAIN], waves={"canary": 1, "shares": [50], "settle_minutes": 0}, concurrency="100%")
        drive.until_admitted()
        drive.steps("before")
        admitted = sorted(node for number in (1, 2, 3) for node in _wave_nodes(drive, number))
        assert [len(_wave_nodes(drive, number)) for number in (1, 2, 3)] == [1, 30, 29]
        assert nodes_of(lab, "echo drain") == admitted
        close(drive.run)
        connection = connected(drive.run.policy)
        assert node_tags.carriers(connection, f"{drive.run.release.id}/*") == {}
        assert pending(drive.run.policy, connection) == ()


class Killed(BaseException):
    """The worker dies here: nothing catches it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Let the next call of this number be the last one: before it takes effect, or after."""
    real, calls = URLLib3Session.send, iter(range(1, 10_000))

    def send(session: URLLib3Session, request: Any) -> Any:
        last = next(calls) == number
        if last and not after:
            raise Killed
        answer = real(session, request)
        if last:
            raise Killed
        return answer

    monkeypatch.setattr(URLLib3Session, "send", send)


@pytest.mark.parametrize(("step", "what"), [(DRAIN, "echo drain"), (TICKET, "Open-Ticket")], ids=["nodes", "no node"])
def test_killed_at_its_calls_a_step_goes_on_and_has_one_execution(
    lab: LabHandle,
    released: Callable[..., Drive],
    connected: Callable[[Policy], Connection],
    step: dict[str, Any],
    what: str,
) -> None:
    policy, died = released(before=[step]).run.policy, 0
    for day, number in enumerate(range(4, 100, 12), start=3):
        lab.advance_to(at(day, 2, 50))
        drive = Drive(lab, run_of(policy, NONPROD, at(day, 3), run_id=f"r{number}"))
        drive.until_admitted()
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, number, after=number % 8 == 0)
            try:
                drive.wave(HERE, 0, "before-1")
            except Killed:
                died += 1
        lab.advance(minutes=3)
        assert drive.wave(HERE, 0, "before-1").state == "done", number
        close(drive.run)
    assert died >= 5
    assert ran(lab) == [what] * (day - 2)
    assert pending(policy, connected(policy)) == ()


def test_a_dry_run_runs_no_step(lab: LabHandle, released: Callable[..., Drive]) -> None:
    drive = released(before=[DRAIN], after=[TICKET], asked={"dry_run": True})
    for kind in ("before-1", "after-1"):
        assert advance(drive.run, HERE, 0, kind).state == "skipped"


def test_a_release_of_reboots_alone_has_no_steps(lab: LabHandle, released: Callable[..., Drive]) -> None:
    drive = released(before=[DRAIN], after=[TICKET], asked={"only_reboots": True, "reboot": "always"})
    drive.until_admitted()
    assert drive.wave(HERE, 1, "reboot").state == "done"
    for kind in ("before-1", "after-1"):
        with pytest.raises(ReleaseError, match="which this release does not have"):
            advance(drive.run, HERE, 0, kind)
    assert [one for one in ran(lab) if one != "Sluice-RebootIfPending"] == []


def test_no_other_document_and_no_other_parameters_than_a_steps_are_put_on_its_window(
    lab: LabHandle, released: Callable[..., Drive], connected: Callable[[Policy], Connection]
) -> None:
    policy = released(PROD, before=[DRAIN]).run.policy
    connection = connected(policy)
    (task_id,), (target_id,) = (window_of(lab, PROD).tasks, window_of(lab, PROD).targets)
    (rest,) = at_rest(policy, PROD, connection.account, connection.region).tasks.values()
    step = replace(
        rest,
        document="AWS-RunShellScript",
        operation="",
        reboot_option="",
        other_parameters=(("commands", ("echo drain",)),),
    )
    wrong = [
        replace(step, document="AWS-RunPowerShellScript"),
        replace(step, other_parameters=(("commands", ("echo other",)),)),
        replace(step, window=NONPROD),
    ]
    for given in wrong:
        with pytest.raises(ReleaseError, match="was not changed"):
            window_tasks.update(connection, window_of(lab, PROD).window_id, task_id, target_id, given, policy)
    observe = policy.model_copy(update={"mode": "observe"})
    with pytest.raises(ReleaseError, match="observe"):
        window_tasks.update(connection, window_of(lab, PROD).window_id, task_id, target_id, step, observe)
    window_tasks.update(connection, window_of(lab, PROD).window_id, task_id, target_id, step, policy)
