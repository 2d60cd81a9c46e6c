"""Templates as a stack resolves them, and IAM's answer to a request: small, independent of what writes templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "include" / "cloudformation"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ACCOUNT, REGION = "111111111111", "eu-west-3"
NOTHING = object()
"""`AWS::NoValue`."""

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "control": {"MemberAccounts": "111111111111,222222222222"},
    "location": {},
    "member": {
        "TrustedPrincipal": "arn:aws:iam::222222222222:role/sluice-airflow",
        "ExternalId": "something-only-you-know",
        "Mode": "release",
    },
    "node-policy": {"InstanceRoles": "web"},
    "reader": {"TrustedPrincipal": "arn:aws:iam::111111111111:role/patching"},
    "ring": {"Ring": "canary", "Production": "false", "PatchGroups": "canary-linux", "Mode": "release"},
    "scanner": {"TrustedPrincipal": "arn:aws:iam::111111111111:role/patching"},
}
"""What each template has to be given."""


class _Loader(yaml.SafeLoader):
    pass


def _short(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".")
    return {"Ref" if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)


def body(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text("utf-8")


def parsed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(body(name), Loader=_Loader)  # noqa: S506  # a SafeLoader with CloudFormation's tags
    return found


class Stack:
    """A template with parameters: what its resources say."""

    def __init__(self, name: str, **parameters: str) -> None:
        self.template = parsed(name)
        given = {**PARAMETERS[name], **parameters}
        self.parameters: dict[str, Any] = {}
        for key, one in self.template.get("Parameters", {}).items():
            value = given.pop(key) if key in given else one["Default"]
            self.parameters[key] = str(value).split(",") if one["Type"] == "CommaDelimitedList" else value
        assert not given, f"{name} has no parameters {given}"
        self.resources: dict[str, Any] = {
            key: self._value(one["Properties"])
            for key, one in self.template["Resources"].items()
            if "Condition" not in one or self._holds(one["Condition"])
        }

    def of(self, kind: str) -> dict[str, Any]:
        """The properties of the resources of a type."""
        found = self.template["Resources"]
        return {key: one for key, one in self.resources.items() if found[key]["Type"] == kind}

    def role(self, name: str) -> Role:
        """A role with everything that is attached to it in this stack."""
        (key, properties), *_ = [item for item in self.of("AWS::IAM::Role").items() if item[1]["RoleName"] == name]
        inline = [one["PolicyDocument"] for one in properties["Policies"]]
        managed = [
            self.resources[self._logical(arn)]["PolicyDocument"] for arn in properties.get("ManagedPolicyArns", ())
        ]
        beside = [one["PolicyDocument"] for one in self.of("AWS::IAM::Policy").values() if key in one["Roles"]]
        return Role(properties, [one for document in (*inline, *managed, *beside) for one in document["Statement"]])

    def roles(self) -> Iterator[tuple[str, Role]]:
        """Every role by its name."""
        for properties in self.of("AWS::IAM::Role").values():
            yield properties["RoleName"], self.role(properties["RoleName"])

    def _logical(self, value: str) -> str:
        return value if value in self.resources else ""

    def _holds(self, name: str) -> bool:
        return bool(self._value(self.template["Conditions"][name]))

    def _value(self, part: Any) -> Any:
        if isinstance(part, list):
            return [value for one in part if (value := self._value(one)) is not NOTHING]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            (key, value), *_ = part.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self._intrinsic(key, value)
        return {key: value for key, one in part.items() if (value := self._value(one)) is not NOTHING}

    def _intrinsic(self, key: str, value: Any) -> Any:
        known: dict[str, Callable[[], Any]] = {
            "Ref": lambda: self._ref(value),
            "Fn::Sub": lambda: re.sub(r"\$\{([^}]+)\}", lambda found: self._named(found[1]), value),
            "Fn::GetAtt": lambda: self._named(".".join(value)),
            "Fn::If": lambda: self._value(value[1] if self._holds(value[0]) else value[2]),
            "Fn::Equals": lambda: str(self._value(value[0])) == str(self._value(value[1])),
            "Fn::Not": lambda: not self._value(value[0]),
            "Fn::Join": lambda: str(value[0]).join(self._value(value[1])),
        }
        return known[key]()

    def _named(self, name: str) -> str:
        return f"arn-of-{name.removesuffix('.Arn')}" if name.endswith(".Arn") else str(self._ref(name))

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::NoValue": NOTHING,
        }  # fmt: skip
        if name in pseudo:
            return pseudo[name]
        return self.parameters.get(name, name)


@dataclass
class Role:
    properties: dict[str, Any]
    statements: list[dict[str, Any]]

    def may(self, action: str, resource: str, **context: str) -> bool:
        """Whether IAM allows a request; context keys are written with `__` for `:` and `___` for `/`."""
        known = {_key(key): value for key, value in context.items()}
        return any(_allows(one, action, resource, known) for one in self.statements)

    @property
    def actions(self) -> set[str]:
        return {action for one in self.statements for action in _list(one["Action"])}


def _key(name: str) -> str:
    return name.replace("___", "/").replace("__", ":").replace("PatchGroup", "Patch Group")


def _allows(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    assert statement["Effect"] == "Allow"
    return (
        action in _list(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in _list(statement["Resource"]))
        and all(
            _test(operator, key, _list(wanted), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _test(operator: str, key: str, wanted: list[str], context: Mapping[str, str]) -> bool:
    found = context.get(key)
    if operator == "Null":
        return (found is None) == (wanted == ["true"])
    if operator.startswith("ForAllValues:"):
        return found is None or all(one in wanted for one in found.split(","))
    if operator == "StringLike":
        return found is not None and any(fnmatchcase(found, pattern) for pattern in wanted)
    assert operator == "StringEquals"
    return found in wanted


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
