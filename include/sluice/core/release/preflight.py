"""Whether a location is ready for a release: what is wrong there stops it before anything has changed.

What cannot be known (a policy that nobody may read, a slot without a past) is a warning, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sluice.core.calendar import Occurrence, occurrences
from sluice.core.doctor import BucketFact
from sluice.core.lease import Lease
from sluice.core.policy import reboot_document
from sluice.core.policy.desired import registration_key
from sluice.core.policy.lint.quotas import CONCURRENT
from sluice.core.policy.objects import BASELINE, DOCUMENT, TARGET, TASK, WINDOW, Key
from sluice.core.policy.others import Installing, Other
from sluice.core.policy.plan import Change, Plan
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import groups_of
from sluice.core.policy.window_steps import served
from sluice.core.policy.windows import Window
from sluice.core.release.fit import Fit
from sluice.core.release.ids import parse_id
from sluice.core.release.terms import Asked
from sluice.core.window_objects import asks

CONCURRENT_CODE = "P118"
"""The finding of the policy check that is waived where it has."""


@dataclass(frozen=True, slots=True)
class Access:
    """Whether nodes of an instance profile, or of a hybrid activation's role, may do what a release needs."""

    profile: str
    nodes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Actions on a bucket that are refused, as `s3:GetObject on sluice-operations-…`."""
    unknown: str = ""
    """Why nobody knows."""


@dataclass(frozen=True, slots=True)
class Running:
    """A window of others that will run while ours is open."""

    other: Other
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read of a location."""

    changes: tuple[Change, ...]
    """What the policy's plan for it would change."""
    lease: Lease | None
    now: datetime
    buckets: tuple[BucketFact, ...] = ()
    access: tuple[Access, ...] = ()
    running: tuple[Running, ...] = ()
    installing: tuple[Installing, ...] = ()
    """What of others installs on the window's patch groups, at whatever time."""
    swept: tuple[str, ...] = ()
    """What was put at rest, in words."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is wrong with a location, and what is to be known of it."""

    wrong: tuple[str, ...]
    warnings: tuple[str, ...]


def readiness(policy: Policy, window: Window, release: str, occurrence: datetime, facts: Facts) -> Readiness:
    """Judge a location for a release of the window that is planned for a moment."""
    driven = facts.lease is not None and facts.lease.held(facts.now) and facts.lease.owner == release
    wrong = [*_leased(window, release, facts), *_drift(facts.changes, own_window_too=not driven)]
    warnings: list[str] = []
    for text, known in (*_buckets(facts.buckets), *_access(facts.access)):
        (wrong if known else warnings).append(text)
    at_once = tuple(_at_once(policy, window, occurrence, facts))
    if len(at_once) >= CONCURRENT:
        waived = _waived(policy, facts.now.date())
        (warnings if waived else wrong).append(
            f"expected at most {CONCURRENT} windows open at once in an account and Region, found {len(at_once)} others"
            f" while {window.name} is open ({', '.join(at_once)}): move some, or have AWS raise the quota and waive"
            f" {CONCURRENT_CODE}"
        )
    warnings += [*_patchers(window, facts.running), *_installing(facts.installing), *facts.swept]
    return Readiness(tuple(wrong), tuple(warnings))


def relevant(policy: Policy, window: Window, plan: Plan) -> tuple[Change, ...]:
    """What of a plan concerns a release: its windows, their slots, its groups' baselines, the reboot document."""
    groups = groups_of(policy, window)
    names = {name for group in groups for name in group.baselines}
    keys = {Key(BASELINE, name) for name in names}
    keys |= {
        registration_key(group.name, baseline.os)
        for group in groups
        for baseline in policy.baselines
        if baseline.name in group.baselines
    }
    if window.reboot.when != "never" or asks(policy, window, Asked()):
        keys.add(Key(DOCUMENT, reboot_document.NAME))
    return tuple(change for change in plan.pending if change.key in keys or _of_window(change.key, window))


def _of_window(key: Key, window: Window) -> bool:
    return key.noun in (WINDOW, TARGET, TASK) and served(key.name.partition("/")[0]) == window.name


def _leased(window: Window, release: str, facts: Facts) -> Iterator[str]:
    lease = facts.lease
    if lease is not None and lease.held_by_another(release, facts.now):
        yield (
            f"expected window {window.name} to be free, found it driven by {lease.owner} until"
            f" {lease.expires:%Y-%m-%d %H:%M} UTC: let that release end, or halt it"
        )


def _drift(changes: Iterable[Change], *, own_window_too: bool) -> Iterator[str]:
    """What is not as the policy has it; of the window itself only while this release does not drive it."""
    found = [change for change in changes if own_window_too or change.key.noun not in (WINDOW, TARGET, TASK)]
    for change in found:
        if change.action == "create":
            yield f"{change.key} is not there: python -m sluice plan, then apply"
        elif change.action == "delete":
            yield f"{change.key} is there and the policy has it not: python -m sluice plan, then apply"
        else:
            fields = ", ".join(one.field for one in change.differences)
            whose = " (not this deployment's)" if change.take_over else ""
            yield f"{change.key}{whose} is not as the policy has it ({fields}): python -m sluice plan, then apply"


def _buckets(buckets: Iterable[BucketFact]) -> Iterator[tuple[str, bool]]:
    for one in buckets:
        if one.state == "unknown":
            yield f"unknown whether the bucket {one.name} is there, for {one.use}: {one.why}", False
        elif one.state != "there":
            words = "is not there" if one.state == "missing" else "is in another Region"
            yield (
                f"the bucket {one.name} {words}, for {one.use}: create it (include/cloudformation/location.yaml)",
                True,
            )


def _access(access: Iterable[Access]) -> Iterator[tuple[str, bool]]:
    """One line for each profile whose nodes may not, one for all of which nobody knows."""
    unknown = [one for one in access if one.unknown]
    for one in access:
        if one.missing:
            actions = ", ".join(one.missing)
            advice = "attach include/cloudformation/node-policy.yaml to it"
            yield f"{len(one.nodes)} nodes with the role of {one.profile} may not {actions}: {advice}", True
    if unknown:
        count, names = sum(len(one.nodes) for one in unknown), ", ".join(sorted(one.profile for one in unknown))
        yield f"unknown whether {count} nodes may use the buckets ({names}): {unknown[0].unknown}", False


def _at_once(policy: Policy, window: Window, occurrence: datetime, facts: Facts) -> Iterator[str]:
    """Windows that are open while ours is: others' that AWS will start, and the policy's own that are planned."""
    yield from (f"{one.other.name} ({one.other.id})" for one in facts.running)
    for own in policy.windows:
        if own.name != window.name and any(overlapping(policy, own, window, occurrence)):
            yield own.name


def overlapping(policy: Policy, other: Window, window: Window, occurrence: datetime) -> Iterator[Occurrence]:
    """The planned times of another window of the policy at which it is open while this one is."""
    return occurrences(policy, other, occurrence - other.duration + _MOMENT, occurrence + window.duration)


_MOMENT = timedelta(microseconds=1)


def _waived(policy: Policy, today: date) -> bool:
    return any(CONCURRENT_CODE in one.findings and one.holds(today) for one in policy.exceptions)


def _patchers(window: Window, running: Iterable[Running]) -> Iterator[str]:
    for one in running:
        if one.other.patches:
            times = ", ".join(f"{when:%Y-%m-%d %H:%M}" for when in one.times)
            yield (
                f"{one.other.name!r} ({one.other.id}), which is not this deployment's, patches at {times} UTC while"
                f" {window.name} is open"
            )


def _installing(found: Iterable[Installing]) -> Iterator[str]:
    for one in found:
        groups = ", ".join(one.groups)
        if one.unknown:
            yield (
                f"unknown whether this installs on {groups} too, so that nothing is put down to it: {one.label}:"
                f" {one.unknown}"
            )
        else:
            yield f"installs on {groups} too: {one.label}"


def too_long(window: Window, occurrence: datetime, start: datetime, fit: Fit) -> str | None:
    """Why the release does not fit before the cutoff, by its past; None: it does, as far as is known.

    One whose `start` is past its latest start is not judged: its waves open nothing, and say that it is late.
    """
    planned = Occurrence(window, occurrence)
    if start > planned.latest_start:
        return None
    for number, (end, slot) in enumerate(zip(fit.wave_ends, fit.slowest, strict=True), start=1):
        if end > planned.last_task:
            return (
                f"expected the release to end before its cutoff at {planned.last_task:%Y-%m-%d %H:%M} UTC, found that"
                f" by past durations wave {number} of {len(fit.wave_ends)} ends at {end:%Y-%m-%d %H:%M} UTC (slowest:"
                f" {slot}): raise its concurrency, lengthen the window, or release fewer patch groups"
            )
    return None


def without_past(fit: Fit) -> str | None:
    """That nobody knows how long some slots take; None: all are known."""
    if not fit.unknown:
        return None
    return f"unknown whether the release fits before the cutoff: no past durations of {', '.join(fit.unknown)}"


def stale_tag(window: Window, now: datetime) -> _StaleTag:
    """Says of a value of the release tag whether its release's window has ended, so that nobody needs it any more."""
    return _StaleTag(window, now)


@dataclass(frozen=True, slots=True)
class _StaleTag:
    window: Window
    now: datetime

    def __call__(self, value: str) -> bool:
        release, slash, _ = value.partition("/")
        parts = parse_id(release)
        if parts is None or parts.window != self.window.name or not slash:
            return False
        return parts.occurrence + self.window.duration + _SLACK < self.now


_SLACK = timedelta(hours=1)
"""An ad hoc release opens some minutes after the moment in its id."""


def refusal(refused: Mapping[str, str]) -> str:
    """Why no location is ready."""
    return "no location is ready, and nothing was changed:\n" + "\n".join(
        f"{key}: {why}" for key, why in refused.items()
    )


def not_found(asked: Sequence[str], found: Iterable[str], window: Window) -> str | None:
    """Nodes that a person asked for and the window does not expect anywhere; None: it expects all."""
    missing = sorted(set(asked) - set(found))
    if not missing:
        return None
    return (
        f"expected nodes that {window.name} reaches, found {', '.join(missing)}: in no location that was asked, or in a"
        " patch group of another window"
    )
