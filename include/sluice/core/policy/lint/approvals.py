"""What baselines approve and when: delays against soaks, CentOS and apt, patches by name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sluice.core.approval import severities
from sluice.core.policy.baselines import Baseline, Rule
from sluice.core.policy.lint.subject import WINDOWS_OS, Found, Subject
from sluice.core.policy.rings import Ring
from sluice.core.yaml_text import Path

APT = ("DEBIAN", "UBUNTU", "RASPBIAN")
NOT_LINUX = (WINDOWS_OS, "MACOS")

WINDOWS_ID = re.compile(r"KB\d{4,8}|MS\d{2}-\d{3}")
NOTICE_ID = re.compile(r"CVE-\d{4}-\d+|(RHSA|RHBA|RHEA|ALAS\w*|ELSA|ELBA|RLSA|ALSA|SUSE-\w+)-.*\d.*", re.IGNORECASE)


def check(subject: Subject) -> Iterator[Found]:
    """What each baseline approves, and the default ones together."""
    defaults: dict[str, str] = {}
    for index, baseline in enumerate(subject.policy.baselines):
        at: Path = ("baselines", index)
        for number, rule in enumerate(baseline.rules):
            yield from _delay(subject, baseline, rule, (*at, "rules", number))
        yield from _centos(baseline, at)
        yield from _not_of_the_system(baseline, at)
        yield from _nothing(baseline, at)
        yield from _by_name(baseline, at)
        if baseline.default and defaults.setdefault(baseline.os, baseline.name) != baseline.name:
            yield Found(
                "P142",
                (*at, "default"),
                f"expected one default baseline of {baseline.os}, found {defaults[baseline.os]} and {baseline.name}: "
                "keep one",
            )


def _delay(subject: Subject, baseline: Baseline, rule: Rule, path: Path) -> Iterator[Found]:
    if baseline.os in APT:
        if rule.approve_after_days or rule.approve_until:
            key = "approve_after_days" if rule.approve_after_days else "approve_until"
            yield Found(
                "P131",
                (*path, key),
                f"expected no approval delay on {baseline.os}, whose repositories carry no dates, found {key}: remove "
                "it. What holds a patch back there is the soak: the ledger lets production have a version only after "
                "the days of its ring's soak on non-production nodes",
            )
    elif rule.approve_after_days is None and rule.approve_until is None:
        yield Found(
            "P132",
            path,
            f"expected approve_after_days or approve_until, which AWS requires on {baseline.os}, found neither: "
            "write approve_after_days: 0 if nothing is to wait",
        )
    elif rule.approve_until is not None:
        yield from _fixed_date(rule, path)
    else:
        yield from _against_soak(subject, baseline, rule, path)


def _fixed_date(rule: Rule, path: Path) -> Iterator[Found]:
    yield Found(
        "P139",
        (*path, "approve_until"),
        f"expected a delay that moves on with time, found the fixed day {rule.approve_until}: what is published "
        "after it is never approved; move it on, or use approve_after_days",
    )


def _against_soak(subject: Subject, baseline: Baseline, rule: Rule, path: Path) -> Iterator[Found]:
    days = rule.approve_after_days or 0
    fitting = severities(rule)
    if not fitting:
        return  # it approves nothing, which the check of the filters says
    for ring in _production_rings(subject, baseline):
        if ring.soak is None:
            continue
        soaks = [ring.soak.for_severity(severity) for severity in fitting]
        if days < min(soaks):
            yield Found(
                "P137",
                (*path, "approve_after_days"),
                f"expected a delay of at least {min(soaks)} days, the soak of ring {ring.name} for these patches, "
                f"found {days}: raise it, or shorten the soak there with who agreed on it",
            )
        elif days > max(soaks) and baseline.os == WINDOWS_OS:
            yield Found(
                "P138",
                (*path, "approve_after_days"),
                f"expected a delay of at most {max(soaks)} days, the soak of ring {ring.name} for these patches, found "
                f"{days}: on Windows the baseline must approve a patch as well, so it waits {days} days; lower it, or "
                "raise the soak",
            )


def _production_rings(subject: Subject, baseline: Baseline) -> list[Ring]:
    names = {group.ring for group in subject.groups_of_baseline[baseline.name]}
    return [ring for ring in subject.policy.rings if ring.production and ring.name in names]


def _centos(baseline: Baseline, at: Path) -> Iterator[Found]:
    if baseline.os != "CENTOS":
        return
    for number, rule in enumerate(baseline.rules):
        filtered = [key for key in ("classification", "severity") if getattr(rule, key) not in ((), ("*",))]
        path = (*at, "rules", number)
        if not rule.non_security:
            yield Found(
                "P133",
                path,
                "expected non_security: true, since CentOS's repositories have no notices that say what is a security "
                "fix, found false: set it, or nothing is ever approved",
            )
        elif filtered:
            yield Found(
                "P134",
                (*path, filtered[0]),
                f"expected no {' or '.join(filtered)} on CENTOS, whose repositories have none, found one: with "
                "non_security everything is approved whatever it says; remove it. The manifest limits a release",
            )


def _not_of_the_system(baseline: Baseline, at: Path) -> Iterator[Found]:
    wrong: list[tuple[Path, str]] = []
    if baseline.os in NOT_LINUX:
        wrong += [(("rules", n, "non_security"), "Linux") for n, r in enumerate(baseline.rules) if r.non_security]
        if baseline.approved.non_security:
            wrong.append((("approved", "non_security"), "Linux"))
        if baseline.sources:
            wrong.append((("sources",), "Linux"))
    if baseline.available_security_updates and baseline.os != WINDOWS_OS:
        wrong.append((("available_security_updates",), "Windows"))
    for path, platform in wrong:
        yield Found(
            "P135",
            (*at, *path),
            f"expected {path[-1]} on {platform} only, found it on {baseline.os}: remove it",
        )


def _nothing(baseline: Baseline, at: Path) -> Iterator[Found]:
    if not baseline.rules and not baseline.approved.patches:
        yield Found(
            "P136",
            at,
            "expected rules or approved patches, found none: nothing is ever missing or installed on its nodes; add a "
            "rule",
        )


def _by_name(baseline: Baseline, at: Path) -> Iterator[Found]:
    both = sorted(set(baseline.approved.patches) & set(baseline.rejected.patches))
    for patch in both:
        yield Found(
            "P140",
            (*at, "approved", "patches", baseline.approved.patches.index(patch)),
            f"expected {patch} approved or rejected, found it in both: rejected it stays; remove it from one",
        )
    for kind in ("approved", "rejected"):
        for number, patch in enumerate(getattr(baseline, kind).patches):
            wanted = _wanted(baseline.os, kind, patch)
            if wanted:
                yield Found(
                    "P141",
                    (*at, kind, "patches", number),
                    f"expected {wanted}, found {patch!r}: name it so, or it never fits anything",
                )


def _wanted(system: str, kind: str, patch: str) -> str | None:
    """The form that a name should have (UG:patch-manager-approved-rejected-package-name-formats), None if it has it."""
    if system == WINDOWS_OS:
        return None if WINDOWS_ID.fullmatch(patch) else "a KB or bulletin of Windows such as KB5034441 or MS17-010"
    if WINDOWS_ID.fullmatch(patch):
        return f"a package of {system}"
    if system in APT:
        plain = re.fullmatch(r"[a-z0-9][a-z0-9+.*?-]*", patch)
        return None if plain else "the bare name of a package, without architecture or version"
    if kind == "rejected" and system != "SUSE" and (NOTICE_ID.fullmatch(patch) or patch.isdigit()):
        return "the name of a package: notices and CVEs can be approved, not rejected"
    return None
