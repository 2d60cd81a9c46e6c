"""docs/lab.md says what is true: its transcript can be typed in, and its lists are the lab's."""

from __future__ import annotations

import re

import pytest
from moto.core.utils import camelcase_to_underscores
from transcript import DOCUMENT, run, transcript
from world_builder import admin

from lab.ssm.base import operations
from lab.ssm.response import NOUNS
from lab.testing import LabHandle


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


def test_the_aws_cli_alone_drives_the_lab_as_the_document_shows(lab: LabHandle) -> None:
    steps = transcript(DOCUMENT.read_text())
    outputs = run([step.command for step in steps], lab.endpoint)
    assert len(steps) > 10
    for step, output in zip(steps, outputs, strict=True):
        assert output == step.output, step.command


def test_the_document_lists_every_operation_of_systems_manager_that_the_lab_has() -> None:
    text = DOCUMENT.read_text()
    listed = re.findall(r"`(\w+)`", text[text.index("<!-- operations -->") : text.index("<!-- end -->")])
    own = {method for noun in NOUNS for method in noun.own_operations}
    assert sorted(listed) == sorted(name for name in operations() if camelcase_to_underscores(name) in own)


def test_the_document_lists_every_setting_and_every_page_of_the_admin_api(lab: LabHandle) -> None:
    text = DOCUMENT.read_text()
    for setting in admin(lab, "GET", "/lab/settings"):
        assert f"`{setting}`" in text, setting
    for page in admin(lab, "GET", "/lab/")["pages"]:
        assert page["path"] in text, page
