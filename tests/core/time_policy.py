"""Small policies for tests of times: two rings, one patch group each per operating system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.core.policy.policy import Policy

PRODUCTS = {
    "AMAZON_LINUX_2023": "AMAZON_LINUX_2023",
    "UBUNTU": "UBUNTU 22.04",
    "WINDOWS": "WINDOWS Server 2019",
    "CENTOS": "CENTOS 7",
}


def time_policy(
    os: str = "AMAZON_LINUX_2023",
    *,
    delay: int = 7,
    soak: int | Mapping[str, Any] = 7,
    nonprod: Mapping[str, Any] | None = None,
    prod: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    **policy: Any,
) -> Policy:
    """One operating system; non-production installs Monday to Friday at 03:00, production on Monday, for four hours.

    `nonprod` and `prod` change their window, `rule` the baselines' rule, `policy` the rest.
    """
    windows = [
        _window("install-nonprod", "nonprod", "cron(0 3 ? * MON-FRI *)", nonprod or {}),
        _window("install-prod", "prod", "cron(0 3 ? * MON *)", prod or {}),
    ]
    return Policy.model_validate(
        {
            "version": 1,
            "mode": "release",
            "rings": [
                {"name": "nonprod"},
                {"name": "prod", "production": True, "soak": {"days": soak} if isinstance(soak, int) else soak},
            ],
            "baselines": [_baseline("nonprod", os, 0, rule or {}), _baseline("prod", os, delay, rule or {})],
            "patch_groups": _groups(os, ("nonprod", "prod")),
            "windows": windows,
            **policy,
        }
    )


def _window(name: str, ring: str, schedule: str, change: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"name": name, "operation": "install", "schedule": schedule, "duration_hours": 4, "patch_groups": [ring]}
    return {**plain, **change}


def _baseline(ring: str, os: str, delay: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    dated = {} if os in ("UBUNTU", "DEBIAN") or "approve_until" in rule else {"approve_after_days": delay}
    return {"name": f"{ring}-baseline", "os": os, "rules": [{**dated, **rule}]}


def _groups(os: str, rings: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": ring, "ring": ring, "baselines": [f"{ring}-baseline"], "products": [PRODUCTS[os]]} for ring in rings
    ]
