"""What is sound of a policy that has faults, and what can be said of it before they are mended.

Whoever checks a policy wants to hear everything at once: a key that is misspelt in a window says nothing of the
filter that AWS refuses in a baseline. So faulty parts are taken out and the rest is judged as any policy is, but
for what depends on them: no group is called unknown while the item that may be it cannot be read. Each code says
by which parts it judges (`Parts`), and waits while one of them is faulty.

As little as possible is taken out: the faulty value where a default can stand in, else the part that has it, and
whatever names that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from sluice.core.policy.policy import Policy
from sluice.core.yaml_model import Fault, faults
from sluice.core.yaml_text import Path, has

LISTS = ("locations", "rings", "baselines", "patch_groups", "windows", "exceptions")
"""Lists of the policy, of which one item can be taken out."""

_STAND_INS: Mapping[str, Any] = {"version": 1, "mode": "release"}
"""For keys that no policy can do without; what judges by them waits."""

_ROUNDS = 50
"""Of taking out what is left incomplete, or names what is gone. Each takes something out; five or six are usual."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a policy by which a code judges.

    Words with blanks between them, each the path of a part: `rings`; `windows.*.schedule`, that of every item;
    `item.os`, that of the item in which it found something; `.`, the very part that it found; `..`, what that is in.
    """

    words: str

    def doubtful(self, found: Path, faulty: Iterable[Path]) -> bool:
        """Whether one of them is faulty or holds or is in what is, for something found at a path."""
        paths = [_path(word, found) for word in self.words.split()]
        return any(_meet(path, other) for other in faulty for path in paths)


def _path(word: str, found: Path) -> Path:
    if word in (".", ".."):
        return found[: len(found) + 1 - len(word)]
    first, *more = word.split(".")
    return (*(found[:2] if first == "item" else (first,)), *more)


def _meet(one: Path, other: Path) -> bool:
    return all(a in (b, "*") for a, b in zip(one, other, strict=False))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a policy is without."""

    faulty: frozenset[Path] = frozenset()
    """Where the texts have it."""
    kept: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Of the lists of which items are gone: the indexes in the texts of those that are left."""

    def written(self, path: Path) -> Path:
        """Where in the texts a part of the policy stands."""
        if len(path) > 1 and path[0] in self.kept:
            return (path[0], self.kept[str(path[0])][int(path[1])], *path[2:])
        return path


NOTHING = Taken()


class Taking:
    """Takes faulty parts out of a policy's data, which it changes."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._policy: Policy | None = None
        self._faulty: set[Path] = set()
        self._kept = {key: list(range(len(data[key]))) for key in LISTS if isinstance(data.get(key), list)}

    @property
    def taken(self) -> Taken:
        """What is out by now."""
        return Taken(frozenset(self._faulty), {key: tuple(indexes) for key, indexes in self._kept.items()})

    def doubt(self, paths: Iterable[Path]) -> None:
        """Let wait what judges by these parts, which stay in; the paths are of the data as it is now."""
        taken = self.taken
        self._faulty |= {taken.written(path) for path in paths}

    def out(self, paths: Iterable[Path]) -> None:
        """Take out the parts at these paths of the data as it is now, or what has them where that needs them."""
        taken = self.taken
        for path in [taken.written(path) for path in paths]:
            self._policy = None
            self._out(path)

    def faults(self) -> list[Fault]:
        """What the models refuse in the data as it is now."""
        try:
            self._policy = self._policy or Policy.model_validate(self._data)
        except ValidationError as error:
            return faults(Policy, self._data, error)
        return []

    def policy(self) -> Policy | None:
        """The policy that is left once nothing in it is refused; None where too little is left."""
        for _ in range(_ROUNDS):
            refused = self.faults()
            if not refused:
                return self._policy
            self.doubt((*fault.path[:-1], fault.meant) for fault in refused if fault.meant)
            self.out(fault.path for fault in refused)
            self._data |= {key: value for key, value in _STAND_INS.items() if key not in self._data}
            if not self._data.get("rings"):
                return None
        return None

    def _out(self, path: Path) -> None:
        """As `out`; the path is the texts'."""
        self._faulty.add(path)
        *before, last = path
        holder = self._at(tuple(before))
        if len(path) == 2 and path[0] in self._kept:
            if last in self._kept[str(path[0])]:
                position = self._kept[str(path[0])].index(int(last))
                del holder[position], self._kept[str(path[0])][position]
        elif isinstance(holder, dict) and last in holder:
            del holder[last]
            if not before:
                self._kept.pop(str(last), None)
        elif before:
            self._out(tuple(before))

    def _at(self, path: Path) -> Any:
        """What is at a path of the texts; None where that is out."""
        at: Any = self._data
        for position, part in enumerate(path):
            if position == 1 and path[0] in self._kept:
                if part not in self._kept[str(path[0])]:
                    return None
                at = at[self._kept[str(path[0])].index(int(part))]
            elif has(at, part):
                at = at[part]
            else:
                return None
        return at
