"""Evidence of releases, written as the flow writes it, for the tests of the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.core.release.gate import Covered, Facts, Limits, Seen, decide
from sluice.core.release.ids import release_id
from sluice.core.release.manifest import Item, Manifest, OnlyProduction, Struck, Waits
from sluice.core.release.terms import Asked, Expected, Reason, Release, WavePart
from sluice.evidence import tables
from sluice.evidence.store import Store

PRODUCT = "AMAZON_LINUX_2023"
PLACES = ("111111111111/eu-west-3", "222222222222/eu-west-3", "333333333333/us-east-1", "444444444444/ap-southeast-2")
BAD_LINE = "Error: Transaction test error: file /usr/bin/curl conflicts between curl-8.5.0 and curl-minimal-8.5.0"


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of the release's day, 9 June 2025 (UTC)."""
    return datetime(2025, 6, 9, hour, minute, second, tzinfo=UTC)


def named(window: str = "install-prod-linux") -> Release:
    return Release(
        release_id(window, at(3), "sluice", "patch", "r"), window, "sluice", f"patch_{window.replace('-', '_')}",
        "scheduled__2025-06-08T15:00:00+00:00", at(3), at(3) - timedelta(hours=12),
    )  # fmt: skip


class Written:
    """A production release in three waves; most nodes succeed, some do not, in every way there is."""

    def __init__(self, store: Store, nodes: int = 48, places: tuple[str, ...] = PLACES, text: str = "") -> None:
        self.store = store
        self.release = named()
        self.text = text
        """What stands in every text that comes from outside."""
        self.nodes = [self._node(number, places[number % len(places)]) for number in range(nodes)]
        self.places = places

    def all(self) -> Release:
        """Everything that a finished release leaves."""
        self.begun()
        self.record("preflight", {"ready": list(self.places), "refused": {}, "warnings": [self.shown("fits barely")]})
        self.gate()
        self.admitted()
        self.verified()
        self.barriers()
        self.backups()
        self.arrivals()
        self.record("closed", {"locations": dict.fromkeys(self.places, "closed"), "at_rest": len(self.places)})
        self.outcome("partial", ok=True, line="44 of 46 nodes done, 1 waits for a reboot, 1 failed; missed 2")
        return self.release

    def begun(self, **asked: Any) -> None:
        wish = Asked(occurrence=at(3), change_ticket=self.shown("CHG-1042"), by=self.shown("night.shift"), **asked)
        self.record("begun", {"release": self.release.as_json(), "asked": wish.as_json()})
        self.table("nodes", "all", [{**one.as_json(), "ring": "prod"} for one in self.nodes])

    def gate(self, behind: int | None = 40) -> None:
        items = tuple(self.items())
        manifest = Manifest(
            release=self.release.id, at=at(1), products=(PRODUCT,), items=items,
            struck=(Struck(PRODUCT, "curl.x86_64", "curl-8.5.0-2", self.shown("recalled: breaks TLS")),),
            waits=(Waits(PRODUCT, "bash.x86_64", self.shown("bash-5.2.15-3"), "medium", "soaking",
                         at(1) - timedelta(days=3), at(1) + timedelta(days=4), overdue=False),
                   Waits(PRODUCT, "zlib.x86_64", "zlib-1.3-4", "low", "too few nodes", at(1) - timedelta(days=40), None,
                         overdue=True)),
            only_production=(OnlyProduction(PRODUCT, "oracle.x86_64", self.shown("oracle-client-21"), ("i-1",)),),
        )  # fmt: skip
        self.record("manifest", manifest.as_json())
        limits = Limits(95.0, 36.0, 90.0, None, refuse_other_patchers=False, approval="first", approval_first=4)
        facts = Facts(
            release=self.release.id, window=self.release.window, at=at(1, 5), mode="release", limits=limits,
            behind=behind, online=46, running=46, freeze=self.text or None, admissible=46,
            items=tuple(Covered(str(item.key), item.covered, item.started, item.days) for item in items),
            evidence=(Seen("ring nonprod", at(0, 40)),), expedite=("sudo.x86_64",), because="exploited in the wild",
        )  # fmt: skip
        self.record("decision", decide(facts).as_json())
        self.record("approval", {"option": "Approve", "by": self.shown("day.shift"), "at": at(1, 40).isoformat()})

    def items(self) -> Iterator[Item]:
        names = ("openssl", "kernel", "curl", "glibc", "python3.11", "sudo")
        for number, name in enumerate(names):
            yield Item(PRODUCT, f"{name}.x86_64", self.shown(f"{name}-3.{number}.8-1.amzn2023.0.2"), "Security",
                       ("critical", "important", "medium")[number % 3], 7, at(3) - timedelta(days=8 + number),
                       ("i-a", "i-b"), "soak")  # fmt: skip
        yield Item(PRODUCT, "sudo.x86_64", "sudo-1.9.15-1", "Security", "critical", 7, None, (), "expedite",
                   self.shown("night.shift"), self.shown("exploited in the wild"))  # fmt: skip

    def admitted(self) -> None:
        places = {
            place: {
                "confirmed": place,
                "expected": [one.as_json() for one in self.nodes if one.location == place],
                "parts": [
                    WavePart(self.release.id, wave, place, (("prod-linux", tuple(nodes)),)).as_json()
                    for wave in (1, 2, 3)
                    if (nodes := [n.node for n in self._in(place) if self.wave(n) == wave])
                ],
            }
            for place in self.places
        }
        self.record("admitted", {"locations": places, "waves": [[], [], []], "failed": {}})

    def verified(self) -> None:
        self.table("patch_summaries", "all", [self._summary(one) for one in self.nodes])
        states = [row for one in self.nodes if one.reason is None for row in self._states(one)]
        self.table("patch_states", "all", states)
        runs = list(self._executions())
        self.table("window_executions", "all", [run for run, _ in runs])
        self.table("command_invocations", "all", [one for _, found in runs for one in found])
        self.record("verified", {"unread": {}, "unanswered": [], "arrivals": 1})

    def barriers(self) -> None:
        for wave, until in ((1, at(3, 50)), (2, at(4, 45)), (3, None)):
            judged = {"stop": None, "failed": 0, "of": 8 * wave, "nodes": {}}
            self.record(f"barrier-{wave}", {"until": until.isoformat() if until else None, "judged": judged})

    def backups(self) -> None:
        rows = [
            {"location": one.location, "node": one.node, "image": f"ami-{number:017x}", "state": "available"}
            for number, one in enumerate(self.nodes)
            if one.reason is None
        ]
        rows[0] |= {"image": None, "state": "failed", "detail": self.shown("the volume is encrypted with a lost key")}
        self.table("backups", "all", rows)

    def arrivals(self) -> None:
        self.table("arrivals", "all", [{
            "location": self.nodes[0].location, "node": self.nodes[0].node, "product": PRODUCT, "id": "nss.x86_64",
            "title": self.shown("nss-3.90-2"), "installed": at(3, 20), "cause": "dependency",
            "detail": self.shown("came with what the manifest lists, which does not list it"),
        }])  # fmt: skip

    def outcome(self, word: str, *, ok: bool, line: str) -> None:
        planned = {"start": at(3).isoformat(), "cutoff": at(6).isoformat(), "end": at(7).isoformat()}
        self.record("outcome", {
            "outcome": word, "ok": ok, "line": self.shown(line), "at": at(6, 10).isoformat(), "operation": "install",
            "gated": True, "planned": planned, "budget": 5.0, "halted": None,
        })  # fmt: skip

    def released(self) -> None:
        """Its row among the releases."""
        counts = {"expected": 48, "admitted": 46, "succeeded": 43, "failed": 2, "pending_reboot": 1, "missed": 2}
        release = self.release
        self.table("releases", "release", [{
            "dag_id": release.dag_id, "run_id": release.run_id, "operation": "install", "gated": True,
            "begun": release.begun, "reported": at(6, 10), "outcome": "partial", "ok": True,
            "line": "44 of 46 nodes done", **counts,
        }])  # fmt: skip

    def record(self, name: str, data: Any) -> None:
        self.store.put(f"releases/{self.release.id}/{name}.json", json.dumps(data).encode())

    def table(self, name: str, part: str, rows: list[dict[str, Any]]) -> None:
        tables.write(self.store, name, self.release, part, rows)

    def shown(self, text: str) -> str:
        return f"{self.text}{text}"

    def wave(self, one: Expected) -> int:
        number = int(one.node[2:], 16)
        return 1 if number < 4 else 2 if number < len(self.nodes) // 3 else 3

    def _in(self, place: str) -> list[Expected]:
        return [one for one in self.nodes if one.location == place and one.reason is None]

    def _node(self, number: int, place: str) -> Expected:
        reason, detail = {
            5: (Reason.STOPPED, "stopped since 2025-06-01"),
            9: (Reason.NO_TWIN, "no node of nonprod has this role and product"),
        }.get(number, (None, ""))
        return Expected(
            node=f"i-{number:017x}", location=place, name=self.shown(f"web-{number:03}"), group="prod-linux",
            product=PRODUCT, role=self.shown("web"), slot="prod-linux", reason=reason, detail=self.shown(detail),
        )  # fmt: skip

    def _became(self, one: Expected) -> dict[str, Any]:
        number = int(one.node[2:], 16)
        if one.reason:
            return {"result": "missed", "reason": one.reason, "line": one.detail}
        if number % 29 == 12:
            return {"result": "failed", "line": self.shown(BAD_LINE), "status": "Failed", "failed": 1}
        if number == 20:
            return {
                "result": "pending_reboot",
                "line": "2 patches wait for a reboot",
                "installed_pending_reboot": 2,
                "status": "Success",
            }
        return {"result": "succeeded", "line": None, "status": "Success"}

    def _summary(self, one: Expected) -> dict[str, Any]:
        plain = one.as_json()
        known = {name: plain[name] for name in ("location", "node", "name", "group", "product", "role", "slot")}
        return {
            **known, "ring": "prod", "wave": None if one.reason else self.wave(one), "read": at(6),
            "ours": not one.reason,
            "joined_by": None if one.reason else "override list", "command": "c", **self._became(one),
        }  # fmt: skip

    def _states(self, one: Expected) -> Iterator[dict[str, Any]]:
        became = self._became(one)["result"]
        for item in self.items():
            state = {"failed": "FAILED", "pending_reboot": "INSTALLED_PENDING_REBOOT"}.get(became, "INSTALLED")
            if item.id != "kernel.x86_64" and became != "failed":
                state = "INSTALLED"
            yield {
                "location": one.location, "node": one.node, "group": one.group, "product": PRODUCT, "role": one.role,
                "ring": "prod", "id": item.id, "title": item.title, "classification": "Security",
                "severity": item.severity.title(), "state": state, "installed": at(3, 10), "kind": "install",
                "operation": "Install", "at": at(3, 12), "ours": True,
            }  # fmt: skip

    def _executions(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        begin = {1: at(3), 2: at(3, 55), 3: at(4, 50)}
        for wave, start in begin.items():
            for order, place in enumerate(self.places):
                nodes = [one for one in self._in(place) if self.wave(one) == wave]
                if not nodes:
                    continue
                minutes = 6 + 3 * order + 2 * wave
                for kind, since, lasts in (
                    ("install", 0, minutes),
                    ("reboot", minutes + 3, 6),
                    ("rescan", minutes + 12, 3),
                ):
                    begun = start + timedelta(minutes=since)
                    ended = begun + timedelta(minutes=lasts)
                    good = [one for one in nodes if self._became(one)["result"] != "failed" or kind != "install"]
                    yield (
                        {
                            "location": place, "wave": wave, "kind": kind, "window_id": "mw-0123456789abcdef0",
                            "execution": f"{wave}{order}f0c1de-4c1b-4b8e-9a53-2d4f6e8a{since:04}", "planned": begun,
                            "start": begun, "end": ended, "state": "done", "reason": None, "nodes": len(nodes),
                            "invoked": len(nodes), "succeeded": len(good),
                        },
                        [self._invocation(one, wave, kind, begun, ended) for one in nodes],
                    )  # fmt: skip

    def _invocation(self, one: Expected, wave: int, kind: str, begun: datetime, ended: datetime) -> dict[str, Any]:
        return {
            "location": one.location, "wave": wave, "kind": kind, "execution": "e", "slot": "prod-linux",
            "node": one.node, "command": f"c-{kind}", "status": "Success", "start": begun, "end": ended,
            "seconds": (ended - begun).total_seconds() - int(one.node[-1], 16),
        }  # fmt: skip
