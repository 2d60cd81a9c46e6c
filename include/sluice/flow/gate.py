"""Step 4: whether production may be installed on; and at the moment of opening, whether it still may."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sluice.aws import alarms, calendars, halts, nodes, operations, recalls
from sluice.aws.actual import read_actual
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Duty
from sluice.core import ledger
from sluice.core.calendar import freeze_on, gate_of, local_day
from sluice.core.errors import AWSError, ReleaseError
from sluice.core.policy.gate import Gate
from sluice.core.policy.slots import groups_of, slots
from sluice.core.release import answer
from sluice.core.release import gate as core
from sluice.core.release.gate import Asking, Covered, Decision, Facts, Limits, Seen
from sluice.core.release.ids import parse_id
from sluice.core.release.manifest import Manifest
from sluice.core.release.needed import may_lack
from sluice.core.release.outcome import approves
from sluice.core.release.rights import is_ad_hoc, objections
from sluice.core.release.ring_before import Standing, stand
from sluice.core.release.terms import Expected, Outcome, Reason
from sluice.core.release.twins import Passed, passed, without_twin
from sluice.core.sighted import Sighted
from sluice.evidence import release_records, tables
from sluice.flow.manifest import known_sightings, read_manifest, recalls_of
from sluice.flow.resolve import last_resolved, read_resolved
from sluice.flow.run import Run, aws_time

RECORD = "decision"
APPROVAL = "approval"

RUNNING = (None, Reason.AGENT_LOST)
"""Reasons of nodes that run, so that their agent should be online; None: it is."""


def gate(run: Run, ready: Sequence[str]) -> dict[str, Any]:
    """Decide, and keep the decision with its facts; one that is open already stays as it is.

    `{"verdict": "open|closed|nothing", "needs_approval": …, "why": […], "admissible": n}`. Raises ReleaseError where
    the manifest or the nodes are not there yet, AWSError where a location cannot be read.
    """
    decision = _recorded(run)
    if decision is None or decision.verdict != "open":
        decision = core.decide(_facts(run, ready))
        run.record(RECORD, decision.as_json())
        _write_rows(run, decision)
    return {
        "verdict": decision.verdict,
        "needs_approval": decision.needs_approval,
        "why": list(decision.why),
        "admissible": decision.facts.admissible,
    }


def record_approval(run: Run, option: str | None, by: str | None) -> None:
    """Keep a person's answer; `option` None: nobody answered, which is a rejection but takes no approval back.

    Raises ReleaseError where the one who asked for the run approves it.
    """
    if approves(option):
        why = answer.objection((by,) if by else (), run.asked.by, scheduled=not is_ad_hoc(run.asked))
        if why:
            raise ReleaseError(why)
    _keep_answer(run, aws_time(run.connections, run.locations), {"option": option, "by": by})


def time_to_answer(run: Run) -> timedelta:
    """How long an answer may take from now, by AWS's clock; nothing, or less: it is too late to ask."""
    now = aws_time(run.connections, run.locations)
    return answer.time_to_answer(run.policy, run.window, run.asked, run.release.occurrence, now)


def record_unasked(run: Run) -> str:
    """Keep that nobody was asked, as no answer could come in time, as if nobody had answered; what to do, in words."""
    now = aws_time(run.connections, run.locations)
    _keep_answer(run, now, {"option": None, "by": None, "unasked": True})
    return f"{answer.UNASKED}; {answer.ask_again(run.policy, run.window, run.asked, now)}"


def _keep_answer(run: Run, at: datetime, given: Mapping[str, Any]) -> None:
    """Whoever clears `approve` in Airflow later does not erase by whose word the release went on."""
    if given["by"] is not None or not approves((run.recorded(APPROVAL) or {}).get("option")):
        run.record(APPROVAL, {**given, "at": at.isoformat()})


def allowed_now(run: Run, connection: Connection) -> str | None:
    """Why nothing of the release may open in this location at this moment; None: it may.

    What cannot be read is a reason: raises nothing but what a lost connection does.
    """
    bucket = operations.bucket_of(run.policy, connection)
    if run.policy.mode != "release" and run.window.installs:
        return f"the policy says mode: {run.policy.mode}: nothing may install"
    if run.asked.dry_run:
        return "a dry run opens nothing"
    mark = halts.mark_of(connection, bucket, run.release.id)
    if mark is not None:
        return mark
    decision = _recorded(run) if run.gated else None
    if run.gated:
        why = _undecided(decision)
    else:
        why = "; ".join(objections(run.policy, run.window, run.asked, run.release.begun)) or None
    if why is None and answer.must_agree(
        production=run.production, gate_asks=decision.needs_approval if decision else None
    ):
        why = _unapproved(run)
    return why or (_changed(run, connection, bucket) if run.production else None)


def not_admissible(run: Run) -> dict[str, tuple[str, str]]:
    """Nodes that the gate keeps out: reason and detail by node; none where no gate stands before the release.

    Raises ReleaseError where it has not decided.
    """
    if not run.gated:
        return {}
    decision = _recorded(run)
    if decision is None:
        raise ReleaseError(f"expected a decision on {run.release.id}, found none: run the step gate first")
    return {node: (reason, detail) for node, reason, detail in decision.facts.not_admissible}


def _recorded(run: Run) -> Decision | None:
    """The decision, decided again from its facts: an altered record raises ReleaseError."""
    found = run.recorded(RECORD)
    return None if found is None else core.replay(found)


def _undecided(decision: Decision | None) -> str | None:
    """What is missing of the gate."""
    if decision is None:
        return "the gate has not decided"
    return None if decision.verdict == "open" else f"the gate is {decision.verdict}: {'; '.join(decision.why)}"


def _unapproved(run: Run) -> str | None:
    """Who has not approved it."""
    found: Mapping[str, Any] = run.recorded(APPROVAL) or {}
    if approves(found.get("option")):
        return None
    return f"not approved by {found['by']}" if found.get("by") else "nobody has approved it"


def _changed(run: Run, connection: Connection, bucket: operations.Bucket) -> str | None:
    """What has changed in a location since the gate decided; what forbids reboots alone, which have no gate."""
    now = connection.now()
    planned = max(now, run.release.occurrence)  # as the gate has decided: by what holds at the release's time
    known = gate_of(run.policy, run.window)
    resolved = [one for one in read_resolved(run, connection) if one.reason is None]
    kept_out = not_admissible(run)
    wanted = [one.node for one in resolved if one.node not in kept_out]
    recalled = _manifest(run).recalled(recalls.listed(connection, bucket)) if run.gated else ()
    facts = Facts(
        release=run.release.id,
        window=run.window.name,
        at=now,
        mode=run.policy.mode,
        limits=_limits(known),
        recalled=tuple(str(one) for one in recalled),
        calendars=_calendars(connection, known, planned),
        alarms=_alarms(connection, known),
        freeze=_freeze(run, known, planned),
        online=len(set(nodes.online(connection, wanted))),
        running=len(wanted),
    )
    return "; ".join(core.volatile(_as_elsewhere(run, facts, known, planned))) or None


def _as_elsewhere(run: Run, facts: Facts, known: Gate, at: datetime) -> Facts:
    """Without the calendars and alarms that this location has not and another one has."""
    if all(one.state != core.MISSING for one in (*facts.calendars, *facts.alarms)):
        return facts
    decided = _recorded(run)
    asked = (*decided.facts.calendars, *decided.facts.alarms) if decided else _asked_everywhere(run, known, at)
    elsewhere = {one.name for one in asked if one.state != core.MISSING}

    def left(found: Sequence[Asking]) -> tuple[Asking, ...]:
        return tuple(one for one in found if one.state != core.MISSING or one.name not in elsewhere)

    return replace(facts, calendars=left(facts.calendars), alarms=left(facts.alarms))


def _asked_everywhere(run: Run, known: Gate, at: datetime) -> list[Asking]:
    """Calendars and alarms in all of the run's locations that answer."""

    def ask(connection: Connection) -> tuple[Asking, ...]:
        return (*_calendars(connection, known, at), *_alarms(connection, known))

    return [one for found in in_each(run.connections, run.locations, Duty.READER, ask) for one in found.value or ()]


def _facts(run: Run, ready: Sequence[str]) -> Facts:
    """Everything that the gate decides by, as it is now."""
    made = _manifest(run)
    now = aws_time(run.connections, run.locations)
    known = gate_of(run.policy, run.window)
    sightings = known_sightings(run, now)
    expected: list[Expected] = []
    asked_calendars: list[Asking] = []
    asked_alarms: list[Asking] = []
    others: list[str] | None = []
    for key in ready:
        with run.connect(key, Duty.READER) as connection:
            expected += read_resolved(run, connection)
            asked_calendars += _calendars(connection, known, max(now, run.release.occurrence))
            asked_alarms += _alarms(connection, known)
            found = _other_patchers(run, connection, known)
            others = None if others is None or found is None else others + found
    reachable = [one for one in expected if one.reason is None]
    broken = _broken(run, now)
    kept_out = _kept_out(run, made, reachable, passed(sightings, now, broken), now)
    oldest = timedelta(hours=known.evidence_hours)
    before = _behind(run, made, sightings, now, broken)
    standing = stand(before, _taken_from(run, made), now - oldest)
    return Facts(
        release=run.release.id,
        window=run.window.name,
        at=now,
        mode=run.policy.mode,
        limits=_limits(known),
        items=tuple(_covered(made)),
        recalled=tuple(str(one) for one in made.recalled(recalls_of(run, ready))),
        not_found=tuple(word for word in made.not_found if word in run.asked.expedite),
        behind=standing.nodes,
        behind_failed=standing.failed,
        behind_silent=standing.silent,
        behind_left_out=standing.left_out,
        evidence=(*standing.evidence, *_evidence(sightings, reachable)),
        calendars=tuple(asked_calendars),
        alarms=tuple(asked_alarms),
        freeze=_freeze(run, known, run.release.occurrence),
        online=len(reachable),
        running=sum(one.reason in RUNNING for one in expected),
        ticket=run.asked.change_ticket,
        others=None if others is None else tuple(others),
        objections=objections(run.policy, run.window, run.asked, run.release.begun),
        ad_hoc=is_ad_hoc(run.asked),
        expedite=run.asked.expedite,
        because=run.asked.because,
        released=_released(run),
        admissible=len(reachable) - len(kept_out),
        needing=len(may_lack(made, _products(run, reachable, kept_out), sightings, now - oldest)),
        not_admissible=tuple((node, *why) for node, why in sorted(kept_out.items())),
    )


def _manifest(run: Run) -> Manifest:
    found = read_manifest(run)
    if found is None:
        raise ReleaseError(f"expected a manifest of {run.release.id}, found none: run the step manifest first")
    return found


def _limits(known: Gate) -> Limits:
    return Limits(
        success_percent=known.success_percent,
        evidence_hours=known.evidence_hours,
        agents_percent=known.agents_percent,
        change_ticket=known.change_ticket,
        refuse_other_patchers=known.refuse_other_patchers,
        approval=known.approval.needed,
        approval_first=known.approval.first,
    )


def _covered(made: Manifest) -> list[Covered]:
    return [Covered(str(item.key), item.covered, item.started, item.days) for item in made.items]


def _kept_out(
    run: Run, made: Manifest, reachable: Sequence[Expected], before: Sequence[Passed], now: datetime
) -> dict[str, tuple[str, str]]:
    """Nodes without a twin, and those that nothing is requested for."""
    kept_out = without_twin(run.policy, slots(run.policy, run.window), reachable, before, now)
    for node, product in _products(run, reachable).items():
        if not made.of(product):
            kept_out.setdefault(node, (str(Reason.NOTHING), product))
    return kept_out


def _products(run: Run, reachable: Sequence[Expected], kept_out: Container[str] = ()) -> dict[str, str]:
    """The nodes that are not kept out, with their OS product as the policy lists it."""
    product_of = {slot.name: slot.product or "" for slot in slots(run.policy, run.window)}
    return {one.node: product_of.get(one.slot or "", "") for one in reachable if one.node not in kept_out}


def _taken_from(run: Run, made: Manifest) -> tuple[tuple[str, str], ...]:
    """The rings before with the OS products, as the policy lists them, that the release takes patches from."""
    names = [ring.name for ring in run.policy.rings]
    found = [
        (names[names.index(slot.group.ring) - 1], slot.product)
        for slot in slots(run.policy, run.window)
        if slot.group and slot.product and made.of(slot.product) and names.index(slot.group.ring)
    ]
    return tuple(dict.fromkeys(found))


def _behind(
    run: Run, made: Manifest, sightings: Sequence[Sighted], now: datetime, broken: Mapping[str, str]
) -> tuple[Standing, ...]:
    """The nodes of the rings before as they were last resolved, with what was last read of them."""
    rings = {ring for ring, _ in _taken_from(run, made)}
    ring_of = {group.name: group.ring for group in run.policy.patch_groups if group.ring in rings}
    expected = last_resolved(run, tuple(ring_of), now)
    rows = [row for row in sightings if row.ring in rings and row.node in expected]
    failures = {node: why for node, why in broken.items() if node in expected}
    failures |= {node: ", ".join(failed[:3]) for node, failed in ledger.failing(rows, now).items()}
    looks = _last_looks(sightings)
    return tuple(
        Standing(
            node=node,
            ring=ring_of[one["group"]],
            # Systems Manager does not say what a stopped node runs: that is what it last showed.
            product=one["product"] or (looks[node].product if node in looks else None),
            reason=one["reason"],
            looked=looks[node].until if node in looks else None,
            failed=failures.get(node, ""),
        )
        for node, one in expected.items()
    )


def _broken(run: Run, now: datetime) -> dict[str, str]:
    """Nodes on which the last installation failed, whatever their patches say, and why."""
    installing = {window.name for window in run.policy.windows if window.installs}
    since = (now - timedelta(days=max(ring.max_wait_days for ring in run.policy.rings))).date()
    columns = ("window", "occurrence", "node", "read", "result", "line")
    until = (now + timedelta(days=1)).date()
    found = tables.read(run.store, "patch_summaries", since, until, columns=columns).to_dicts()
    last: dict[str, Mapping[str, Any]] = {}
    for one in sorted(found, key=lambda one: (one["occurrence"], one["read"])):
        if one["window"] in installing and one["result"] != "missed" and one["read"] <= now:
            last[one["node"]] = one
    return {node: one["line"] or "its installation failed" for node, one in last.items() if one["result"] == "failed"}


def _evidence(sightings: Sequence[Sighted], reachable: Sequence[Expected]) -> tuple[Seen, ...]:
    """When each location's part of the release was looked at last."""
    looks = _last_looks(sightings)
    found = []
    for location in sorted({one.location for one in reachable}):
        own = [looks[one.node].until for one in reachable if one.location == location and one.node in looks]
        found.append(Seen(location, max(own, default=None)))
    return tuple(found)


def _last_looks(sightings: Sequence[Sighted]) -> dict[str, Sighted]:
    """Of each node a row of the last look at it."""
    found: dict[str, Sighted] = {}
    for row in sightings:
        if row.node not in found or row.until > found[row.node].until:
            found[row.node] = row
    return found


def _calendars(connection: Connection, known: Gate, at: datetime) -> tuple[Asking, ...]:
    return tuple(Asking(name, connection.key, calendars.state(connection, name, at)) for name in known.calendars)


def _alarms(connection: Connection, known: Gate) -> tuple[Asking, ...]:
    if not known.alarms:
        return ()
    found = alarms.states(connection, known.alarms)
    return tuple(Asking(name, connection.key, state) for name, state in found.items())


def _freeze(run: Run, known: Gate, at: datetime) -> str | None:
    """The freeze on that day, in the window's time zone."""
    freeze = freeze_on(known.freezes, local_day(run.window, at))
    return f"nothing is released from {freeze.first} to {freeze.last}: {freeze.because}" if freeze else None


def _other_patchers(run: Run, connection: Connection, known: Gate) -> list[str] | None:
    """What else patches the release's groups there; None: it could not be read."""
    if not known.refuse_other_patchers:
        return []
    try:
        others = read_actual(connection, run.policy.deployment).others
    except AWSError:
        return None
    groups = [group.name for group in groups_of(run.policy, run.window)]
    found = [one for one in others if one.enabled and (one.is_patch_policy or (one.patches and one.groups(groups)))]
    return [f"{one.kind} {one.id} ({one.name}) in {connection.key}" for one in found]


def _released(run: Run) -> int:
    """How many releases of the window have patched something; reboots alone and retries are none."""
    done = 0
    for key in run.store.keys(f"releases/{run.window.name}-"):
        release, _, name = key.removeprefix("releases/").partition("/")
        if name == "outcome.json" and release != run.release.id:
            outcome = release_records.read(run.store, release, "outcome") or {}
            counts = outcome.get("operation") == "install" and not outcome.get("retry_of")
            patched = outcome.get("outcome") in (Outcome.RELEASED, Outcome.PARTIAL)
            done += counts and patched and _is_of(release, run.window.name)
    return done


def _is_of(release: str, window: str) -> bool:
    """Whether it is this window's: another one's name may begin with the same."""
    parts = parse_id(release)
    return parts is not None and parts.window == window


def _write_rows(run: Run, decision: Decision) -> None:
    rows = [
        {
            "at": decision.facts.at,
            "verdict": decision.verdict,
            "rule": rule.name,
            "result": rule.held,
            "why": rule.because,
        }
        for rule in decision.rules
    ]
    tables.write(run.store, "gate_decisions", run.release, "all", rows)
