"""Where the execution of a wave, or of a step around the waves, in a location is recorded."""

from __future__ import annotations

from sluice.aws import operations
from sluice.aws.session import Connection
from sluice.core.release.terms import Kind
from sluice.core.window_record import WaveRecord
from sluice.flow.run import Run

STEPS_WAVE = 0
"""The number of the wave under which steps are recorded that belong to all of them."""


def step_of(wave: int, kind: Kind) -> str:
    """The name of the step that a wave's execution is recorded as."""
    return f"wave-{wave}-{kind}"


def read_record(run: Run, connection: Connection, wave: int, kind: Kind) -> WaveRecord | None:
    """What is recorded of a wave's execution in a location."""
    bucket = operations.bucket_of(run.policy, connection)
    found = operations.read_step(connection, bucket, run.release.id, step_of(wave, kind))
    return WaveRecord.of_json(found) if found is not None else None


def read_records(run: Run, connection: Connection) -> dict[str, WaveRecord]:
    """Everything that is recorded of the release's executions in a location, by the step's name."""
    bucket = operations.bucket_of(run.policy, connection)
    before = operations.steps_of(run.release.id)
    found = {}
    for key in operations.keys(connection, bucket, f"{before}wave-"):
        name = key.removeprefix(before).removesuffix(".json")
        step = operations.read_step(connection, bucket, run.release.id, name)
        if step is not None:
            found[name] = WaveRecord.of_json(step)
    return found
