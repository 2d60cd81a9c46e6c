"""Maintenance windows: create, read, change, delete, and what is scheduled.

A window's runs are those of `sluice.core.schedule`; when the next one is, and what happens then, is the
engine's (`lab.window_engine`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

from lab import notifications
from lab.ssm.base import SSMOperations
from lab.ssm.model import Window
from lab.ssm.tags import forget_tags, new_tags, resource_tags
from lab.ssm.window_targets import concerns
from lab.ssm.window_validation import (
    DEFAULT_PAGE,
    MAX_PAGE,
    find_window,
    full,
    invalid,
    matching,
    merged,
    present,
)
from sluice.core.errors import ScheduleError
from sluice.core.schedule import At, Occurrences, parse_instant, parse_zone

MAX_WINDOWS = 50
MAX_SCHEDULED = 100
"""Executions that DescribeMaintenanceWindowSchedule lists of a window; AWS's horizon is not documented."""

_REQUIRED = {
    "Name": "name",
    "Schedule": "schedule",
    "Duration": "duration",
    "Cutoff": "cutoff",
    "AllowUnassociatedTargets": "allow_unassociated_targets",
}
_OPTIONAL = {
    "Description": "description",
    "StartDate": "start_date",
    "EndDate": "end_date",
    "ScheduleTimezone": "schedule_timezone",
    "ScheduleOffset": "schedule_offset",
}
_MEMBERS = {**_REQUIRED, **_OPTIONAL}
_SCHEDULE = ("schedule", "schedule_timezone", "schedule_offset", "start_date", "end_date")
_NOT_IN_LISTS = ("AllowUnassociatedTargets", "CreatedDate", "ModifiedDate")


def occurrences(window: Window) -> Occurrences:
    """When the window runs, enabled or not. Raises ScheduleError for members that make no sense."""
    return Occurrences.of(
        window.schedule,
        anchor=window.anchor or window.created,
        timezone=window.schedule_timezone,
        offset=window.schedule_offset,
        start_date=window.start_date,
        end_date=window.end_date,
    )


class WindowOperations(SSMOperations):
    """The operations on windows themselves."""

    def create_maintenance_window(self) -> dict[str, Any]:
        """Create a window; it is born enabled (UG:sysman-maintenance-create-mw)."""
        return self.once(self._create_window)

    def _create_window(self) -> dict[str, Any]:
        location, now = self.location, self.now()
        if len(location.windows) >= MAX_WINDOWS:
            raise full("maintenance windows per account and Region", MAX_WINDOWS)
        members: dict[str, Any] = {attribute: self.params.get(name) for name, attribute in _MEMBERS.items()}
        window = Window(self.lab.short_id("mw"), **members, created=now, modified=now, anchor=now)
        self._check_window(window)
        tags = new_tags(self.params.get("Tags"))
        location.windows[window.window_id] = window
        resource_tags(location, "MaintenanceWindow", window.window_id).update(tags)
        self._reschedule(window)
        return {"WindowId": window.window_id}

    def get_maintenance_window(self) -> dict[str, Any]:
        """One window with all its members."""
        return described(find_window(self.location, self.params["WindowId"]), self.now())

    def describe_maintenance_windows(self) -> dict[str, Any]:
        """The windows, by `Name` (as its beginning, as the user guide's example has it) and `Enabled`."""
        windows = matching(
            self.location.windows.values(),
            self.params.get("Filters"),
            {
                "Name": lambda window, value: window.name.startswith(value),
                "Enabled": lambda window, value: str(window.enabled).lower() == value.lower(),
            },
        )
        page, more = self.page(windows, DEFAULT_PAGE, MAX_PAGE)
        shown = [described(window, self.now()) for window in page]
        return {"WindowIdentities": [_without(window, *_NOT_IN_LISTS) for window in shown], **more}

    def update_maintenance_window(self) -> dict[str, Any]:
        """Change a window in one call; `Replace` nulls what is left out, `Enabled` aside.

        A rate counts anew, and a schedule offset looks at its base days anew, when the schedule becomes
        another or the window is enabled again, not when anything else changes (AWS doesn't say).
        """
        window, now = find_window(self.location, self.params["WindowId"]), self.now()
        changes = merged(self.params, _MEMBERS, lambda name: getattr(window, name), _REQUIRED, {})
        changes |= {"enabled": self.params.get("Enabled", window.enabled), "modified": now}
        if any(changes[name] != getattr(window, name) for name in _SCHEDULE) or changes["enabled"] > window.enabled:
            changes["anchor"] = now
        self._check_window(replace(window, **changes))
        switched = changes["enabled"] != window.enabled
        for name, value in changes.items():
            setattr(window, name, value)
        self._reschedule(window)
        if switched:
            notifications.window_state(self.location, window)
        return _without(described(window, now), "NextExecutionTime", "CreatedDate", "ModifiedDate")

    def delete_maintenance_window(self) -> dict[str, Any]:
        """Delete a window, its targets and tasks; its history stays. One that doesn't exist is no error.

        (The model declares none.)
        """
        # The engine asks this module for a window's occurrences: to import it above would be a cycle.
        from lab.window_engine import unschedule

        window_id = self.params["WindowId"]
        window = self.location.windows.pop(window_id, None)
        if window is not None:
            unschedule(window)
            forget_tags(self.location, "MaintenanceWindow", window_id)
        return {"WindowId": window_id}

    def describe_maintenance_window_schedule(self) -> dict[str, Any]:
        """What will run, soonest first: of one window, or of every window that concerns a target.

        At most MAX_SCHEDULED executions a window, so that reading all pages ends for a schedule that
        doesn't; the filters ScheduledBefore and ScheduledAfter (CLI reference) reach further.
        """
        after, before = self._schedule_bounds()
        windows = self._windows_asked_for()
        upcoming = heapq.merge(
            *(_scheduled(window, after, before) for window in windows if window.enabled), key=lambda run: run[0]
        )
        page, more = self.page(list(upcoming), DEFAULT_PAGE, MAX_PAGE)
        entries = [
            {"WindowId": window.window_id, "Name": window.name, "ExecutionTime": local_stamp(when, window)}
            for when, window in page
        ]
        return {"ScheduledWindowExecutions": entries, **more}

    def describe_maintenance_windows_for_target(self) -> dict[str, Any]:
        """The windows that a node, a tag or a resource group is a target of."""
        page, more = self.page(self._windows_asked_for(), DEFAULT_PAGE, MAX_PAGE)
        return {"WindowIdentities": [{"WindowId": window.window_id, "Name": window.name} for window in page], **more}

    def _check_window(self, window: Window) -> None:
        """Refuse what the model lets pass: "Cutoff was 12 but must be smaller than 5 (Duration - 1)" and the like.

        AWS says so from a cutoff of the whole duration on; a cutoff of Duration - 1 is taken.
        """
        if window.cutoff >= window.duration:
            raise invalid(f"Cutoff was {window.cutoff} but must be smaller than {window.duration - 1} (Duration - 1)")
        try:
            schedule = occurrences(window).schedule
        except ScheduleError as problem:
            raise invalid(str(problem)) from problem
        past = isinstance(schedule, At) and "Schedule" in self.params and schedule.when <= self.now()
        if past and self.lab.settings.past_at == "reject":
            raise invalid(f"Invalid schedule at DateTime expression '{window.schedule}': the time is past")

    def _reschedule(self, window: Window) -> None:
        # The engine asks this module for a window's occurrences: to import it above would be a cycle.
        from lab.window_engine import reschedule

        reschedule(self.location, window)

    def _windows_asked_for(self) -> list[Window]:
        window_id, targets = self.params.get("WindowId"), self.params.get("Targets")
        kind = self.params.get("ResourceType")
        if not window_id and not (targets and kind):
            raise invalid("Specify a WindowId, or Targets and a ResourceType.")
        windows = [find_window(self.location, window_id)] if window_id else list(self.location.windows.values())
        if targets and kind:
            windows = [window for window in windows if concerns(self.location, window, targets, kind)]
        return windows

    def _schedule_bounds(self) -> tuple[datetime, datetime | None]:
        """Executions later than the first and, unless None, earlier than the second are asked for."""
        after, before = self.now(), None
        for given in self.params.get("Filters") or ():
            key = given.get("Key")
            if key not in {"ScheduledBefore", "ScheduledAfter"}:
                raise invalid(f"Filter key {key} is not supported. Supported keys are ScheduledBefore, ScheduledAfter.")
            try:
                bounds = [parse_instant(value) for value in given.get("Values") or ()]
            except ScheduleError as problem:
                raise invalid(str(problem)) from problem
            if key == "ScheduledAfter":
                after = max([after, *bounds])
            else:
                before = min([*bounds] if before is None else [before, *bounds], default=None)
        return after, before


def described(window: Window, now: datetime) -> dict[str, Any]:
    """A window with all the members of the API.

    NextExecutionTime is absent when the window is disabled or has no run to come (aws-solutions/
    instance-scheduler-on-aws issues 99 and 553).
    """
    coming = window.next_execution if window.enabled else None
    return present(
        {
            "WindowId": window.window_id,
            **{name: getattr(window, attribute) for name, attribute in _MEMBERS.items()},
            "Enabled": window.enabled,
            "NextExecutionTime": local_stamp(coming, window) if coming is not None and coming > now else None,
            "CreatedDate": window.created,
            "ModifiedDate": window.modified,
        }
    )


def local_stamp(when: datetime, window: Window) -> str:
    """A run's time as AWS writes it: in the window's zone, no seconds when they are 0.

    `2019-02-03T02:00-08:00`, `2020-02-19T16:00Z`, `2020-02-25T00:08:15.099Z` (UG:mw-cli-tutorial-create-mw,
    CLI reference of describe-maintenance-window-schedule and get-maintenance-window).
    """
    try:
        local = when.astimezone(parse_zone(window.schedule_timezone) if window.schedule_timezone else UTC)
    except OverflowError:  # the last day of the year 9999 is over there
        local = when
    if local.microsecond:
        precision = "milliseconds"
    else:
        precision = "seconds" if local.second else "minutes"
    return local.isoformat(timespec=precision).replace("+00:00", "Z")


def _scheduled(window: Window, after: datetime, before: datetime | None) -> Iterator[tuple[datetime, Window]]:
    upcoming = takewhile(lambda run: before is None or run < before, occurrences(window).upcoming(after))
    return ((run, window) for run in islice(upcoming, MAX_SCHEDULED))


def _without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
