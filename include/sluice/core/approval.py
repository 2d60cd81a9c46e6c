"""When a baseline's rules approve a patch: AWS's approval delays, and nothing but them.

- The delay counts from the patch's date and ends strictly after `approve_after_days` of 24 hours, whatever
  day the patch came to any node. A Windows patch that is re-issued has a new date: its delay restarts.
- `approve_until` approves what is dated up to the end of that day (UTC), at once.
- Debian, Ubuntu and Raspberry Pi OS know no delay: what a rule fits is approved at once.
- CentOS's repositories name no classification and no severity: only a rule with `non_security` approves, and
  its filters do nothing.

As the node's agent was read to decide for yum, dnf and apt; taken for the same on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sluice.core.policy.baselines import Baseline, Filters, OperatingSystem, Rule
from sluice.core.policy.rings import SEVERITIES

SEVERITY_OF = {
    "critical": "critical",
    "important": "important",
    "moderate": "medium",
    "medium": "medium",
    "low": "low",
    "unspecified": "unknown",
    "none": "unknown",
}
"""The distributions' words for severity, in small letters, and the policy's."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as far as approval rules look at it; what is None fits every filter."""

    os: OperatingSystem
    severity: str
    """One of the policy's, see `rings.SEVERITIES`."""
    classification: str | None = None

    @classmethod
    def security(cls, os: OperatingSystem, severity: str) -> Patch:
        """A security update, in the operating system's own word; Debian's family has none for it."""
        words = {OperatingSystem.WINDOWS: "SecurityUpdates"}
        return cls(os, severity, words.get(os, "Security") if os.has_delay else None)


def rules_for(baseline: Baseline, patch: Patch) -> tuple[Rule, ...]:
    """The rules that the patch fits, global filters too; none for another operating system's patch."""
    if baseline.system is not patch.os or not _fits(baseline.filters, patch):
        return ()
    return tuple(rule for rule in baseline.rules if _rule_fits(rule, patch))


def approved_after(baseline: Baseline, patch: Patch, issued: datetime) -> datetime | None:
    """The moment after which (not at which) the baseline approves what was issued then; None: never."""
    moments = (_rule_after(rule, patch, issued) for rule in rules_for(baseline, patch))
    return min((moment for moment in moments if moment is not None), default=None)


def _rule_after(rule: Rule, patch: Patch, issued: datetime) -> datetime | None:
    if not patch.os.has_delay:
        return issued
    if rule.approve_until is not None:
        end = datetime.combine(rule.approve_until, time.min, UTC) + timedelta(days=1)
        return issued if issued < end else None
    return issued + timedelta(days=rule.approve_after_days or 0)


def _rule_fits(rule: Rule, patch: Patch) -> bool:
    if patch.os is OperatingSystem.CENTOS:
        return rule.non_security
    return _fits(rule, patch)


def _fits(filters: Filters, patch: Patch) -> bool:
    if patch.os is OperatingSystem.CENTOS:
        return True
    classes = {_plain(word) for word in filters.classification}
    class_fits = not classes or patch.classification is None or bool(classes & {_plain(patch.classification), "*"})
    return patch.severity in severities(filters) and class_fits


def severities(filters: Filters) -> tuple[str, ...]:
    """The severities that a rule or global filters fit, in the policy's words; none by a word that nobody has."""
    words = {_plain(word) for word in filters.severity}
    if not words or "*" in words:
        return SEVERITIES
    named = {SEVERITY_OF.get(word) for word in words}
    return tuple(severity for severity in SEVERITIES if severity in named)


def _plain(word: str) -> str:
    return word.casefold().replace(" ", "")
