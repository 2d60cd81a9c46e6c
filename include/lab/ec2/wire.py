"""EC2's protocol: requests checked against botocore's model, answers written as XML by it.

moto serializes object by object through a tree of dictionaries, a second and more for a page of 1,000
instances. Here each shape of the model is compiled once into a function that appends strings.
Format: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import uuid4

import botocore.session
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from lab.wire_errors import AwsError

Writer = Callable[[Any, list[str]], None]
"""Appends a value's XML, without the element around it, to a list of strings."""


@cache
def service_model() -> ServiceModel:
    """botocore's model of EC2."""
    return botocore.session.get_session().get_service_model("ec2")


@cache
def operations() -> Mapping[str, OperationModel]:
    """EC2's operations by name."""
    model = service_model()
    return {name: model.operation_model(name) for name in model.operation_names}


def stamp(when: datetime) -> str:
    """A time as EC2 writes it: `2025-06-02T00:00:00.000Z`. One without a zone is UTC, as moto keeps it."""
    utc = when if when.tzinfo is None else when.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def answer(operation: OperationModel, result: Mapping[str, Any]) -> str:
    """The body of a response; `result` is shaped as the model says, members that are None are left out.

    Raises KeyError for a member that the model does not have.
    """
    namespace = operation.service_model.metadata["xmlNamespace"]
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<{operation.name}Response xmlns="{namespace}"><requestId>{uuid4()}</requestId>',
    ]
    if operation.output_shape is not None:
        _writer(operation.output_shape)(result, parts)
    parts.append(f"</{operation.name}Response>")
    return "".join(parts)


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def _escaped(value: str) -> str:
    # Looking for the few characters first is several times as fast as translating them in every value.
    if "&" in value or "<" in value or ">" in value or "\r" in value:
        return value.translate(_ESCAPES)
    return value


_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "string": _escaped,
    "boolean": lambda value: "true" if value else "false",
    "integer": str,
    "long": str,
    "float": str,
    "double": str,
    "timestamp": stamp,
}
"""How each scalar type is written."""

_writers: dict[str, Writer] = {}


def _element(shape: Shape, default_tag: str) -> Writer:
    """The writer of a member or list item with the element around it."""
    tag = shape.serialization.get("name", default_tag)
    start, end = f"<{tag}>", f"</{tag}>"
    if text := _TEXTS.get(shape.type_name):
        return lambda value, parts: parts.append(f"{start}{text(value)}{end}")
    inner = _writer(shape)

    def write(value: Any, parts: list[str]) -> None:
        parts.append(start)
        inner(value, parts)
        parts.append(end)

    return write


def _writer(shape: Shape) -> Writer:
    """The writer of a structure or list, compiled once; shapes may contain themselves."""

    def later(value: Any, parts: list[str]) -> None:
        _writers[shape.name](value, parts)

    found = _writers.get(shape.name)
    if found is None:
        _writers[shape.name] = later
        found = _structure_writer(shape) if isinstance(shape, StructureShape) else _list_writer(shape)
        _writers[shape.name] = found
    return found


def _structure_writer(shape: StructureShape) -> Writer:
    members = {name: _element(member, name) for name, member in shape.members.items()}

    def write(value: Mapping[str, Any], parts: list[str]) -> None:
        for name, content in value.items():
            if content is not None:
                members[name](content, parts)

    return write


def _list_writer(shape: ListShape) -> Writer:
    write_item = _element(shape.member, "item")

    def write(value: list[Any], parts: list[str]) -> None:
        for item in value:
            write_item(item, parts)

    return write


def check(shape: Shape | None, value: Any, name: str = "") -> None:
    """Check a request against its shape: what is required is there, enumerated values exist.

    Raises MissingParameter and InvalidParameterValue
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
    """
    if isinstance(shape, StructureShape):
        for required in shape.required_members:
            if required not in value:
                missing = _query_name(shape.members[required], required)
                raise AwsError("MissingParameter", f"The request must contain the parameter {missing}")
        for member, content in value.items():
            check(shape.members[member], content, member)
    elif isinstance(shape, ListShape):
        for item in value:
            check(shape.member, item, name)
    elif shape is not None and shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        raise AwsError("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid.")


def _query_name(shape: Shape, name: str) -> str:
    written = str(shape.serialization.get("queryName") or shape.serialization.get("name") or name)
    return written[:1].upper() + written[1:]
