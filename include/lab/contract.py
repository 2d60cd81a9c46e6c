"""Holds every answer against botocore's model: what a client's parser would drop or misread is a violation.

botocore parses leniently: unknown members vanish, missing ones go unnoticed, an unknown error code is
just a string. A test double with such answers lets wrong code pass, so tests run the lab strict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel, Shape, StructureShape
from botocore.parsers import ResponseParserError, create_parser

from lab import contract_xml
from lab.calls import Call
from lab.contract_shapes import Problems, validate
from lab.wire_errors import Answer

XML_PROTOCOLS = ("query", "ec2", "rest-xml")


class Contract:
    """The models and the table of further error codes."""

    def __init__(self) -> None:
        table = yaml.safe_load(files("lab").joinpath("error_codes.yaml").read_text(encoding="utf-8"))
        self._common = frozenset(table["common"])
        self._services: Mapping[str, list[str]] = table["services"]
        self._operations: Mapping[str, list[str]] = table["operations"]

    def violations(self, call: Call, answer: Answer) -> list[str]:
        """What is wrong with the answer, each with the operation's name; empty for moto's own pages."""
        if not call.service:
            return []
        head = call.environ["REQUEST_METHOD"] == "HEAD"
        if answer.status >= 300:
            problems = [] if head or answer.status == 304 else self._error_problems(call, answer)
        elif call.model is None:
            problems = ["answered, but the service has no such operation"]
        else:
            problems = _output_problems(call.model, call.protocol, answer, head)
        return [f"{call.name} (HTTP {answer.status}): {problem}" for problem in problems]

    def _error_problems(self, call: Call, answer: Answer) -> Problems:
        try:
            code = _parsed(call.protocol, answer, None)["Error"]["Code"]
        except (ResponseParserError, KeyError, AttributeError, TypeError) as problem:
            return [f"botocore cannot read the error: {problem!r} in {answer.body[:200]!r}"]
        if code in self.allowed(call.service, call.operation, call.model):
            return []
        return [f"error code {code!r} is neither declared by the operation nor listed in lab/error_codes.yaml"]

    def allowed(self, service: str, operation: str, model: OperationModel | None) -> frozenset[str]:
        """The error codes that an operation may answer."""
        declared = set()
        for shape in model.error_shapes if model else ():
            declared |= {shape.name, shape.metadata.get("error", {}).get("code", shape.name)}
        further = [*self._services.get(service, ()), *self._operations.get(f"{service}:{operation}", ())]
        return self._common | declared | set(further)


@cache
def _parser(protocol: str) -> Any:
    return create_parser(protocol)


def _parsed(protocol: str, answer: Answer, shape: Shape | None) -> Any:
    headers = HeadersDict(dict(answer.headers))
    response = {"body": answer.body, "headers": headers, "status_code": answer.status, "context": {}}
    return _parser(protocol).parse(response, shape)


def _output_problems(model: OperationModel, protocol: str, answer: Answer, head: bool) -> Problems:
    shape = model.output_shape
    if shape is None and protocol.startswith("rest-"):
        return []  # no client looks into such a body, and moto puts words there
    if shape is not None and any(member.serialization.get("eventstream") for member in shape.members.values()):
        return []
    problems: Problems = []
    payload: str = shape.serialization.get("payload", "") if shape is not None else ""
    streamed = bool(payload) and shape.members[payload].type_name in ("blob", "string")
    values: dict[str, Any] = {} if streamed or head else _body(shape, protocol, answer, problems)
    if shape is not None:
        values |= _from_headers(shape, answer, problems)
        if streamed:
            values[payload] = answer.body if shape.members[payload].type_name == "blob" else answer.body.decode()
        if not head:
            problems += validate(shape, values, "", wire_names=protocol not in XML_PROTOCOLS)
    if not streamed and not head and not problems:
        problems += _unparsable(protocol, answer, shape)
    return problems


def _unparsable(protocol: str, answer: Answer, shape: Shape | None) -> Problems:
    try:
        _parsed(protocol, answer, shape)
    except Exception as error:  # botocore's parsers raise whatever they trip over
        return [f"botocore cannot parse it: {error!r}"]
    return []


def _body(shape: StructureShape | None, protocol: str, answer: Answer, problems: Problems) -> dict[str, Any]:
    if not answer.body:
        return {}
    try:
        found = _xml(shape, protocol, answer.body, problems) if protocol in XML_PROTOCOLS else json.loads(answer.body)
    except ValueError as error:
        problems.append(f"the body cannot be read: {error}")
        return {}
    if not isinstance(found, dict):
        problems.append(f"expected a structure, found {found!r}")
        return {}
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload is not None:
        return {payload: found}
    if shape is None and found:
        problems.append(f"the model has no output, found {sorted(found)}")
    return found


def _xml(shape: StructureShape | None, protocol: str, body: bytes, problems: Problems) -> dict[str, Any]:
    root = contract_xml.parse(body)
    if protocol == "query":
        result = contract_xml.query_result(root, shape, problems)
        if shape is None or result is None:
            return {}
        root = result
    elif protocol == "ec2":
        for child in [child for child in root if contract_xml.tag(child) == "requestId"]:
            root.remove(child)
    if shape is None:
        return {contract_xml.tag(child): child.text for child in root if contract_xml.tag(child) != "return"}
    payload = shape.serialization.get("payload")
    start = shape.members[payload] if payload else shape
    found: dict[str, Any] = contract_xml.read(start, root, "", problems)
    return found


def _from_headers(shape: StructureShape, answer: Answer, problems: Problems) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        if location == "statusCode":
            found[name] = answer.status
        elif location == "header" and (text := answer.header(wire_name)) is not None:
            found[name] = contract_xml.scalar(member, text, wire_name, problems)
        elif location == "headers":
            prefix = wire_name.lower()
            found[name] = {key[len(prefix) :]: text for key, text in answer.headers if key.lower().startswith(prefix)}
    return found
