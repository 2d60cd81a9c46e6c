"""The manifest of a production release: what it requests, per OS product, with the evidence of each item.

Nodes match an entry's id and title with wildcards, in any case; entries here are exact and quoted. What stands in it
decides `sluice.core.release.manifest_build`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sluice.core.release.recall import Recall, recalling
from sluice.core.release.terms import PatchKey, Plain

Cover = Literal["soak", "expedite", "waiver"]
"""Why an item may be requested."""


@dataclass(frozen=True, slots=True)
class Item(Plain):
    """One patch that is requested, and why it may be."""

    product: str
    id: str
    title: str
    """Empty on Windows, where the KB is the patch."""
    classification: str
    severity: str
    """One of the policy's."""
    days: int
    """Days of soak that were demanded."""
    started: datetime | None
    """When its clock started; None: it had none."""
    nodes: tuple[str, ...]
    """Healthy nodes of the ring before that have it."""
    covered: Cover
    by: str = ""
    """Who expedites it, or who owns the waiver."""
    because: str = ""
    expires: str = ""
    """The last day of the waiver."""

    @property
    def key(self) -> PatchKey:
        """The patch."""
        return PatchKey(self.product, self.id, self.title)


@dataclass(frozen=True, slots=True)
class Struck(Plain):
    """A patch that has soaked, or was asked for, and is not requested all the same."""

    product: str
    id: str
    title: str
    because: str


@dataclass(frozen=True, slots=True)
class Waits(Plain):
    """A patch that is not requested yet."""

    product: str
    id: str
    title: str
    severity: str
    status: str
    first_seen: datetime
    eligible: datetime | None
    """From when on it may be requested if nothing happens; None: its clock does not run."""
    overdue: bool
    """Whether somebody has to look at it."""


@dataclass(frozen=True, slots=True)
class OnlyProduction(Plain):
    """A package that production lacks a version of, and that no node of the ring before has."""

    product: str
    id: str
    title: str
    nodes: tuple[str, ...]
    waived_by: str = ""
    """The owner of the waiver; empty: it is not requested."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one release requests. Immutable once written."""

    release: str
    at: datetime
    """What was known by then (UTC)."""
    products: tuple[str, ...]
    """OS products of the release, those with nothing to request too."""
    items: tuple[Item, ...]
    struck: tuple[Struck, ...] = ()
    waits: tuple[Waits, ...] = ()
    only_production: tuple[OnlyProduction, ...] = ()
    not_found: tuple[str, ...] = ()
    """What an expedite or a waiver names and no node of the release's products has ever shown."""

    def of(self, product: str) -> tuple[Item, ...]:
        """The items of one OS product."""
        return tuple(item for item in self.items if item.product == product)

    def override_list(self, product: str) -> str | None:
        """AWS's InstallOverrideList (UG:patch-manager-aws-runpatchbaseline) of a product; None: nothing."""
        items = self.of(product)
        if not items:
            return None
        lines = [f"# {self.release}: {product}, {len(items)} patches", "patches:"]
        for item in items:
            lines.append(f"  - id: {json.dumps(item.id)}")
            if item.title:
                lines.append(f"    title: {json.dumps(item.title)}")
        return "\n".join(lines) + "\n"

    def digests(self) -> dict[str, str]:
        """SHA-256 of each product's list, in hex."""
        texts = {product: self.override_list(product) for product in self.products}
        return {product: hashlib.sha256(text.encode()).hexdigest() for product, text in texts.items() if text}

    def recalled(self, recalls: Iterable[Recall]) -> tuple[Recall, ...]:
        """The recalls that hold for something in it."""
        known = tuple(recalls)
        found = (recalling(known, item.product, item.id, item.title) for item in self.items)
        return tuple({one.patch: one for one in found if one is not None}.values())

    def as_json(self) -> dict[str, Any]:
        """Everything, with the digests of the lists."""
        return {
            "release": self.release,
            "at": self.at.isoformat(),
            "products": list(self.products),
            "sha256": self.digests(),
            **{name: [one.as_json() for one in getattr(self, name)] for name in _PARTS},
            "not_found": list(self.not_found),
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of `as_json`."""
        return cls(
            release=data["release"],
            at=datetime.fromisoformat(data["at"]),
            products=tuple(data["products"]),
            not_found=tuple(data["not_found"]),
            **{name: tuple(kind.of_json(one) for one in data[name]) for name, kind in _PARTS.items()},
        )


_PARTS: Mapping[str, type[Any]] = {
    "items": Item,
    "struck": Struck,
    "waits": Waits,
    "only_production": OnlyProduction,
}


def file_name(product: str) -> str:
    """What the list of a product is called below `manifests/<release>/`: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", product.lower()).strip("-") + ".yaml"
