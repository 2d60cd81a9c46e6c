"""What a document's text says: its schema, parameters and steps.

UG:documents-schemas-features for the schema versions, UG:documents-command-ssm-plugin-reference for actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.ssm.base import error
from lab.ssm.document_parameters import Parameter, as_values, references, substitute

ALL_PLATFORMS = ("Linux", "MacOS", "Windows")
DEFAULT_STEP_SECONDS = 3600
STEP_SECONDS = range(5, 172_801)
"""Time-outs that the agent takes; it gives a step with another one the default (AG: pluginutil.go)."""

PLATFORMS: Mapping[str, tuple[str, ...]] = {
    "aws:runShellScript": ("Linux", "MacOS"),
    # AWS's agent also runs PowerShell on Linux where it is installed; on the lab's Linux nodes it is not.
    "aws:runPowerShellScript": ("Windows",),
    "aws:psModule": ("Windows",),
    "aws:applications": ("Windows",),
    "aws:domainJoin": ("Windows",),
    "aws:cloudWatch": ("Windows",),
    "aws:configureDocker": ("Linux", "Windows"),
    "aws:runDockerAction": ("Linux", "Windows"),
    "aws:configurePackage": ALL_PLATFORMS,
    "aws:downloadContent": ALL_PLATFORMS,
    "aws:refreshAssociation": ALL_PLATFORMS,
    "aws:runDocument": ALL_PLATFORMS,
    "aws:softwareInventory": ALL_PLATFORMS,
    "aws:updateAgent": ALL_PLATFORMS,
    "aws:updateSsmAgent": ALL_PLATFORMS,
}
"""The actions of command documents and the platforms on which each runs."""

MAX_NESTING = 50

SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "Command": ("1.0", "1.2", "2.0", "2.2"),
    "Policy": ("2.0", "2.2"),
    "Automation": ("0.3",),
    "Session": ("1.0",),
}
"""Schema versions by document type."""

PARAMETER_TYPES = ("String", "StringList", "Boolean", "Integer", "MapList", "StringMap")
_AUTOMATION_TYPE = re.compile(r"AWS::[\w:]+|List<AWS::[\w:]+>")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a document.

    `name` is the folder of its output (`PatchLinux`; `0.awsrunShellScript` in schema 1.2), `plugin` what
    CommandPlugins calls it (`PatchLinux`; `aws:runShellScript` in schema 1.2).
    """

    name: str
    action: str
    plugin: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    precondition: tuple[str, str] | None = None
    """Two operands that must be equal; `platformType` stands for the node's."""

    def runs_on(self, platform: str, parameters: Mapping[str, list[str]] | None = None) -> bool:
        """Whether the step runs on a platform (Linux, MacOS, Windows).

        A precondition about the platform takes it in any case, one about parameters holds until they are known
        (AG:agent/runpluginutil/run.go).
        """
        if platform not in PLATFORMS.get(self.action, ALL_PLATFORMS):
            return False
        if self.precondition is None:
            return True
        if "platformType" in self.precondition:
            return all(operand.lower() in ("platformtype", platform.lower()) for operand in self.precondition)
        left, right = (substitute(operand, parameters or {}) for operand in self.precondition)
        return parameters is None or bool(left == right)

    def timeout_seconds(self, parameters: Mapping[str, list[str]]) -> int:
        """How long the step may take, an hour unless it says otherwise (seconds)."""
        given = str(substitute(self.inputs.get("timeoutSeconds"), parameters))
        seconds = int(given) if re.fullmatch(r"\d{1,9}", given) else DEFAULT_STEP_SECONDS
        return seconds if seconds in STEP_SECONDS else DEFAULT_STEP_SECONDS

    def script(self, parameters: Mapping[str, list[str]]) -> str:
        """The script of a shell or PowerShell step, parameters filled in; "" for another step."""
        lines = substitute(self.inputs.get("runCommand", []), parameters)
        return lines if isinstance(lines, str) else "\n".join(str(line) for line in lines)


@dataclass(frozen=True, slots=True)
class Content:
    """What a document of schema 0.3, 1.x or 2.x says."""

    schema_version: str
    description: str | None
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]
    platform_types: tuple[str, ...]


def invalid(why: str) -> Exception:
    """The error for content that AWS does not take."""
    return error("InvalidDocumentContent", f"The content for the document is not valid: {why}")


def load(text: str, document_format: str) -> dict[str, Any]:
    """A document's text as data. Raises InvalidDocumentContent."""
    try:
        data = json.loads(text) if document_format == "JSON" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as problem:
        raise invalid(f"it is no {document_format} ({problem})") from problem
    if not isinstance(data, dict):
        raise invalid("it must be a map with schemaVersion")
    _check_nesting(data, MAX_NESTING)
    return data


def _check_nesting(value: Any, levels: int) -> None:
    """Refuse what is nested too deeply (in YAML perhaps without end), and keys that JSON cannot write."""
    if levels == 0:
        raise invalid(f"it is nested more than {MAX_NESTING} levels deep")
    if isinstance(value, dict):
        if strange := [key for key in value if not isinstance(key, str | int | float | None)]:
            raise invalid(f"{strange[0]} cannot be a key")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_nesting(item, levels - 1)


def parse(text: str, document_format: str, document_type: str) -> Content:
    """Read a document's text. Raises InvalidDocumentContent and InvalidDocumentSchemaVersion."""
    data = load(text, document_format)
    schema = str(data.get("schemaVersion", ""))
    if not schema:
        raise invalid("schemaVersion is missing")
    if schema not in SCHEMAS[document_type]:
        valid = ", ".join(SCHEMAS[document_type])
        raise error(
            "InvalidDocumentSchemaVersion",
            f"The schema version {schema} is not supported for {document_type} documents; supported are: {valid}",
        )
    parameters = _parameters(data.get("parameters") or {})
    steps = _steps(data, schema, document_type)
    undefined = sorted(references([step.inputs for step in steps]).difference(parameters))
    if undefined and document_type in ("Command", "Policy"):
        raise invalid(f"it refers to parameters that it does not declare: {', '.join(undefined)}")
    description = data.get("description")
    return Content(
        schema,
        None if description is None else str(description),
        parameters,
        steps,
        tuple(platform for platform in ALL_PLATFORMS if any(step.runs_on(platform) for step in steps)),
    )


def _parameters(declared: Any) -> dict[str, Parameter]:
    if not isinstance(declared, dict):
        raise invalid("parameters must be a map")
    return {str(name): _parameter(str(name), one) for name, one in declared.items()}


def _parameter(name: str, one: Any) -> Parameter:
    if not isinstance(one, dict) or not isinstance(one.get("type"), str):
        raise invalid(f"parameter {name} needs a type")
    if one["type"] not in PARAMETER_TYPES and _AUTOMATION_TYPE.fullmatch(one["type"]) is None:
        raise invalid(f"parameter {name} has the type {one['type']}; types are {', '.join(PARAMETER_TYPES)}")
    pattern = one.get("allowedPattern")
    try:
        re.compile(pattern or "")
    except (re.error, TypeError, OverflowError, RecursionError) as problem:
        raise invalid(f"parameter {name} has no valid allowedPattern ({problem})") from problem
    bounds = one.get("minItems", one.get("minChars")), one.get("maxItems", one.get("maxChars"))
    if not all(bound is None or type(bound) is int for bound in bounds):
        raise invalid(f"the bounds of parameter {name} must be whole numbers")
    description = one.get("description")
    parameter = Parameter(
        name,
        one["type"],
        None if description is None else str(description),
        None if one.get("default") is None else as_values(one["default"]),
        as_values(one.get("allowedValues") or []),
        pattern,
        *bounds,
    )
    refusal = None if parameter.default is None else parameter.problem(parameter.default)
    if refusal is not None:
        raise invalid(f"a default is not allowed: {refusal}")
    return parameter


def _steps(data: Mapping[str, Any], schema: str, document_type: str) -> tuple[Step, ...]:
    if document_type == "Session":
        return ()
    if schema.startswith("1."):
        return tuple(_runtime_steps(data.get("runtimeConfig")))
    main = data.get("mainSteps")
    if not isinstance(main, list) or not main:
        raise invalid("mainSteps must be a list of steps")
    steps = tuple(_main_step(one, known_only=document_type != "Automation") for one in main)
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        raise invalid("two steps have the same name")
    return steps


def _main_step(one: Any, *, known_only: bool) -> Step:
    if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("action", "name")):
        raise invalid("every step needs an action and a name")
    name, action = one["name"], one["action"]
    if re.fullmatch(r"[\w.-]{1,128}", name) is None:
        raise invalid(f"the step name {name} has other characters than letters, digits, _, . and -")
    if not action.startswith("aws:") or (known_only and action not in PLATFORMS):
        raise invalid(f"the step {name} has the action {action}; actions are {', '.join(PLATFORMS)}")
    inputs = one.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise invalid(f"the inputs of the step {name} must be a map")
    _check_script(name, inputs)
    return Step(name, action, name, inputs, _precondition(name, one.get("precondition")))


def _check_script(name: str, inputs: Mapping[str, Any]) -> None:
    if not isinstance(inputs.get("runCommand", []), str | list):
        raise invalid(f"runCommand of the step {name} must be a list of lines")


def _precondition(name: str, one: Any) -> tuple[str, str] | None:
    if one is None:
        return None
    operands = one.get("StringEquals") if isinstance(one, dict) and len(one) == 1 else None
    if not isinstance(operands, list) or len(operands) != 2:
        raise invalid(f"the precondition of the step {name} must be StringEquals with two operands")
    return str(operands[0]), str(operands[1])


def _runtime_steps(config: Any) -> list[Step]:
    if not isinstance(config, dict) or not config:
        raise invalid("runtimeConfig must name at least one action")
    steps = []
    for action, body in config.items():
        if action not in PLATFORMS or not isinstance(body, dict):
            raise invalid(f"runtimeConfig has the action {action}; actions are {', '.join(PLATFORMS)}")
        properties = body.get("properties")
        for index, inputs in enumerate(properties if isinstance(properties, list) else [properties]):
            given = inputs if isinstance(inputs, dict) else {}
            folder = str(given.get("id") or f"{index}.{action}").replace(":", "")
            _check_script(folder, given)
            steps.append(Step(folder, action, action, given))
    return steps
