"""A wave, or the steps around the waves, in one location: open the window, watch its execution, close it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluice_airflow.links import CommandLink, WindowLink, show_execution
from sluice_airflow.operators.step import StepOperator
from sluice_airflow.triggers.window import WindowTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sluice.core.release.terms import Kind
    from sluice.flow.run import Run


class WindowOperator(StepOperator):
    """The executions of `kinds`, one after another, of a wave (from 1; 0 for the steps around them) in a location.

    `part` has the `location`, as ACCOUNT/REGION. A failed execution fails this location alone; what came too late, or
    is halted, is skipped.
    """

    template_fields: Sequence[str] = ("part",)
    operator_extra_links = (WindowLink(), CommandLink())

    def __init__(self, *, part: Mapping[str, Any], wave: int, kinds: Sequence[Kind], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.part = part
        self.wave = wave
        self.kinds = kinds

    def act(self, run: Run, context: Context) -> dict[str, Any]:
        """Make the moves that are due; wait for the rest."""
        from sluice.flow.wave import advance

        location = str(self.part["location"])
        cast("dict[str, Any]", context)["location"] = location
        found: dict[str, Any] = {"location": location}
        for kind in self.kinds:
            progress = advance(run, location, self.wave, kind)
            self.log.info("%s of wave %d in %s: %s", kind, self.wave, location, progress)
            show_execution(context, run, location, self.wave, kind)
            if progress.state == "waiting":
                self.wait(WindowTrigger, run, location=location, wave=self.wave, kind=kind)
            if progress.state == "failed":
                raise AirflowFailException(f"{location}: {kind}: {progress.reason}")
            if progress.state in ("late", "halted", "held"):
                raise AirflowSkipException(f"{location}: {kind}: {progress.state}: {progress.reason}")
            found[kind] = {"state": progress.state, **progress.counts}
        return found
