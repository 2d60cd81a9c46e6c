"""Each window by itself: its names and slots, its hours, its waves, its reboots and backups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sluice.core.calendar import gate_of
from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.others import patches
from sluice.core.policy.policy import Policy
from sluice.core.policy.window_steps import is_reserved
from sluice.core.policy.windows import Step, Window
from sluice.core.release.terms import Asked
from sluice.core.window_objects import asks, reboots_in_waves
from sluice.core.yaml_text import Path

_NAMED = {
    "document": (r"[a-zA-Z0-9_\-.:/]{3,128}", "the name or ARN of a document (letters, digits, _ - . : /, 3 to 128)"),
    "automation": (r"[a-zA-Z0-9_\-.:/]{3,128}", "the name or ARN of a document (letters, digits, _ - . : /, 3 to 128)"),
    "function": (
        r"([a-zA-Z0-9-_]{1,64}|arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9-_]{1,64}(:[a-zA-Z0-9$_-]+)?)",
        "the name or ARN of a function (letters, digits, _ -, at most 64)",
    ),
}
"""What AWS takes as names (B:DocumentARN, B:lambda:FunctionName)."""
_FLOCK = 10


def check(subject: Subject) -> Iterator[Found]:
    """Every window."""
    for index, window in enumerate(subject.policy.windows):
        at: Path = ("windows", index)
        yield from _name(window, at)
        yield from _steps(window, at)
        yield from _time_left(window, at)
        yield from _hours(window, at)
        if window.installs:
            yield from _idle_gate(subject, index, window)
            yield from _install(subject, index, window)
        yield from _replaced(subject, index, window)


def _name(window: Window, at: Path) -> Iterator[Found]:
    if is_reserved(window.name):
        yield Found(
            "P104",
            (*at, "name"),
            f"expected a name that does not end as those of steps' own windows do (-before-1, -after-2), found"
            f" {window.name}: call it otherwise",
        )


def _steps(window: Window, at: Path) -> Iterator[Found]:
    for moment in ("before", "after"):
        steps: tuple[Step, ...] = getattr(window, moment)
        for number, step in enumerate(steps):
            for kind, (pattern, wanted) in _NAMED.items():
                name = getattr(step, kind)
                if name and not re.fullmatch(pattern, name):
                    yield Found(
                        "P103",
                        (*at, moment, number, kind),
                        f"expected {wanted}, found {name!r}: write it as AWS has it",
                    )
                if name and patches(name):
                    yield Found(
                        "P180",
                        (*at, moment, number, kind),
                        f"expected steps around the patching, found {name}, which patches past waves and gate: remove"
                        " it, the window installs by itself",
                    )


def _time_left(window: Window, at: Path) -> Iterator[Found]:
    left = window.duration_hours - window.cutoff_hours
    if left < 1:
        yield Found(
            "P171",
            (*at, "cutoff_hours"),
            f"expected a cutoff of less than the duration, found {window.cutoff_hours} of {window.duration_hours} "
            "hours: nothing would ever start; lower the cutoff, or make the window longer",
        )
    elif window.installs and window.latest_start_minutes is not None and window.latest_start_minutes > (left - 1) * 60:
        yield Found(
            "P172",
            (*at, "latest_start_minutes"),
            f"expected at most {(left - 1) * 60} minutes, found {window.latest_start_minutes}: what starts later has "
            "less than an hour before the cutoff and is refused as late; lower it, or make the window longer",
        )


def _hours(window: Window, at: Path) -> Iterator[Found]:
    hours = window.people.hours
    if hours.start == hours.end:
        yield Found(
            "P189",
            (*at, "people", "hours"),
            f"expected `from` and `until` with time between them, found {hours.start} twice: for the whole day leave "
            "both out",
        )


def _idle_gate(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    """A gate that nothing reads: production alone has one."""
    if window.gate is not None and not subject.on_production(index):
        yield Found(
            "P190",
            ("windows", index, "gate"),
            "expected a gate on windows of production only, found one without production: remove it, nothing reads it",
        )


def _install(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    at: Path = ("windows", index)
    rings = subject.reached_rings[index]
    if len(rings) > 1:
        names = ", ".join(ring.name for ring in rings)
        yield Found(
            "P159",
            (*at, "patch_groups"),
            f"expected patch groups of one ring in an install window, found {names}: give each ring its own window, "
            "since gate, soak and role are the ring's",
        )
    yield from _waves(subject, index, window)
    yield from _reboot(window, at)
    if subject.on_production(index):
        yield from _production(subject, index, window)


def _waves(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    waves = window.waves
    at: Path = ("windows", index, "waves")
    if waves.canary > _FLOCK:
        yield Found(
            "P182",
            (*at, "canary"),
            f"expected at most {_FLOCK} nodes of a slot as canary, found {waves.canary}: that many is a wave, put a "
            "share instead",
        )
    if subject.on_production(index) and not waves.canary and not waves.shares:
        yield Found(
            "P181",
            at,
            "expected production in waves, found one with every node: add a canary or shares, so that a bad patch "
            "stops early",
        )
    barriers = window.waves.number - 1
    minutes = (window.duration_hours - window.cutoff_hours - 1) * 60
    opened = opened_before_the_last_wave(subject.policy, window)
    needed = barriers * waves.settle_minutes + opened * subject.policy.timing.open_lead_minutes
    if 0 <= minutes < needed:
        yield Found(
            "P183",
            (*at, "settle_minutes"),
            f"expected {needed} minutes between the start and the last wave, for {barriers + 1} waves to settle "
            f"(executions that open before it: {opened}), found {minutes}, as an hour must be left before the cutoff: "
            "the last waves would always be late; shorten the settle time, take fewer waves or a longer window",
        )


def opened_before_the_last_wave(policy: Policy, window: Window) -> int:
    """Executions of a release that come before its last wave installs: steps, and waves with their reboots and scans.

    The one after each of them opens `timing.open_lead_minutes` later at the earliest.
    """
    asked = Asked()
    of_a_wave = 3 if reboots_in_waves(window, asked) else 2 if asks(policy, window, asked) else 1
    return len(window.before) + (window.waves.number - 1) * of_a_wave


def _reboot(window: Window, at: Path) -> Iterator[Found]:
    if window.reboot.when == "if_needed" and window.reboot.how == "inline":
        yield Found(
            "P185",
            (*at, "reboot", "how"),
            "expected how: waves, which asks each node whether it needs a reboot, found inline: AWS's RebootIfNeeded "
            "reboots after any install, needed or not; keep it where that is meant",
        )


def _production(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    at: Path = ("windows", index)
    if window.backup.mode == "off":
        yield Found(
            "P187",
            (*at, "backup"),
            "expected a backup before production is patched, found off: set it on or required, or say here why "
            "there is another way back",
        )
    gate = gate_of(subject.policy, window)
    waits = [
        what
        for what, is_so in (("approval", gate.approval.needed != "never"), ("backups", window.backup.mode != "off"))
        if is_so
    ]
    if waits and not window.lead_minutes:
        yield Found(
            "P188",
            (*at, "lead_minutes"),
            f"expected time for {' and '.join(waits)} before the window, found lead_minutes: 0: let the release start "
            "earlier (lead_minutes: 240, say)",
        )
    everything: Mapping[str, str] = {"concurrency": window.concurrency, "errors": window.errors}
    for key, value in everything.items():
        if value == "100%":
            yield Found(
                "P193",
                (*at, key),
                f"expected less than all nodes of a slot, found {key}: 100%: lower it, so that a bad patch stops early",
            )


def _replaced(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    mine = {group.name for group in subject.reach[index]}
    for number, name in enumerate(window.replaces):
        other = subject.windows[name]
        theirs = set(subject.groups) if other.patch_groups == "all" else set(other.patch_groups)
        if not mine & theirs:
            yield Found(
                "P108",
                ("windows", index, "replaces", number),
                f"expected a window that has some of these patch groups, found {name}, which has none of them: "
                "remove it, there is nothing to replace",
            )
