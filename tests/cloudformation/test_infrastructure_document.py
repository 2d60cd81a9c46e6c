"""docs/infrastructure.md: its commands give the templates what they ask for, its names are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from stacks import FOLDER, NAMES, parsed

from sluice.core.policy.pilot import GROUP

TEXT = (Path(__file__).parents[2] / "docs" / "infrastructure.md").read_text("utf-8")
(SHELL,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    shlex.split(line) for line in SHELL.replace("\\\n", "").splitlines() if line.startswith("aws cloudformation deploy")
]


def template_of(command: list[str]) -> str:
    return Path(command[command.index("--template-file") + 1]).stem


@pytest.mark.parametrize("command", COMMANDS, ids=template_of)
def test_a_command_gives_every_parameter_that_has_no_default_and_none_that_is_not_there(command: list[str]) -> None:
    parameters = parsed(template_of(command))["Parameters"]
    given = {word.split("=")[0]: word.split("=", 1)[1] for word in command if re.match(r"[A-Z]\w+=", word)}
    assert set(given) <= set(parameters)
    assert {name for name, one in parameters.items() if "Default" not in one} <= set(given)
    for name, value in given.items():
        assert re.fullmatch(parameters[name].get("AllowedPattern", ".*"), value), name
        assert value in parameters[name].get("AllowedValues", [value]), name


@pytest.mark.parametrize("command", COMMANDS, ids=template_of)
def test_a_command_allows_named_roles_where_the_template_has_them(command: list[str]) -> None:
    kinds = {one["Type"] for one in parsed(template_of(command))["Resources"].values()}
    named = bool(kinds & {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"})
    assert ("CAPABILITY_NAMED_IAM" in command) == named


def test_every_template_is_explained_and_every_one_explained_is_there() -> None:
    assert sorted(re.findall(r"^\| `([\w-]+)\.yaml` \|", TEXT, re.MULTILINE)) == NAMES
    assert sorted(path.stem for path in FOLDER.iterdir()) == NAMES


def test_every_parameter_and_role_that_it_names_is_there() -> None:
    parameters = {name for template in NAMES for name in parsed(template)["Parameters"]}
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=\w+)?`", TEXT))
    not_ours = {"AmazonSSMManagedInstanceCore", "RegisterTaskWithMaintenanceWindow", "UpdateMaintenanceWindowTask"}
    assert named - not_ours <= parameters


def test_the_scanners_stack_is_ready_for_the_pilot_that_init_writes() -> None:
    parameters = parsed("scanner")["Parameters"]
    assert parameters["Deployment"]["Default"] == GROUP
    assert parameters["PatchGroups"]["Default"] == GROUP
