"""What AWS counts: per account and Region, per baseline, per window (general/latest/gr/ssm.html, B:ssm)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

from sluice.core.policy.baselines import Baseline, Filters
from sluice.core.policy.desired import steps_apart
from sluice.core.policy.lint.runs import open_times
from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.slots import MAX_SLOTS, slots
from sluice.core.yaml_text import Path

BASELINES = 50
RULES = 10
FILTERS = 4
VALUES = 20
SOURCES = 20
GROUPS = 25
WINDOWS = 50
CONCURRENT = 5
"""Windows that AWS runs at once in an account and Region, unless it has raised the quota (L-26BF3FE6)."""

FILTER_KEYS = ("product", "product_family", "classification", "severity", "priority", "section", "patch_set")


def check(subject: Subject) -> Iterator[Found]:
    """Every quota."""
    policy = subject.policy
    if len(policy.baselines) > BASELINES:
        yield Found(
            "P111",
            ("baselines", BASELINES),
            f"expected at most {BASELINES} baselines in an account and Region, found {len(policy.baselines)}: "
            "let groups share baselines, or have AWS raise the quota and waive this",
        )
    windows = len(policy.windows) + sum(len(steps_apart(policy, window)) for window in policy.windows)
    if windows > WINDOWS:
        yield Found(
            "P116",
            ("windows", min(WINDOWS, len(policy.windows) - 1)),
            f"expected at most {WINDOWS} windows in an account and Region, found {windows}, with those of automations"
            " and functions: join windows, or split the locations into deployments",
        )
    for index, baseline in enumerate(policy.baselines):
        yield from _baseline(subject, index, baseline)
    yield from _slots(subject)
    yield from _concurrent(subject)


def _baseline(subject: Subject, index: int, baseline: Baseline) -> Iterator[Found]:
    at: Path = ("baselines", index)
    if len(baseline.rules) > RULES:
        yield Found(
            "P112",
            (*at, "rules", RULES),
            f"expected at most {RULES} rules, found {len(baseline.rules)}: join rules that approve alike",
        )
    if len(baseline.sources) > SOURCES:
        yield Found(
            "P119",
            (*at, "sources", SOURCES),
            f"expected at most {SOURCES} repositories, found {len(baseline.sources)}: remove some",
        )
    groups = subject.groups_of_baseline[baseline.name]
    if len(groups) > GROUPS:
        yield Found(
            "P115",
            at,
            f"expected at most {GROUPS} patch groups of a baseline, found {len(groups)}: "
            "give some groups a second baseline with the same rules",
        )
    yield from _filters(baseline.filters, (*at, "filters"))
    for number, rule in enumerate(baseline.rules):
        yield from _filters(rule, (*at, "rules", number))


def _filters(filters: Filters, at: Path) -> Iterator[Found]:
    given = [key for key in FILTER_KEYS if getattr(filters, key)]
    if len(given) > FILTERS:
        yield Found(
            "P113", at, f"expected at most {FILTERS} filters, found {len(given)} ({', '.join(given)}): remove some"
        )
    for key in given:
        values = getattr(filters, key)
        if not isinstance(values, str) and len(values) > VALUES:
            yield Found(
                "P114",
                (*at, key),
                f"expected at most {VALUES} values, found {len(values)}: split the rule, or use `*`",
            )


def _slots(subject: Subject) -> Iterator[Found]:
    for index, window in enumerate(subject.policy.windows):
        count = len(slots(subject.policy, window))
        if count > MAX_SLOTS:
            yield Found(
                "P117",
                ("windows", index, "patch_groups"),
                f"expected at most {MAX_SLOTS} slots, found {count}: a slot is a task of the window, one per patch "
                f"group{' and OS product' if window.installs else ''}, and a window has {MAX_SLOTS} tasks; give some "
                "patch groups a window of their own",
            )


def _concurrent(subject: Subject) -> Iterator[Found]:
    """At which moment of the next year the most windows are open. One that ends when another starts is closed."""
    if not CONCURRENT < len(subject.policy.windows) <= WINDOWS:  # more than that is refused anyway
        return
    moments = sorted(
        chain.from_iterable(
            ((start, 1, index), (end, 0, index))
            for index, window in enumerate(subject.policy.windows)
            for start, end in open_times(window, subject.today)
        )
    )
    found = _most(moments)
    if len(found[1]) > CONCURRENT:
        when, indexes = found
        names = ", ".join(subject.policy.windows[index].name for index in sorted(indexes))
        yield Found(
            "P118",
            ("windows", max(indexes), "schedule"),
            f"expected at most {CONCURRENT} windows open at once (AWS runs no more in an account and Region), found "
            f"{len(indexes)} on {when:%Y-%m-%d} at {when:%H:%M} UTC ({names}): "
            "move some, or have AWS raise the quota and waive this",
        )


def _most(moments: list[tuple[datetime, int, int]]) -> tuple[datetime, frozenset[int]]:
    """The first moment at which the most windows are open, and which."""
    open_now: dict[int, int] = {}
    best: tuple[datetime, frozenset[int]] = (datetime.min.replace(tzinfo=UTC), frozenset())
    for when, starts, index in moments:
        open_now[index] = open_now.get(index, 0) + (1 if starts else -1)
        if not open_now[index]:
            del open_now[index]
        if len(open_now) > len(best[1]):
            best = (when, frozenset(open_now))
    return best
