"""Step 2: whether the release can go through, before anything has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sluice.aws import buckets, leases, node_access, node_tags, nodes, operations, recalls, window_schedules, windows
from sluice.aws.actual import read_actual
from sluice.aws.installing import installing
from sluice.aws.locations import Outcome, in_each
from sluice.aws.session import Connection, Duty
from sluice.core.doctor import BucketFact
from sluice.core.errors import AWSError, ReleaseError
from sluice.core.lease import Lease
from sluice.core.policy.desired import desired
from sluice.core.policy.others import Installing, Other
from sluice.core.policy.pilot import check_alone
from sluice.core.policy.places import bucket_in
from sluice.core.policy.plan import Actual, Change, make_plan
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import groups_of
from sluice.core.release import backup, fit, waves
from sluice.core.release import preflight as core
from sluice.core.release.ids import any_release_of
from sluice.core.release.preflight import Access, Facts, Readiness, Running
from sluice.core.release.terms import Expected, Kind
from sluice.evidence import queries
from sluice.flow.resolve import read_resolved
from sluice.flow.run import Run, aws_time
from sluice.flow.sweep import sweep

T = TypeVar("T")

PAST = timedelta(days=120)
"""How far back durations are looked at: some four months of releases."""

LOGS, MANIFESTS = "the output of commands", "manifests, leases and recorded steps"


@dataclass(frozen=True, slots=True)
class _Own:
    """What the release's own duty read and did in a location."""

    swept: tuple[str, ...]
    expected: tuple[Expected, ...]
    lease: Lease | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the reader found in a location."""

    readiness: Readiness
    installing: tuple[Installing, ...]


def preflight(run: Run, located: Sequence[str]) -> dict[str, Any]:
    """Judge the locations whose nodes were resolved.

    `{"ready": […], "refused": {location: why}, "warnings": […], "others": {location: [{"label", "groups"}]}}`, where
    `others` are what of others installs on the window's patch groups, as what is read back is labelled.

    A location with anything wrong is refused, and stops no other; a release that does not fit before its cutoff is
    refused everywhere. Raises ReleaseError, with nothing changed but what the sweep put at rest, where none is ready or
    something was asked for that is not there.
    """
    backup.mode(run.window, run.asked)
    refused = {place.key: "its nodes could not be resolved" for place in run.locations if place.key not in located}
    begun = _each(run, located, run.duty, lambda connection: _begin(run, connection))
    refused |= _failed(begun)
    own = {one.key: one.value for one in begun if one.value is not None}
    expected = {one.location.key: one.value.expected for one in begun if one.value is not None}
    if not refused:
        _check_nodes(run, expected)
    judged = _each(run, list(expected), Duty.READER, lambda connection: _judged(run, connection, own[connection.key]))
    refused |= _failed(judged)
    found = {one.location.key: one.value.readiness for one in judged if one.value is not None}
    refused |= {key: "; ".join(one.wrong) for key, one in found.items() if one.wrong}
    ready = [key for key in found if key not in refused]
    warnings = [f"{key}: {text}" for key in ready for text in found[key].warnings]
    problem, unknown = _fitting(run, {key: expected[key] for key in ready}) if ready else (None, None)
    if problem:
        refused |= dict.fromkeys(ready, problem)
    told = {
        "ready": [] if problem else ready,
        "refused": refused,
        "warnings": [*warnings, *([unknown] if unknown else [])],
        "others": {one.key: _labels(one.value.installing) for one in judged if one.value is not None},
    }
    run.record("preflight", told)
    if not told["ready"]:
        raise ReleaseError(core.refusal(refused))
    return told


def _each(run: Run, keys: Collection[str], duty: Duty, work: Callable[[Connection], T]) -> list[Outcome[T]]:
    """The work in each of the run's locations that is among the keys, in the policy's order."""
    places = [place for place in run.locations if place.key in keys]
    return in_each(run.connections, places, duty, work) if places else []


def _failed(outcomes: Sequence[Outcome[T]]) -> dict[str, str]:
    return {one.location.key: str(one.error) for one in outcomes if one.error is not None}


def _begin(run: Run, connection: Connection) -> _Own:
    """Put stale windows at rest and take old release tags off; read what was resolved and who drives the window."""
    swept = sweep(run, connection)
    if run.window.installs:
        stale = core.stale_tag(run.window, connection.now())
        gone = node_tags.clear(connection, any_release_of(run.window.name), stale=stale)
        if gone:
            swept = [*swept, f"took the tag of earlier releases off {gone} nodes"]
    bucket = operations.bucket_of(run.policy, connection)
    lease = leases.lease_of(connection, bucket, run.window.name)
    return _Own(tuple(swept), read_resolved(run, connection), lease)


def _check_nodes(run: Run, expected: Mapping[str, Sequence[Expected]]) -> None:
    ids = [one.node for found in expected.values() for one in found]
    if problem := core.not_found(run.asked.nodes, ids, run.window):
        raise ReleaseError(problem)


def _judged(run: Run, connection: Connection, own: _Own) -> _Judged:
    """A location as the reader sees it."""
    policy = recalls.merged(run.policy, connection)
    actual = read_actual(connection, policy.deployment)
    if policy.pilot:
        check_alone(policy, actual, nodes.listed(connection))
    changes = _changes(run, connection, policy, actual)
    if changes and not run.window.installs and not _changes(run, connection, run.policy, actual):
        changes = ()  # a recall that waits for its apply keeps installs back; a scan changes nothing
    names = [group.name for group in groups_of(policy, run.window)]
    found = tuple(installing(connection, actual.others, names))
    facts = Facts(
        changes=changes,
        lease=own.lease,
        now=connection.now(),
        buckets=tuple(_buckets(run, connection)),
        access=tuple(_access(run, connection, own.expected)),
        running=tuple(_running(run, connection, actual.others)),
        installing=found,
        swept=own.swept,
    )
    return _Judged(core.readiness(policy, run.window, run.release.id, run.release.occurrence, facts), found)


def _changes(run: Run, connection: Connection, policy: Policy, actual: Actual) -> tuple[Change, ...]:
    """What of the policy is not applied here, as far as the release goes by it."""
    wanted = desired(policy, connection.account, connection.region)
    return core.relevant(policy, run.window, make_plan(connection.account, connection.region, wanted, actual))


def _labels(found: Sequence[Installing]) -> list[dict[str, Any]]:
    return [{"label": one.label, "groups": list(one.groups)} for one in found if not one.unknown]


def _buckets(run: Run, connection: Connection) -> Iterator[BucketFact]:
    yield buckets.look(connection, operations.bucket_of(run.policy, connection).name, MANIFESTS)
    if logs := _logs(run, connection):
        yield buckets.look(connection, logs, LOGS)


def _logs(run: Run, connection: Connection) -> str | None:
    bucket = (run.window.logs or run.policy.logs).bucket
    return bucket_in(bucket, connection.account, connection.region) if bucket else None


def _access(run: Run, connection: Connection, expected: Sequence[Expected]) -> Iterator[Access]:
    """What the nodes that the release reaches may do with the buckets, by profile."""
    wanted = []
    if logs := _logs(run, connection):
        wanted.append(("s3:PutObject", logs, (run.window.logs or run.policy.logs).prefix.strip("/")))
    if run.gated:
        wanted.append(("s3:GetObject", operations.bucket_of(run.policy, connection).name, "manifests/"))
    reached = {one.node for one in expected if one.reason is None}
    if not wanted or not reached:
        return
    for (profile, hybrid), members in _by_profile(connection, reached).items():
        if profile is None:
            yield Access("no profile", members, unknown="their role is AWS's own (Default Host Management)")
            continue
        try:
            yield Access(profile, members, node_access.refused(connection, profile, wanted, hybrid=hybrid))
        except AWSError as error:
            yield Access(profile, members, unknown=str(error))


def _by_profile(connection: Connection, wanted: Collection[str]) -> dict[tuple[str | None, bool], tuple[str, ...]]:
    found: dict[tuple[str | None, bool], list[str]] = defaultdict(list)
    for node in nodes.listed(connection):
        if node.id in wanted:
            found[node.profile, node.hybrid].append(node.id)
    return {key: tuple(members) for key, members in found.items()}


def _running(run: Run, connection: Connection, others: Sequence[Other]) -> Iterator[Running]:
    """Windows of others that AWS will start so that they are open while ours is."""
    start, end = run.release.occurrence, run.release.occurrence + run.window.duration
    hours = {one["WindowId"]: one.get("Duration", 24) for one in windows.listed(connection)}
    for other in others:
        if other.kind == "window" and other.enabled:
            since = start - timedelta(hours=hours.get(other.id, 24))
            times = tuple(window_schedules.upcoming(connection, other.id, since, end))
            if times:
                yield Running(other, times)


def _fitting(run: Run, expected: Mapping[str, Sequence[Expected]]) -> tuple[str | None, str | None]:
    """Why the release does not fit by its past, if so, and what is not known of that."""
    day = run.release.occurrence.date()
    kind: Kind = "install" if run.window.installs else "scan"
    past = queries.durations(run.store, run.window.name, day - PAST, day, kind=kind)
    reached = {key: [one for one in found if one.reason is None] for key, found in expected.items()}
    lead = timedelta(minutes=run.policy.timing.open_lead_minutes)
    start = max(run.release.occurrence, aws_time(run.connections, run.locations) + lead)
    predicted = fit.predict(
        run.window,
        waves.split(run.window, run.release.id, reached),
        {slot: one.high for slot, one in past.items()},
        start,
        lead,
        [step for step in run.steps if step.moment == "before"],
        queries.step_durations(run.store, run.window.name, day - PAST, day) if run.steps else {},
    )
    return core.too_long(run.window, run.release.occurrence, start, predicted), core.without_past(predicted)
