"""What every part of the policy shares: strict models, and the small types that several parts use.

A part of the policy is a frozen pydantic model that knows its keys and nothing else: a key that is not
known is refused. Names of keys are those of AWS where AWS has one, written as YAML is. Many parts have a
short form: `reboot: never` for `reboot: {when: never}`, one value where a list is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


class Part(BaseModel):
    """A part of the policy."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=True, allow_inf_nan=False)

    short: ClassVar[str | None] = None
    """The key that a value stands for where it is written in place of the whole part."""

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, data: Any) -> Any:
        if cls.short is None or data is None or isinstance(data, (dict, Part)):
            return data
        return cls.of_short(data)

    @classmethod
    def of_short(cls, value: Any) -> dict[str, Any]:
        """What the short form says at length."""
        return {str(cls.short): value}

    @classmethod
    def short_schema(cls, properties: dict[str, JsonSchemaValue]) -> JsonSchemaValue:
        """The JSON Schema of the short form, from those of the keys."""
        return {key: value for key, value in properties[str(cls.short)].items() if key != "default"}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        if cls.short is None:
            return found
        resolved = handler.resolve_ref_schema(found)
        whole = dict(resolved)
        resolved.clear()
        resolved["anyOf"] = [cls.short_schema(whole["properties"]), whole]
        if "description" in whole:
            resolved["description"] = whole["description"]
        return found


@dataclass(frozen=True, slots=True)
class Matching:
    """Text of a form: what it has to match, and what that is in words."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^(?:{self.pattern})$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"expected {self.words}, found {text!r}")
        return text


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """The mark of fields that may hold `${env:NAME}`: what cannot be a secret."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}"}]}


@dataclass(frozen=True, slots=True)
class _OneOrMany:
    """A list that may be written as one value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]} if "items" in many else many


@dataclass(frozen=True, slots=True)
class _Number:
    """Text that YAML may take for a whole number, such as an account or `10`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_text, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "integer", "minimum": 0}]}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values, of which none is there twice; for `AfterValidator`."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"expected each value once, found twice: {', '.join(twice)}")
    return values


def _day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)):
        return value
    raise ValueError(f"expected a day such as 2025-06-02, found {value!r}")


def _percent(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}(\.\d{1,3})?%", value, re.ASCII):
        return float(value[:-1])
    return value


OneOrMany = _OneOrMany()
"""In `Annotated` beside a tuple: one value stands for a list of it."""

Text = Annotated[str, Field(min_length=1, max_length=512)]
Values = Annotated[tuple[Text, ...], AfterValidator(each_once), OneOrMany, Field(max_length=200)]
"""One value or a list of them, each once."""

Concurrency = Annotated[
    str,
    Matching(r"[1-9][0-9]{0,6}|[1-9][0-9]?%|100%", "a number of nodes or a percentage such as 10%"),
    _Number(),
    Field(description="MaxConcurrency: nodes at once, or a share such as 10%."),
]
Errors = Annotated[
    str,
    Matching(r"[0-9]{1,7}|[1-9]?[0-9]%|100%", "a number of errors or a percentage such as 5%"),
    _Number(),
    Field(description="MaxErrors: failures after which nothing more starts, or a share such as 5%."),
]

Name = Annotated[
    str,
    Matching(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", "a name of lower case letters, digits and single hyphens"),
    Field(max_length=64),
]
"""A name of the policy's own."""

GroupName = Annotated[
    str,
    Matching(r"[\w.:/=+@ -]+", "a value that a tag can have: letters, digits, blanks and _.:/=+-@"),
    Field(min_length=1, max_length=256),
]
"""A patch group: the value of the nodes' tag, as AWS allows it."""

BucketName = Annotated[
    str, Matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an S3 bucket"), FromEnvironment()
]
LocationBucket = Annotated[
    str,
    Matching(
        r"(?=.{3,100}$)([a-z0-9.-]|\{account\}|\{region\})+",
        "the name of an S3 bucket, {account} and {region} in it where each location has its own",
    ),
    FromEnvironment(),
]
"""A bucket; with `{account}` or `{region}` in it each target location has its own."""

AccountId = Annotated[
    str, Matching(r"[0-9]{12}|caller", "the 12 digits of an account, or caller"), _Number(), FromEnvironment()
]
Region = Annotated[
    str, Matching(r"[a-z]{2}(-[a-z]+)+-[0-9]|caller", "a Region such as eu-west-3, or caller"), FromEnvironment()
]
TopicArn = Annotated[
    str,
    Matching(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,256}(\.fifo)?", "the ARN of an SNS topic"),
    FromEnvironment(),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    Field(ge=0, le=100),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": "%$"}]}),
]
"""`5` and `5%` are the same."""

Day = Annotated[date, BeforeValidator(_day)]
"""A day, as 2025-06-02; no other notation, and no number of seconds."""


class Agreed(Part):
    """Who agreed on something that is faster or looser than usual, when and why."""

    agreed_by: Text | None = Field(default=None, description="Who agreed, as your organisation names people or boards.")
    agreed_on: Day | None = Field(default=None, description="When, as 2025-06-02.")
    because: Text | None = Field(default=None, description="Why.")


class Rights(Part):
    """Who may run and reboot nodes by hand."""

    run: Values = Field(default=(), description="Users of Airflow; none: everybody who may trigger the DAG.")
    reboot: Values = Field(default=(), description="Users of Airflow; none: who may run.")
