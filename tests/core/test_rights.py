"""What people may ask of a window by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from soak_world import soak_policy

from sluice.core.policy.policy import Policy
from sluice.core.release.rights import objections
from sluice.core.release.terms import Asked

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)


def policy(
    people: dict[str, Any] | None = None, zone: str = "UTC", group: dict[str, Any] | None = None, **changes: Any
) -> Policy:
    plain = json.loads(soak_policy(**changes).model_dump_json(by_alias=True, exclude_unset=True))
    plain["windows"][0] |= {"people": people or {}, "time_zone": zone}
    if group:
        plain["patch_groups"][2]["people"] = group
    return Policy.model_validate(plain)


def said(found: Policy, at: datetime = NOON, **asked: Any) -> tuple[str, ...]:
    return objections(found, found.windows[0], Asked(**{"by": "ann", **asked}), at)


def test_the_schedule_may_always() -> None:
    found = policy({"run": "bob", "hours": {"days": "SUN"}})
    assert said(found, by=None) == ()
    assert len(said(found)) == 2


def test_without_rights_everybody_may_who_may_trigger_the_dag() -> None:
    assert said(policy()) == ()
    assert said(policy(), reboot="always") == ()


def test_a_patch_groups_own_rights_take_the_windows_place() -> None:
    found = policy({"run": "ann"}, group={"run": "bob"})
    assert said(found) == ("ann may not run prod-linux: bob may",)
    assert said(found, by="bob") == ()


def test_rebooting_has_rights_of_its_own() -> None:
    found = policy({"run": ["ann", "bob"], "reboot": "bob"})
    assert said(found) == ()
    assert said(found, reboot="never") == ()
    assert said(found, reboot="if_needed") == ("ann may not reboot prod-linux: bob may",)
    assert said(found, by="bob", reboot="always") == ()


def test_reboots_alone_need_no_right_to_run() -> None:
    found = policy({"run": "ann", "reboot": "bob"})
    assert said(found, by="bob", only_reboots=True, reboot="if_needed") == ()
    assert said(found, only_reboots=True, reboot="if_needed") == ("ann may not reboot prod-linux: bob may",)
    assert said(found, only_reboots=True) == ("ann may not reboot prod-linux: bob may",)


def test_without_a_right_of_its_own_who_may_run_may_reboot() -> None:
    found = policy({"run": "bob"})
    assert said(found, by="bob", only_reboots=True) == ()
    assert said(found, only_reboots=True) == ("ann may not reboot prod-linux: bob may",)


@pytest.mark.parametrize("ticket", [None, "", "CHG12; rm", "INC12"])
def test_reboots_of_production_need_the_change_ticket_that_the_policy_asks_for(ticket: str | None) -> None:
    found = policy(gate={"approval": "never", "change_ticket": r"CHG\d+"})
    assert said(found, only_reboots=True, change_ticket="CHG12") == ()
    assert said(found, only_reboots=True, change_ticket=ticket) == (
        rf"expected a change ticket that matches CHG\d+, found {ticket or 'none'}",
    )


def test_no_change_ticket_is_asked_for_what_the_gate_asks_or_for_non_production() -> None:
    gate = {"approval": "never", "change_ticket": r"CHG\d+"}
    assert said(policy(gate=gate)) == ()
    nonprod = policy(gate=gate)
    window = nonprod.windows[0].model_copy(update={"patch_groups": ("nonprod-linux",)})
    assert objections(nonprod, window, Asked(by="ann", only_reboots=True), NOON) == ()


@pytest.mark.parametrize(
    ("hours", "hour", "zone", "may"),
    [
        ({"from": "09:00", "until": "17:00"}, 9, "UTC", True),
        ({"from": "09:00", "until": "17:00"}, 17, "UTC", False),
        ({"from": "09:00", "until": "17:00"}, 8, "Europe/Paris", True),
        ({"days": ["MON"]}, 12, "UTC", True),
        ({"days": ["TUE"]}, 12, "UTC", False),
        ({"days": ["MON"]}, 23, "Asia/Tokyo", False),
        ({"days": ["MON"], "from": "22:00", "until": "02:00"}, 22, "UTC", True),
        ({"days": ["SUN"], "from": "22:00", "until": "02:00"}, 1, "UTC", True),
        ({"days": ["MON"], "from": "22:00", "until": "02:00"}, 1, "UTC", False),
    ],
)
def test_hours_are_those_of_the_windows_zone(hours: dict[str, Any], hour: int, zone: str, may: bool) -> None:
    assert (said(policy({"hours": hours}, zone), NOON.replace(hour=hour)) == ()) is may


@pytest.mark.parametrize("lead", [0, 720])
def test_a_window_is_asked_for_at_most_a_day_before_its_dag_would_start(lead: int) -> None:
    found = policy()
    window = found.windows[0].model_copy(update={"lead_minutes": lead})
    latest = NOON + timedelta(minutes=lead, days=1)

    def about(occurrence: datetime, by: str | None = "ann") -> tuple[str, ...]:
        return objections(found, window, Asked(by=by, occurrence=occurrence), NOON)

    assert about(latest) == ()
    (why,) = about(latest + timedelta(minutes=1))
    assert f"expected an occurrence until {latest:%Y-%m-%d %H:%M} UTC" in why
    assert about(latest + timedelta(days=7), by=None) == ()
