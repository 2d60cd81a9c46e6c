"""A person's answer: whether a release needs one, until when it can come, and whose counts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from math import ceil

from sluice.core.calendar import gate_of
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Window
from sluice.core.release.backup import deadline, mode
from sluice.core.release.terms import Asked

BACKUPS_TAKE = timedelta(hours=1)
"""What is left for images between an answer and the moment at which they have to be there."""
ANSWER_TAKES = timedelta(hours=1)
"""What a person who asks again is told to leave for the answer."""

UNASKED = "nobody was asked: no answer could come in time"
"""What a release says of it."""


def must_agree(*, production: bool, gate_asks: bool | None) -> bool:
    """Whether a person has to agree before anything opens.

    `gate_asks` is what the gate decided; None: none stands before it, and production always needs a person's word.
    """
    return production if gate_asks is None else gate_asks


def objection(
    approver: Collection[str], requester: str | None, approvers: Collection[str] = (), *, scheduled: bool = False
) -> str | None:
    """Why an approval does not count; None: it does. `approver` are the names and ids of who gave it; none: nobody.

    A `scheduled` run was asked for by the calendar, which approves nothing.
    """
    shown = ", ".join(sorted(approver))
    if not approver:
        return "expected an approval by a person, found nobody who gave it: nothing is applied"
    if not requester and not scheduled:
        return (
            f"{shown} approved, but who asked for this run is not known, so that they may be the same: nothing is"
            " applied. Trigger the DAG from Airflow's UI or API"
        )
    if requester in approver:
        return f"{requester} asked for this run and approved it: nothing is applied. Somebody else has to approve"
    if approvers and not set(approver) & set(approvers):
        return (
            f"expected an approval by {', '.join(approvers)} (`gate.approval.approvers`), found one by {shown}: nothing"
            " is applied"
        )
    return None


def latest_answer(policy: Policy, window: Window, asked: Asked, occurrence: datetime) -> datetime:
    """Until when an answer may come: what follows it has to fit before the window's latest start."""
    until = deadline(policy, window, occurrence)
    return until if mode(window, asked) == "off" else until - BACKUPS_TAKE


def time_to_answer(policy: Policy, window: Window, asked: Asked, occurrence: datetime, now: datetime) -> timedelta:
    """How long an answer may take from now: the policy's hours, less where the window comes first."""
    hours = timedelta(hours=gate_of(policy, window).approval.hours)
    return min(hours, latest_answer(policy, window, asked, occurrence) - now)


def ask_again(policy: Policy, window: Window, asked: Asked, now: datetime) -> str:
    """What to do where no answer could come in time."""
    missing = ANSWER_TAKES - (latest_answer(policy, window, asked, now) - now)
    if missing <= timedelta():
        return "trigger it again without an `occurrence`"
    minutes = ceil(missing / timedelta(minutes=1))
    return (
        f"trigger it again with an `occurrence` at least {minutes} minutes from now, which leaves"
        f" {ANSWER_TAKES // timedelta(minutes=1)} of them for the answer"
    )
