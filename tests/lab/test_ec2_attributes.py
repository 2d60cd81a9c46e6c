"""ModifyInstanceAttribute and the attributes of images: one at a time, and never one that breaks what is there."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_builder import NOBODY, instances, launch, only, refused

from lab.ec2.images import public_images
from lab.testing import LabHandle


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"InstanceType": {"Value": ""}}, "InvalidInstanceAttributeValue"),
        ({"InstanceType": {"Value": "t3.gigantic"}}, "InvalidInstanceAttributeValue"),
        ({"Attribute": "instanceType"}, "MissingParameter"),
        ({"Attribute": "groupSet", "Value": "sg"}, "MissingParameter"),
        ({"Attribute": "blockDeviceMapping", "Value": "x"}, "MissingParameter"),
        ({"Attribute": "rootDeviceName", "Value": "/dev/sdz"}, "InvalidParameterValue"),
        ({"Attribute": "disableApiTermination", "Value": "perhaps"}, "InvalidParameterValue"),
        ({"Groups": [""]}, "InvalidGroupId.Malformed"),
        ({"Groups": ["sg-0fedcba9876543210"]}, "InvalidGroup.NotFound"),
        ({"BlockDeviceMappings": [{"NoDevice": ""}]}, "MissingParameter"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/xvda"}]}, "MissingParameter"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]},
            "InvalidInstanceAttributeValue",
        ),
        ({"Attribute": "userData", "Value": "#!/bin/sh"}, "InvalidUserData.Malformed"),
        ({"Kernel": {"Value": "vmlinuz"}}, "InvalidKernelId.Malformed"),
        ({"Ramdisk": {"Value": "initrd"}}, "InvalidRamDiskId.Malformed"),
        ({"SriovNetSupport": {"Value": "complex"}}, "InvalidParameterValue"),
        ({"InstanceInitiatedShutdownBehavior": {"Value": "explode"}}, "InvalidParameterValue"),
        ({"EnaSupport": {"Value": False}}, "InvalidParameterValue"),
        ({"EnclaveOptions": {"Enabled": True}}, "LabUnsupportedOperation"),
        (
            {"InstanceType": {"Value": "t3.large"}, "DisableApiStop": {"Value": True}},
            "InvalidParameterCombination",
        ),
        ({"InstanceId": NOBODY, "InstanceType": {"Value": "t3.large"}}, "InvalidInstanceID.NotFound"),
        ({"InstanceType": {"Value": "t3.large"}, "DryRun": True}, "DryRunOperation"),
    ],
)
def test_an_attribute_that_an_instance_cannot_have_leaves_it_as_it_was(
    lab: LabHandle, request_: dict[str, Any], code: str
) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, running=False)
    before = only(ec2, instance_id)
    with refused(code):
        ec2.modify_instance_attribute(**{"InstanceId": instance_id, **request_})
    assert instances(ec2.describe_instances()) == [before]


def test_a_stopped_instance_takes_another_type_and_a_running_one_keeps_its_own(lab: LabHandle) -> None:
    ec2, running, stopped = lab.client("ec2"), launch(lab), launch(lab, running=False)
    larger = {"InstanceType": {"Value": "t3.large"}}
    with refused("IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=running, **larger)
    ec2.modify_instance_attribute(InstanceId=stopped, **larger)
    assert [only(ec2, each)["InstanceType"] for each in (running, stopped)] == ["t3.small", "t3.large"]
    ec2.modify_instance_attribute(InstanceId=stopped, Attribute="instanceType", Value="t3.micro")
    assert only(ec2, stopped)["InstanceType"] == "t3.micro"


def test_protection_can_be_put_on_in_both_ways_and_taken_off(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    ec2.modify_instance_attribute(InstanceId=instance_id, Attribute="disableApiTermination", Value="True")
    with refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance_id])


def test_new_groups_replace_the_old_ones(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=only(ec2, instance_id)["VpcId"])
    ec2.modify_instance_attribute(InstanceId=instance_id, Groups=[group["GroupId"]])
    assert [each["GroupName"] for each in only(ec2, instance_id)["SecurityGroups"]] == ["web"]


def test_a_volume_may_be_told_to_outlive_its_instance(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    kept = [{"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False}}]
    ec2.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=kept)
    assert only(ec2, instance_id)["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is False
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert [each["State"] for each in ec2.describe_volumes()["Volumes"]] == ["available"]


def test_the_address_check_is_off_where_it_was_switched_off(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    ec2.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": False})
    found = only(ec2, instance_id)
    assert (found["SourceDestCheck"], found["NetworkInterfaces"][0]["SourceDestCheck"]) == (False, False)


def image_of(lab: LabHandle) -> str:
    """An image of the account, available."""
    made = lab.client("ec2").create_image(InstanceId=launch(lab), Name="golden", Description="first", NoReboot=True)
    lab.advance(minutes=30)
    return str(made["ImageId"])


def test_every_attribute_of_an_image_is_answered_as_its_own_member(lab: LabHandle) -> None:
    ec2, image_id = lab.client("ec2"), image_of(lab)
    expected = {
        "bootMode": {"BootMode": {"Value": "uefi-preferred"}},
        "deregistrationProtection": {"DeregistrationProtection": {"Value": "disabled"}},
        "description": {"Description": {"Value": "first"}},
        "imdsSupport": {"ImdsSupport": {}},
        "kernel": {"KernelId": {}},
        "lastLaunchedTime": {"LastLaunchedTime": {}},
        "launchPermission": {"LaunchPermissions": []},
        "productCodes": {"ProductCodes": []},
        "ramdisk": {"RamdiskId": {}},
        "sriovNetSupport": {"SriovNetSupport": {"Value": "simple"}},
        "tpmSupport": {"TpmSupport": {}},
        "uefiData": {"UefiData": {}},
    }
    for attribute, members in expected.items():
        found = ec2.describe_image_attribute(ImageId=image_id, Attribute=attribute)
        found.pop("ResponseMetadata")
        assert found == {"ImageId": image_id, **members}, attribute


def test_the_attributes_of_an_image_are_its_owners_to_see_and_to_change(lab: LabHandle) -> None:
    ec2, public = lab.client("ec2"), next(iter(public_images("eu-west-3")))
    gone = image_of(lab)
    ec2.deregister_image(ImageId=gone)
    for image_id, code in (
        (public, "AuthFailure"),
        ("ami-0fedcba9876543210", "InvalidAMIID.NotFound"),
        (gone, "InvalidAMIID.Unavailable"),
        ("golden", "InvalidAMIID.Malformed"),
    ):
        with refused(code):
            ec2.describe_image_attribute(ImageId=image_id, Attribute="description")
        with refused(code):
            ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": "222222222222"}]})


def test_an_image_can_be_shared_described_anew_and_tells_its_last_launch(lab: LabHandle) -> None:
    ec2, image_id = lab.client("ec2"), image_of(lab)
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": "222222222222"}]})
    ec2.modify_image_attribute(ImageId=image_id, Description={"Value": "second"})
    ec2.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)

    def attribute(name: str) -> dict[str, Any]:
        return dict(ec2.describe_image_attribute(ImageId=image_id, Attribute=name))

    assert attribute("launchPermission")["LaunchPermissions"] == [{"UserId": "222222222222"}]
    assert attribute("description")["Description"] == {"Value": "second"}
    assert attribute("lastLaunchedTime")["LastLaunchedTime"] == {
        "Value": f"{lab.world.clock.now():%Y-%m-%dT%H:%M:%S}.000Z"
    }
    with refused("AuthFailure"):
        attribute("blockDeviceMapping")


def test_an_image_is_copied_from_another_region_with_its_volumes(lab: LabHandle) -> None:
    ec2, image_id = lab.client("ec2"), image_of(lab)
    ec2.create_tags(Resources=[image_id], Tags=[{"Key": "Env", "Value": "test"}])
    there = lab.client("ec2", region="eu-west-1")
    copied = there.copy_image(
        Name="golden-copy", SourceImageId=image_id, SourceRegion="eu-west-3", Encrypted=True, CopyImageTags=True
    )["ImageId"]
    (image,) = there.describe_images(ImageIds=[copied])["Images"]
    assert (image["State"], image["SourceImageId"], image["SourceImageRegion"]) == ("pending", image_id, "eu-west-3")
    assert (image["Description"], image["Tags"]) == ("first", [{"Key": "Env", "Value": "test"}])
    (mapping,) = image["BlockDeviceMappings"]
    (snapshot,) = there.describe_snapshots(SnapshotIds=[mapping["Ebs"]["SnapshotId"]])["Snapshots"]
    assert (snapshot["VolumeSize"], snapshot["Encrypted"], snapshot["State"]) == (8, True, "pending")
    lab.advance(minutes=30)
    assert there.describe_images(ImageIds=[copied])["Images"][0]["State"] == "available"
    assert there.describe_snapshots(SnapshotIds=[snapshot["SnapshotId"]])["Snapshots"][0]["State"] == "completed"
    (launched,) = there.run_instances(ImageId=copied, MinCount=1, MaxCount=1)["Instances"]
    assert launched["RootDeviceName"] == "/dev/xvda"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"SourceRegion": "mars-north-1"}, "InvalidRegion"),
        ({"SourceRegion": "eu-west-1"}, "InvalidAMIID.NotFound"),
        ({"SourceImageId": "golden"}, "InvalidAMIID.Malformed"),
        ({"Name": "golden*"}, "InvalidAMIName.Malformed"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)
def test_a_copy_that_cannot_be_is_refused(lab: LabHandle, request_: dict[str, Any], code: str) -> None:
    ec2, image_id = lab.client("ec2"), image_of(lab)
    with refused(code):
        ec2.copy_image(**{"Name": "copy", "SourceImageId": image_id, "SourceRegion": "eu-west-3", **request_})
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == 1
