"""Automation, Lambda and Step Functions: state transitions whose outcome a rule gives (`lab.rules`).

The lab runs none of their code: an automation is in progress for the rule's seconds and then has the
rule's outcome; without a rule it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.clock import Event
from lab.rules import Kind, Rule
from lab.world import Location

HISTORY_SECONDS = 30 * 86400


@dataclass(slots=True, eq=False)
class Automation:
    """One execution of an Automation document."""

    automation_id: str
    document: str
    parameters: dict[str, list[str]]
    started: datetime
    targets: list[dict[str, Any]] = field(default_factory=list)
    target_parameter: str | None = None
    status: str = "InProgress"
    failure: str | None = None
    ended: datetime | None = None
    event: Event | None = None
    on_done: Callable[[Automation], None] | None = None


def start_automation(
    location: Location,
    document: str,
    parameters: dict[str, list[str]],
    targets: list[dict[str, Any]] | None = None,
    target_parameter: str | None = None,
    on_done: Callable[[Automation], None] | None = None,
) -> Automation:
    """Start an automation; `on_done` is called once when it has ended."""
    lab = location.lab
    automation = Automation(
        lab.guid(), document, parameters, lab.clock.now(), targets or [], target_parameter, on_done=on_done
    )
    location.automations[automation.automation_id] = automation
    rule = _rule(location, "automation", document)
    automation.event = location.schedule(rule.seconds, lambda: end_automation(location, automation, rule.outcome))
    return automation


def end_automation(location: Location, automation: Automation, status: str) -> None:
    """Give an automation its final status; one that has ended keeps the one it has."""
    if automation.ended is not None:
        return
    if automation.event is not None:
        automation.event.cancel()
    automation.status, automation.ended = status, location.lab.clock.now()
    if status in ("Failed", "TimedOut"):
        automation.failure = f"Step run of {automation.document} ended as {status}, as a rule of the lab says."
    location.schedule(HISTORY_SECONDS, lambda: location.automations.pop(automation.automation_id, None))
    if automation.on_done is not None:
        automation.on_done(automation)


def run_function(location: Location, kind: Kind, name: str, done: Callable[[str], None]) -> None:
    """Run a Lambda function or a state machine; `done` gets `Success`, `Failed`, `TimedOut` or `Cancelled`."""
    rule = _rule(location, kind, name)
    location.schedule(rule.seconds, lambda: done(rule.outcome))


def _rule(location: Location, kind: Kind, name: str) -> Rule:
    """The rule for a document, a function or a state machine, by its name or its ARN."""
    short = name.rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    rules = location.lab.rules
    return rules.first(kind, short) or rules.first(kind, name) or Rule(kind=kind, match="*")
