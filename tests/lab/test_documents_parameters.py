"""Parameters of documents: binding, checking and filling them in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.ssm.exceptions import SSMException

from lab.ssm.aws_documents import aws_documents
from lab.ssm.document_parameters import Parameter, bind, references, substitute
from lab.ssm.documents import bind_parameters

PATCH = aws_documents()["AWS-RunPatchBaseline"].versions[1]
GUID = "11111111-2222-4333-8444-555555555555"


def refused(parameters: dict[str, list[str]]) -> str:
    with pytest.raises(SSMException) as caught:
        bind_parameters(PATCH, parameters)
    assert caught.value.code == "InvalidParameters"
    return str(caught.value.message)


def test_defaults_fill_what_is_not_given() -> None:
    bound = bind_parameters(PATCH, {"Operation": ["Install"], "SnapshotId": [GUID]})
    assert bound["Operation"] == ["Install"]
    assert bound["SnapshotId"] == [GUID]
    assert bound["RebootOption"] == ["RebootIfNeeded"]
    assert bound["InstallOverrideList"] == [""]


def test_a_parameter_without_default_must_be_given() -> None:
    assert "Operation" in refused({})


def test_a_parameter_that_the_document_does_not_declare_is_refused() -> None:
    message = refused({"Operation": ["Scan"], "Reboot": ["no"]})
    assert "Reboot" in message
    assert "RebootOption" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Operation", "scan"),
        ("RebootOption", "Never"),
        ("SnapshotId", "not-a-guid"),
        ("InstallOverrideList", "http://example.com/list.yaml"),
        ("InstallOverrideList", "s3://bucket"),
        ("InstallOverrideList", "s3://bucket/$list.yaml"),
        ("StepTimeoutSeconds", "0"),
        ("StepTimeoutSeconds", "36001"),
    ],
)
def test_a_value_that_the_document_does_not_allow_is_refused(name: str, value: str) -> None:
    assert value in refused({"Operation": ["Scan"], name: [value]})


@pytest.mark.parametrize("value", ["https://example.com/list.yaml", "s3://bucket/lists/list.yaml", ""])
def test_an_override_list_is_an_https_or_s3_url(value: str) -> None:
    assert bind_parameters(PATCH, {"Operation": ["Scan"], "InstallOverrideList": [value]})


def test_a_string_takes_one_value() -> None:
    assert "one value" in refused({"Operation": ["Scan", "Install"]})


@pytest.mark.parametrize("seconds", ["5", "9999", "10000", "29999", "35999", "36000"])
def test_the_step_may_take_up_to_ten_hours(seconds: str) -> None:
    bound = bind_parameters(PATCH, {"Operation": ["Scan"], "StepTimeoutSeconds": [seconds]})
    assert PATCH.steps[0].timeout_seconds(bound) == int(seconds)


@pytest.mark.parametrize(
    ("parameter", "values", "problem"),
    [
        (Parameter("x", "StringList", at_least=1), [], True),
        (Parameter("x", "StringList", at_most=2), ["a", "b", "c"], True),
        (Parameter("x", "StringList", allowed_values=("a", "b")), ["a", "c"], True),
        (Parameter("x", "String", at_most=2), ["abc"], True),
        (Parameter("x", "String", at_least=1), [""], True),
        (Parameter("x", "Boolean"), ["yes"], True),
        (Parameter("x", "Boolean"), ["true"], False),
        (Parameter("x", "Integer"), ["1.5"], True),
        (Parameter("x", "Integer"), ["-7"], False),
        (Parameter("x", "List<AWS::EC2::Instance::Id>"), ["i-1", "i-2"], False),
    ],
)
def test_what_a_parameter_declares_is_what_it_takes(parameter: Parameter, values: list[str], problem: bool) -> None:
    assert (parameter.problem(values) is not None) is problem


def test_a_reference_inside_a_text_is_filled_in() -> None:
    assert substitute("run {{ a }} and {{b}}", {"a": ["1"], "b": ["2"]}) == "run 1 and 2"


def test_a_list_parameter_becomes_items_of_a_list() -> None:
    assert substitute(["first", "{{ a }}", "last"], {"a": ["1", "2"]}) == ["first", "1", "2", "last"]
    assert substitute(["{{ a }}"], {"a": []}) == []


def test_a_text_that_is_one_reference_becomes_the_parameters_value() -> None:
    assert substitute("{{ a }}", {"a": ["1", "2"]}) == ["1", "2"]
    assert substitute("{{ a }}", {"a": ["1"]}) == "1"


def test_several_values_inside_a_text_are_written_as_json() -> None:
    assert substitute("all of {{ a }}", {"a": ["1", "2"]}) == 'all of ["1", "2"]'


def test_references_are_filled_in_wherever_they_stand() -> None:
    assert substitute({"x": {"y": ["{{ a }}", 3]}}, {"a": ["1"]}) == {"x": {"y": ["1", 3]}}


def test_what_is_no_parameter_stays_as_it_is() -> None:
    for text in ("{{ unknown }}", "{{ global:REGION }}", "{{ Step.Output }}", "docker ps --format '{{.Names}}'", "{a}"):
        assert substitute(text, {"a": ["1"]}) == text
    assert references(["{{ a }}", {"k": "{{b}} {{ global:DATE }}"}]) == {"a", "b"}


texts = st.text(alphabet="ab {}$\\\"'\n", max_size=12)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(texts, max_size=3)), st.lists(texts, max_size=4))
def test_filling_in_never_reads_what_was_filled_in(parameters: dict[str, list[str]], lines: list[str]) -> None:
    filled = substitute([*lines, *(f"{{{{ {name} }}}}" for name in parameters)], parameters)
    given_values = [value for values in parameters.values() for value in values]
    assert filled[len(filled) - len(given_values) :] == given_values


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["a", "b"]), st.lists(texts, min_size=1, max_size=3)))
def test_what_is_bound_is_what_was_given_or_the_default(given_values: dict[str, list[str]]) -> None:
    declared = {name: Parameter(name, "StringList", default=("d",)) for name in ("a", "b")}
    bound = bind("doc", declared, given_values)
    assert bound == {name: given_values.get(name, ["d"]) for name in ("a", "b")}
