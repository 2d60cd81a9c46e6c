"""From what an account has now to a policy: pure. What a policy cannot say is left out, and said.

Nothing can be taken for more than it is: `mode` is `observe`, install windows are no longer run by their
own cron, and a group whose name does not say that it is not production is production.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sluice.core.node import GROUP_KEYS
from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import Baseline, PatchGroup
from sluice.core.policy.objects import (
    NOT_BEFORE,
    PATCH_DOCUMENT,
    Filter,
    MaintenanceWindow,
    PatchBaseline,
    Registration,
    WindowTarget,
    WindowTask,
)
from sluice.core.policy.windows import Window

NONPROD = re.compile(r"non-?_?prod|dev|test|qa|stag|sandbox|integration|preprod|uat", re.IGNORECASE)
"""What in a group's name says that it is not production."""

_FILTERS = {
    "PRODUCT": "product",
    "PRODUCT_FAMILY": "product_family",
    "CLASSIFICATION": "classification",
    "SEVERITY": "severity",
    "MSRC_SEVERITY": "severity",
    "PRIORITY": "priority",
    "SECTION": "section",
    "PATCH_SET": "patch_set",
}


@dataclass(frozen=True, slots=True)
class WindowFound:
    """A window of the account with its parts."""

    id: str
    window: MaintenanceWindow
    targets: tuple[WindowTarget, ...]
    tasks: tuple[WindowTask, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What an import takes over."""

    account: str
    region: str
    baselines: Mapping[str, PatchBaseline]
    """The account's own, by id."""
    defaults: frozenset[str]
    """Ids of those that are their operating systems' defaults."""
    registrations: Sequence[Registration]
    """With ids of baselines."""
    windows: Sequence[WindowFound]
    products: Mapping[str, frozenset[str]]
    """OS products of the nodes of each patch group."""


@dataclass
class _Import:
    """The policy as it grows, and what was left out of it."""

    account: Account
    policy: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def fits(self, model: type[BaseModel], data: dict[str, Any], what: str) -> bool:
        """Whether a part is one that a policy can have; if not, it is left out."""
        try:
            model.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            why = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details)
            self.left_out.append(f"{what}: {why}")
            return False
        return True


def imported(account: Account) -> str:
    """A policy as YAML, beginning with what has been left out of it."""
    made = _Import(account)
    baselines = _baselines(made)
    groups, tag = _groups(made, baselines)
    production = any(group["ring"] == "prod" for group in groups)
    rings: list[dict[str, Any]] = [{"name": "nonprod"}]
    if production:
        rings.append({"name": "prod", "production": True, "soak": 7})
    made.policy = {
        "version": 1,
        "mode": "observe",
        "locations": [{"account": account.account, "region": account.region}],
        "tags": {"patch_group": tag},
        "rings": rings,
        "baselines": list(baselines.values()),
        "patch_groups": groups,
        "windows": _windows(made, [group["name"] for group in groups]),
    }
    head = [
        f"Imported from {account.account}/{account.region}. Before anything is applied, look at it:",
        "- rings are guessed from the groups' names: what does not say that it is not production is production;",
        "- install windows are opened by releases, no longer by their own schedule;",
        "- mode is observe: nothing installs. `release` is yours to write.",
        *(f"Left out: {' '.join(line.split())}" for line in made.left_out),
    ]
    body = yaml.safe_dump(made.policy, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in head) + "\n" + body


def _baselines(made: _Import) -> dict[str, dict[str, Any]]:
    """Baselines of the policy by the id of what they come from."""
    found: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for baseline_id, baseline in sorted(made.account.baselines.items(), key=lambda item: (item[1].name, item[0])):
        what = f"baseline {baseline.name} ({baseline_id})"
        filters = [*baseline.filters, *(one for rule in baseline.rules for one in rule.filters)]
        unknown = sorted({one.key for one in filters} - _FILTERS.keys())
        if unknown:
            made.left_out.append(f"{what}: filters on {', '.join(unknown)}, which a policy does not have")
            continue
        data = _baseline(baseline, slug(baseline.name, names), default=baseline_id in made.account.defaults)
        if made.fits(Baseline, data, what):
            found[baseline_id] = data
            names.add(data["name"])
    return found


def _baseline(baseline: PatchBaseline, name: str, *, default: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"name": name, "os": baseline.operating_system}
    if baseline.description:
        data["description"] = baseline.description
    if baseline.filters:
        data["filters"] = _filters(baseline.filters)
    data["rules"] = [
        {
            **_filters(rule.filters),
            **({} if rule.approve_after_days is None else {"approve_after_days": rule.approve_after_days}),
            **({} if rule.approve_until is None else {"approve_until": rule.approve_until}),
            "compliance": rule.compliance,
            **({"non_security": True} if rule.non_security else {}),
        }
        for rule in baseline.rules
    ]
    if baseline.approved:
        data["approved"] = {
            "patches": list(baseline.approved),
            "compliance": baseline.approved_compliance,
            "non_security": baseline.approved_non_security,
        }
    if baseline.rejected:
        data["rejected"] = {"patches": list(baseline.rejected), "action": baseline.rejected_action.lower()}
    if baseline.sources:
        data["sources"] = [
            {"name": one.name, "products": list(one.products), "configuration": one.configuration}
            for one in baseline.sources
        ]
    if baseline.available_security_updates:
        data["available_security_updates"] = baseline.available_security_updates.lower()
    return {**data, "default": True} if default else data


def _filters(filters: Sequence[Filter]) -> dict[str, Any]:
    return {
        _FILTERS[one.key]: one.values[0] if len(one.values) == 1 else list(one.values) for one in filters if one.values
    }


def _groups(made: _Import, baselines: Mapping[str, dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Patch groups with baselines of the account's own, and the tag that windows know groups by."""
    by_group: dict[str, list[dict[str, Any]]] = {}
    for one in made.account.registrations:
        if one.baseline in baselines:
            by_group.setdefault(one.group, []).append(baselines[one.baseline])
        else:
            made.left_out.append(f"patch group {one.group} on {one.operating_system}: its baseline {one.baseline}")
    found = []
    for group, serving in sorted(by_group.items()):
        systems = [str(baseline["os"]) for baseline in serving]
        data = {
            "name": group,
            "ring": "nonprod" if NONPROD.search(group) else "prod",
            "baselines": [baseline["name"] for baseline in serving],
            "products": _products(made.account.products.get(group, frozenset()), systems),
        }
        if made.fits(PatchGroup, data, f"patch group {group}"):
            found.append(data)
    keys = [target.key for one in made.account.windows for target in one.targets]
    without_space = keys.count("tag:PatchGroup") > keys.count("tag:Patch Group")
    return found, GROUP_KEYS[1] if without_space else GROUP_KEYS[0]


def _products(known: frozenset[str], systems: Sequence[str]) -> list[str]:
    """Of each operating system the products that nodes have, or the system itself where no node tells."""
    found: list[str] = []
    for system in systems:
        own = sorted(product for product in known if operating_system(product) == system)
        found += own or [system]
    return found


def _windows(made: _Import, groups: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    for one in sorted(made.account.windows, key=lambda one: (one.window.name, one.id)):
        what = f"window {one.window.name} ({one.id})"
        tasks = [task for task in one.tasks if task.document.rpartition("/")[2] == PATCH_DOCUMENT]
        if not tasks:
            made.left_out.append(f"{what}: it runs no {PATCH_DOCUMENT}")
            continue
        named = {value for target in one.targets if _is_group_tag(target.key) for value in target.values}
        reached = [group for group in groups if group in named]
        if not reached:
            made.left_out.append(f"{what}: it targets no patch group that is here, by the tag of groups alone")
            continue
        data = _window(one.window, tasks, slug(one.window.name, names), reached)
        if made.fits(Window, data, what):
            found.append(data)
            names.add(data["name"])
            made.left_out += [f"{what}: {text}" for text in _lost(one, tasks)]
    return found


def _window(window: MaintenanceWindow, tasks: Sequence[WindowTask], name: str, groups: list[str]) -> dict[str, Any]:
    installs = any(task.operation == "Install" for task in tasks)
    first = next((task for task in tasks if task.operation == "Install"), tasks[0])
    data: dict[str, Any] = {
        "name": name,
        "operation": "install" if installs else "scan",
        "schedule": window.schedule,
        "time_zone": window.time_zone,
        "duration_hours": window.duration_hours,
        "cutoff_hours": window.cutoff_hours,
        "patch_groups": groups,
        "concurrency": first.concurrency,
        "errors": first.errors,
        "cutoff_behavior": "cancel" if first.cutoff_behavior == "CANCEL_TASK" else "continue",
    }
    if not installs and window.enabled:
        data["trigger"] = "native"
    if installs:
        # AWS's own default reboots.
        inline = {"when": "if_needed", "how": "inline"}
        data["reboot"] = "never" if first.reboot_option == "NoReboot" else inline
    return data


def _lost(one: WindowFound, tasks: Sequence[WindowTask]) -> list[str]:
    """What of a window a policy does not say."""
    window = one.window
    said = {
        "a schedule offset": window.schedule_offset,
        "a start date": window.start_date not in (None, NOT_BEFORE),
        "an end date": window.end_date,
        "parameters of its tasks": any(task.other_parameters for task in tasks),
        "other tasks than patching": len(tasks) < len(one.tasks),
        "targets other than patch groups": any(not _is_group_tag(target.key) for target in one.targets),
    }
    return [text for text, given in said.items() if given]


def _is_group_tag(key: str) -> bool:
    return key.removeprefix("tag:") in GROUP_KEYS and key.startswith("tag:")


def slug(text: str, taken: set[str]) -> str:
    """A name of the policy's for something of the account's, unlike those that are taken."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:56].strip("-") or "unnamed"
    name = name if name[0].isalpha() else f"n-{name}"
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
