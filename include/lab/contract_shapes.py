"""Holds plain data against a shape of botocore's model: types, required and unknown members, enums, sizes.

Patterns are not checked: some of the models' own contradict what AWS answers (the date members of
GetCommandInvocation), and botocore does not check them on answers either.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.utils import parse_timestamp

Problems = list[str]

UNSIZED = frozenset({"InstancePatchStatesList", "PatchGroup"})
"""Shapes whose sizes AWS's own answers don't keep. The model's list of patch states of a group holds 1 to 5, where
the operation pages by 10 to 100 and answers none for a group without states; a node outside any group reports the
patch group "" (sample answers of DescribeInstancePatchStates in the user guide and the CLI reference)."""

OTHERWISE_SPELT = frozenset({"PlatformValues"})
"""Shapes whose values AWS spells otherwise than the model: EC2 answers `windows` where the model knows `Windows`,
and the service team keeps it so (https://github.com/aws/aws-cli/issues/9043)."""


def validate(shape: Shape, value: Any, path: str, wire_names: bool) -> Problems:
    """What is wrong with `value`, one sentence each; empty when it is as the model says.

    `wire_names`: whether members are named as on the wire (JSON) or as in the model (parsed XML).
    """
    problems: Problems = []
    _check(shape, value, path, wire_names, problems)
    return problems


def _check(shape: Shape, value: Any, path: str, wire_names: bool, problems: Problems) -> None:
    if isinstance(shape, StructureShape):
        _structure(shape, value, path, wire_names, problems)
    elif isinstance(shape, ListShape):
        if _is(list, shape, value, path, problems):
            _size(shape, len(value), path, "items", problems)
            for index, item in enumerate(value):
                _check(shape.member, item, f"{path}[{index}]", wire_names, problems)
    elif isinstance(shape, MapShape):
        if _is(dict, shape, value, path, problems):
            _size(shape, len(value), path, "entries", problems)
            for key, item in value.items():
                _check(shape.key, key, f"{path} key {key!r}", wire_names, problems)
                _check(shape.value, item, f"{path}.{key}", wire_names, problems)
    else:
        _scalar(shape, value, path, problems)


def _structure(shape: StructureShape, value: Any, path: str, wire_names: bool, problems: Problems) -> None:
    if shape.is_document_type or not _is(dict, shape, value, path, problems):
        return
    members = {
        (member.serialization.get("name", name) if wire_names else name): (name, member)
        for name, member in shape.members.items()
    }
    present = {key: item for key, item in value.items() if item is not None and key != "__type"}
    for key, item in present.items():
        if key in members:
            _check(members[key][1], item, f"{path}.{key}" if path else key, wire_names, problems)
        else:
            problems.append(f"{path or 'the answer'}: unknown member {key!r}, {shape.name} has {sorted(members)}")
    for key, (name, _) in members.items():
        if name in shape.required_members and key not in present:
            problems.append(f"{path or 'the answer'}: required member {key!r} of {shape.name} is missing")
    if shape.is_tagged_union and len(present) != 1:
        problems.append(f"{path}: union {shape.name} must have one member set, found {sorted(present)}")


def _scalar(shape: Shape, value: Any, path: str, problems: Problems) -> None:
    kinds = {"integer": int, "long": int, "float": (int, float), "double": (int, float), "boolean": bool}
    if shape.type_name in ("timestamp", "blob"):
        _converted(shape, value, path, problems)
        return
    wanted: Any = kinds.get(shape.type_name, str)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        problems.append(f"{path}: expected {shape.type_name}, found {value!r}")
        return
    if isinstance(value, str):
        enum = shape.metadata.get("enum")
        if enum and value not in enum and shape.name not in OTHERWISE_SPELT:
            problems.append(f"{path}: {value!r} is none of {list(enum)}")
        _size(shape, len(value), path, "characters", problems)
    elif not isinstance(value, bool):
        _size(shape, value, path, "", problems)


def _converted(shape: Shape, value: Any, path: str, problems: Problems) -> None:
    convert: Callable[[Any], object] = parse_timestamp if shape.type_name == "timestamp" else _decode
    try:
        if not isinstance(value, datetime):
            convert(value)
    except (ValueError, TypeError, binascii.Error):
        problems.append(f"{path}: expected {shape.type_name}, found {value!r}")


def _decode(value: Any) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)


def _is(kind: type, shape: Shape, value: Any, path: str, problems: Problems) -> bool:
    if not isinstance(value, kind):
        problems.append(f"{path or 'the answer'}: expected {shape.type_name} {shape.name}, found {value!r}")
        return False
    return True


def _size(shape: Shape, size: float, path: str, unit: str, problems: Problems) -> None:
    if shape.name in UNSIZED:
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        problems.append(f"{path}: {size} {unit} is below the model's minimum {low}".replace("  ", " "))
    if high is not None and size > high:
        problems.append(f"{path}: {size} {unit} is above the model's maximum {high}".replace("  ", " "))
