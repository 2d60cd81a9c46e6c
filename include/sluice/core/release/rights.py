"""What people may ask of a window by hand: when, who, on which patch groups, and with which change ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from sluice.core.calendar import gate_of, is_gated
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import groups_of
from sluice.core.policy.windows import Hours, Window
from sluice.core.release.terms import Asked

AHEAD = timedelta(days=1)
"""How long before its DAG would start a window may be asked for: until it is over, no other run of the DAG begins."""
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def is_ad_hoc(asked: Asked) -> bool:
    """Whether a person asked for it, and not the schedule."""
    return asked.by is not None


def objections(policy: Policy, window: Window, asked: Asked, begun: datetime) -> tuple[str, ...]:
    """Why a person may not have what they ask for; none where they may, or where the schedule asks.

    `begun` is when it was asked for: the window's hours are held against it, in the window's time zone.
    """
    return tuple(_objections(policy, window, asked, begun)) if is_ad_hoc(asked) else ()


def ticket_objection(pattern: str | None, ticket: str | None) -> str | None:
    """What is wrong with a change ticket; None: it matches the policy's pattern, or the policy asks for none."""
    if pattern is None or (ticket and re.fullmatch(pattern, ticket)):
        return None
    return f"expected a change ticket that matches {pattern}, found {ticket or 'none'}"


def _objections(policy: Policy, window: Window, asked: Asked, begun: datetime) -> Iterator[str]:
    local = begun.astimezone(window.zone)
    hours = window.people.hours
    if not within(hours, local):
        days = ", ".join(hours.days)
        yield (
            f"expected a run by hand on {days} from {hours.start} to {hours.end} {window.time_zone},"
            f" found {DAYS[local.weekday()]} {local:%H:%M}"
        )
    latest = begun + timedelta(minutes=window.lead_minutes) + AHEAD
    if asked.occurrence and asked.occurrence > latest:
        yield (
            f"expected an occurrence until {latest:%Y-%m-%d %H:%M} UTC ({window.name}'s lead and a day from now), found"
            f" {asked.occurrence:%Y-%m-%d %H:%M}: until then its DAG would begin no other run; ask nearer its time"
        )
    for group in groups_of(policy, window):
        if asked.patch_groups and group.name not in asked.patch_groups:
            continue
        rights = group.people or window.people
        if not asked.only_reboots and rights.run and asked.by not in rights.run:
            yield f"{asked.by} may not run {group.name}: {', '.join(rights.run)} may"
        may_reboot = rights.reboot or rights.run
        reboots = asked.only_reboots or asked.reboot in ("if_needed", "always")
        if reboots and may_reboot and asked.by not in may_reboot:
            yield f"{asked.by} may not reboot {group.name}: {', '.join(may_reboot)} may"
    # An install of production has a gate, whose rule it is.
    if asked.only_reboots and is_gated(policy, window):
        wrong = ticket_objection(gate_of(policy, window).change_ticket, asked.change_ticket)
        if wrong:
            yield wrong


def within(hours: Hours, local: datetime) -> bool:
    """Whether a moment in the window's zone is within the hours; past midnight where they end before they begin."""
    clock = f"{local:%H:%M}"
    day = DAYS[local.weekday()]
    if hours.start < hours.end:
        return day in hours.days and hours.start <= clock < hours.end
    before = DAYS[(local.weekday() - 1) % 7]
    return (day in hours.days and clock >= hours.start) or (before in hours.days and clock < hours.end)
