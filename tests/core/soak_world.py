"""Rows and policies for tests of ledger, manifest, twins and arrivals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.core.ledger import Demand, Entry, fold
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Ring
from sluice.core.sighted import Sighted

START = datetime(2025, 6, 2, 7, tzinfo=UTC)
HERE = "111111111111/eu-west-3"
LINUX, WINDOWS, UBUNTU = "AMAZON_LINUX_2023", "WINDOWS Server 2022", "UBUNTU 22.04"
OPENSSL = "openssl.x86_64"


def after(days: float) -> datetime:
    return START + timedelta(days=days)


def title(version: str, patch: str = OPENSSL) -> str:
    return f"{patch}:{version}"


def seen(
    node: str,
    days: float,
    state: str,
    version: str = "1",
    *,
    patch: str = OPENSSL,
    until: float | None = None,
    **more: Any,
) -> Sighted:
    """A row of a node, so many days after the start."""
    production = node.startswith("prod")
    given: dict[str, Any] = {
        "location": HERE,
        "ring": "prod" if production else "nonprod",
        "group": "prod-linux" if production else "nonprod-linux",
        "role": "web",
        "product": LINUX,
        "id": patch,
        "title": title(version, patch),
        "classification": "Security",
        "severity": "Important",
        "installed": None,
        "release": "scan-daily-20250602T0100-00000000",
        "kind": "scan",
    }
    return Sighted(
        node=node, state=state, at=after(days), until=after(days if until is None else until), **{**given, **more}
    )


def day_zero(*nodes: str) -> list[Sighted]:
    """Evidence before anything of interest: so that later rows are not of a location's first day."""
    return [
        seen(node, -20, "INSTALLED", "1", patch="tzdata.noarch", installed=after(-100), until=60, release="first")
        for node in (*nodes, "n0")
    ]


RING = Ring.model_validate({"name": "prod", "production": True, "soak": 7})


def demand(**ring: Any) -> Demand:
    return Demand(RING.model_copy(update=ring), "nonprod")


def ledger_of(rows: list[Sighted], at: float, product: str = LINUX, **ring: Any) -> dict[str, Entry]:
    """The entries of openssl by version, with evidence of every node up to that day."""
    nodes = {row.node for row in rows}
    entries = fold([*day_zero(*sorted(nodes)), *rows], product, demand(**ring), after(at))
    return {entry.title.rpartition(":")[2]: entry for entry in entries if entry.id == OPENSSL}


def soak_policy(**changes: Any) -> Policy:
    """Two rings, one Linux and one Windows group in each, and a gated window for each kind."""

    def baseline(name: str, os: str, days: int) -> dict[str, Any]:
        words = "SecurityUpdates" if os == "WINDOWS" else "Security"
        rule = {"classification": words, "approve_after_days": days, "compliance": "HIGH"}
        return {"name": name, "os": os, "rules": [rule]}

    def group(ring: str, kind: str, product: str) -> dict[str, Any]:
        return {"name": f"{ring}-{kind}", "ring": ring, "baselines": f"{ring}-{kind}", "products": product}

    def window(name: str, groups: str) -> dict[str, Any]:
        return {
            "name": name,
            "operation": "install",
            "schedule": "cron(0 3 ? * MON *)",
            "duration_hours": 4,
            "patch_groups": groups,
        }

    given: dict[str, Any] = {
        "version": 1,
        "mode": "release",
        "rings": [{"name": "nonprod"}, {"name": "prod", "production": True, "soak": 7}],
        "baselines": [
            baseline("nonprod-linux", LINUX, 0),
            baseline("nonprod-windows", "WINDOWS", 0),
            baseline("prod-linux", LINUX, 7),
            baseline("prod-windows", "WINDOWS", 7),
        ],
        "patch_groups": [
            group(ring, kind, product)
            for ring in ("nonprod", "prod")
            for kind, product in (("linux", LINUX), ("windows", WINDOWS))
        ],
        "windows": [window("install-prod-linux", "prod-linux"), window("install-prod-windows", "prod-windows")],
        "gate": {"approval": "never"},
    }
    return Policy.model_validate({**given, **changes})
