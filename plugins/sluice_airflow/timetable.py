"""When a window's DAG starts: so long before its window as the policy's lead says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.timezone import coerce_datetime, utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction
    from pendulum import DateTime

GRACE = timedelta(minutes=10)
"""How late the first run of a DAG may still be made: Airflow computes it anew at each parse."""
ANCHOR = datetime(2025, 1, 1, tzinfo=UTC)
"""What a `rate` counts from."""


class WindowTimetable(Timetable):
    """A maintenance window's schedule, as Systems Manager writes it, and a lead.

    A run that was not made in time, as Airflow was down, is made while its window is open, and only the last one. Each
    carries its window's start, as the end of its data interval: a lead that is changed later moves neither it nor the
    run after it.
    """

    def __init__(self, schedule: str, zone: str, lead_minutes: int, open_minutes: int) -> None:
        self._schedule, self._zone = schedule, zone
        self._lead, self._open = timedelta(minutes=lead_minutes), timedelta(minutes=open_minutes)
        self.description = f"{lead_minutes} minutes before each {schedule}, {zone}"

    @property
    def summary(self) -> str:
        """What Airflow's UI shows in its lists."""
        return self._schedule

    def serialize(self) -> dict[str, Any]:
        """What makes another one like it."""
        return {
            "schedule": self._schedule,
            "zone": self._zone,
            "lead_minutes": self._lead // timedelta(minutes=1),
            "open_minutes": self._open // timedelta(minutes=1),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WindowTimetable:
        """The inverse of `serialize`."""
        return cls(**data)

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """A moment: what a run is for is a parameter of it."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run: at its window's start less the lead."""
        now = utcnow()
        floors = [] if restriction.catchup else [now - self._open]
        if last_automated_data_interval is not None:
            floors.append(last_automated_data_interval.end)
        elif not restriction.catchup:
            floors.append(now + self._lead - GRACE)
        if restriction.earliest is not None:
            floors.append(restriction.earliest + self._lead - timedelta(microseconds=1))
        start = self._after(max(floors, default=ANCHOR))
        if start is None:
            return None
        run_after = coerce_datetime(start - self._lead)
        if restriction.latest is not None and run_after > restriction.latest:
            return None
        return DagRunInfo(run_after, DataInterval(run_after, coerce_datetime(start)))

    def _after(self, when: datetime) -> datetime | None:
        """The first planned start later than that (UTC)."""
        from sluice.core.schedule import Occurrences, parse, parse_zone

        found = Occurrences(schedule=parse(self._schedule), anchor=ANCHOR, zone=parse_zone(self._zone))
        return found.after(when.astimezone(UTC))
