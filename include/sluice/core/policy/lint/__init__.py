"""The policy check: what is wrong or questionable in a policy whose keys, types and names are right.

    codes        every code: error or question, waivable or not
    subject      what the rules look at
    runs         when windows run, computed once
    quotas, filters, approvals, groups, windows, times, releases, places, exceptions, pilots    the rules, by what they
                 read

A rule is a pure function from a `Subject` to what it found. It knows neither files nor waivers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sluice.core.errors import Place
from sluice.core.policy.lint import (
    approvals,
    exceptions,
    filters,
    groups,
    pilots,
    places,
    quotas,
    releases,
    times,
    windows,
)
from sluice.core.policy.lint.codes import CODES, Code, Kind
from sluice.core.policy.lint.subject import Found, Rule, Subject
from sluice.core.policy.load import Loaded
from sluice.core.policy.policy import Policy
from sluice.core.yaml_model import opened

__all__ = ["CODES", "Code", "Finding", "lint"]

_RULES: tuple[Rule, ...] = (
    *(quotas.check, filters.check, approvals.check, groups.check, groups.platform_windows, windows.check),
    *(times.check, releases.check, places.check, exceptions.check, pilots.check),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the check found."""

    code: str
    kind: Kind
    place: Place
    message: str
    """Where in the policy, what was expected, what was found, what to do."""
    waived_until: date | None
    """The day up to and including which a waiver of the policy takes it out; None where none does."""


def lint(loaded: Loaded, today: date) -> list[Finding]:
    """Everything that the rules find in a policy on a day, by place; waived findings too, marked as such.

    `today` is the day (UTC) from which schedules are looked ahead and expiries counted. Of a policy that is the rest
    of a faulty one nothing is said that its faults may be the reason for. Raises nothing for a policy that
    `load_policy` or `examine` answered.
    """
    subject = Subject(loaded.policy, today)
    found = [one for rule in _RULES for one in rule(subject)]
    found += _unused_waivers(loaded.policy, {one.code for one in found})
    written = [Found(one.code, loaded.taken.written(one.path), one.message) for one in dict.fromkeys(found)]
    sure = [one for one in written if not CODES[one.code].parts.doubtful(one.path, loaded.taken.faulty)]
    waivers = _waivers(loaded.policy, today)
    return sorted(
        (_finding(loaded, one, waivers.get(one.code)) for one in sure),
        key=lambda finding: (finding.place.file, finding.place.line, finding.code, finding.message),
    )


def _finding(loaded: Loaded, found: Found, waived_until: date | None) -> Finding:
    code = CODES[found.code]
    where = loaded.sources.where(found.path)
    message = opened((where,) if where else (), found.message)
    return Finding(code.code, code.kind, loaded.sources.place(found.path), message, waived_until)


def _waivers(policy: Policy, today: date) -> dict[str, date]:
    """Until when each code is waived: the latest day of the waivers that are not over."""
    until: dict[str, date] = {}
    for exception in policy.exceptions:
        for code in exception.findings:
            if code in CODES and CODES[code].waivable and exception.holds(today):
                until[code] = max(exception.expires, until.get(code, exception.expires))
    return until


def _unused_waivers(policy: Policy, codes: set[str]) -> Iterator[Found]:
    for index, exception in enumerate(policy.exceptions):
        for number, code in enumerate(exception.findings):
            if code in CODES and CODES[code].waivable and code not in codes:
                yield Found(
                    "P215",
                    ("exceptions", index, "findings", number),
                    f"expected a finding {code} ({CODES[code].title}), found none: remove the waiver",
                )
