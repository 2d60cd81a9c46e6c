"""What all operators of a release have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from sluice_airflow.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sluice.flow.run import Run


class StepOperator(BaseOperator):
    """A step that may have to wait: it begins anew each time it is woken, as every step can be run twice.

    While it waits no worker is held. Airflow kills a deferred task without telling it: nothing in AWS is stopped by
    that, and nothing needs to be, as a window fires once and is at rest after it (docs/dags.md).
    """

    ui_color = "#e8f0fe"
    again: ClassVar[str] = "execute_complete"

    def execute(self, context: Context) -> Any:
        """Do what can be done now; defer where AWS is to be waited for."""
        from sluice_airflow.failures import told
        from sluice_airflow.runs import run_of

        with told():
            return self.act(run_of(context), context)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on after a wait. The event is for the log: what is so is read from AWS."""
        self.log.info("woken: %s", event)
        return self.execute(context)

    def act(self, run: Run, context: Context) -> Any:
        """The step itself."""
        raise NotImplementedError

    def wait(self, trigger_kind: type[PollingTrigger], run: Run, /, **of: Any) -> None:
        """Defer to a trigger of the run's release."""
        trigger = trigger_kind(
            window=run.window.name,
            dag_id=run.release.dag_id,
            run_id=run.release.run_id,
            **of,
        )
        self.defer(trigger=trigger, method_name=self.again)
