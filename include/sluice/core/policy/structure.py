"""What has to hold between the parts of a policy before anything else can be said of it.

    P020 a name given twice                     P024 an unknown window in `replaces`, or one it cannot replace
    P021 an unknown ring                        P025 soak where nothing comes before
    P022 an unknown baseline                    P026 a production ring without the soak that its releases demand
    P023 an unknown patch group                 P027 production rings that do not come last
                                                P028 soak in a ring that is not production

Whether it is also wise is the lint's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from sluice.core.policy.policy import Policy
from sluice.core.policy.rest import Parts
from sluice.core.policy.windows import Window
from sluice.core.yaml_text import Path

Problem: TypeAlias = tuple[str, Path, str]
"""Code, path and message."""

BY_NAME = frozenset({"P020", "P021", "P022", "P023", "P024"})
"""Names that stand for nothing, or for two things: everything else looks parts up by them."""

PARTS: Mapping[str, Parts] = {
    "P020": Parts("."),
    "P021": Parts(". rings.*.name"),
    "P022": Parts(". baselines.*.name"),
    "P023": Parts(". patch_groups.*.name"),
    "P024": Parts(". item.operation item.patch_groups windows.*.name windows.*.operation windows.*.replaces"),
    "P025": Parts(". rings.*.name"),
    "P026": Parts("item.soak item.production rings.*.name"),
    "P027": Parts("rings.*.name rings.*.production"),
    "P028": Parts("item.name item.soak item.production"),
}
"""By which parts each judges."""


def structure(policy: Policy) -> list[Problem]:
    """All that does not fit together, in no particular order."""
    return [
        *_names(policy),
        *_rings(policy),
        *_patch_groups(policy),
        *_windows(policy),
        *_exceptions(policy),
    ]


def _names(policy: Policy) -> Iterator[Problem]:
    for key in ("rings", "baselines", "patch_groups", "windows"):
        yield from _twice(key, [part.name for part in getattr(policy, key)], "name")
    yield from _twice("locations", [location.key for location in policy.locations], "account")


def _twice(key: str, names: Sequence[str], member: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield "P020", (key, index, member), f"expected each name once, found {name!r} again: rename or remove it"
        seen.add(name)


def _rings(policy: Policy) -> Iterator[Problem]:
    first = policy.rings[0]
    if first.soak is not None:
        yield (
            "P025",
            ("rings", 0, "soak"),
            "expected no soak in the first ring, as no ring comes before it to soak in: remove it",
        )
    for index, ring in enumerate(policy.rings[1:], start=1):
        before = policy.rings[index - 1]
        if ring.production and ring.soak is None:
            yield (
                "P026",
                ("rings", index),
                f"expected soak, the days that patches stay in {before.name} first, found none: add `soak: 7`",
            )
        if ring.soak is not None and not ring.production:
            message = (
                f"expected soak in production rings only, found it in {ring.name}: only their windows have a manifest "
                "and a gate, so nothing would hold patches back here; add `production: true`, or leave soak out"
            )
            yield "P028", ("rings", index, "soak"), message
        if before.production and not ring.production:
            yield (
                "P027",
                ("rings", index, "production"),
                f"expected production rings last, found {ring.name} after {before.name}: put it before that",
            )
    if first.production:
        yield (
            "P027",
            ("rings", 0, "production"),
            "expected a ring that is not production first, found none: patches need somewhere to soak, so add one",
        )


def _patch_groups(policy: Policy) -> Iterator[Problem]:
    rings = [ring.name for ring in policy.rings]
    baselines = [baseline.name for baseline in policy.baselines]
    for index, group in enumerate(policy.patch_groups):
        path: Path = ("patch_groups", index)
        if group.ring not in rings:
            yield _unknown("P021", (*path, "ring"), "ring", group.ring, rings)
        for item, name in enumerate(group.baselines):
            if name not in baselines:
                yield _unknown("P022", (*path, "baselines", item), "baseline", name, baselines)
        yield from _twice_in((*path, "baselines"), group.baselines)
        yield from _twice_in((*path, "products"), group.products)


def _windows(policy: Policy) -> Iterator[Problem]:
    groups = [group.name for group in policy.patch_groups]
    for index, window in enumerate(policy.windows):
        path: Path = ("windows", index)
        if window.patch_groups != "all":
            for item, name in enumerate(window.patch_groups):
                if name not in groups:
                    yield _unknown("P023", (*path, "patch_groups", item), "patch group", name, groups)
            yield from _twice_in((*path, "patch_groups"), window.patch_groups)
        yield from _twice_in((*path, "replaces"), window.replaces)
        for item, name in enumerate(window.replaces):
            yield from _replaced(policy, window, (*path, "replaces", item), name)


def _replaced(policy: Policy, window: Window, path: Path, name: str) -> Iterator[Problem]:
    others = {other.name: other for other in policy.windows if other.name != window.name}
    other = others.get(name)
    if other is None:
        yield _unknown("P024", path, "window other than itself", name, list(others))
    elif other.operation != window.operation:
        message = f"expected a window that does {window.operation} too, found {name}, which does {other.operation}"
        yield "P024", path, f"{message}: remove it"
    elif window.name in other.replaces:
        yield "P024", path, f"expected one of two windows to replace the other, found {name} replacing it too: keep one"
    if window.patch_groups == "all":
        yield "P024", path, f"expected patch_groups that it takes from {name}, found all of them: name some"


def _exceptions(policy: Policy) -> Iterator[Problem]:
    groups = [group.name for group in policy.patch_groups]
    for index, exception in enumerate(policy.exceptions):
        for item, name in enumerate(exception.patch_groups):
            if name not in groups:
                yield _unknown("P023", ("exceptions", index, "patch_groups", item), "patch group", name, groups)


def _twice_in(path: Path, names: Sequence[str]) -> Iterator[Problem]:
    for item, name in enumerate(names):
        if name in names[:item]:
            yield "P020", (*path, item), f"expected each name once, found {name!r} again: remove it"


def _unknown(code: str, path: Path, what: str, name: str, known: Sequence[str]) -> Problem:
    close = get_close_matches(name, known, n=1)
    if close:
        advice = f"did you mean {close[0]!r}?"
    else:
        advice = f"there are {', '.join(known)}" if known else "there are none, add it"
    return code, path, f"expected a {what} of this policy, found {name!r}: {advice}"
