"""Tags on instances, images, snapshots, volumes and the rest of EC2."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_builder import NOBODY, collect, ids, launch, only, refused

from lab.testing import LabHandle


def tags_of(client: Any, resource_id: str) -> dict[str, str]:
    found = client.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource_id]}])["Tags"]
    return {each["Key"]: each["Value"] for each in found}


def tag(client: Any, *resource_ids: str, **tags: str) -> None:
    client.create_tags(Resources=list(resource_ids), Tags=[{"Key": key, "Value": tags[key]} for key in tags])


def test_a_tag_is_put_on_many_and_changed_on_one(lab: LabHandle) -> None:
    ec2, one, two = lab.client("ec2"), launch(lab, {"Name": "one"}), launch(lab)
    tag(ec2, one, two, Env="prod")
    tag(ec2, two, Env="dev")
    assert tags_of(ec2, one) == {"Name": "one", "Env": "prod"}
    assert tags_of(ec2, two) == {"Env": "dev"}
    assert lab.location().tags(two) == {"Env": "dev"}


def test_every_kind_of_resource_of_a_backup_can_be_tagged(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    image_id = ec2.create_image(InstanceId=instance_id, Name="backup", NoReboot=True)["ImageId"]
    (mapped,) = ec2.describe_images(ImageIds=[image_id])["Images"][0]["BlockDeviceMappings"]
    seen = only(ec2, instance_id)
    resources = {
        "instance": instance_id,
        "image": image_id,
        "snapshot": mapped["Ebs"]["SnapshotId"],
        "volume": seen["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        "network-interface": seen["NetworkInterfaces"][0]["NetworkInterfaceId"],
        "vpc": seen["VpcId"],
        "security-group": seen["SecurityGroups"][0]["GroupId"],
    }
    tag(ec2, *resources.values(), release="r1")
    found = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["release"]}])["Tags"]
    assert {each["ResourceType"]: each["ResourceId"] for each in found} == resources
    tagged = ec2.describe_images(ImageIds=[image_id])["Images"][0]["Tags"]
    assert tagged == [{"Key": "release", "Value": "r1"}]


def test_a_tag_is_deleted_by_key_or_by_key_and_value(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, {"a": "1", "b": "2", "c": "3"})
    ec2.delete_tags(
        Resources=[instance_id], Tags=[{"Key": "a"}, {"Key": "b", "Value": "other"}, {"Key": "c", "Value": "3"}]
    )
    assert tags_of(ec2, instance_id) == {"b": "2"}


def test_without_tags_every_tag_but_awss_own_is_deleted(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, {"a": "1", "aws:autoscaling:groupName": "web"})
    ec2.delete_tags(Resources=[instance_id])
    assert tags_of(ec2, instance_id) == {"aws:autoscaling:groupName": "web"}


def test_describe_tags_finds_by_resource_type_key_and_value(lab: LabHandle) -> None:
    ec2, web, database = lab.client("ec2"), launch(lab, {"Name": "web-1", "Env": "prod"}), launch(lab, {"Name": "db-1"})

    def find(**filters: str) -> list[tuple[str, str]]:
        asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return [(each["ResourceId"], each["Key"]) for each in ec2.describe_tags(Filters=asked)["Tags"]]

    assert find(key="Name", value="web-*") == [(web, "Name")]
    assert find(value="db-1") == [(database, "Name")]
    assert find(resource_id=web) == [(web, "Env"), (web, "Name")]
    assert find(resource_type="instance", key="Env") == [(web, "Env")]
    assert find(resource_type="volume") == []
    with refused("InvalidParameterValue"):
        find(colour="red")


def test_tags_come_in_pages_that_hold_each_once(lab: LabHandle) -> None:
    launched = [launch(lab, {f"k{number}": "v" for number in range(4)}) for _ in range(3)]
    pages = collect(lab.client("ec2").describe_tags, "Tags", 5)
    assert [len(page) for page in pages] == [5, 5, 2]
    found = [(each["ResourceId"], each["Key"]) for page in pages for each in page]
    assert found == sorted((each, f"k{number}") for each in launched for number in range(4))


def test_a_page_of_tags_is_a_thousand_at_most(lab: LabHandle) -> None:
    for _ in range(25):
        launch(lab, {f"k{number}": "v" for number in range(41)})
    ec2 = lab.client("ec2")
    first = ec2.describe_tags()
    assert len(first["Tags"]) == 1000
    assert len(ec2.describe_tags(NextToken=first["NextToken"])["Tags"]) == 25


def test_instances_are_found_by_a_tag_that_was_just_put_on_them(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    launch(lab)
    tag(ec2, instance_id, release="r1/web/canary")
    wanted = [{"Name": "tag:release", "Values": ["r1/web/canary"]}]
    assert ids(ec2.describe_instances(Filters=wanted)) == {instance_id}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "aws:mine", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "AWS:mine", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k" * 129, "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "x" * 257}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "a"}, {"Key": "k", "Value": "b"}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "bell \x07"}], "InvalidParameterValue"),
        ([{"Key": f"k{number}", "Value": "x"} for number in range(50)], "TagLimitExceeded"),
    ],
)
def test_a_tag_that_aws_refuses_is_put_on_none(lab: LabHandle, tags: list[dict[str, str]], code: str) -> None:
    ec2, full, empty = lab.client("ec2"), launch(lab, {"Name": "full"}), launch(lab)
    with refused(code):
        ec2.create_tags(Resources=[empty, full], Tags=tags)
    assert tags_of(ec2, empty) == {}


def test_fifty_tags_fit_beside_awss_own(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, {"aws:autoscaling:groupName": "web"})
    tag(ec2, instance_id, **{f"k{number}": "ü & <b>" for number in range(50)})
    assert len(tags_of(ec2, instance_id)) == 51
    assert {each["Value"] for each in only(ec2, instance_id)["Tags"]} == {"web", "ü & <b>"}


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (NOBODY, "InvalidInstanceID.NotFound"),
        ("ami-0fedcba9876543210", "InvalidAMIID.NotFound"),
        ("snap-0fedcba9876543210", "InvalidSnapshot.NotFound"),
        ("vol-0fedcba9876543210", "InvalidVolume.NotFound"),
        ("subnet-0fedcba9876543210", "InvalidSubnetID.NotFound"),
        ("web-1", "InvalidID"),
        ("i-WEB", "InvalidID"),
    ],
)
@pytest.mark.parametrize("operation", ["create_tags", "delete_tags"])
def test_one_resource_that_is_not_there_fails_the_whole_request(
    lab: LabHandle, operation: str, resource: str, code: str
) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, {"Name": "web-1"})
    with refused(code) as caught:
        getattr(ec2, operation)(Resources=[instance_id, resource], Tags=[{"Key": "Name", "Value": "web-1"}])
    assert resource in str(caught.value)
    assert tags_of(ec2, instance_id) == {"Name": "web-1"}


def test_a_dry_run_tags_nothing(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with refused("DryRunOperation"):
        ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "a", "Value": "b"}], DryRun=True)
    assert tags_of(ec2, instance_id) == {}
