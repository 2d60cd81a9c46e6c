"""Documents: AWS's and an account's own, as a client of AWS sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.ssm.exceptions import SSMException

from lab.ssm.document_content import parse
from lab.ssm.documents import find_document
from lab.testing import LabHandle

OTHER = "222222222222"
CONTENT: dict[str, Any] = {
    "schemaVersion": "2.2",
    "description": "restarts a service",
    "parameters": {
        "service": {"type": "String", "description": "its name", "allowedPattern": "[a-z]+"},
        "lines": {"type": "StringList", "default": ["a", "b"]},
    },
    "mainSteps": [
        {
            "name": "Restart",
            "action": "aws:runShellScript",
            "precondition": {"StringEquals": ["platformType", "Linux"]},
            "inputs": {"timeoutSeconds": 120, "runCommand": ["systemctl restart {{ service }}", "{{ lines }}"]},
        }
    ],
}


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, name: str = "Restart", content: Any = None, **members: Any) -> Any:
    text = content if isinstance(content, str) else json.dumps(content or CONTENT)
    given = {"DocumentType": "Command", **members}
    return ssm.create_document(Name=name, Content=text, **given)["DocumentDescription"]


def changed(**members: Any) -> dict[str, Any]:
    return {**CONTENT, **members}


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code, caught.value
    for word in words:
        assert word in caught.value.response["Error"]["Message"]


def names(ssm: Any, **filters: list[str]) -> list[str]:
    given = [{"Key": key.replace("__", ":"), "Values": values} for key, values in filters.items()]
    pages = ssm.get_paginator("list_documents").paginate(Filters=given)
    return [document["Name"] for page in pages for document in page["DocumentIdentifiers"]]


def test_the_patch_document_has_awss_parameters_and_defaults(ssm: Any) -> None:
    document = ssm.describe_document(Name="AWS-RunPatchBaseline")["Document"]
    assert (document["Owner"], document["DocumentType"], document["SchemaVersion"]) == ("Amazon", "Command", "2.2")
    assert sorted(document["PlatformTypes"]) == ["Linux", "MacOS", "Windows"]
    defaults = {parameter["Name"]: parameter.get("DefaultValue") for parameter in document["Parameters"]}
    assert defaults == {
        "Operation": None,
        "AssociationId": "",
        "SnapshotId": "",
        "InstallOverrideList": "",
        "BaselineOverride": "",
        "RebootOption": "RebootIfNeeded",
        "StepTimeoutSeconds": "7200",
    }


def test_the_patch_documents_steps_are_named_as_awss(ssm: Any) -> None:
    content = json.loads(ssm.get_document(Name="AWS-RunPatchBaseline")["Content"])
    steps = {step["name"]: (step["action"], step["precondition"]["StringEquals"][1]) for step in content["mainSteps"]}
    assert steps == {
        "PatchWindows": ("aws:runPowerShellScript", "Windows"),
        "PatchLinux": ("aws:runShellScript", "Linux"),
        "PatchMacOS": ("aws:runShellScript", "MacOS"),
    }


@pytest.mark.parametrize("name", ["AWS-RunPatchBaseline", "arn:aws:ssm:eu-west-3::document/AWS-RunPatchBaseline"])
def test_awss_documents_are_found_by_name_and_by_arn(ssm: Any, name: str) -> None:
    assert ssm.describe_document(Name=name)["Document"]["Name"] == "AWS-RunPatchBaseline"


def test_awss_documents_cannot_be_changed_or_deleted(ssm: Any) -> None:
    with refused("InvalidDocument", "provided by AWS"):
        ssm.delete_document(Name="AWS-RunShellScript")
    with refused("InvalidDocument", "provided by AWS"):
        ssm.update_document(Name="AWS-RunShellScript", Content="{}", DocumentVersion="$LATEST")
    for name in ("AWS-Mine", "amazon-mine", "amzn.mine"):
        with refused("ValidationException", "aws, amazon, amzn"):
            create(ssm, name)


def test_every_document_of_awss_is_one_that_an_account_could_write(ssm: Any) -> None:
    for name in names(ssm, Owner=["Amazon"]):
        document = ssm.get_document(Name=name)
        create(ssm, f"own-{name}", document["Content"], DocumentType=document["DocumentType"])


def test_a_document_keeps_what_it_is_created_with(lab: LabHandle, ssm: Any) -> None:
    created = create(ssm, VersionName="one", DisplayName="Restart it", TargetType="/AWS::EC2::Instance")
    described = ssm.describe_document(Name="Restart")["Document"]
    assert created["Status"] == "Creating"
    assert described == {**created, "Status": "Active"}
    assert described["Owner"] == "111111111111"
    assert described["PlatformTypes"] == ["Linux"]
    assert (described["VersionName"], described["DisplayName"]) == ("one", "Restart it")
    assert described["TargetType"] == "/AWS::EC2::Instance"
    assert (described["DocumentVersion"], described["DefaultVersion"], described["LatestVersion"]) == ("1", "1", "1")
    assert described["CreatedDate"] == lab.world.clock.now()
    assert described["Parameters"] == [
        {"Name": "service", "Type": "String", "Description": "its name"},
        {"Name": "lines", "Type": "StringList", "DefaultValue": '["a", "b"]'},
    ]


def test_a_document_is_answered_in_the_format_asked_for(ssm: Any) -> None:
    create(ssm, content=yaml.safe_dump(CONTENT), DocumentFormat="YAML")
    assert json.loads(ssm.get_document(Name="Restart")["Content"]) == CONTENT
    as_yaml = ssm.get_document(Name="Restart", DocumentFormat="YAML")
    assert yaml.safe_load(as_yaml["Content"]) == CONTENT
    assert as_yaml["DocumentFormat"] == "YAML"
    with refused("ValidationException", "TEXT"):
        ssm.get_document(Name="Restart", DocumentFormat="TEXT")


def test_a_name_is_given_once(ssm: Any) -> None:
    create(ssm)
    with refused("DocumentAlreadyExists"):
        create(ssm)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "JSON"),
        ("[]", "schemaVersion"),
        (changed(schemaVersion=""), "schemaVersion"),
        (changed(mainSteps=[]), "mainSteps"),
        (changed(mainSteps=[{"name": "x"}]), "action"),
        (changed(mainSteps=[{"name": "x", "action": "aws:makeCoffee"}]), "aws:makeCoffee"),
        (changed(mainSteps=CONTENT["mainSteps"] * 2), "same name"),
        (changed(mainSteps=[{**CONTENT["mainSteps"][0], "precondition": {"Exists": []}}]), "StringEquals"),
        (changed(parameters={}), "lines, service"),
        (changed(parameters={**CONTENT["parameters"], "bad": {"type": "Text"}}), "Text"),
        (changed(parameters={**CONTENT["parameters"], "bad": {"type": "String", "allowedPattern": "("}}), "bad"),
        (
            changed(
                parameters={**CONTENT["parameters"], "bad": {"type": "String", "allowedPattern": f"a{{{'9' * 30}}}"}}
            ),
            "bad",
        ),
        (changed(mainSteps=[{"name": "x", "action": "aws:runShellScript", "inputs": {"runCommand": 5}}]), "runCommand"),
        (changed(mainSteps=[{"name": "x", "action": "aws:runShellScript", "inputs": {"runCommand": None}}]), "lines"),
        (
            changed(
                parameters={**CONTENT["parameters"], "bad": {"type": "String", "allowedValues": ["a"], "default": "b"}}
            ),
            "[a]",
        ),
    ],
)
def test_content_that_makes_no_sense_is_refused_with_the_reason(ssm: Any, content: Any, word: str) -> None:
    with refused("InvalidDocumentContent", word):
        create(ssm, content=content)


def test_a_schema_of_another_type_of_document_is_refused(ssm: Any) -> None:
    with refused("InvalidDocumentSchemaVersion", "0.3", "2.2"):
        create(ssm, content=changed(schemaVersion="0.3"))
    with refused("InvalidDocumentSchemaVersion", "0.3"):
        create(ssm, DocumentType="Automation")


def test_a_document_is_at_most_64_kilobytes(ssm: Any) -> None:
    with refused("MaxDocumentSizeExceeded", "64"):
        create(ssm, content=changed(description="x" * 65536))


def test_a_type_that_the_lab_does_not_keep_is_refused_in_so_many_words(ssm: Any) -> None:
    with refused("ValidationException", "CloudFormation", "ChangeCalendar"):
        create(ssm, DocumentType="CloudFormation")


def test_a_new_version_is_the_latest_but_not_the_default(ssm: Any) -> None:
    create(ssm)
    updated = ssm.update_document(
        Name="Restart", Content=json.dumps(changed(description="v2")), DocumentVersion="$LATEST", VersionName="two"
    )["DocumentDescription"]
    assert (updated["DocumentVersion"], updated["LatestVersion"], updated["DefaultVersion"]) == ("2", "2", "1")
    described = {
        version: ssm.describe_document(Name="Restart", DocumentVersion=version)["Document"]["Description"]
        for version in ("$DEFAULT", "$LATEST", "1", "2")
    }
    assert described == {"$DEFAULT": "restarts a service", "$LATEST": "v2", "1": "restarts a service", "2": "v2"}
    assert ssm.describe_document(Name="Restart", VersionName="two")["Document"]["DocumentVersion"] == "2"
    default = ssm.update_document_default_version(Name="Restart", DocumentVersion="2")["Description"]
    assert default == {"Name": "Restart", "DefaultVersion": "2", "DefaultVersionName": "two"}
    assert ssm.describe_document(Name="Restart")["Document"]["Description"] == "v2"


def test_versions_are_listed_newest_first(ssm: Any) -> None:
    create(ssm)
    ssm.update_document(Name="Restart", Content=json.dumps(changed(description="v2")), DocumentVersion="1")
    versions = ssm.list_document_versions(Name="Restart")["DocumentVersions"]
    assert [(v["DocumentVersion"], v["IsDefaultVersion"]) for v in versions] == [("2", False), ("1", True)]


def test_only_the_latest_version_can_be_updated_and_only_to_something_else(ssm: Any) -> None:
    create(ssm, VersionName="one")
    other = json.dumps(changed(description="v2"))
    with refused("DuplicateDocumentContent"):
        ssm.update_document(Name="Restart", Content=json.dumps(CONTENT), DocumentVersion="$LATEST")
    with refused("InvalidDocumentVersion"):
        ssm.update_document(Name="Restart", Content=other, DocumentVersion="2")
    with refused("DuplicateDocumentVersionName"):
        ssm.update_document(Name="Restart", Content=other, DocumentVersion="1", VersionName="one")
    with refused("InvalidDocument", "Nobody"):
        ssm.update_document(Name="Nobody", Content=other, DocumentVersion="1")


def test_unknown_documents_and_versions_are_typed_errors(ssm: Any) -> None:
    with refused("InvalidDocument", "Nobody"):
        ssm.describe_document(Name="Nobody")
    with refused("InvalidDocumentVersion", "7"):
        ssm.get_document(Name="AWS-RunPatchBaseline", DocumentVersion="7")


def test_the_default_version_can_only_be_deleted_with_the_document(ssm: Any) -> None:
    create(ssm)
    ssm.update_document(Name="Restart", Content=json.dumps(changed(description="v2")), DocumentVersion="1")
    with refused("InvalidDocumentOperation", "Default version"):
        ssm.delete_document(Name="Restart", DocumentVersion="1")
    with refused("InvalidDocument"):
        ssm.delete_document(Name="Restart", DocumentVersion="9")
    ssm.delete_document(Name="Restart", DocumentVersion="2")
    assert ssm.describe_document(Name="Restart")["Document"]["LatestVersion"] == "1"
    ssm.delete_document(Name="Restart")
    with refused("InvalidDocument"):
        ssm.describe_document(Name="Restart")


def test_documents_are_listed_by_owner_prefix_type_platform_and_tag(ssm: Any) -> None:
    create(ssm, "web-restart", Tags=[{"Key": "Team", "Value": "web"}])
    create(ssm, "db-restart")
    assert names(ssm, Owner=["Self"]) == ["db-restart", "web-restart"]
    assert names(ssm, Name=["web-"]) == ["web-restart"]
    assert names(ssm, tag__Team=["web", "db"]) == ["web-restart"]
    assert {"AWS-RunPatchBaseline", "db-restart"} <= set(names(ssm))
    assert "AWS-RestartEC2Instance" in names(ssm, DocumentType=["Automation"], Owner=["Amazon"])
    assert names(ssm, PlatformTypes=["Windows"], Name=["AWS-Run"]) == [
        "AWS-RunPatchBaseline",
        "AWS-RunPowerShellScript",
    ]
    assert ssm.list_documents(DocumentFilterList=[{"key": "Name", "value": "db"}])["DocumentIdentifiers"][0][
        "Name"
    ] == ("db-restart")
    with refused("InvalidFilterKey", "Colour"):
        names(ssm, Colour=["red"])
    with refused("ValidationException", "Nobody"):
        names(ssm, Owner=["Nobody"])


def test_documents_come_in_pages(ssm: Any) -> None:
    for number in range(5):
        create(ssm, f"doc-{number}")
    pages = ssm.get_paginator("list_documents").paginate(
        Filters=[{"Key": "Owner", "Values": ["Self"]}], PaginationConfig={"PageSize": 2}
    )
    assert [len(page["DocumentIdentifiers"]) for page in pages] == [2, 2, 1]


def test_a_shared_document_is_found_by_the_other_account_by_its_arn_only(lab: LabHandle, ssm: Any) -> None:
    create(ssm)
    other = lab.client("ssm", account=OTHER)
    arn = "arn:aws:ssm:eu-west-3:111111111111:document/Restart"
    with refused("InvalidDocument"):
        other.describe_document(Name=arn)
    ssm.modify_document_permission(Name="Restart", PermissionType="Share", AccountIdsToAdd=[OTHER])
    assert other.describe_document(Name=arn)["Document"]["Owner"] == "111111111111"
    with refused("InvalidDocument"):
        other.describe_document(Name="Restart")
    shares = ssm.describe_document_permission(Name="Restart", PermissionType="Share")
    assert shares["AccountIds"] == [OTHER]
    assert shares["AccountSharingInfoList"] == [{"AccountId": OTHER, "SharedDocumentVersion": "$DEFAULT"}]


def test_a_shared_document_cannot_be_deleted_until_it_is_shared_no_more(ssm: Any) -> None:
    create(ssm)
    ssm.modify_document_permission(Name="Restart", PermissionType="Share", AccountIdsToAdd=["all"])
    with refused("InvalidDocumentOperation", "unshare"):
        ssm.delete_document(Name="Restart")
    with refused("DocumentPermissionLimit"):
        ssm.modify_document_permission(Name="Restart", PermissionType="Share", AccountIdsToAdd=["all", OTHER])
    ssm.modify_document_permission(Name="Restart", PermissionType="Share", AccountIdsToRemove=["all"])
    ssm.delete_document(Name="Restart")


def test_the_engine_finds_documents_by_name_and_version(lab: LabHandle, ssm: Any) -> None:
    create(ssm)
    ssm.update_document(Name="Restart", Content=json.dumps(changed(description="v2")), DocumentVersion="1")
    location = lab.location()
    assert find_document(location, "Restart").version == "1"
    assert find_document(location, "Restart", "$LATEST").version == "2"
    step = find_document(location, "Restart").steps[0]
    assert (step.name, step.plugin, step.action) == ("Restart", "Restart", "aws:runShellScript")
    assert step.runs_on("Linux")
    assert not step.runs_on("MacOS")
    assert not step.runs_on("Windows")
    given = {"service": ["nginx"], "lines": ["x", "y"]}
    assert step.timeout_seconds(given) == 120
    assert step.script(given) == "systemctl restart nginx\nx\ny"


def test_the_shell_documents_step_has_awss_plugin_name_and_folder(lab: LabHandle) -> None:
    document = find_document(lab.location(), "AWS-RunShellScript")
    step = document.steps[0]
    assert (step.plugin, step.name) == ("aws:runShellScript", "0.awsrunShellScript")
    given = {"commands": ["echo a", "echo b"], "workingDirectory": [""], "executionTimeout": ["60"]}
    assert step.script(given) == "echo a\necho b"
    assert step.script({**given, "commands": ["echo one"]}) == "echo one"
    assert step.timeout_seconds(given) == 60
    assert document.platform_types == ("Linux", "MacOS")


WORDS = [*CONTENT, *CONTENT["mainSteps"][0], "id", "type", "default", "allowedPattern", "minItems", "runCommand", "a"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["String", "aws:runShellScript", "{{ a }}", "("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["1.2", "2.2"]), st.dictionaries(st.sampled_from([*CONTENT, "runtimeConfig"]), VALUES))
def test_content_is_read_or_refused_but_never_a_crash(schema: str, members: dict[str, Any]) -> None:
    text = json.dumps({**CONTENT, **members, "schemaVersion": schema})
    try:
        content = parse(text, "JSON", "Command")
    except SSMException:
        return
    for step in content.steps:
        assert isinstance(step.script({"a": ["1", "2"]}), str)
        assert step.timeout_seconds({"a": ["1"]}) >= 0
        assert step.runs_on("Linux") in (True, False)


@pytest.mark.parametrize(
    ("text", "document_format"),
    [
        ("[" * 60_000, "JSON"),
        ('{"mainSteps": ' + "[" * 400 + "]" * 400 + "}", "JSON"),
        ("mainSteps: &steps\n- *steps\n", "YAML"),
        ("mainSteps:\n- 2025-06-02: when\n", "YAML"),
    ],
    ids=["without end", "too deep", "in itself", "a date as key"],
)
def test_content_that_json_could_not_write_is_refused(text: str, document_format: str) -> None:
    with pytest.raises(SSMException, match="not valid"):
        parse(text, document_format, "Command")


def test_a_version_of_ever_so_many_digits_does_not_exist(ssm: Any) -> None:
    create(ssm)
    with refused("InvalidDocumentVersion"):
        ssm.describe_document(Name="Restart", DocumentVersion="9" * 5000)


def test_a_document_filter_needs_a_key(ssm: Any) -> None:
    with refused("InvalidFilterKey"):
        ssm.list_documents(Filters=[{"Values": ["Self"]}])
