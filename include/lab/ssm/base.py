"""What every Systems Manager operation of the lab shares: parsing, validation, errors, pages, tokens.

An operation is a method of a mixin, named as moto names it (`describe_maintenance_windows`), that
reads `self.params` (the request, as botocore's model shapes it, datetimes already parsed) and
`self.location`, and returns the response as a dict (datetimes aware). The base validates the request
against botocore's model before the method runs, so a method only checks what the model cannot say.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.session
import regex
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from moto.core.utils import camelcase_to_underscores
from moto.ssm.exceptions import SSMException
from moto.ssm.responses import SimpleSystemManagerResponse

if TYPE_CHECKING:
    from lab.world import Lab, Location

T = TypeVar("T")

JSON_1_1 = {"Content-Type": "application/x-amz-json-1.1"}


def error(code: str, message: str) -> SSMException:
    """An AWS error to raise: `raise error("DoesNotExistException", "...")`."""
    return SSMException(code, message)


@cache
def service_model() -> ServiceModel:
    """botocore's model of Systems Manager."""
    return botocore.session.get_session().get_service_model("ssm")


@cache
def operations() -> Mapping[str, OperationModel]:
    """Systems Manager's operations by name."""
    model = service_model()
    return {name: model.operation_model(name) for name in model.operation_names}


class SSMOperations(SimpleSystemManagerResponse):
    """Base of the lab's Systems Manager operations; see the module's docstring."""

    own_operations: frozenset[str] = frozenset()
    """Method names that the lab implements itself (the rest is moto's or unsupported)."""

    params: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = {camelcase_to_underscores(name) for name in operations()}
        own = {
            name
            for klass in cls.__mro__
            if klass.__module__.startswith("lab.")
            for name in vars(klass)
            if name in known
        }
        cls.own_operations = frozenset(own)

    @property
    def lab(self) -> Lab:
        """The lab that answers."""
        from lab.world import current

        return current()

    @property
    def location(self) -> Location:
        """The account and Region that the request is for."""
        return self.lab.location(self.current_account, self.region)

    def now(self) -> datetime:
        """The lab's time."""
        return self.lab.clock.now()

    def call_action(self) -> Any:
        """Answer one request: the lab's own operation, else moto's, else an error that says so."""
        name = self._get_action()
        model = operations().get(name)
        if model is None:
            return self._failure("UnknownOperationException", f"Systems Manager has no operation {name}.")
        method = camelcase_to_underscores(name)
        try:
            raw = json.loads(self.body or "{}")
        except (ValueError, RecursionError):
            return self._failure("SerializationException", "The request's body is no JSON.")
        try:
            self.params = parse_params(model, raw)
            if method in self.own_operations:
                result = getattr(self, method)()
                return 200, dict(JSON_1_1), dumps(result)
            if not hasattr(SimpleSystemManagerResponse, method):
                return self._failure(
                    "LabUnsupportedOperation",
                    f"The lab does not implement ssm:{name}; docs/lab.md lists what it does.",
                )
        except SSMException as problem:
            return self._failure(problem.code, problem.message)
        return super().call_action()

    def _failure(self, code: str, message: str) -> tuple[int, dict[str, str], str]:
        status = 500 if code == "InternalServerError" else 400
        headers = {**JSON_1_1, "x-amzn-errortype": code}
        return status, headers, json.dumps({"__type": code, "message": message})

    def page(self, items: Sequence[T], default: int, at_most: int = 50) -> tuple[list[T], dict[str, str]]:
        """One page of `items` and the `NextToken` member, if any, to add to the answer.

        `MaxResults` of the request decides the page's size, `default` without one. Raises InvalidNextToken
        for a token that is not this request's (`page_start`).
        """
        size = min(self.params.get("MaxResults") or default, at_most)
        start = self.page_start()
        more = self.next_token(start + size) if start + size < len(items) else {}
        return list(items[start : start + size]), more

    def page_start(self) -> int:
        """The number of the first item of the page that the request's `NextToken` asks for, 0 without one.

        Raises InvalidNextToken (ValidationException where the model doesn't declare it) for a token that
        the same request, apart from its page size, did not get.
        """
        token = self.params.get("NextToken")
        if not token:
            return 0
        found = re.fullmatch(r"lab-page-(\d{1,9})-(\w+)", token)
        if found is None or found[2] != self._paged_request():
            declared = {shape.name for shape in operations()[self._get_action()].error_shapes}
            code = "InvalidNextToken" if "InvalidNextToken" in declared else "ValidationException"
            raise error(code, "The specified token isn't valid.")
        return int(found[1])

    def next_token(self, start: int) -> dict[str, str]:
        """The `NextToken` member that asks for the page that begins with item number `start`."""
        return {"NextToken": f"lab-page-{start}-{self._paged_request()}"}

    def _paged_request(self) -> str:
        request = {name: value for name, value in self.params.items() if name not in ("NextToken", "MaxResults")}
        text = f"{self._get_action()} {json.dumps(request, default=str, sort_keys=True)}"
        return f"{zlib.crc32(text.encode()):08x}"

    def once(self, make: Callable[[], dict[str, Any]], mismatch: str = "IdempotentParameterMismatch") -> dict[str, Any]:
        """Run `make` once per `ClientToken`: the same request gets the first answer again.

        Another request under the same token raises `mismatch`, which the operation's model must declare.
        """
        token = self.params.get("ClientToken")
        if not token:
            return make()
        key = (self._get_action(), token)
        request = {name: value for name, value in self.params.items() if name != "ClientToken"}
        if key in self.location.client_tokens:
            before, answer = self.location.client_tokens[key]
            if before != request:
                raise error(
                    mismatch,
                    f"The client token {token} was used before by a request with other parameters.",
                )
            return answer
        answer = make()
        self.location.client_tokens[key] = (request, answer)
        return answer


def dumps(result: Mapping[str, Any]) -> str:
    """A response as JSON 1.1 writes it: datetimes as seconds since the epoch."""
    return json.dumps(result, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"cannot serialise {type(value).__name__}")


def parse_params(model: OperationModel, raw: Any) -> dict[str, Any]:
    """A request's parameters, validated against botocore's model, timestamps as aware datetimes.

    Raises ValidationException with every violation in AWS's wording.
    """
    shape = model.input_shape
    if shape is None:
        return {}
    problems: list[str] = []
    parsed = _parse(shape, raw, "", problems)
    if problems:
        plural = "error" if len(problems) == 1 else "errors"
        raise error("ValidationException", f"{len(problems)} validation {plural} detected: " + "; ".join(problems))
    return parsed or {}


def _parse(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    kinds: dict[str, Callable[[Any, Any, str, list[str]], Any]] = {
        "structure": _parse_structure,
        "list": _parse_list,
        "map": _parse_map,
        "timestamp": _parse_timestamp,
        "blob": _parse_blob,
    }
    return kinds.get(shape.type_name, _parse_scalar)(shape, value, path, problems)


def _parse_structure(shape: StructureShape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append(_says(value, path, "Member must be a structure"))
        return None
    for name in shape.required_members:
        if value.get(name) is None:
            problems.append(_says(None, _join(path, name), "Member must not be null"))
    return {
        name: _parse(member, value[name], _join(path, name), problems)
        for name, member in shape.members.items()
        if value.get(name) is not None
    }


def _parse_list(shape: ListShape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, list):
        problems.append(_says(value, path, "Member must be a list"))
        return None
    _check_length(shape, value, path, problems)
    return [_parse(shape.member, item, f"{path}.{i + 1}.member", problems) for i, item in enumerate(value)]


def _parse_map(shape: MapShape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append(_says(value, path, "Member must be a map"))
        return None
    _check_length(shape, value, path, problems)
    return {
        _parse(shape.key, key, f"{path}.{key}.key", problems): _parse(shape.value, item, f"{path}.{key}", problems)
        for key, item in value.items()
    }


def _parse_timestamp(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError):
        problems.append(_says(value, path, "Member must be a timestamp"))
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _parse_blob(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    try:
        content = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        problems.append(_says(value, path, "Member must be encoded in base 64"))
        return None
    _check_length(shape, content, path, problems)
    return content


_PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def _parse_scalar(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    wanted = _PYTHON_TYPES[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape.type_name != "boolean"):
        problems.append(_says(value, path, f"Member must be of type {shape.type_name}"))
        return value
    if shape.type_name == "string":
        _check_string(shape, str(value), path, problems)
    elif shape.type_name != "boolean":
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            problems.append(_says(value, path, f"Member must have value greater than or equal to {low}"))
        if high is not None and value > high:
            problems.append(_says(value, path, f"Member must have value less than or equal to {high}"))
    return value


def _check_string(shape: Shape, value: str, path: str, problems: list[str]) -> None:
    allowed: Iterable[str] | None = shape.metadata.get("enum")
    if allowed and value not in allowed:
        problems.append(_says(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]"))
    _check_length(shape, value, path, problems)
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        problems.append(_says(value, path, f"Member must satisfy regular expression pattern: {pattern}"))


def _check_length(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        problems.append(_says(value, path, f"Member must have length greater than or equal to {low}"))
    if high is not None and len(value) > high:
        problems.append(_says(value, path, f"Member must have length less than or equal to {high}"))


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    # The models' patterns are Java's: the standard library does not know their Unicode classes.
    return regex.compile(pattern)


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def _says(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    article = "Value null" if value is None else f"Value {shown}"
    return f"{article} at '{path}' failed to satisfy constraint: {constraint}"
