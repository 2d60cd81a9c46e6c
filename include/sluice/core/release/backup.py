"""Backups: an image of each node before it is patched, and how fast images are asked for.

The creation rate is learned: a round asks for so many images at most; a round that AWS throttles halves the next
one, one that it does not throttle makes it larger (additive increase, multiplicative decrease). Nothing sleeps: a
round that is not due yet asks for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from sluice.core.calendar import Occurrence
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Window
from sluice.core.release.terms import Asked, Expected, Plain, Reason

Mode = Literal["off", "on", "required"]

NODE_TAG = "sluice:node"
EXPIRES_TAG = "sluice:expires"
"""The day (UTC) on which age alone no longer keeps an image: `2025-06-23`."""

FIRST_ROUND, LARGEST_ROUND, LARGER_BY = 10, 100, 5
"""CreateImage is in no published bucket; as any other mutating call it may be 50 at once and 5 a second (THR)."""

REFUSALS = ("Invalid", "Incorrect", "Unsupported", "OperationNotPermitted", "AccessDenied", "Unauthorized")
"""How the codes begin that say: never, of this node. Anything else is asked for again."""

FAILED_STATES = ("failed", "error", "invalid", "deregistered", "disabled")


def mode(window: Window, asked: Asked) -> Mode:
    """Whether this release backs its nodes up; one of reboots alone does not.

    Raises ReleaseError where a person would go without what is required.
    """
    wanted = window.backup.mode
    if asked.only_reboots:
        return "off"
    if asked.backup == "policy":
        return wanted
    if asked.backup == "on":
        return "required" if wanted == "required" else "on"
    if wanted == "required":
        raise ReleaseError(
            f"{window.name} requires backups, found backup: off. Leave it out, or let whoever owns the policy change"
            " `backup` there"
        )
    return "off"


def image_name(release: str, node: str) -> str:
    """The name of a node's image: the same for every retry, and of characters that AWS takes."""
    return f"{release}/{node}"[:128]


def expires(window: Window, occurrence: datetime) -> date:
    """The day on which an image's age no longer keeps it."""
    return (occurrence + timedelta(days=window.backup.keep_days)).date()


def deadline(policy: Policy, window: Window, occurrence: datetime) -> datetime:
    """When the images have to be there.

    Twice the lead of an opening before the latest start, so that admission and the first opening still fit.
    """
    return Occurrence(window, occurrence).latest_start - 2 * timedelta(minutes=policy.timing.open_lead_minutes)


def wanted(expected: Iterable[Expected], not_admissible: Collection[str]) -> tuple[str, ...]:
    """The nodes that are to have an image, sorted: those that can be reached and admitted, and are instances."""
    return tuple(
        sorted(one.node for one in expected if one.reason is None and not one.hybrid and one.node not in not_admissible)
    )


def turn(missing: Sequence[str], broke_at: str) -> tuple[str, ...]:
    """The nodes in the order of the next round: one at which AWS broke the last one off holds up no other."""
    behind = [node for node in missing if node > broke_at]
    return (*behind, *(node for node in missing if node <= broke_at))


@dataclass(frozen=True, slots=True)
class Pace(Plain):
    """How many images a round asks for, and when the next is due."""

    at_once: int = FIRST_ROUND
    due: datetime | None = None
    """None: now."""
    throttled: int = 0
    """How often AWS said: not now."""

    def allowed(self, now: datetime) -> int:
        """How many images may be asked for now."""
        return self.at_once if self.due is None or now >= self.due else 0

    def after(self, asked_for: int, now: datetime, between: timedelta, *, throttled: bool) -> Pace:
        """The pace after a round that asked for some images and was throttled or not."""
        if throttled:
            return Pace(max(1, min(self.at_once, asked_for) // 2), now + between, self.throttled + 1)
        grown = min(LARGEST_ROUND, self.at_once + LARGER_BY) if asked_for >= self.at_once else self.at_once
        return replace(self, at_once=grown, due=now + between)


@dataclass(frozen=True, slots=True)
class Image:
    """A node's image as EC2 has it."""

    id: str
    node: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the backup of a location is."""

    available: Mapping[str, str]
    """Image ids by node."""
    pending: tuple[str, ...]
    """Nodes whose image is being made."""
    failed: Mapping[str, str]
    """Why, by node."""
    missing: tuple[str, ...]
    """Nodes whose image has not been asked for."""
    over: bool
    """Whether the time for it is."""
    said: str = ""
    """What AWS said last in place of an image, if it did."""

    @property
    def done(self) -> bool:
        """Whether nothing more is waited for."""
        return self.over or not (self.pending or self.missing)

    def without(self) -> dict[str, str]:
        """Why, by node, for those that have no usable image as things stand."""
        late = dict.fromkeys(self.pending, "its image was not available in time")
        why = "no image of it was asked for in time" + (f"; AWS said last: {self.said}" if self.said else "")
        return {**dict.fromkeys(self.missing, why), **late, **self.failed}


def standing(
    nodes: Iterable[str],
    images: Iterable[Image],
    refused: Mapping[str, str],
    now: datetime,
    until: datetime,
    said: str = "",
) -> Standing:
    """Where a backup stands, from the images that are there; `refused` are the nodes that EC2 makes no image of."""
    found: dict[str, Image] = {}
    for one in images:  # a person may have copied one with its tags: any that is available will do
        if one.node not in found or found[one.node].state != "available":
            found[one.node] = one
    available: dict[str, str] = {}
    pending: list[str] = []
    failed: dict[str, str] = {}
    missing: list[str] = []
    for node in nodes:
        image = found.get(node)
        if image is None:
            if node in refused:
                failed[node] = refused[node]
            else:
                missing.append(node)
        elif image.state == "available":
            available[node] = image.id
        elif image.state in FAILED_STATES:
            failed[node] = f"the image {image.id} is {image.state}{f': {image.why}' if image.why else ''}"
        else:
            pending.append(node)
    return Standing(available, tuple(pending), failed, tuple(missing), now >= until, said)


def unprotected(
    expected: Iterable[Expected], policy: Policy, found: Standing | None, today: date
) -> dict[str, tuple[str, str]]:
    """Reason and detail of the nodes that have no image, in a release that requires one of each.

    A waiver (`exceptions: without_backup`) lets a node through, which hybrid machines need: nothing images them.
    `found` None: the backup never began.
    """
    waived = {node for one in policy.exceptions if one.holds(today) for node in one.without_backup}
    without = found.without() if found else {}
    why: dict[str, tuple[str, str]] = {}
    for one in expected:
        if one.reason is not None or one.node in waived:
            continue
        if one.hybrid:
            why[one.node] = (Reason.NO_BACKUP, "outside EC2: no image of it can be made, and no waiver names it")
        elif found is None or one.node not in found.available:
            why[one.node] = (Reason.NO_BACKUP, without.get(one.node, "no image of it was asked for"))
    return why
