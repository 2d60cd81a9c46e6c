"""Looks at something in AWS, ever more rarely, until there is something to do.

The adapters are synchronous, and run in threads of the triggerer over connections that all triggers share
(docs/adr/0039-triggers-in-threads.md). A trigger keeps nothing that its arguments do not say: a triggerer that
restarts, or another one, makes it anew and goes on looking.
"""

from __future__ import annotations

from abc import abstractmethod
from asyncio import sleep, to_thread
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from sluice.flow.run import Run

SLOWER = 1.5
"""How much longer each pause is than the one before."""
IN_A_ROW = 5
"""Looks that may fail one after another, before the task is woken to say why."""


class PollingTrigger(BaseTrigger):
    """One thing of one release that is waited for."""

    def __init__(self, *, window: str, dag_id: str, run_id: str, **of: Any) -> None:
        super().__init__()
        self.release = {"window": window, "dag_id": dag_id, "run_id": run_id}
        self.of = of

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what makes another one like it."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {**self.release, **self.of}

    @abstractmethod
    def look(self, run: Run) -> str | None:
        """Look, in a thread; None: still waiting, else why the task is to go on. Changes nothing in AWS."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to do."""
        from asgiref.sync import sync_to_async

        run = await sync_to_async(self._begun)()  # Airflow answers for connections on its own loop alone
        pause = run.policy.timing.poll_seconds
        failed = 0
        while True:
            found, failed = await to_thread(self._try, run, failed)
            if found is not None:
                yield TriggerEvent(found)
                return
            await sleep(pause)
            pause = min(pause * SLOWER, run.policy.timing.poll_at_most_seconds)

    def _begun(self) -> Run:
        from sluice_airflow.runs import begun, deployed_policy

        return begun(deployed_policy(), **self.release)

    def _try(self, run: Run, failed: int) -> tuple[str | None, int]:
        """A look that fails is one of several: AWS throttles, and networks break."""
        from sluice.core.errors import SluiceError

        try:
            return self.look(run), 0
        except SluiceError as error:
            self.log.warning("looking failed (%d in a row): %s", failed + 1, error)
            return (f"looking failed: {error}" if failed + 1 >= IN_A_ROW else None), failed + 1
