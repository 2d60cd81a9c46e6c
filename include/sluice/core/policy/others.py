"""What others have on the policy's nodes, and what applying the policy would change for them: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sluice.core.node import GROUP_KEYS
from sluice.core.policy.objects import PATCH_DOCUMENT

PATCHING = (
    PATCH_DOCUMENT,
    "AWS-RunPatchBaselineWithHooks",
    "AWS-RunPatchBaselineAssociation",
    "AWS-PatchInstanceWithRollback",
    "AWS-PatchAsgInstance",
)
"""AWS's documents that patch by the baseline of the node's group."""

ALWAYS_INSTALL = ("AWS-PatchInstanceWithRollback", "AWS-PatchAsgInstance")
"""Those of them that know no other operation."""

PATCH_POLICY = "AWS-QuickSetup-PatchPolicy"
"""Beginning of the names of Quick Setup's patch policies, which bring baselines of their own."""


def patches(document: str) -> bool:
    """Whether a document, by name or ARN, is one of AWS's that patch."""
    return _plain(document) in PATCHING


def installs(document: str, parameters: Mapping[str, Sequence[str]], *, patch_policy: bool = False) -> bool | None:
    """Whether a document that patches installs with these parameters, or only scans; None: they do not tell.

    A patch policy installs unless it says that it scans.
    """
    if _plain(document) in ALWAYS_INSTALL:
        return True
    said = tuple(parameters.get("Operation", ()))
    if said == ("Scan",):
        return False
    return True if patch_policy or said == ("Install",) else None


@dataclass(frozen=True, slots=True)
class Other:
    """A window or an association that is not ours."""

    kind: Literal["window", "association"]
    id: str
    name: str
    documents: tuple[str, ...]
    """What it runs, by document name or ARN."""
    targets: tuple[tuple[str, tuple[str, ...]], ...]
    """Keys and values, e.g. `("tag:Patch Group", ("web",))`; keys as the API writes them."""
    enabled: bool = True

    @property
    def patches(self) -> bool:
        """Whether it patches by the groups' baselines."""
        return any(map(patches, self.documents))

    @property
    def is_patch_policy(self) -> bool:
        """Whether it is a patch policy of Quick Setup's."""
        return any(text.startswith(PATCH_POLICY) for text in (self.name, *map(_name, self.documents)))

    def groups(self, known: Sequence[str]) -> tuple[str, ...]:
        """Those of the `known` patch groups that it names, all when it names every node."""
        named = {value for key, values in self.targets if _tag(key) in GROUP_KEYS for value in values}
        everything = any(
            (key.lower() == "instanceids" and "*" in values)
            or (key == "tag-key" and any(value in GROUP_KEYS for value in values))
            for key, values in self.targets
        )
        return tuple(group for group in known if everything or group in named)

    def reaches_beyond(self, known: Sequence[str]) -> bool:
        """Whether it names nodes otherwise than by the `known` patch groups alone."""
        return any(_tag(key) not in GROUP_KEYS or not set(values) <= set(known) for key, values in self.targets)


@dataclass(frozen=True, slots=True)
class Installing:
    """Something of others that installs on patch groups, or may."""

    other: Other
    groups: tuple[str, ...]
    unknown: str = ""
    """Why nobody knows whether it installs on them; empty: it does."""

    @property
    def label(self) -> str:
        """What it is, in words: `association 0123… (Patch-All)`."""
        kind = "patch policy" if self.other.is_patch_policy else self.other.kind
        return f"{kind} {self.other.id} ({self.other.name})"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of others that a plan tells of."""

    kind: str
    id: str
    name: str
    effect: str
    """What applying would change for it, or what it does to the nodes."""
    take_over: tuple[str, ...] = ()
    """What has to be agreed to with `--take-over` first."""


def notices(
    others: Sequence[Other],
    groups: Sequence[str],
    changed: Collection[str],
    dropped: Collection[str],
    defaults: Sequence[str] = (),
) -> tuple[Notice, ...]:
    """What to tell of others on `groups`: the plan changes registrations of `changed`, and ends some of `dropped`.

    `defaults` are the operating systems whose default baseline the plan changes.
    """
    found: list[Notice] = []
    for other in others:
        notice = _notice(other, groups, changed, dropped)
        if notice and defaults and other.patches and not other.is_patch_policy and other.reaches_beyond(groups):
            which = f"the default baseline of {', '.join(defaults)}, which becomes another at once"
            notice = replace(notice, effect=f"{notice.effect}; nodes without a registered group by {which}")
        found += [notice] if notice else []
    return tuple(found)


def _notice(other: Other, groups: Sequence[str], changed: Collection[str], dropped: Collection[str]) -> Notice | None:
    on = other.groups(groups)
    state = "" if other.enabled else " (disabled)"
    if other.is_patch_policy:
        return Notice("patch policy", other.id, other.name, "patches its nodes by baselines of its own, past this one")
    if not on:
        if not other.patches:
            return None
        return Notice(other.kind, other.id, other.name, f"patches nodes that may be the policy's{state}; not touched")
    if not other.patches:
        runs = ", ".join(map(_name, other.documents)) or "nothing"
        return Notice(other.kind, other.id, other.name, f"runs {runs} on {_list(on)}{state}; not touched")
    become = {"the policy's": changed, "its operating system's default": dropped}
    effects = [
        f"patches {_list(altered)} by the baseline registered there, which becomes {whose} at once"
        for whose, ones in become.items()
        if (altered := tuple(group for group in on if group in ones))
    ]
    if not effects:
        return Notice(other.kind, other.id, other.name, f"patches {_list(on)} by the policy's baselines{state}")
    agree = tuple(group for group in on if group in changed or group in dropped)
    return Notice(other.kind, other.id, other.name, f"{'; '.join(effects)}{state}", agree)


def _list(groups: Sequence[str]) -> str:
    return f"patch group{'s' if len(groups) > 1 else ''} {', '.join(groups)}"


def _tag(key: str) -> str:
    return key.removeprefix("tag:") if key.startswith("tag:") else ""


def _plain(document: str) -> str:
    """The name of a document without its version."""
    return _name(document).partition(":")[0]


def _name(document: str) -> str:
    return document.rpartition("/")[2] or document
