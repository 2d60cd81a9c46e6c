"""Lets moto read the lab's clock instead of the machine's.

Nearly every "now" of moto goes through `moto.core.utils.utcnow`, which looks up the module global
`datetime` at the moment of the call; a few modules read the time on their own. `follow` swaps those
names for stand-ins that ask the lab's clock, `restore` puts everything back. Security tokens keep real
time: clients compare their expiry with their own clock.
"""

from __future__ import annotations

import datetime as real_datetime
import importlib
import time as real_time
from datetime import UTC, datetime
from typing import Any

from lab.clock import Clock
from lab.swaps import Swaps

MODULE_READERS = ("moto.core.utils", "moto.s3.models")
"""Modules that `import datetime` and read the time through it."""

CLASS_READERS = ("moto.cloudwatch.models", "moto.moto_api._internal.managed_state_model")
"""Modules that do `from datetime import datetime`."""

EPOCH_READERS = ("moto.secretsmanager.models",)
"""Modules that call `time.time()`."""


class LabDatetime:
    """Stands in for the class `datetime.datetime`: `now` and its kin are the lab's, the rest is the real one's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self, tz: real_datetime.tzinfo | None = None) -> datetime:
        """The lab's time in `tz`; without one naive in the machine's zone, as the real `now` has it."""
        now = self._clock.now()
        return now.astimezone(tz) if tz is not None else now.astimezone().replace(tzinfo=None)

    def utcnow(self) -> datetime:
        """The lab's time in UTC, naive."""
        return self._clock.now().replace(tzinfo=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


class LabDatetimeModule:
    """Stands in for the module `datetime`."""

    def __init__(self, clock: Clock) -> None:
        self.datetime = LabDatetime(clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(real_datetime, name)


class LabTimeModule:
    """Stands in for the module `time`: `time()` is the lab's, sleeping and the like stay real."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time(self) -> float:
        """The lab's time in seconds since the epoch."""
        return self._clock.now().timestamp()

    def __getattr__(self, name: str) -> Any:
        return getattr(real_time, name)


def real_utcnow() -> datetime:
    """The machine's time in UTC, naive, as moto's own `utcnow` returns it."""
    return datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251  # what clients compare the expiry with


def follow(clock: Clock, swaps: Swaps) -> None:
    """Let moto read `clock`, except the security token service."""
    for name in MODULE_READERS:
        swaps.put(importlib.import_module(name), "datetime", LabDatetimeModule(clock))
    for name in CLASS_READERS:
        swaps.put(importlib.import_module(name), "datetime", LabDatetime(clock))
    for name in EPOCH_READERS:
        swaps.put(importlib.import_module(name), "time", LabTimeModule(clock))
    swaps.put(importlib.import_module("moto.sts.models"), "utcnow", real_utcnow)
