"""The admin API's pages about the lab as a whole: clock, faults, rules, settings, calls, state, reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lab.admin import Refusal, Request, Route
from lab.calls import CallRecord
from lab.clock import stamp
from lab.faults import Faults, aws_rates, explain, parse_rules
from lab.rules import Rule
from lab.world import Lab, Location, Settings

UNITS = ("seconds", "minutes", "hours", "days")


def routes(
    lab: Lab, faults: Faults, record: CallRecord, reset: Callable[[], None]
) -> Mapping[str, Mapping[str, Route]]:
    """The pages, over the parts of one running lab."""
    return {
        "/lab/clock": {"GET": Route("the lab's time", lambda request: _clock(lab, request))},
        "/lab/clock/advance": {
            "POST": Route(
                'move the clock on: {"seconds"|"minutes"|"hours"|"days": n} or {"to": "…Z"};'
                ' "stop": "ended" stops as soon as an execution or an image that is under way has ended',
                lambda request: _advance(lab, request),
            )
        },
        "/lab/faults": {
            "GET": Route("the fault rules in force", lambda request: _faults(faults, request)),
            "PUT": Route(
                'replace them: {"rules": […], "aws_rates": false}',
                lambda request: _set_faults(faults, request, replaced=True),
            ),
            "POST": Route("add to them, as PUT", lambda request: _set_faults(faults, request, replaced=False)),
            "DELETE": Route("forget them", lambda request: _clear_faults(faults, request)),
        },
        "/lab/rules": {
            "GET": Route("outcomes of scripts, automations and functions", lambda request: _rules(lab, request)),
            "PUT": Route('replace them: {"rules": […]}', lambda request: _set_rules(lab, request, replaced=True)),
            "POST": Route("add to them, as PUT", lambda request: _set_rules(lab, request, replaced=False)),
            "DELETE": Route("forget them", lambda request: _clear_rules(lab, request)),
        },
        "/lab/settings": {
            "GET": Route("behaviour that AWS does not document", lambda request: _settings(lab, request)),
            "PATCH": Route("change some of it", lambda request: _change_settings(lab, request)),
        },
        "/lab/calls": {
            "GET": Route(
                "how often what was called: ?service=&operation=&account=&region=&mutating=true|false&last=n",
                lambda request: _calls(record, request),
            ),
            "DELETE": Route("count anew", lambda request: _clear_calls(record, request)),
        },
        "/lab/state": {"GET": Route("what there is, by account and Region", lambda request: _state(lab, request))},
        "/lab/reset": {
            "POST": Route(
                "back to the seeded fleet and the start time; pending events are dropped",
                lambda request: _reset(lab, reset, request),
            )
        },
    }


def _clock(lab: Lab, request: Request) -> Any:
    request.known()
    pending = lab.clock.pending()
    rate = lab.clock.rate
    return {
        "now": stamp(lab.clock.now()),
        "mode": "manual" if rate is None else "real" if rate == 1.0 else "rate",
        "rate": rate,
        "pending": len(pending),
        "next": stamp(pending[0].when) if pending else None,
        "under_way": len(under_way(lab)),
        "opens": _opens(lab),
    }


def _advance(lab: Lab, request: Request) -> Any:
    wanted = dict(request.fields(*UNITS, "to", "stop"))
    stop = wanted.pop("stop", None)
    if stop not in (None, "ended"):
        raise Refusal(400, f'stop: expected "ended", found {stop!r}')
    if len(wanted) != 1:
        raise Refusal(400, f"expected exactly one of {[*UNITS, 'to']}, found {sorted(wanted)}")
    [(unit, amount)] = wanted.items()
    lab.clock.run_due()
    now = lab.clock.now()
    until = _moment(amount) if unit == "to" else now + _span(unit, amount, now)
    if stop is None:
        lab.clock.advance_to(until)
    else:
        _advance_until_ended(lab, until)
    return _clock(lab, Request({}, None))


def _advance_until_ended(lab: Lab, until: datetime) -> None:
    """Event by event, until one of the things that are or come under way has ended, at the latest at `until`."""
    seen = under_way(lab)
    while (soonest := lab.clock.soonest()) is not None and soonest <= until:
        lab.clock.advance_to(max(soonest, lab.clock.now()))
        left = under_way(lab)
        if seen - left:
            return
        seen = left
    lab.clock.advance_to(until)


def _opens(lab: Lab) -> str | None:
    """When the next window begins, of those that are enabled."""
    windows = (window for location in lab.locations() for window in location.windows.values())
    soonest = min((one.next_execution for one in windows if one.next_execution is not None), default=None)
    return stamp(soonest) if soonest is not None else None


def under_way(lab: Lab) -> set[str]:
    """Ids of the executions that run or wait for their turn and of the images that are not available yet."""
    found: set[str] = set()
    for location in lab.locations():
        found |= {*location.running_executions, *location.queued_executions}
        found |= {image.id for image in location.ec2.amis.values() if image.state == "pending"}
    return found


def _moment(text: Any) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Refusal(400, f"to: expected a time such as 2025-06-03T02:00:00Z, found {text!r}") from None
    if when.tzinfo is None:
        raise Refusal(400, f"to: expected a time with its zone, such as {text}Z, found {text!r}")
    return when.astimezone(UTC)


def _span(unit: str, amount: Any, now: datetime) -> timedelta:
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount >= 0:
        raise Refusal(400, f"{unit}: expected a number of 0 or more (the clock only goes forward), found {amount!r}")
    try:
        span = timedelta(**{unit: amount})
        now + span
    except OverflowError:
        raise Refusal(400, f"{unit}: {amount!r} is beyond the calendar's end") from None
    return span


def _faults(faults: Faults, request: Request) -> Any:
    request.known()
    return {"rules": faults.shown()}


def _set_faults(faults: Faults, request: Request, *, replaced: bool) -> Any:
    body = request.fields("rules", "aws_rates")
    rates = body.get("aws_rates", False)
    if not isinstance(rates, bool):
        raise Refusal(400, f"aws_rates: expected true or false, found {rates!r}")
    rules = [*parse_rules(body.get("rules", [])), *(aws_rates() if rates else ())]
    if replaced:
        faults.clear()
    faults.add(*rules)
    return {"rules": faults.shown()}


def _clear_faults(faults: Faults, request: Request) -> Any:
    request.known()
    faults.clear()
    return {"rules": []}


def _rules(lab: Lab, request: Request) -> Any:
    request.known()
    return {"rules": [rule.model_dump() for rule in lab.rules]}


def _set_rules(lab: Lab, request: Request, *, replaced: bool) -> Any:
    raw = request.fields("rules").get("rules")
    if not isinstance(raw, list):
        raise Refusal(400, f"rules: expected a list, found {raw!r}")
    rules = []
    for number, item in enumerate(raw, start=1):
        try:
            rules.append(Rule.model_validate(item))
        except ValidationError as error:
            raise Refusal(400, "; ".join(f"rule {number}, {problem}" for problem in explain(error))) from error
    if replaced:
        lab.rules.clear()
    for rule in rules:
        lab.rules.add(rule)
    return {"rules": [rule.model_dump() for rule in lab.rules]}


def _clear_rules(lab: Lab, request: Request) -> Any:
    request.known()
    lab.rules.clear()
    return {"rules": []}


def _settings(lab: Lab, request: Request) -> Any:
    request.known()
    return asdict(lab.settings)


_SETTINGS = TypeAdapter(Settings)
_PROBABILITIES = ("notification_drop", "notification_repeat")


def _change_settings(lab: Lab, request: Request) -> Any:
    wanted = request.fields(*(field.name for field in fields(Settings)))
    try:
        changed = _SETTINGS.validate_python({**asdict(lab.settings), **wanted})
    except ValidationError as error:
        raise Refusal(400, "; ".join(explain(error))) from error
    for name, value in asdict(changed).items():
        if isinstance(value, int | float) and (value < 0 or (name in _PROBABILITIES and value > 1)):
            raise Refusal(400, f"{name}: expected {'0 to 1' if name in _PROBABILITIES else '0 or more'}, found {value}")
    lab.settings = changed
    return asdict(lab.settings)


def _calls(record: CallRecord, request: Request) -> Any:
    request.known("service", "operation", "account", "region", "mutating", "last")
    wanted: dict[str, Any] = {name: value for name, value in request.query.items() if name != "last"}
    if "mutating" in wanted:
        if wanted["mutating"] not in ("true", "false"):
            raise Refusal(400, f"mutating: expected true or false, found {wanted['mutating']!r}")
        wanted["mutating"] = wanted["mutating"] == "true"
    counts = record.counts(**wanted)
    last = {"last": record.last(request.number("last", 0))} if "last" in request.query else {}
    return {"total": sum(row["count"] for row in counts), "counts": counts, **last}


def _clear_calls(record: CallRecord, request: Request) -> Any:
    request.known()
    record.clear()
    return {"total": 0, "counts": []}


def _state(lab: Lab, request: Request) -> Any:
    request.known()
    events = lab.clock.pending()
    return {
        "now": stamp(lab.clock.now()),
        "events": len(events),
        "next_events": [{"when": stamp(event.when), "label": event.label} for event in events[:10]],
        "locations": [_counts(location) for location in lab.locations()],
    }


def _counts(location: Location) -> dict[str, Any]:
    own_images = [image for image in location.ec2.amis.values() if image.owner_id == location.account]
    return {
        "account": location.account,
        "region": location.region,
        "nodes": len(location.nodes),
        "windows": len(location.windows),
        "executions": len(location.executions),
        "executions_running": len(location.running_executions) + len(location.queued_executions),
        "commands": len(location.commands),
        "automations": len(location.automations),
        "baselines": sum(not baseline.aws_owned for baseline in location.baselines.values()),
        "images": len(own_images),
        "snapshots": len(location.ec2.snapshots),
        "instances": sum(len(one.instances) for one in location.ec2.reservations.values()),
    }


def _reset(lab: Lab, reset: Callable[[], None], request: Request) -> Any:
    if request.body not in (None, {}):
        raise Refusal(400, f"a reset takes no body, found {request.body!r}")
    reset()
    return _clock(lab, Request({}, None))
