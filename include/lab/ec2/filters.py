r"""The `Filters` of EC2's describe operations.

A filter names a member of what the operation answers; the values of a filter are alternatives, the
filters of a request must all match. `*` stands for any characters, `?` for one, `\` before either (or
before itself) for the character; case matters.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lab.ec2.wire import stamp
from lab.wire_errors import AwsError

MOST_VALUES = 200
"""Values in the filters of one request (Using_Filtering.html)."""

Matches = Callable[[str], bool]
Record = Mapping[str, Any]
Tags = Mapping[str, str]


class Filters:
    """A request's filters, compiled.

    `paths` says for each filter that the operation knows where in its record the value stands:
    `NetworkInterfaces.Attachment.Status`, lists are looked through; `None` is a filter on something
    that the lab never has, so that nothing matches it.
    Raises InvalidParameterValue for a filter that the operation does not know, and FilterLimitExceeded.
    """

    def __init__(self, request: Sequence[Mapping[str, Any]], paths: Mapping[str, str | None]) -> None:
        self._tags: list[Callable[[Tags], bool]] = []
        self._members: list[tuple[tuple[str, ...] | None, Matches]] = []
        if sum(len(each.get("Values", [])) for each in request) > MOST_VALUES:
            raise AwsError(
                "FilterLimitExceeded",
                f"The maximum number of filter values specified on a single call is {MOST_VALUES}",
            )
        for each in request:
            self._add(each.get("Name"), each.get("Values", []), paths)

    def _add(self, name: str | None, values: Sequence[str], paths: Mapping[str, str | None]) -> None:
        matches = _alternatives(values)
        if name is not None and name.startswith("tag:"):
            key = name[4:]
            self._tags.append(lambda tags: key in tags and matches(tags[key]))
        elif name == "tag-key":
            self._tags.append(lambda tags: any(map(matches, tags)))
        elif name == "tag-value":
            self._tags.append(lambda tags: any(map(matches, tags.values())))
        elif name is not None and name in paths:
            path = paths[name]
            self._members.append((None if path is None else tuple(path.split(".")), matches))
        else:
            raise AwsError("InvalidParameterValue", f"The filter '{'null' if name is None else name}' is invalid")

    def match_tags(self, tags: Tags) -> bool:
        """Whether the tags pass; cheap, so ask this first."""
        return all(test(tags) for test in self._tags)

    def match(self, record: Record) -> bool:
        """Whether the rest of a record passes."""
        return all(path is not None and any(map(matches, _values(record, path))) for path, matches in self._members)


def _alternatives(values: Sequence[str]) -> Matches:
    plain = {value for value in values if not re.search(r"[*?\\]", value)}
    patterns = [_pattern(value) for value in values if value not in plain]
    if not patterns:
        return plain.__contains__
    return lambda value: value in plain or any(pattern.fullmatch(value) for pattern in patterns)


def _pattern(value: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile(
        re.sub(r"\\(.)|(.)", lambda m: re.escape(m[1]) if m[1] else wild.get(m[2], re.escape(m[2])), value, flags=re.S),
        re.S,
    )


def _values(record: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Every value that stands at `path`, as filters write it."""
    if isinstance(record, list):
        for item in record:
            yield from _values(item, path)
    elif path:
        if (inner := record.get(path[0])) is not None:
            yield from _values(inner, path[1:])
    elif isinstance(record, bool):
        yield str(record).lower()
    elif isinstance(record, datetime):
        yield stamp(record)
    else:
        yield str(record)
