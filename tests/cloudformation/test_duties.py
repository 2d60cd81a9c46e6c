"""Who may do what: generated from what stands beside the calls, and no more than a duty needs."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from stacks import ACCOUNT, Stack

from sluice.aws import duties
from sluice.aws.session import Duty
from sluice.cli import iam
from sluice.evidence.bucket import PERMISSIONS

DEPLOYMENT = {"aws__ResourceTag___sluice__deployment": "sluice"}
WINDOW = f"arn:aws:ssm:eu-west-3:{ACCOUNT}:maintenancewindow/mw-0123456789abcdef0"
NODE = f"arn:aws:ec2:eu-west-3:{ACCOUNT}:instance/i-0123456789abcdef0"
IMAGE = "arn:aws:ec2:eu-west-3::image/ami-0123456789abcdef0"
SERVICES = ("nonprod", "prod")


@pytest.fixture(scope="module")
def member() -> Stack:
    return Stack("member")


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """AWS's service authorization reference, as cfn-lint carries it: actions, and the resources that each knows."""
    text = files("cfnlint").joinpath("data", "AdditionalSpecs", "Policies.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def owned(window: str) -> dict[str, str]:
    return {**DEPLOYMENT, "aws__ResourceTag___sluice__object": window}


# Generated, and nothing forgotten


def test_templates_and_document_are_what_the_code_needs_now() -> None:
    differing = [path.name for path in iam.files() if iam.wanted(path) != path.read_text("utf-8")]
    assert differing == [], "the code's permissions changed: python -m sluice iam --write, and read the difference"


def test_every_change_that_an_adapter_makes_is_some_dutys() -> None:
    assert duties.without_duty() == [], "name it in sluice.aws.duties.CHANGES, or no role may do it"


def test_every_change_without_a_condition_is_explained() -> None:
    assert duties.unexplained() == [], "add `when=` beside the call, or a reason in sluice.aws.duties.UNOWNED"


def test_only_what_needs_it_is_explained() -> None:
    bare = {
        grant.action for duty in Duty for grant in duties.grants(duty) if grant.when == "always" and not grant.where
    }
    assert set(duties.UNOWNED) <= bare


def test_what_an_adapter_changes_by_now_is_not_granted_as_still_to_come() -> None:
    calls = {(grant.action, resource) for _, grant in duties.every_call() for resource in grant.resources}
    coming = {
        (action, resource)
        for one in duties.COMING
        for action in one.actions
        for resource in one.resources
        if not duties.reads(action)
    }
    assert coming & calls == set(), "it stands beside its call now: name the function in CHANGES instead"


def test_actions_exist_and_know_the_resources_that_they_are_limited_to(reference: dict[str, Any]) -> None:
    wrong = [
        f"{grant.action} on {resource}"
        for duty in Duty
        for grant in duties.grants(duty)
        for resource in grant.resources
        if not _knows(reference, grant.action, resource)
    ]
    assert wrong == [], "IAM would deny it: such a permission has to be on '*'"


def _knows(reference: dict[str, Any], action: str, resource: str) -> bool:
    service, _, name = action.partition(":")
    known = reference[service]["Actions"].get(name.lower())
    if known is None:
        return False
    return resource == "*" or bool(known.get("Resources"))


def test_conditions_on_ownership_are_on_resources_whose_tags_iam_sees(reference: dict[str, Any]) -> None:
    unseen = [
        f"{grant.action} on {resource}"
        for duty in Duty
        for grant in duties.grants(duty)
        for resource in grant.resources
        if grant.when == "owned"
        and "aws:ResourceTag/${TagKey}" not in _condition_keys(reference, grant.action, resource)
    ]
    assert unseen == [], "IAM would deny it always: there is no such tag to compare"


def _condition_keys(reference: dict[str, Any], action: str, resource: str) -> set[str]:
    """The condition keys of those of an action's resource types that an ARN is of."""
    service, _, name = action.partition(":")
    kinds = reference[service]["Actions"][name.lower()].get("Resources", [])
    found: set[str] = set()
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        described = reference[service]["Resources"].get(kind.lower(), {})
        if any(_is_of(resource, form) for form in described.get("ARNFormats", ())):
            found |= set(described.get("ConditionKeys", ()))
    return found


def _is_of(resource: str, form: str) -> bool:
    return re.sub(r"\{\w+\}", "", resource).replace("*", "") == re.sub(r"\$\{\w+\}", "", form).replace(".*", "")


def test_a_change_on_any_resource_is_one_that_cannot_be_limited(reference: dict[str, Any]) -> None:
    for duty in Duty:
        for grant in duties.grants(duty):
            if grant.resources == ("*",) and not duties.reads(grant.action):
                service, _, name = grant.action.partition(":")
                assert not reference[service]["Actions"][name.lower()].get("Resources"), grant.action


# What a stolen credential cannot do


def test_the_reader_changes_nothing(member: Stack) -> None:
    assert all(duties.reads(action) for action in member.role("sluice-reader").actions)


def test_no_role_reads_secrets_parameters_or_other_buckets(member: Stack) -> None:
    for _, role in member.roles():
        assert not any(re.match(r"(secretsmanager|kms|ssm:GetParameter)", action) for action in role.actions)
        assert not role.may("s3:GetObject", "arn:aws:s3:::payroll/january.csv")


def test_nobody_but_the_windows_sends_commands_and_nobody_starts_sessions_or_automations(member: Stack) -> None:
    for name, role in member.roles():
        assert ("ssm:SendCommand" in role.actions) == name.startswith("sluice-window-")
        assert not role.actions & {"ssm:StartSession", "ssm:StartAutomationExecution"}


def test_nobody_can_grant_himself_more(member: Stack) -> None:
    for name, role in member.roles():
        changes = {
            action for action in role.actions if action.startswith(("iam:", "sts:")) and not duties.reads(action)
        }
        assert changes <= {"iam:PassRole"}, name


@pytest.mark.parametrize(("duty", "own", "foreign"), [("nonprod", "nonprod", "prod"), ("prod", "prod", "nonprod")])
def test_an_installer_opens_its_own_rings_windows_and_no_others(
    member: Stack, duty: str, own: str, foreign: str
) -> None:
    role = member.role(f"sluice-{duty}-installer")
    for action in (
        "ssm:UpdateMaintenanceWindow",
        "ssm:UpdateMaintenanceWindowTask",
        "ssm:UpdateMaintenanceWindowTarget",
    ):
        assert role.may(action, WINDOW, **owned(f"install-{own}-linux"))
        assert not role.may(action, WINDOW, **owned(f"install-{foreign}-linux"))
        assert not role.may(action, WINDOW, **owned("scan-daily"))
        assert not role.may(action, WINDOW)


@pytest.mark.parametrize(("duty", "foreign"), [("nonprod", "prod"), ("prod", "nonprod")])
def test_an_installer_passes_its_own_windows_role_to_systems_manager_alone(
    member: Stack, duty: str, foreign: str
) -> None:
    role = member.role(f"sluice-{duty}-installer")
    own, other = (f"arn:aws:iam::{ACCOUNT}:role/sluice-window-{ring}" for ring in (duty, foreign))
    assert role.may("iam:PassRole", own, iam__PassedToService="ssm.amazonaws.com")
    assert not role.may("iam:PassRole", own, iam__PassedToService="ec2.amazonaws.com")
    assert not role.may("iam:PassRole", other, iam__PassedToService="ssm.amazonaws.com")


@pytest.mark.parametrize("name", ["sluice-nonprod-installer", "sluice-prod-installer"])
def test_an_installer_tags_its_rings_nodes_with_the_release_and_nothing_else(member: Stack, name: str) -> None:
    role, ring = member.role(name), name.split("-")[1]
    own, other = (
        {"aws__ResourceTag___PatchGroup": f"{one}-linux"} for one in sorted(SERVICES, key=lambda one: one != ring)
    )
    release = {"aws__TagKeys": "sluice:release"}
    for action in ("ec2:CreateTags", "ec2:DeleteTags"):
        assert role.may(action, NODE, **own, **release)
        assert not role.may(action, NODE, **other, **release)
        assert not role.may(action, NODE, **own, aws__TagKeys="Patch Group")
        assert not role.may(action, NODE, **own, aws__TagKeys="sluice:release,Patch Group")
        assert not role.may(action, NODE, **own)
    assert role.may("ec2:CreateImage", NODE, **own)
    assert not role.may("ec2:CreateImage", NODE, **other)


def test_a_scanner_cannot_turn_a_scan_into_an_install(member: Stack) -> None:
    role = member.role("sluice-scanner")
    assert role.may("ssm:UpdateMaintenanceWindow", WINDOW, **owned("scan-daily"))
    assert not role.may("ssm:UpdateMaintenanceWindow", WINDOW, **owned("install-nonprod"))
    assert not role.actions & {
        "iam:PassRole",
        "ssm:RegisterTaskWithMaintenanceWindow",
        "ssm:UpdateMaintenanceWindowTask",
    }


def test_a_scanner_tags_nodes_without_a_patch_group_with_the_release_and_no_others(member: Stack) -> None:
    role = member.role("sluice-scanner")
    release = {"aws__TagKeys": "sluice:release"}
    machine = f"arn:aws:ssm:eu-west-3:{ACCOUNT}:managed-instance/mi-0123456789abcdef0"
    for action, node in (
        ("ec2:CreateTags", NODE),
        ("ec2:DeleteTags", NODE),
        ("ssm:AddTagsToResource", machine),
        ("ssm:RemoveTagsFromResource", machine),
    ):
        assert role.may(action, node, **release)
        assert not role.may(action, node, **release, aws__ResourceTag___PatchGroup="prod-linux")
        assert not role.may(action, node, aws__TagKeys="Patch Group")
        assert not role.may(action, node)


def test_every_duty_that_works_on_windows_reads_what_a_release_looks_at(member: Stack) -> None:
    bucket = f"arn:aws:s3:::sluice-operations-{ACCOUNT}-eu-west-3"
    for duty in ("reader", "scanner", "nonprod-installer", "prod-installer", "halter", "policy-applier"):
        role = member.role(f"sluice-{duty}")
        assert role.may("s3:GetObject", f"{bucket}/leases/sluice/install-nonprod.json")
        assert role.may("s3:ListBucket", bucket)
        assert role.may("ssm:DescribeInstancePatchStates", NODE)
        assert role.may("ssm:DescribeMaintenanceWindowExecutions", WINDOW)
        assert role.may("ec2:DescribeInstances", "*")


def test_only_the_reader_looks_at_the_logs_buckets_and_at_iam(member: Stack) -> None:
    logs = f"arn:aws:s3:::sluice-logs-{ACCOUNT}-eu-west-3"
    for name, role in member.roles():
        assert role.may("s3:GetBucketPolicy", logs) == (name == "sluice-reader"), name
        assert ("iam:SimulatePrincipalPolicy" in role.actions) == (name == "sluice-reader"), name


def test_a_halter_disables_any_window_of_the_deployment_and_none_of_others(member: Stack) -> None:
    role = member.role("sluice-halter")
    assert role.may("ssm:UpdateMaintenanceWindow", WINDOW, **owned("install-prod-linux"))
    assert role.may("ssm:CancelMaintenanceWindowExecution", WINDOW, **owned("scan-daily"))
    assert not role.may("ssm:UpdateMaintenanceWindow", WINDOW)
    assert "ssm:UpdateMaintenanceWindowTask" not in role.actions


def test_the_image_deleter_deletes_images_of_the_deployment_alone(member: Stack) -> None:
    role = member.role("sluice-image-deleter")
    assert role.may("ec2:DeregisterImage", IMAGE, **DEPLOYMENT)
    assert not role.may("ec2:DeregisterImage", IMAGE)
    assert not role.may("ec2:DeleteSnapshot", IMAGE.replace("image/ami", "snapshot/snap"))
    assert {action for action in role.actions if not duties.reads(action)} == {
        "ec2:DeleteSnapshot",
        "ec2:DeregisterImage",
    }


def test_the_policy_applier_changes_only_what_carries_the_deployments_tag(member: Stack) -> None:
    role = member.role("sluice-policy-applier")
    baseline = f"arn:aws:ssm:eu-west-3:{ACCOUNT}:patchbaseline/pb-0123456789abcdef0"
    for action, resource in (
        ("ssm:DeleteMaintenanceWindow", WINDOW),
        ("ssm:UpdateMaintenanceWindow", WINDOW),
        ("ssm:DeletePatchBaseline", baseline),
        ("ssm:UpdatePatchBaseline", baseline),
    ):
        assert role.may(action, resource, **DEPLOYMENT)
        assert not role.may(action, resource)
        assert not role.may(action, resource, aws__ResourceTag___sluice__deployment="another")
    created = {"aws__RequestTag___sluice__deployment": "sluice"}
    assert role.may("ssm:CreateMaintenanceWindow", "*", **created)
    assert not role.may("ssm:CreateMaintenanceWindow", "*")
    tags = {"aws__TagKeys": "sluice:deployment,sluice:object"}
    assert role.may("ssm:AddTagsToResource", WINDOW, **created, **tags)
    assert not role.may("ssm:AddTagsToResource", WINDOW, **created, aws__TagKeys="cost-center")


@pytest.mark.parametrize("ring", SERVICES)
def test_a_rings_windows_run_its_two_documents_on_its_nodes(member: Stack, ring: str) -> None:
    role = member.role(f"sluice-window-{ring}")
    for document in (":document/AWS-RunPatchBaseline", f"{ACCOUNT}:document/Sluice-RebootIfPending"):
        assert role.may("ssm:SendCommand", f"arn:aws:ssm:eu-west-3:{document}")
    assert not role.may("ssm:SendCommand", "arn:aws:ssm:eu-west-3::document/AWS-RunShellScript")
    for other in SERVICES:
        tag = {"ssm__resourceTag___PatchGroup": f"{other}-windows"}
        assert role.may("ssm:SendCommand", NODE, **tag) == (other == ring)


def test_nodes_without_a_patch_group_are_reached_by_the_first_ring_and_only_if_asked_for(member: Stack) -> None:
    assert member.role("sluice-window-nonprod").may("ssm:SendCommand", NODE)
    assert not member.role("sluice-window-prod").may("ssm:SendCommand", NODE)
    silent = Stack("member", ScanUngrouped="false")
    assert not silent.role("sluice-window-nonprod").may("ssm:SendCommand", NODE)


def test_the_other_spelling_of_the_tag_limits_as_well() -> None:
    role = Stack("member", PatchGroupTag="PatchGroup").role("sluice-window-prod")
    assert any("ssm:resourceTag/PatchGroup" in json.dumps(one) for one in role.statements)
    assert not any("ssm:resourceTag/Patch Group" in json.dumps(one) for one in role.statements)


def test_a_pilots_window_reaches_the_pilots_nodes_alone() -> None:
    role = Stack("scanner").role("sluice-window-pilot")
    assert role.may("ssm:SendCommand", NODE, ssm__resourceTag___PatchGroup="sluice-pilot")
    assert not role.may("ssm:SendCommand", NODE, ssm__resourceTag___PatchGroup="prod-linux")
    assert not role.may("ssm:SendCommand", NODE)


def test_documents_for_pre_and_post_tasks_are_named_one_by_one() -> None:
    document = f"arn:aws:ssm:eu-west-3:{ACCOUNT}:document/Drain"
    for ring in SERVICES:
        assert not Stack("member").role(f"sluice-window-{ring}").may("ssm:SendCommand", document)
        assert Stack("member", TaskDocuments=document).role(f"sluice-window-{ring}").may("ssm:SendCommand", document)


def test_airflow_assumes_the_duties_roles_in_the_named_accounts_and_has_no_other_way_in() -> None:
    role = Stack("control").role("sluice-airflow")
    for duty in Duty:
        arn = f"arn:aws:iam::222222222222:role/sluice-{duty.replace('_', '-')}"
        assert role.may("sts:AssumeRole", arn, aws__ResourceAccount="222222222222")
        assert not role.may("sts:AssumeRole", arn, aws__ResourceAccount="333333333333")
    admin = "arn:aws:iam::222222222222:role/admin"
    assert not role.may("sts:AssumeRole", admin, aws__ResourceAccount="222222222222")
    assert role.actions == {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "sns:Publish", "sts:AssumeRole"}


def test_airflow_may_do_with_the_evidence_what_the_store_needs_and_no_more() -> None:
    on_evidence = {
        (action, resource.replace("arn-of-Evidence", "{bucket}"))
        for one in Stack("control").role("sluice-airflow").statements
        if str(one["Resource"]).startswith("arn-of-Evidence")
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        for resource in [one["Resource"]]
    }
    needed = {
        (action, resource.removeprefix("arn:{partition}:s3:::").replace("{prefix}/", ""))
        for action, resource in PERMISSIONS.items()
    }
    assert on_evidence == needed


def test_a_node_writes_logs_and_reads_manifests_and_cannot_read_what_others_wrote() -> None:
    (document,) = [one["PolicyDocument"] for one in Stack("node-policy").resources.values()]
    allowed = {
        (action, resource)
        for one in document["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    }
    assert allowed == {
        ("s3:PutObject", f"arn:aws:s3:::sluice-logs-{ACCOUNT}-*/*"),
        ("s3:GetEncryptionConfiguration", f"arn:aws:s3:::sluice-logs-{ACCOUNT}-*"),
        ("s3:GetObject", f"arn:aws:s3:::sluice-operations-{ACCOUNT}-*/manifests/*"),
        ("s3:GetObject", "arn:aws:s3:::aws-ssm-*/*"),
        ("s3:GetObject", "arn:aws:s3:::patch-baseline-snapshot-*/*"),
    }
