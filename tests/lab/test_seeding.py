"""A seeded lab: what the fleet file says is what AWS's own calls show."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lab.fleet import Fleet, parse_fleet
from lab.testing import LabHandle
from lab.world import Node

FLEET = """\
accounts:
  - {id: 333333333333, regions: [eu-central-1, eu-west-3]}
  - {id: 444444444444, regions: [eu-west-3]}
profiles:
  - name: ManagedNode
    policies: [AmazonSSMManagedInstanceCore]
    statements: [{Effect: Allow, Action: "s3:PutObject", Resource: "arn:aws:s3:::logs/*"}]
  - {name: LegacyNode, policies: [AmazonEC2RoleforSSM]}
defaults: {profile: ManagedNode, os: AmazonLinux2023}
rules:
  - {kind: automation, match: Own-*, outcome: Failed}
groups:
  - {name: web, count: 3, packages: web, tags: {Name: "web-{n:02}", Patch Group: web}, volumes: [20, 100]}
  - {name: windows, count: 1, os: WindowsServer2022, locations: [444444444444/eu-west-3], instance_type: m5.large}
  - {name: off, count: 1, state: stopped, locations: [444444444444/eu-west-3]}
  - {name: gone, count: 1, agent: lost, profile: LegacyNode, locations: [444444444444/eu-west-3]}
  - {name: none, count: 1, agent: none, profile: null, locations: [444444444444/eu-west-3]}
  - {name: redhat, count: 1, os: RedhatEnterpriseLinux9, locations: [444444444444/eu-west-3]}
  - {name: edge, count: 2, hybrid: true, os: Debian12, tags: {Name: "edge-{n}"}, locations: [444444444444/eu-west-3]}
  - name: flaky
    count: 1
    locations: [444444444444/eu-west-3]
    node_faults: {install_failure: 0.5, exit_codes: {reboot: 3}}
    scan_seconds: [7, 7]
    reboot_seconds: [9, 9]
"""


@pytest.fixture(scope="module")
def lab_fleet() -> Fleet:
    return parse_fleet(FLEET)


def nodes(lab: LabHandle, account: str, region: str) -> list[Node]:
    return list(lab.location(account, region).nodes.values())


def test_plain_credentials_see_the_first_account_in_its_first_region(lab: LabHandle) -> None:
    assert lab.client("sts").get_caller_identity()["Account"] == "333333333333"
    assert lab.world.default_region == "eu-central-1"
    names = {
        tag["Value"]
        for reservation in lab.client("ec2").describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        for tag in instance["Tags"]
        if tag["Key"] == "Name"
    }
    assert names == {"web-01", "web-02", "web-03"}


def test_a_groups_nodes_are_numbered_through_all_its_locations(lab: LabHandle) -> None:
    assert [node.name for node in nodes(lab, "333333333333", "eu-west-3")] == ["web-04", "web-05", "web-06"]
    assert (
        lab.location("444444444444", "eu-west-3").patch_group(nodes(lab, "444444444444", "eu-west-3")[0].node_id)
        == "web"
    )


def test_instances_are_in_ec2_as_the_file_says(lab: LabHandle) -> None:
    ec2 = lab.client("ec2", account="444444444444", region="eu-west-3")
    found = {}
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            found[instance["InstanceId"]] = instance
    by_product = {
        node.product: found[node.node_id] for node in nodes(lab, "444444444444", "eu-west-3") if not node.hybrid
    }
    assert by_product["WindowsServer2022"]["Platform"] == "windows"
    assert by_product["WindowsServer2022"]["InstanceType"] == "m5.large"
    assert by_product["RedhatEnterpriseLinux9"]["PlatformDetails"] == "Red Hat Enterprise Linux"
    states = sorted(instance["State"]["Name"] for instance in found.values())
    assert states == ["running"] * 8 + ["stopped"]
    web = next(
        instance for instance in found.values() if any(tag["Value"] == "web-07" for tag in instance.get("Tags", []))
    )
    assert len(web["BlockDeviceMappings"]) == 2
    assert web["IamInstanceProfile"]["Arn"] == "arn:aws:iam::444444444444:instance-profile/ManagedNode"
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [web["InstanceId"]]}])
    assert sorted(volume["Size"] for volume in volumes["Volumes"]) == [20, 100]


def test_systems_manager_lists_the_nodes_that_are_on_and_have_an_agent_and_a_role(lab: LabHandle) -> None:
    ssm = lab.client("ssm", account="444444444444", region="eu-west-3")
    found = ssm.describe_instance_information(MaxResults=50)["InstanceInformationList"]
    assert sorted(one["PingStatus"] for one in found) == ["ConnectionLost"] + ["Online"] * 8
    assert sorted(one["ComputerName"] for one in found if one["InstanceId"].startswith("mi-")) == ["edge-1", "edge-2"]
    [lost] = [one for one in found if one["PingStatus"] == "ConnectionLost"]
    now = lab.world.clock.now()
    assert datetime(2025, 5, 5, tzinfo=UTC) < lost["LastPingDateTime"] < now


def test_the_role_behind_an_instance_profile_has_its_policies(lab: LabHandle) -> None:
    iam = lab.client("iam", account="444444444444", region="eu-west-3")
    [role] = iam.get_instance_profile(InstanceProfileName="LegacyNode")["InstanceProfile"]["Roles"]
    attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == ["arn:aws:iam::aws:policy/service-role/AmazonEC2RoleforSSM"]
    policy = iam.get_policy(PolicyArn=attached[0]["PolicyArn"])["Policy"]
    assert policy["PolicyName"] == "AmazonEC2RoleforSSM"


def test_the_role_behind_an_instance_profile_may_do_what_the_fleet_says(lab: LabHandle) -> None:
    answer = lab.client("iam", account="444444444444").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::444444444444:role/ManagedNode",
        ActionNames=["s3:PutObject", "ssm:UpdateInstanceInformation", "s3:DeleteObject"],
        ResourceArns=["arn:aws:s3:::logs/some.txt"],
    )
    found = {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]}
    assert found == {
        "s3:PutObject": "allowed",
        "ssm:UpdateInstanceInformation": "allowed",  # AWS's own policy is on any resource
        "s3:DeleteObject": "implicitDeny",
    }


def test_nodes_have_what_their_image_had(lab: LabHandle) -> None:
    web = nodes(lab, "333333333333", "eu-central-1")[0]
    assert "httpd.x86_64" in web.packages
    assert web.image_built == datetime(2025, 5, 5, tzinfo=UTC)
    assert web.image_built <= web.booted_at <= lab.world.clock.now()
    assert len({id(node.packages) for node in nodes(lab, "333333333333", "eu-west-3")}) == 1


def test_faults_and_durations_are_the_groups_own(lab: LabHandle) -> None:
    [flaky] = [node for node in nodes(lab, "444444444444", "eu-west-3") if node.faults is not None]
    assert flaky.faults is not None
    assert (flaky.faults.install_failure, flaky.faults.exit_codes) == (0.5, {"reboot": 3})
    assert (flaky.duration_seconds, flaky.reboot_seconds) == (7, 9)
    others = {node.duration_seconds for node in nodes(lab, "333333333333", "eu-central-1")}
    assert all(20 <= seconds <= 90 for seconds in others)


def test_the_files_rules_are_in_force(lab: LabHandle) -> None:
    assert [rule.match for rule in lab.world.rules] == ["Own-*"]


def test_a_reset_seeds_the_same_nodes_again(lab: LabHandle) -> None:
    before = [(node.node_id, node.ip_address, node.booted_at) for node in nodes(lab, "444444444444", "eu-west-3")]
    lab.server.reset()
    assert [(n.node_id, n.ip_address, n.booted_at) for n in nodes(lab, "444444444444", "eu-west-3")] == before
    assert [rule.match for rule in lab.world.rules] == ["Own-*"]


def test_no_two_nodes_share_an_id_or_an_address(lab: LabHandle) -> None:
    every = [node for location in lab.world.locations() for node in location.nodes.values()]
    assert len({node.node_id for node in every}) == len(every) == 17
    for location in lab.world.locations():
        addresses = [node.ip_address for node in location.nodes.values()]
        assert len(set(addresses)) == len(addresses)
