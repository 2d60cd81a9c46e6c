"""Five things that go wrong on purpose, and what must be so afterwards, as the lab saw it.

halt               somebody halts everything while nodes install
bad-patch          a version fails wherever it is installed: its soak is void, and production is never asked for it
crash-after-open   the task dies after it has opened the window: the retry finds it, and there is one execution
airflow-down       Airflow is down at the planned time: nothing is patched; a late run opens while it fits
retag              nodes get a production group after the set was fixed: the release does not reach them
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rehearsal import ground
from lab.rehearsal.agenda import Planned
from lab.rehearsal.conductor import Airflow, Conductor, Release, outcome_of, told
from lab.rehearsal.play import Plan, Play, moment
from lab.rehearsal.record import Record, waived
from lab.rehearsal.stage import POLL_AT_MOST, POLL_IN_PROCESS, Stage, held, stage

SMALL = Path(__file__).parent / "small"
NONPROD, PROD, SCAN = "install-nonprod", "install-prod-linux", "scan-daily"
PATIENCE_SECONDS = 120.0
"""How long a task may take to open its window, in real seconds."""
SCANNED_BEFORE = timedelta(hours=24)
CANCEL_SECONDS = 60
"""Lab seconds after a halt within which the last invocation has begun."""


@dataclass
class Drill:
    """A drill on its stage. `checks` are what must be so: a sentence, and whether it is."""

    made: Stage
    play: Play
    say: Callable[[str], None]
    airflow: Airflow | None = None
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, sentence: str, holds: bool) -> None:
        """Note whether something is as it must be."""
        self.checks.append((sentence, holds))
        self.say(f"  {'yes' if holds else 'NO '}  {sentence}")

    def conductor(self, due: Sequence[Planned], **changes: Any) -> Conductor:
        """A conductor over a part of the agenda."""
        if self.airflow is None:
            raise LabError("the drill's Airflow was not started")
        tell = lambda now, text: self.say(f"{now:%a %d %b %H:%M}  {text}")  # noqa: E731  # a name of its own says no more
        return Conductor(self.made.lab, self.airflow, due, tell=tell, **changes)

    def due(self, *windows: str, until: datetime | None = None) -> list[Planned]:
        """The agenda's occurrences of these windows."""
        return [one for one in self.play.due() if one.window in windows and (until is None or one.start < until)]

    def gated(self) -> list[Planned]:
        """Everything of both rings, with the last scan before each release of production: its gate asks for one."""
        releases = self.due(NONPROD, PROD)
        begins = [one.dag_start for one in releases if one.gated]
        scans = [
            one for one in self.due(SCAN) if any(one.start < begin <= one.start + SCANNED_BEFORE for begin in begins)
        ]
        return sorted([*releases, *scans])

    def record(self) -> Record:
        """What the lab noted until now."""
        return self.play.record()

    def installs(self, window: str, since: datetime | None = None) -> list[Any]:
        """What the lab noted of a window's installs."""
        return [
            entry
            for entry in self.record().installs()
            if entry["window"].endswith(window) and (since is None or datetime.fromisoformat(entry["at"]) > since)
        ]


def halt(drill: Drill) -> None:
    """Halt everything while the first night's nodes install."""
    due = drill.due(NONPROD)[:2]
    halted: list[datetime] = []

    def moved(now: datetime) -> None:
        if not halted and drill.installs(NONPROD) and drill.made.lab.clock().under_way:
            drill.say(f"{now:%a %d %b %H:%M}  nodes install: `python -m sluice halt --all`")
            drill.say(drill.made.sluice("halt", "--all", "--reason", "drill"))
            halted.append(drill.made.lab.clock().now)

    done = drill.conductor(due, moved=moved, longest=timedelta(minutes=1)).play()
    drill.check("it was halted while an execution ran", bool(halted))
    at = halted[0] if halted else drill.play.plan.lab_start
    late = drill.installs(NONPROD, since=at + timedelta(seconds=CANCEL_SECONDS))
    drill.check(f"no node installed anything later than {CANCEL_SECONDS} s after the halt", not late)
    reached = {entry["node_id"] for entry in drill.installs(NONPROD)}
    drill.check(f"it was in the middle: {len(reached)} nodes had installed", bool(reached))
    drill.check("the release's outcome is `halted`", outcome_of(done[0]) == "halted")
    drill.check(
        "the next night opened nothing either", outcome_of(done[1]) == "halted" and _executions(drill, due[1]) == 0
    )
    drill.say(drill.made.sluice("halt", "--all", "--lift", "--reason", "drill over"))
    third = drill.conductor(drill.due(NONPROD)[2:3]).play()
    drill.check("lifted, the third night installs again", bool(drill.installs(NONPROD, since=third[0].planned.start)))


BAD_VERSION, BAD_PRODUCT = "99.0.0", "AmazonLinux2023"
PULLED_AFTER = timedelta(days=3)


def bad_patch(drill: Drill) -> None:
    """A version that fails everywhere is published, and pulled three days later."""
    lab, key = drill.made.lab, _package(drill)
    name, _, arch = key.rpartition(".")
    version = {"epoch": 99, "version": BAD_VERSION, "release": "1"}
    notice = {"id": "LAB-BAD-1", "classification": "Security", "severity": "Critical"}
    package = {"name": name, "arch": arch, **version, "notice": notice}
    lab.ask("POST", "/lab/repositories", {"product": BAD_PRODUCT, "package": package, "broken": True})
    drill.say(f"{key} {BAD_VERSION} is published, and fails wherever it is installed")
    pulled: list[datetime] = []

    def moved(now: datetime) -> None:
        if not pulled and now >= drill.play.plan.first + PULLED_AFTER:
            lab.ask("DELETE", "/lab/repositories", {"product": BAD_PRODUCT, "id": key, "version": version})
            drill.say(f"{now:%a %d %b %H:%M}  its vendor pulls {key} {BAD_VERSION}")
            pulled.append(now)

    done = drill.conductor(drill.gated(), moved=moved).play()
    asked = [one for one in drill.installs(NONPROD) if _bad(one["requested"])]
    failed = [one for one in asked if key in one["failed"]]
    drill.check(f"non-production was asked for it, {len(asked)} times", bool(asked))
    drill.check(f"it failed on every node that was asked, {len(failed)} times", len(failed) == len(asked))
    drill.check(
        "no node of production was ever asked for it", not any(_bad(one["requested"]) for one in drill.installs(PROD))
    )
    drill.check("no node has it", not any(_bad(one["installed"]) for one in drill.record().installs()))
    last = [one for one in done if one.planned.gated][-1]
    sound = outcome_of(last) in ("held", "nothing") or any(one["installed"] for one in drill.installs(PROD))
    drill.check(f"production was held, or patched with what had soaked: {told(last)}", sound)
    _soaked(drill, done)


def _package(drill: Drill) -> str:
    """A package that nodes of both rings have."""
    sets = [
        {key for key, _ in node["packages"]} for node in drill.made.lab.packages() if node["product"] == BAD_PRODUCT
    ]
    return str(min(set.intersection(*sets)))


def _bad(patches: Sequence[Sequence[str]]) -> bool:
    return any(BAD_VERSION in version for _, version in patches)


def crash_after_open(drill: Drill) -> None:
    """The first night's task is killed right after it has opened the window."""
    slow = {"kind": "delay", "service": "ssm", "operation": "GetMaintenanceWindow", "seconds": 1.5}
    due = drill.due(NONPROD)[:1]
    conductor = drill.conductor(due)
    while not conductor.under_way:
        conductor.step()
    drill.made.lab.add_faults(slow)
    killed = _kill_when_open(drill, due[0])
    drill.made.lab.ask("DELETE", "/lab/faults")
    done = conductor.play()
    patch = [task for task in done[0].tasks if task.task_id == "wave_1.patch"]
    drill.check(f"the task was killed after the window was open (process {killed})", killed > 0)
    drill.check("Airflow tried it again", any(task.attempt > 1 for task in patch))
    drill.check("there was one execution of the install, not two", _executions(drill, due[0]) == 1)
    drill.check(f"the release went on to its end: {told(done[0])}", outcome_of(done[0]) in ("released", "partial"))
    drill.check("its nodes were patched", bool(drill.installs(NONPROD)))


def airflow_down(drill: Drill) -> None:
    """Airflow is down at the planned time of two nights; it is back late on one, too late on the other."""
    first, second = drill.due(NONPROD)[:2]
    made = drill.made
    made.parts.stop_parts()
    drill.say("Airflow is down.")
    made.lab.advance(first.start + timedelta(hours=1))
    drill.check("an hour after the planned time nothing was patched", not drill.record().installs())
    drill.check("and no window is open", made.lab.clock().opens is None)
    _back(drill)
    late = drill.conductor([first]).play()
    drill.check("an hour late, it still fits: the night's nodes are patched", bool(drill.installs(NONPROD)))
    drill.check(f"the release says so: {told(late[0])}", outcome_of(late[0]) in ("released", "partial"))
    made.parts.stop_parts()
    drill.say("Airflow is down again.")
    made.lab.advance(second.end - timedelta(minutes=30))
    since = made.lab.clock().now
    _back(drill)
    too_late = drill.conductor([second]).play()
    drill.check(
        "half an hour before the end it does not fit: nothing is patched", not drill.installs(NONPROD, since=since)
    )
    drill.check(f"and the release says why: {told(too_late[0])}", outcome_of(too_late[0]) in ("late", "held"))


SHORTLY = timedelta(minutes=15)
"""So long before production's window nodes are retagged: the clock stops there, ten minutes before it."""


def retag(drill: Drill) -> None:
    """While production's window waits to begin, two nodes of non-production get production's group."""
    nights = {one.start for one in drill.due(PROD)}
    # Not on production's own nights: what non-production has fixed its set to by then, it patches as its own.
    due = [one for one in drill.gated() if one.window != NONPROD or one.start not in nights]
    moved_nodes: list[str] = []
    releases: list[Planned] = []
    groups = {group.ring: group.name for group in drill.made.policy.patch_groups}
    ring, production = (one.name for one in drill.made.policy.rings[:2])

    def moved(now: datetime) -> None:
        # Everybody waits, and its window is about to open: what it reaches was fixed when the DAG began.
        gated = [one for one in conductor.under_way.values() if one.gated and one.start - SHORTLY <= now < one.start]
        if not moved_nodes and gated:
            nodes = [one for one in drill.made.lab.nodes() if one["group"] == groups[ring] and one["reachable"]][:2]
            _tag(drill, [one["node_id"] for one in nodes], groups[production])
            releases.append(gated[0])
            moved_nodes.extend(one["node_id"] for one in nodes)
            drill.say(
                f"{now:%a %d %b %H:%M}  tagged into {groups[production]}: {', '.join(one['name'] for one in nodes)}"
            )

    conductor = drill.conductor(due, moved=moved)
    done = conductor.play()
    reached = {entry["node_id"] for one in releases for entry in _within(drill, one)}
    drill.check(f"production released, to {len(reached)} nodes", bool(reached))
    drill.check("nodes were tagged into production after the set was fixed", len(moved_nodes) == 2)
    drill.check("the release reached none of them", not reached & set(moved_nodes))
    _soaked(drill, done)


def _soaked(drill: Drill, done: Sequence[Release]) -> None:
    record = drill.record()
    drill.check("production was asked for nothing before its soak", not record.broken(waived(drill.made.policy)))
    drill.check("nor for anything without a manifest or outside a window", not record.ungated())


def _executions(drill: Drill, planned: Planned) -> int:
    """How many executions of the occurrence's window installed anything, within its time."""
    return len({entry["execution_id"] for entry in _within(drill, planned)})


def _within(drill: Drill, planned: Planned) -> list[Any]:
    """What the lab noted of the window's installs within an occurrence's time."""
    return [
        entry
        for entry in drill.installs(planned.window)
        if planned.dag_start <= datetime.fromisoformat(entry["at"]) <= planned.end
    ]


def _tag(drill: Drill, nodes: list[str], group: str) -> None:
    location = drill.made.policy.locations[0]
    client = ground.client("ec2", drill.made.lab.endpoint, location.account, location.region)
    try:
        client.create_tags(Resources=nodes, Tags=[{"Key": drill.made.policy.tags.patch_group, "Value": group}])
    finally:
        client.close()


def _kill_when_open(drill: Drill, planned: Planned) -> int:
    """Kill the process of the task that has just opened the window; its id, 0 where none was found."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < patience:
        if (opens := drill.made.lab.clock().opens) is not None:
            for pid in _task_processes(drill, planned, "wave_1.patch"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    drill.say(f"The window is open to begin at {opens:%H:%M}: its task's process {pid} is killed.")
                    return pid
        time.sleep(0.02)
    return 0


def _task_processes(drill: Drill, planned: Planned, task: str) -> list[int]:
    """The processes that run a task now: Airflow's database has their ids."""
    database = drill.made.home / "airflow" / "airflow.db"
    wanted = (planned.dag_id, planned.run_id, task)
    asked = "select pid from task_instance where dag_id=? and run_id=? and task_id=? and state='running' and pid > 0"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [int(pid) for (pid,) in connection.execute(asked, wanted)]


def _back(drill: Drill) -> None:
    drill.airflow = drill.made.start_airflow()
    drill.made.airflow.prepare({one.dag_id for one in drill.due(NONPROD, PROD)}, drill.made.alive)  # type: ignore[union-attr]  # just started
    drill.say("Airflow is back.")


@dataclass(frozen=True, slots=True)
class _Kind:
    run: Callable[[Drill], None]
    in_process: bool
    weeks: int


KINDS = {
    "halt": _Kind(halt, in_process=True, weeks=1),
    "bad-patch": _Kind(bad_patch, in_process=True, weeks=2),
    "crash-after-open": _Kind(crash_after_open, in_process=False, weeks=1),
    "airflow-down": _Kind(airflow_down, in_process=False, weeks=1),
    "retag": _Kind(retag, in_process=True, weeks=2),
}


def drill(name: str, home: Path, say: Callable[[str], None]) -> int:
    """Hold a drill on the small fleet; 0 where everything is as it must be, else 1."""
    kind = KINDS[name]
    plan = Plan(
        policy_file=SMALL / "policy.yaml", fleet=str(SMALL / "fleet.yaml"), first=moment("2025-06-03"), weeks=kind.weeks
    )
    say(f"Drill {name}: {(kind.run.__doc__ or '').strip()}\n")
    poll = POLL_IN_PROCESS if kind.in_process else POLL_AT_MOST
    with (
        held(home.resolve()) as processes,
        stage(
            home.resolve(), processes, plan.policy_file, fleet=plan.fleet, start=plan.lab_start, poll_at_most=poll
        ) as made,
    ):
        ground.prepare(made.policy, made.policy_file, made.lab.endpoint)
        play = Play(plan, made.policy, made.lab, say)
        play.look_around()
        held_drill = Drill(made, play, say)
        if kind.in_process:
            held_drill.airflow = made.start_in_process()
        else:
            _back(held_drill)
        kind.run(held_drill)
    broken = [sentence for sentence, holds in held_drill.checks if not holds]
    say(f"\n{len(held_drill.checks) - len(broken)} of {len(held_drill.checks)} as it must be.")
    return 1 if broken else 0
