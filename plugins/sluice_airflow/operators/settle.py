"""The barrier behind a wave, over all its locations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from sluice_airflow.operators.step import StepOperator
from sluice_airflow.triggers.moment import MomentTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sluice.flow.run import Run

WAVES = "waves"
"""The XCom of `admit` that has every wave's parts."""

Part = dict[str, Any]


class SettleOperator(StepOperator):
    """Let a wave settle, judge it, and hand out the next one's parts; skipped where nothing further may open.

    `parts` are the wave's own, which the step before handed out: without them it never began.
    """

    template_fields: Sequence[str] = ("parts",)

    def __init__(self, *, wave: int, parts: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.wave = wave
        self.parts = parts

    def act(self, run: Run, context: Context) -> list[Part]:
        """Wait for the wave to settle, then judge it."""
        from sluice.core.release.waves import count
        from sluice.flow.barrier import judge, settle
        from sluice.flow.run import aws_time

        if self.parts is None:
            raise AirflowSkipException(f"wave {self.wave} never began")
        if self.wave > count(run.window):
            raise AirflowSkipException(f"{run.window.name} has no wave {self.wave}")
        until = settle(run, self.wave)["until"]
        if until and aws_time(run.connections, run.locations) < datetime.fromisoformat(until):
            self.wait(MomentTrigger, run, until=until)
        judged = judge(run, self.wave)
        self.log.info("wave %d: %s", self.wave, judged)
        if judged["stop"]:
            raise AirflowSkipException(f"nothing further opens: {judged['stop']}")
        return next_parts(context, self.wave + 1)


def next_parts(context: Context, wave: int) -> list[Part]:
    """The parts of a wave (from 1), as admitted; none where there is no such wave."""
    waves = context["ti"].xcom_pull(task_ids="admit", key=WAVES) or []
    return list(waves[wave - 1]) if wave <= len(waves) else []
