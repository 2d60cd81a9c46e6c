"""What AWS shows of a release in one location, some hundreds of nodes at a time: commands, patch states, output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from sluice.aws import commands, inventory, logs, patch_states
from sluice.aws.logs import Folder
from sluice.aws.session import Connection
from sluice.core.errors import AWSError, ReleaseError
from sluice.core.kept import kept
from sluice.core.policy.slots import slots
from sluice.core.release.output import explaining_line
from sluice.core.release.terms import Expected, PatchRow, WavePart
from sluice.core.release.verify import PATCHING, Place, Ran, Verified, verify
from sluice.core.window_record import MISSING, WaveRecord
from sluice.flow.admit import read_admitted, read_parts
from sluice.flow.manifest import override_list, read_manifest
from sluice.flow.records import read_records
from sluice.flow.resolve import read_resolved
from sluice.flow.run import Run

T = TypeVar("T")
S = TypeVar("S")

NODES_AT_ONCE = 500
LINES_AT_MOST = 200
"""Failed nodes of a location whose output is read: a failure of more than that is one failure."""
NOT_READ = f"(its output was not read: more than {LINES_AT_MOST} nodes failed here)"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some nodes of a location, read back."""

    number: int
    """Counted from 1: the same nodes have the same number in every retry."""
    verified: tuple[Verified, ...]
    rows: Mapping[str, Sequence[PatchRow]]
    """What each node's last patch run reported by name."""


def chunked(expected: Iterable[Expected]) -> Iterator[tuple[int, list[Expected]]]:
    """The nodes in the order of their ids, some at a time, counted from 1: in every retry the same."""
    nodes = sorted(expected, key=lambda one: one.node)
    for number, start in enumerate(range(0, len(nodes), NODES_AT_ONCE), start=1):
        yield number, nodes[start : start + NODES_AT_ONCE]


class Readback:
    """One location of a release."""

    def __init__(self, run: Run, connection: Connection) -> None:
        self.run = run
        self.connection = connection
        self.expected, self.parts = self._expected()
        self.records: tuple[WaveRecord, ...] = tuple(read_records(run, connection).values())
        self._lines = 0

    def chunks(self, stops: Mapping[int, str], unopened: str) -> Iterator[Chunk]:
        """All nodes that were expected here; `stops` and `unopened` say why waves were not opened."""
        for number, nodes in chunked(self.expected):
            place = self._place(nodes, stops, unopened)
            yield Chunk(number, self._explained(verify(place)), place.rows)

    @kept
    def ran(self) -> dict[tuple[str, str], Ran]:
        """The release's commands on the nodes, by command and node."""
        ids = sorted({one.command for record in self.records for one in record.results if one.command})
        found: dict[tuple[str, str], Ran] = {}
        for command in ids:
            for invocation in commands.invocations(self.connection, command, details=True):
                one = logs.ran(invocation, self._folder(command))
                found[command, one.node] = one
        return found

    @kept
    def run_by(self) -> dict[str, str]:
        """The command of each node's last patch run, where it is one of the release's and Inventory knows it."""
        patching = [record for record in self.records if record.kind in PATCHING]
        ids = sorted({one.command for record in patching for one in record.results if one.command})
        return {node: command for command in ids for node in patch_states.of_command(self.connection, command)}

    @kept
    def others(self) -> dict[str, str]:
        """Other patchers that are known to work on nodes, in words, by node.

        What Inventory shows, where it can be asked, and what the preflight found to install on their patch groups.
        """
        found: dict[str, list[str]] = defaultdict(list)
        with suppress(AWSError):
            for name, nodes in sorted(inventory.patchers(self.connection)[0].items()):
                for node in nodes:
                    found[node].append(name)
        recorded = (self.run.recorded("preflight") or {}).get("others", {})
        for other in recorded.get(self.connection.key, ()):
            for one in self.expected:
                if one.group in other["groups"]:
                    found[one.node].append(other["label"])
        return {node: ", ".join(names) for node, names in found.items()}

    @kept
    def lists(self) -> dict[str, str]:
        """Where the list is that was requested, by slot."""
        if not self.run.gated or read_manifest(self.run) is None:
            return {}
        found = {
            slot.name: override_list(self.run, self.connection, slot.product)
            for slot in slots(self.run.policy, self.run.window)
            if slot.product
        }
        return {name: url for name, url in found.items() if url}

    @kept
    def requested(self) -> dict[str, frozenset[tuple[str, str]]]:
        """What the lists request, by slot."""
        manifest = read_manifest(self.run) if self.lists else None
        if manifest is None:
            return {}
        return {
            slot.name: frozenset((item.id, item.title) for item in manifest.of(slot.product))
            for slot in slots(self.run.policy, self.run.window)
            if slot.product and slot.name in self.lists
        }

    def _expected(self) -> tuple[tuple[Expected, ...], tuple[WavePart, ...]]:
        """The nodes with the reasons of those that were not admitted, as far as the release came."""
        with suppress(ReleaseError):
            return read_admitted(self.run, self.connection), read_parts(self.run, self.connection)
        with suppress(ReleaseError):
            return read_resolved(self.run, self.connection), ()
        return (), ()

    def _place(self, nodes: Sequence[Expected], stops: Mapping[int, str], unopened: str) -> Place:
        reached = {one.node for record in self.records for one in record.results if one.status != MISSING}
        asked = [one for one in nodes if one.node in reached]
        states = {one.node: one for one in patch_states.of_nodes(self.connection, [one.node for one in asked])}
        products = {one.node: one.product or "" for one in asked if one.node in states}
        rows = patch_states.of_each(self.connection, products)
        return Place(
            location=self.connection.key,
            expected=tuple(nodes),
            parts=self.parts,
            records=self.records,
            states=states,
            rows={node: self._with_failures(node, found) for node, found in rows.items()},
            ran=self.ran,
            run_by=self.run_by,
            lists=self.lists,
            requested=self.requested,
            stops=stops,
            unopened=unopened,
        )

    def _with_failures(self, node: str, rows: Sequence[PatchRow]) -> list[PatchRow]:
        """What the release's install failed on, failed: a scan that came since shows it as missing."""
        failed = self._failed.get(node, frozenset())
        return [
            replace(row, state="FAILED") if row.state == "MISSING" and (row.id, row.title) in failed else row
            for row in rows
        ]

    @kept
    def _failed(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Ids and titles of the patches that installs noted as failed, by node."""
        return {one.node: frozenset(one.failed) for record in self.records for one in record.results if one.failed}

    def _explained(self, found: Sequence[Verified]) -> tuple[Verified, ...]:
        """With the line of output that explains each failure."""
        wanted = [one for one in found if one.needs_line]
        read, unread = wanted[: LINES_AT_MOST - self._lines], wanted[LINES_AT_MOST - self._lines :]
        self._lines += len(read)
        lines = dict(zip((one.node.node for one in read), _side_by_side(self._line, read), strict=True))
        lines |= {one.node.node: NOT_READ for one in unread}
        return tuple(
            replace(one, line=_joined(one.line, lines[one.node.node])) if one.node.node in lines else one
            for one in found
        )

    def _line(self, one: Verified) -> str:
        if one.ran is None or one.ran.start is None:
            return ""  # it never began on the node: there is no output
        try:
            stdout, stderr = logs.output(self.connection, self._folder(one.ran.command), one.ran.command, one.node.node)
        except AWSError as error:
            return f"(its output could not be read: {error})"
        return explaining_line(stdout, stderr)

    def _folder(self, command: str) -> Folder | None:
        if command not in self._folders:
            self._folders[command] = logs.folder_of(commands.read(self.connection, command))
        return self._folders[command]

    @kept
    def _folders(self) -> dict[str, Folder | None]:
        return {}


def _joined(line: str, output: str) -> str:
    return f"{line}: {output}" if line and output else line or output


def _side_by_side(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    if not items:
        return []
    with ThreadPoolExecutor(min(patch_states.CALLS_AT_ONCE, len(items)), "node") as pool:
        return list(pool.map(work, items))
