"""What filters say: keys and values of the operating system, and what they leave out or let through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import Baseline, Filters
from sluice.core.policy.lint.quotas import FILTER_KEYS
from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.patch_filters import ANY, APPLICATION, VOCABULARIES, filter_product
from sluice.core.yaml_text import Path

_OPEN = frozenset({"product", "product_family"})
"""Keys whose values AWS adds to."""


def check(subject: Subject) -> Iterator[Found]:
    """The filters of every baseline and rule."""
    for index, baseline in enumerate(subject.policy.baselines):
        at: Path = ("baselines", index)
        parts = [(baseline.filters, (*at, "filters"))]
        parts += [(rule, (*at, "rules", number)) for number, rule in enumerate(baseline.rules)]
        for filters, path in parts:
            yield from _keys(baseline, filters, path)
            yield from _values(baseline, filters, path)
        yield from _everything(baseline, at)
        yield from _left_out(subject, baseline, at)


def _keys(baseline: Baseline, filters: Filters, path: Path) -> Iterator[Found]:
    known = VOCABULARIES[baseline.os].keys
    for key in FILTER_KEYS:
        if getattr(filters, key) and key not in known:
            yield Found(
                "P121",
                (*path, key),
                f"expected a filter of {baseline.os} ({', '.join(known)}), found {key}: {_instead(key, known)}",
            )


def _instead(key: str, known: tuple[str, ...]) -> str:
    if key in ("classification", "severity") and "priority" in known:
        return "remove it; apt knows priority and section, and takes what comes from a security repository"
    return "remove it"


def _values(baseline: Baseline, filters: Filters, path: Path) -> Iterator[Found]:
    vocabulary = VOCABULARIES[baseline.os]
    applications = filters.patch_set == APPLICATION
    for key in ("product", "product_family", "classification", "severity", "priority"):
        if key not in vocabulary.keys:
            continue
        valid = vocabulary.values(key, applications=applications)
        for value in getattr(filters, key):
            if value != ANY and value not in valid:
                new = key in _OPEN and _may_be_new(value, valid, None if applications else vocabulary.stem)
                yield _bad_value(baseline, key, value, valid, new=new, path=(*path, key))


def _bad_value(baseline: Baseline, key: str, value: str, valid: tuple[str, ...], *, new: bool, path: Path) -> Found:
    close = get_close_matches(value, valid, n=1)
    hint = f"did you mean {close[0]}?" if close else "take one of these"
    shown = ", ".join(valid if len(valid) <= 12 else (*valid[:6], "…", *valid[-3:]))
    if new:
        return Found(
            "P123",
            path,
            f"expected a {key} of {baseline.os} that is known here ({shown}), found {value!r}: make sure that "
            "DescribePatchProperties lists it in your Regions, since AWS adds some over time",
        )
    return Found("P122", path, f"expected a {key} of {baseline.os} ({shown}), found {value!r}: {hint}")


def _may_be_new(value: str, valid: tuple[str, ...], stem: str | None) -> bool:
    """Whether it is spelled as the products are, so that only its version is not known."""
    if stem and re.fullmatch(re.escape(stem) + r"(Server)?\d[\w.]*", value):
        return True
    return any(re.sub(r"\d+$", "", value) == re.sub(r"\d+$", "", known) for known in valid if known[-4:].isdigit())


def _everything(baseline: Baseline, at: Path) -> Iterator[Found]:
    """A rule without a filter but products approves whatever is published."""
    own = [key for key in FILTER_KEYS if _narrows(getattr(baseline.filters, key)) and key != "product"]
    for number, rule in enumerate(baseline.rules):
        narrow = [key for key in FILTER_KEYS if _narrows(getattr(rule, key)) and key not in ("product", "patch_set")]
        if not own and not narrow and baseline.os not in ("CENTOS", "DEBIAN", "UBUNTU", "RASPBIAN"):
            yield Found(
                "P124",
                (*at, "rules", number),
                "expected a rule to say which patches it approves, found no classification and no severity: "
                "name them, or keep it and waive this where everything is meant",
            )


def _narrows(values: tuple[str, ...] | str | None) -> bool:
    return bool(values) and values != (ANY,)


def _left_out(subject: Subject, baseline: Baseline, at: Path) -> Iterator[Found]:
    """OS products that the baseline serves and that none of its rules is for; one without version is every version."""
    operating = [rule for rule in baseline.rules if rule.patch_set != APPLICATION]
    if not operating:
        return
    served = {
        product: group.name
        for group in subject.groups_of_baseline[baseline.name]
        for product in group.products
        if operating_system(product) == baseline.os and product != baseline.os
    }
    for product, group in sorted(served.items()):
        spelled = filter_product(product)
        if not any(_covers(rule.product, spelled) and _covers(baseline.filters.product, spelled) for rule in operating):
            yield Found(
                "P125",
                at,
                f"expected a rule for {product} (patch group {group}), found rules for other products: add "
                f"{spelled} to a rule, or nothing is ever approved there",
            )


def _covers(products: tuple[str, ...], spelled: str) -> bool:
    if not products or ANY in products:
        return True
    return any(one == spelled or one.startswith(f"{spelled}.") or spelled.startswith(f"{one}.") for one in products)
