"""How often a trigger looks: at the policy's interval, ever more rarely, and in vain not for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sluice.core.errors import AWSError
from sluice.core.policy.timing import Timing
from sluice_airflow.triggers import polling
from sluice_airflow.triggers.moment import MomentTrigger
from sluice_airflow.triggers.polling import IN_A_ROW, PollingTrigger

TIMING = Timing(poll_seconds=20, poll_at_most_seconds=120)
NAMES = {"window": "scan-daily", "dag_id": "patch_scan", "run_id": "r1"}

Answer = str | Exception | None
THROTTLED = AWSError("ssm:ListCommands: Rate exceeded", code="ThrottlingException")


class Scripted(PollingTrigger):
    """Finds what it is told to find, look by look."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        super().__init__(**NAMES)
        self._answers: Iterator[Answer] = iter(answers)
        self.looks = 0

    def look(self, run: Any) -> str | None:
        self.looks += 1
        found = next(self._answers)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept; nobody sleeps."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    run = SimpleNamespace(policy=SimpleNamespace(timing=TIMING), connections=None, locations=())
    monkeypatch.setattr(polling, "sleep", sleep)
    monkeypatch.setattr(PollingTrigger, "_begun", lambda trigger: run)
    return slept


async def woken(trigger: PollingTrigger) -> list[Any]:
    """The payloads of its events."""
    return [event.payload async for event in trigger.run()]


async def test_looks_begin_at_the_policys_interval_and_become_rarer_up_to_its_longest(pauses: list[float]) -> None:
    assert await woken(Scripted([None] * 8 + ["done"])) == ["done"]
    assert pauses == [20, 30, 45, 67.5, 101.25, 120, 120, 120]


async def test_what_is_there_at_the_first_look_is_not_waited_for(pauses: list[float]) -> None:
    assert await woken(Scripted(["due"])) == ["due"]
    assert pauses == []


async def test_looks_that_fail_one_after_another_wake_the_task_to_say_why(pauses: list[float]) -> None:
    trigger = Scripted([None, *[THROTTLED] * (IN_A_ROW + 1)])
    (event,) = await woken(trigger)
    assert event == f"looking failed: {THROTTLED}"
    assert trigger.looks == 1 + IN_A_ROW
    assert pauses == [20, 30, 45, 67.5, 101.25], "a look that failed is no reason to look more often"


async def test_a_look_that_succeeds_lets_the_failed_ones_be_forgotten(pauses: list[float]) -> None:
    few = [THROTTLED] * (IN_A_ROW - 1)
    trigger = Scripted([*few, None, *few, None, "done"])
    assert await woken(trigger) == ["done"]
    assert trigger.looks == 2 * IN_A_ROW + 1


async def test_what_is_no_answer_of_ours_is_not_waited_out(pauses: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        await woken(Scripted([ZeroDivisionError("a mistake of the trigger's own")]))
    assert pauses == []


@pytest.mark.parametrize(
    ("until", "looked"),
    [
        ("2025-06-03T03:00:00+00:00", 0),  # it is that time
        ("2025-06-03T03:00:20+00:00", 20),
        ("2025-06-03T03:00:21+00:00", 50),
        ("2025-06-03T05:00:00+02:00", 0),
        ("2025-06-03T03:10:00+00:00", 623.75),
    ],
)
async def test_a_moment_wakes_at_the_first_look_that_is_not_before_it(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, until: str, looked: float
) -> None:
    began = datetime(2025, 6, 3, 3, tzinfo=UTC)

    def clock(*of: Any) -> datetime:
        return began + timedelta(seconds=sum(pauses))

    monkeypatch.setattr("sluice.flow.run.aws_time", clock)
    assert await woken(MomentTrigger(until=until, **NAMES)) == [until]
    assert sum(pauses) == looked


def test_a_trigger_is_made_again_from_what_it_says_of_itself() -> None:
    """A triggerer that restarts has nothing else."""
    of = {"until": "2025-06-03T03:00:00+00:00"}
    trigger = MomentTrigger(**of, **NAMES)
    path, arguments = trigger.serialize()
    assert path == "sluice_airflow.triggers.moment.MomentTrigger"
    assert arguments == {**NAMES, **of}
    assert MomentTrigger(**arguments).serialize() == trigger.serialize()
