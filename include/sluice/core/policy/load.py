"""From YAML texts to a policy, with the place (file and line) of every part of it.

A policy may stand in one file or in several: their lists (`windows`, `baselines`, …) are joined in the order
of the files, everything else is given once, in whichever file. What can be found wrong is found at once:

    P001 not readable as YAML            P006 a value that cannot be
    P002 not keys with values            P007 values that do not go together
    P003 given in two files              P008, P009 environment variables (`environment`)
    P004 an unknown key                  P010 a file that cannot be read (`sluice.files`)
    P005 a key is missing                P02x names and order (`structure`)

Nothing is done with a policy that has one of them (`load_policy`); the check goes on with what is sound of it
(`examine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.core.errors import Place, PolicyError, PolicyProblem, TextError
from sluice.core.policy import environment as environments
from sluice.core.policy.policy import Policy
from sluice.core.policy.rest import NOTHING, Taken, Taking
from sluice.core.policy.structure import BY_NAME, PARTS, structure
from sluice.core.yaml_model import Fault, opened, shown
from sluice.core.yaml_text import MAX_CHARACTERS, Path, YamlText, has, read

JOINED = frozenset({"locations", "baselines", "patch_groups", "windows", "exceptions"})
"""Lists that may be spread over files. The rings' order is their meaning: they stand in one file."""

LONGEST_WORD = 64
"""Characters of a name or key that messages show."""

_CODES = {"unknown": "P004", "missing": "P005", "value": "P006", "contradiction": "P007"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy and where each part of it stands."""

    policy: Policy
    sources: Sources
    taken: Taken = NOTHING
    """What was wrong and is not in it."""


class Sources:
    """The texts of a policy, joined: their data, and the place of each part of it."""

    def __init__(self, texts: Sequence[YamlText]) -> None:
        self.files = tuple(text.name for text in texts)
        self.data: dict[str, Any] = {}
        self.problems: list[PolicyProblem] = []
        self.twice: set[Path] = set()
        """Keys of which one value is here and another is not."""
        self._keys: dict[str, YamlText] = {}
        self._items: dict[tuple[str, int], tuple[YamlText, int]] = {}
        for text in texts:
            for key, value in text.data.items():
                self._join(text, key, value)

    def place(self, path: Path) -> Place:
        """Where a part of the policy stands; for what is not written, the place of what would be around it."""
        if not path:
            return Place(self.files[0], 1)
        text: YamlText | None
        if len(path) > 1 and (path[0], path[1]) in self._items:
            text, index = self._items[path[0], path[1]]  # type: ignore[index]  # just found in it
            return Place(text.name, text.line((path[0], index, *path[2:])))
        text = self._keys.get(str(path[0]))
        return Place(text.name, text.line(path)) if text else Place(self.files[0], 1)

    def where(self, path: Path) -> str:
        """The path as people read it: `windows.install-nonprod.schedule`, items by their name where they have one."""
        shown_path: list[str] = []
        at: Any = self.data
        for part in path:
            at = at[part] if has(at, part) else None
            name = at.get("name") if isinstance(part, int) and isinstance(at, dict) else None
            shown_path.append(_word(name if isinstance(name, str) and name else str(part)))
        return ".".join(shown_path)

    def problem(self, code: str, path: Path, message: str) -> PolicyProblem:
        """A problem with the part at the path."""
        return PolicyProblem(code, self.place(path), opened((self.where(path),) if path else (), message))

    def _join(self, text: YamlText, key: str, value: Any) -> None:
        first = self._keys.setdefault(key, text)
        if key in JOINED and isinstance(value, list) and isinstance(self.data.get(key, []), list):
            joined = self.data.setdefault(key, [])
            self._items |= {(key, len(joined) + index): (text, index) for index in range(len(value))}
            joined.extend(value)
        elif first is text:
            self.data[key] = value
        elif key in JOINED:
            place = Place(text.name, text.line((key,)))
            message = f"{key}: expected a list in each file that has it: give {place.file} or {first.name} one"
            self.problems.append(PolicyProblem("P006", place, message))
            self.twice.add((key,))
        else:
            place = Place(text.name, text.line((key,)))
            also = Place(first.name, first.line((key,)))
            message = f"{key}: expected this once, found it again after {also}: keep one"
            self.problems.append(PolicyProblem("P003", place, message))
            self.twice.add((key,))


def load_policy(texts: Sequence[tuple[str, str]], environment: Mapping[str, str]) -> Loaded:
    """The policy that the texts (name of the file, content) are together.

    `environment` has what `${env:NAME}` may stand for. Raises PolicyError with everything that is wrong.
    """
    problems, loaded = examine(texts, environment)
    if problems or loaded is None:
        raise PolicyError(problems)
    return loaded


def examine(
    texts: Sequence[tuple[str, str]], environment: Mapping[str, str]
) -> tuple[list[PolicyProblem], Loaded | None]:
    """Everything that is wrong with the policy that the texts are, and what is sound of it.

    As `load_policy`. None where nothing is sound, or a text cannot be read, which may have anything in it.
    """
    try:
        sources = Sources(_read(texts))
    except PolicyError as error:
        return list(error.problems), None
    return examine_sources(sources, environment)


def examine_sources(sources: Sources, environment: Mapping[str, str]) -> tuple[list[PolicyProblem], Loaded | None]:
    """As `examine`, of what is read already."""
    data, replaced, problems = environments.replace(sources.data, Policy, environment)
    wrong = {path for _, path, _ in problems}
    taking = Taking(data)
    refused = [fault for fault in taking.faults() if fault.path not in wrong]
    found = [*sources.problems, *(sources.problem(code, path, message) for code, path, message in problems)]
    found += [_problem(sources, fault, replaced) for fault in refused]
    taking.doubt(sources.twice)
    taking.out(wrong)
    policy = taking.policy()
    apart = structure(policy) if policy else []
    taken = taking.taken
    for code, path, message in apart:
        if not PARTS[code].doubtful(taken.written(path), taken.faulty):
            found.append(sources.problem(code, taken.written(path), message))
    taking.doubt(path for code, path, _ in apart if code not in BY_NAME)
    while policy and (dangling := [path for code, path, _ in structure(policy) if code in BY_NAME]):
        taking.out(dangling)
        policy = taking.policy()
    return found, Loaded(policy, sources, taking.taken) if policy else None


def _read(texts: Sequence[tuple[str, str]]) -> list[YamlText]:
    if not texts:
        raise PolicyError([PolicyProblem("P001", Place("policy", 0), "expected a policy, found no text: write one")])
    size = sum(len(text) for _, text in texts)
    if size > MAX_CHARACTERS:
        message = f"expected at most {MAX_CHARACTERS:,} characters in all files together, found {size:,}: shorten them"
        raise PolicyError([PolicyProblem("P001", Place(texts[0][0], 0), message)])
    found: list[YamlText] = []
    problems: list[PolicyProblem] = []
    for name, text in texts:
        try:
            found.append(_mapping(read(text, name)))
        except TextError as error:
            problems += [PolicyProblem("P001", Place(name, one.line), one.message) for one in error.problems]
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return found


def _mapping(text: YamlText) -> YamlText:
    if isinstance(text.data, dict):
        return text
    message = f"expected keys with values, found {shown(text.data)}: start with `version: 1`"
    raise PolicyError([PolicyProblem("P002", Place(text.name, text.line(())), message)])


def _problem(sources: Sources, fault: Fault, replaced: Mapping[Path, tuple[str, str]]) -> PolicyProblem:
    message = fault.message
    if fault.path in replaced:
        written, value = replaced[fault.path]
        message = message.replace(shown(value), f"what {written} stands for")
    where = sources.where(fault.where)
    return PolicyProblem(_CODES[fault.kind], sources.place(fault.path), opened((where,) if where else (), message))


def _word(text: str) -> str:
    """A name or key on one line of a terminal, whatever somebody put into it."""
    short = text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."
    return short if short.isprintable() else repr(short)
