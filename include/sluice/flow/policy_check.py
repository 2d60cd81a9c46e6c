"""The policy as whoever acts on it needs it: checked first, since what has errors is neither planned nor applied."""

from __future__ import annotations

from datetime import date

from sluice.core.errors import SluiceError
from sluice.core.policy.lint import Finding, lint
from sluice.core.policy.load import Loaded
from sluice.core.policy.policy import Policy
from sluice.files import examine_policy


def examined(path: str | None, today: date) -> tuple[Loaded | None, list[Finding]]:
    """What is sound of the policy at a path, or of that where it is, and everything that is found, by file and line.

    `today` is the day on which waivers and exceptions have to hold.
    """
    problems, loaded = examine_policy(path)
    found = {Finding(one.code, "error", one.place, one.message, None) for one in problems}
    found |= set(lint(loaded, today) if loaded else ())
    return loaded, sorted(found, key=lambda one: (one.place.file, one.place.line, one.code, one.message))


def sound_policy(path: str | None, today: date) -> Policy:
    """The policy, if the check finds no error in it; as `examined`. Raises SluiceError with all errors."""
    loaded, findings = examined(path, today)
    errors = [one for one in findings if one.kind == "error" and not one.waived_until]
    if errors or loaded is None:
        lines = "\n".join(f"{one.place}: {one.code} error: {one.message}" for one in errors)
        raise SluiceError(f"the policy has errors; nothing was read or changed in AWS\n{lines}")
    return loaded.policy
