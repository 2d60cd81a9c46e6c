"""YAML as people write it in policies and fleet files: plain data, and the line of everything in it.

Read as YAML 1.2's core schema, which is what JSON has and nothing else: `on`, `no` and `2025-06-02` are
strings, `012345678901` is no number, keys are always strings. So an account id needs no quotes, and a
reboot that is `off` stays the word that was written. What could surprise is refused: a key given twice,
tags, merge keys (`<<`), several documents, and more of anything than a file that a person wrote has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from sluice.core.errors import Problem, TextError

Path: TypeAlias = tuple[str | int, ...]
"""Where in the data: keys of mappings and indexes of lists, `()` for the whole."""

MAX_CHARACTERS = 500_000
MAX_DEPTH = 32
MAX_ALIASES = 200
MAX_VALUES = 200_000
"""Scalars, lists and mappings, each counted as often as aliases repeat it."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 30
"""Digits and all: what is longer stays a string, as no one counts that far."""


@dataclass(frozen=True, slots=True)
class YamlText:
    """A text that was read: its data (dict, list, str, int, float, bool, None) and where each part stands."""

    name: str
    data: Any
    lines: Mapping[Path, int] = field(repr=False)
    """The line of each key (for a list its item), counted from 1."""

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it that there is."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, name: str = "<text>") -> YamlText:
    """Read one YAML document; `name` is what messages call the text, e.g. its file.

    Raises TextError, which names the line, for anything that is not plain data or is too much of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(name, 1, f"expected at most {MAX_CHARACTERS:,} characters, found {len(text):,}: split the file")
    try:
        _check_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise _refused(name, mark.line + 1 if mark else 1, f"not YAML: {what}") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise _refused(name, line, f"not text: character U+{error.character:04X} cannot stand here") from error
    reader = _Reader(name)
    data = None if node is None else reader.value(node, ())
    return YamlText(name, data, reader.lines)


def has(data: Any, part: str | int) -> bool:
    """Whether the data is a mapping with this key, or a list with this index."""
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _refused(name: str, line: int, message: str) -> TextError:
    return TextError(name, [Problem(line, message)])


def _check_events(text: str, name: str) -> None:
    """Refuse, before anything is built, what would be too deep, too much or not one document of plain data."""
    depth = aliases = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        aliases += isinstance(event, yaml.AliasEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            raise _refused(name, line, f"expected at most {MAX_DEPTH} levels, found more: flatten this part")
        if aliases > MAX_ALIASES:
            raise _refused(name, line, f"expected at most {MAX_ALIASES} aliases (`*name`), found more: write them out")
        if documents > 1:
            raise _refused(name, line, "expected one document, found a second `---`: put it into a file of its own")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise _refused(name, line, f"expected plain data, found the tag {tag}: remove it")


class _Reader:
    """Turns YAML's nodes into data and notes their lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = MAX_VALUES
        self._open: set[int] = set()
        self.lines: dict[Path, int] = {}

    def value(self, node: Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        self._left -= 1
        if self._left < 0:
            raise self._error(node, f"expected at most {MAX_VALUES:,} values, aliases counted each time, found more")
        if isinstance(node, ScalarNode):
            self._check_characters(node)
            return _scalar(node)
        if id(node) in self._open:
            raise self._error(node, "expected data that ends, found an alias to what it stands in: write it out")
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, key_node, value_node in self._pairs(node):
            if key in data:
                first = self.lines[(*path, key)]
                raise self._error(key_node, f"expected each key once, found {key!r} again after line {first}: keep one")
            self.lines[(*path, key)] = _line(key_node)
            data[key] = self.value(value_node, (*path, key))
        return data

    def _pairs(self, node: MappingNode) -> Iterator[tuple[str, Node, Node]]:
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._error(key_node, "expected a word as a key, found a list or mapping")
            if key_node.value == "<<" and key_node.style is None:
                raise self._error(key_node, "expected no merge key (`<<`), found one: write the keys out")
            self._check_characters(key_node)
            yield str(key_node.value), key_node, value_node

    def _check_characters(self, node: ScalarNode) -> None:
        """Refuse half of a character (U+D800 to U+DFFF): an escape can say it, and no text can hold it."""
        half = re.search(r"[\ud800-\udfff]", node.value)
        if half:
            raise self._error(node, f"not text: character U+{ord(half[0]):04X} cannot stand here")

    def _error(self, node: Node, message: str) -> TextError:
        return _refused(self._name, _line(node), message)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style is not None:  # quoted, or a block
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
