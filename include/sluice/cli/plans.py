"""What `plan`, `apply` and `destroy` share: their options, and printing plans."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sluice.cli.colours import Colour, Colours
from sluice.core.errors import SluiceError

if TYPE_CHECKING:
    from sluice.aws.locations import Outcome
    from sluice.aws.planned_calls import PlannedCall
    from sluice.aws.session import Connection
    from sluice.core.policy.places import Location
    from sluice.core.policy.plan import Action, Change, Plan, Step
    from sluice.core.policy.policy import Policy

_SIGNS: Mapping[Action, tuple[str, Colour]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
}
_BY_NAME = ("target", "task")
"""Nouns whose new objects are told by their name alone: a window may have forty, all alike. JSON has their fields."""

_printing = threading.Lock()


def add_options(command: argparse.ArgumentParser) -> None:
    """`--policy` and `--location`."""
    command.add_argument("--policy", metavar="PATH", help="a file or folder; else SLUICE_POLICY, else include/policy")
    command.add_argument(
        "--location",
        action="append",
        default=[],
        metavar="ACCOUNT/REGION",
        help="only this location of the policy; may be given again",
    )


def add_take_over(command: argparse.ArgumentParser) -> None:
    """`--take-over`."""
    command.add_argument(
        "--take-over",
        action="append",
        default=[],
        metavar="GROUP",
        help="agree to change what others have on this patch group, as the plan says; may be given again",
    )


def sound_policy(options: argparse.Namespace) -> Policy:
    """The policy that `--policy` names, if the check finds no error in it. Raises SluiceError."""
    from sluice.cli.words import now
    from sluice.flow import policy_check

    return policy_check.sound_policy(options.policy, now().date())


def chosen(policy: Policy, options: argparse.Namespace) -> tuple[Location, ...]:
    """The locations that `--location` names, all without it. Raises SluiceError for one that the policy has not."""
    from sluice.core.policy import places

    return places.chosen(policy.locations, options.location)


def announce(connection: Connection) -> None:
    """Say where and as whom, before anything is done there."""
    with _printing:
        print(f"{connection.key}: as {connection.arn} at {connection.endpoint()}", file=sys.stderr, flush=True)


def announce_waiting(locations: Sequence[Location]) -> None:
    """Say who holds up the others."""
    with _printing:
        print(f"waiting for {', '.join(location.key for location in locations)} …", file=sys.stderr, flush=True)


def announce_done(connection: Connection, steps: int) -> None:
    """Say that a location is as it was planned."""
    with _printing:
        print(f"{connection.key}: done, {steps} steps; what is there is what was planned", flush=True)


def announce_step(connection: Connection, step: Step) -> None:
    """Say what is done now."""
    with _printing:
        print(f"{connection.key}: {step.act} {for_terminal(str(step.key))}", flush=True)


def tell(connection: Connection, text: str) -> None:
    """Say what was done in a location; from several threads."""
    with _printing:
        print(f"{connection.key}: {for_terminal(text)}", flush=True)


class PlaceResult(Protocol):
    """What was done in a location."""

    @property
    def location(self) -> str:
        """`111111111111/eu-west-3`."""

    @property
    def left(self) -> Sequence[str]:
        """What could not be done, and why."""


def print_left(found: Iterable[PlaceResult], what: str) -> bool:
    """Say what could not be done, after a word for it (`not halted`); whether there was anything."""
    left = [(one.location, text) for one in found for text in one.left]
    for location, text in left:
        print(f"{location}: {what}: {for_terminal(text)}", file=sys.stderr)
    return bool(left)


def print_plans(
    outcomes: Sequence[Outcome[Plan]],
    agreed: Sequence[str] = (),
    calls: Mapping[str, Sequence[PlannedCall]] | None = None,
) -> None:
    """Every location's plan, or why there is none, and its `calls` if given; locations with the same one together."""
    colours = Colours(sys.stdout)
    alike: dict[tuple[str, ...], list[str]] = {}
    for outcome in outcomes:
        if outcome.value is None:
            lines: tuple[str, ...] = (f"{colours('failed', 'red')}: {why(outcome)}",)
        else:
            lines = (*_lines(outcome.value, colours, agreed), *_calls((calls or {}).get(outcome.key, ())))
        alike.setdefault(lines, []).append(outcome.key)
    for lines, keys in alike.items():
        print(colours(", ".join(keys), "bold"))
        for line in lines:
            print(f"  {line}")


def print_failures(outcomes: Sequence[Outcome[Any]]) -> bool:
    """A summary of the locations that failed, on standard error; whether there are any."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        print(f"{len(failed)} of {len(outcomes)} locations failed:", file=sys.stderr)
        for outcome in failed:
            print(f"  {outcome.key}: {why(outcome)}", file=sys.stderr)
    return bool(failed)


def why(outcome: Outcome[Any]) -> str:
    """Why a location failed, to be read after its name."""
    return for_terminal(str(outcome.error)).removeprefix(f"{outcome.key}: ")


def _lines(plan: Plan, colours: Colours, agreed: Sequence[str]) -> Iterator[str]:
    for change in plan.pending:
        sign, colour = _SIGNS[change.action]
        line = f"{sign} {change.action} {for_terminal(str(change.key))}"
        yield colours(line, colour) + _needed(change.take_over, agreed)
        yield from (f"    {line}" for line in _fields(change))
    for notice in plan.notices:
        needs = _needed(", ".join(notice.take_over) or None, agreed)
        line = f"! {notice.kind} {notice.id} {for_terminal(notice.name)!r}: {for_terminal(notice.effect)}"
        yield colours(line, "yellow") + needs
    yield summary(plan)


def _calls(calls: Sequence[PlannedCall]) -> Iterator[str]:
    if calls:
        yield f"calls that change something, in their order ({len(calls)}):"
    width = max((len(one.name) for one in calls), default=0)
    for number, one in enumerate(calls, 1):
        yield f"  {number:>3}  {one.name:<{width}}  {for_terminal(str(one.step.key))}"


def _needed(take_over: str | None, agreed: Sequence[str]) -> str:
    missing = [name for name in (take_over or "").split(", ") if name and name not in agreed]
    return "".join(f" (needs --take-over {for_terminal(name)!r})" for name in missing)


def _fields(change: Change) -> Iterator[str]:
    if change.action == "delete" or (change.action == "create" and change.key.noun in _BY_NAME):
        return
    width = max((len(one.field) for one in change.differences), default=0)
    for one in change.differences:
        before = "" if change.action == "create" else f"{_value(one.before)} -> "
        yield f"{one.field:<{width}}  {before}{_value(one.after)}"


def _value(text: str | None) -> str:
    return "(none)" if text is None else for_terminal(text)


def summary(plan: Plan) -> str:
    """`2 to create, 1 to update, 0 to delete, 18 unchanged`."""
    words = ", ".join(f"{plan.count(action)} to {action}" for action in _SIGNS)
    return f"{words}, {plan.count('unchanged')} unchanged"


def as_json(outcome: Outcome[Plan], calls: Sequence[PlannedCall] = ()) -> dict[str, Any]:
    """A location's plan as JSON has it, with the calls that it makes."""
    shown: dict[str, Any] = {
        "location": outcome.key,
        "caller": outcome.connection.arn if outcome.connection else None,
        "endpoint": outcome.connection.endpoint() if outcome.connection else None,
        "error": str(outcome.error) if outcome.error else None,
    }
    if outcome.value is None:
        return shown
    plan = outcome.value
    return {
        **shown,
        "counts": {action: plan.count(action) for action in ("create", "update", "delete", "unchanged")},
        "needs": list(plan.needs()),
        "changes": [
            {
                "action": change.action,
                "object": change.key.noun,
                "name": change.key.name,
                "id": change.found.id if change.found else None,
                "take_over": change.take_over,
                "fields": [
                    {"field": one.field, "before": one.before, "after": one.after} for one in change.differences
                ],
            }
            for change in plan.pending
        ],
        "notices": [
            {
                "kind": notice.kind,
                "id": notice.id,
                "name": notice.name,
                "effect": notice.effect,
                "take_over": list(notice.take_over),
            }
            for notice in plan.notices
        ],
        "calls": [
            {
                "call": one.name,
                "object": one.step.key.noun,
                "name": one.step.key.name,
                "parameters": dict(one.parameters),
            }
            for one in calls
        ],
    }


def for_terminal(text: str) -> str:
    """Text that comes from AWS, with a mark in place of each sign that a terminal would obey: nothing is hidden."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def agreed_to(question: str, expected: str) -> bool:
    """Ask; only `expected` is a yes. Raises SluiceError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise SluiceError("expected a person to ask, found none: nothing was changed; --yes goes without asking")
    try:
        return input(f"{question} ").strip() == expected
    except EOFError:
        return False
