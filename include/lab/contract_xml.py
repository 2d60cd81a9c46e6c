"""Reads an XML answer as botocore's model shapes it, and says what botocore's parser would silently drop.

How members are named, flattened and wrapped: https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html,
aws-query-protocol.html and aws-ec2-query-protocol.html there.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.utils import parse_timestamp

from lab.contract_shapes import Problems

HEADER_PLACES = ("header", "headers", "statusCode")


def tag(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def parse(body: bytes) -> Element:
    """The root element. Raises ValueError for what is not XML."""
    try:
        return fromstring(body)  # noqa: S314  # it is the lab's own answer
    except ParseError as error:
        raise ValueError(f"not XML: {error}") from error


def query_result(root: Element, shape: StructureShape | None, problems: Problems) -> Element | None:
    """The element that holds a query answer's members: `…Result` where the model names one."""
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    found = None
    for child in root:
        if wrapper and tag(child) == wrapper:
            found = child
        elif tag(child) not in ("ResponseMetadata", "requestId", "RequestId"):
            problems.append(f"unknown element <{tag(child)}> in <{tag(root)}>")
    if wrapper and found is None:
        problems.append(f"<{wrapper}> is missing in <{tag(root)}>")
    return found


def read(shape: Shape, element: Element, path: str, problems: Problems) -> Any:
    """An element as plain data, members named as in the model."""
    if isinstance(shape, StructureShape):
        return _structure(shape, element, path, problems)
    if isinstance(shape, ListShape):
        return _list(shape, [element], path, problems)
    if isinstance(shape, MapShape):
        return _map(shape, [element], path, problems)
    if len(element):
        problems.append(f"{path}: expected {shape.type_name}, found elements {[tag(child) for child in element]}")
        return None
    return scalar(shape, element.text or "", path, problems)


def scalar(shape: Shape, text: str, path: str, problems: Problems) -> Any:
    """Text of an element or header as the shape's type."""
    try:
        match shape.type_name:
            case "boolean":
                return {"true": True, "false": False}[text]
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "timestamp":
                return parse_timestamp(text)
    except (ValueError, KeyError):
        problems.append(f"{path}: expected {shape.type_name}, found {text!r}")
        return None
    return text


def _wire_name(member: Shape, name: str) -> str:
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner:
            return str(inner)
    return str(member.serialization.get("name", name))


def _structure(shape: StructureShape, element: Element, path: str, problems: Problems) -> dict[str, Any]:
    members = {
        _wire_name(member, name): (name, member)
        for name, member in shape.members.items()
        if member.serialization.get("location") not in HEADER_PLACES and not member.serialization.get("xmlAttribute")
    }
    attributes = {name for name, member in shape.members.items() if member.serialization.get("xmlAttribute")}
    children: dict[str, list[Element]] = {}
    for child in element:
        children.setdefault(tag(child), []).append(child)
    found: dict[str, Any] = {name: next(iter(element.attrib.values())) for name in attributes if element.attrib}
    for wire_name, elements in children.items():
        if wire_name not in members:
            problems.append(
                f"{path or 'the answer'}: unknown element <{wire_name}>, {shape.name} has {sorted(members)}"
            )
            continue
        name, member = members[wire_name]
        found[name] = _member(member, elements, f"{path}.{name}" if path else name, problems)
    return found


def _member(shape: Shape, elements: list[Element], path: str, problems: Problems) -> Any:
    flattened = shape.serialization.get("flattened")
    if flattened and isinstance(shape, ListShape):
        return [read(shape.member, element, f"{path}[{i}]", problems) for i, element in enumerate(elements)]
    if flattened and isinstance(shape, MapShape):
        return _pairs(shape, elements, path, problems)
    if len(elements) > 1:
        problems.append(f"{path}: expected one element, found {len(elements)}")
    return read(shape, elements[0], path, problems)


def _list(shape: ListShape, elements: list[Element], path: str, problems: Problems) -> list[Any]:
    wanted = shape.member.serialization.get("name", "member")
    items = []
    for index, child in enumerate(elements[0]):
        if tag(child) != wanted:
            problems.append(f"{path}: unknown element <{tag(child)}>, items are called <{wanted}>")
            continue
        items.append(read(shape.member, child, f"{path}[{index}]", problems))
    return items


def _map(shape: MapShape, elements: list[Element], path: str, problems: Problems) -> dict[str, Any]:
    return _pairs(shape, list(elements[0]), path, problems)


def _pairs(shape: MapShape, entries: list[Element], path: str, problems: Problems) -> dict[str, Any]:
    key_name = shape.key.serialization.get("name") or "key"
    value_name = shape.value.serialization.get("name") or "value"
    found = {}
    for entry in entries:
        parts = {tag(child): child for child in entry}
        if set(parts) != {key_name, value_name}:
            problems.append(f"{path}: expected <{key_name}> and <{value_name}>, found {sorted(parts)}")
            continue
        found[read(shape.key, parts[key_name], path, problems)] = read(shape.value, parts[value_name], path, problems)
    return found
