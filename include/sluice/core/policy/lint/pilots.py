"""What a policy with `pilot: true` may not say: it scans a few nodes, one at a time, and does nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.yaml_text import Path


def check(subject: Subject) -> Iterator[Found]:
    """Everything that goes beyond a pilot. What its location says against it, a plan finds out."""
    if subject.policy.pilot:
        yield from _whole(subject)
        yield from _windows(subject)


def _whole(subject: Subject) -> Iterator[Found]:
    policy = subject.policy
    if policy.mode != "observe":
        yield _found(("mode",), "mode: observe", policy.mode, "a pilot installs nothing")
    for index, ring in enumerate(policy.rings):
        if ring.production:
            yield _found(("rings", index), "no production ring", ring.name, "leave production alone")
    for index, baseline in enumerate(policy.baselines):
        if baseline.default:
            expected = "no default baseline, which serves everybody's nodes"
            yield _found(("baselines", index, "default"), expected, baseline.name, "remove it")
    extras = policy.extras
    if extras.config_rule or extras.data_sync_bucket:
        yield _found(("extras",), "nothing for the account as a whole", "extras", "leave them out")


def _windows(subject: Subject) -> Iterator[Found]:
    for index, window in enumerate(subject.policy.windows):
        path: Path = ("windows", index)
        if window.installs:
            yield _found((*path, "operation"), "operation: scan", window.operation, "a pilot installs nothing")
        if window.concurrency != "1":
            yield _found((*path, "concurrency"), "concurrency: 1", window.concurrency, "one node at a time")
        if window.patch_groups == "all":
            yield _found((*path, "patch_groups"), "the pilot's own patch groups", "all", "name them")


def _found(path: Path, expected: str, found: str, what: str) -> Found:
    message = f"expected {expected} in a pilot, found {found}: {what}; or remove `pilot` and look at the plan again"
    return Found("P232", path, message)
