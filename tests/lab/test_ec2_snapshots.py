"""Snapshots and volumes."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_builder import NOBODY, collect, launch, only, refused

from lab.testing import LabHandle


def volumes_of(client: Any, instance_id: str) -> list[str]:
    return [each["Ebs"]["VolumeId"] for each in only(client, instance_id)["BlockDeviceMappings"]]


def test_a_snapshot_is_pending_for_a_while(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    (volume,) = volumes_of(ec2, launch(lab))
    taken = ec2.create_snapshot(VolumeId=volume, Description="by hand")
    assert (taken["State"], taken["VolumeSize"], taken["StartTime"]) == ("pending", 8, lab.world.clock.now())
    lab.advance(hours=1)
    (found,) = ec2.describe_snapshots(SnapshotIds=[taken["SnapshotId"]])["Snapshots"]
    assert (found["State"], found["Progress"], found["Description"]) == ("completed", "100%", "by hand")


def test_a_snapshot_keeps_the_size_that_its_volume_had(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    (volume,) = volumes_of(ec2, launch(lab))
    taken = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.modify_volume(VolumeId=volume, Size=50)
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] == 50
    assert ec2.describe_snapshots(SnapshotIds=[taken])["Snapshots"][0]["VolumeSize"] == 8


def test_an_instances_volumes_are_snapshot_together(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, volumes_gib=(8, 20, 30))
    root, first, second = volumes_of(ec2, instance_id)
    ec2.create_tags(Resources=[first], Tags=[{"Key": "data", "Value": "yes"}])
    everything = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance_id}, CopyTagsFromSource="volume")
    assert {each["VolumeId"]: each["Tags"] for each in everything["Snapshots"]} == {
        root: [],
        first: [{"Key": "data", "Value": "yes"}],
        second: [],
    }
    less = {"InstanceId": instance_id, "ExcludeBootVolume": True, "ExcludeDataVolumeIds": [first]}
    (only_one,) = ec2.create_snapshots(InstanceSpecification=less)["Snapshots"]
    assert only_one["VolumeId"] == second


def test_a_snapshot_that_an_image_is_made_of_cannot_be_deleted(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = ec2.create_image(InstanceId=launch(lab), Name="backup")["ImageId"]
    (snapshot,) = ec2.describe_snapshots()["Snapshots"]
    with refused("InvalidSnapshot.InUse") as caught:
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    assert image_id in str(caught.value)
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    with refused("InvalidSnapshot.NotFound"):
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


def test_a_deleted_snapshot_leaves_no_tags_and_no_place_in_the_quota(lab: LabHandle) -> None:
    lab.world.settings.pending_snapshots = 1
    ec2 = lab.client("ec2")
    (volume,) = volumes_of(ec2, launch(lab))
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
    for _ in range(2):
        taken = ec2.create_snapshot(VolumeId=volume, TagSpecifications=tags)
        assert taken["Tags"] == [{"Key": "a", "Value": "b"}]
        ec2.delete_snapshot(SnapshotId=taken["SnapshotId"])
    assert ec2.describe_tags()["Tags"] == []
    lab.advance(hours=1)
    assert ec2.describe_snapshots()["Snapshots"] == []


def test_snapshots_come_in_pages_and_by_filter(lab: LabHandle) -> None:
    ec2, taken = lab.client("ec2"), {}
    for number in range(7):
        (volume,) = volumes_of(ec2, launch(lab))
        answer = ec2.create_snapshot(
            VolumeId=volume,
            Description=f"nightly {number}",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "n", "Value": str(number)}]}],
        )
        taken[number] = (answer["SnapshotId"], volume)
    pages = collect(ec2.describe_snapshots, "Snapshots", 5, OwnerIds=["self"])
    assert [each["SnapshotId"] for page in pages for each in page] == sorted(each for each, _ in taken.values())

    def find(name: str, value: str) -> list[str]:
        found = ec2.describe_snapshots(Filters=[{"Name": name, "Values": [value]}])["Snapshots"]
        return [each["SnapshotId"] for each in found]

    assert find("description", "nightly 3") == find("tag:n", "3") == find("volume-id", taken[3][1]) == [taken[3][0]]
    assert len(find("description", "nightly*")) == len(find("status", "pending")) == 7
    assert find("owner-id", "222222222222") == []
    assert ec2.describe_snapshots(OwnerIds=["amazon"])["Snapshots"] == []


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("create_snapshot", {"VolumeId": "vol-0fedcba9876543210"}, "InvalidVolume.NotFound"),
        ("create_snapshot", {"VolumeId": "disk"}, "InvalidVolumeID.Malformed"),
        ("create_snapshots", {"InstanceSpecification": {"InstanceId": NOBODY}}, "InvalidInstanceID.NotFound"),
        ("describe_snapshots", {"SnapshotIds": ["snap-0fedcba9876543210"]}, "InvalidSnapshot.NotFound"),
        ("describe_snapshots", {"SnapshotIds": ["backup"]}, "InvalidSnapshotID.Malformed"),
        (
            "describe_snapshots",
            {"MaxResults": 5, "SnapshotIds": ["snap-0fedcba9876543210"]},
            "InvalidParameterCombination",
        ),
        ("delete_snapshot", {"SnapshotId": "snap-0fedcba9876543210"}, "InvalidSnapshot.NotFound"),
        ("describe_volumes", {"VolumeIds": ["vol-0fedcba9876543210"]}, "InvalidVolume.NotFound"),
        ("describe_volumes", {"Filters": [{"Name": "colour", "Values": ["red"]}]}, "InvalidParameterValue"),
        ("delete_volume", {"VolumeId": "vol-0fedcba9876543210"}, "InvalidVolume.NotFound"),
    ],
)
def test_a_mistake_is_answered_as_aws_answers_it(
    lab: LabHandle, operation: str, request_: dict[str, Any], code: str
) -> None:
    with refused(code):
        getattr(lab.client("ec2"), operation)(**request_)


def test_volumes_come_in_pages_and_by_filter(lab: LabHandle) -> None:
    ec2, owners = lab.client("ec2"), [launch(lab, volumes_gib=(8, 10 + number)) for number in range(4)]
    pages = collect(ec2.describe_volumes, "Volumes", 5)
    assert [len(page) for page in pages] == [5, 3]

    def find(name: str, value: str) -> set[str]:
        found = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]}])["Volumes"]
        return {each["Attachments"][0]["InstanceId"] for each in found}

    assert find("size", "12") == {owners[2]}
    assert find("attachment.device", "/dev/xvda") == set(owners)
    assert find("attachment.delete-on-termination", "false") == set(owners)
    assert find("status", "available") == set()


def test_a_volume_can_be_attached_used_and_deleted_with_its_tags(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    volume = ec2.create_volume(
        AvailabilityZone="eu-west-3a",
        Size=4,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
    )["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=instance_id, Device="/dev/sdf")
    assert volumes_of(ec2, instance_id)[-1] == volume
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=volume)
    assert ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=volume)
    ec2.delete_volume(VolumeId=volume)
    assert ec2.describe_tags()["Tags"] == []


def test_a_volume_is_detached_only_from_where_it_is_and_attached_only_where_there_is_room(lab: LabHandle) -> None:
    ec2, instance_id, other = lab.client("ec2"), launch(lab, volumes_gib=(8, 9)), launch(lab, volumes_gib=(8, 9))
    root, data = volumes_of(ec2, instance_id)
    with refused("InvalidAttachment.NotFound"):
        ec2.detach_volume(VolumeId=data, InstanceId=other)
    with refused("InvalidAttachment.NotFound"):
        ec2.detach_volume(VolumeId=data, Device="/dev/xvda")
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=root)
    with refused("VolumeInUse"):
        ec2.attach_volume(VolumeId=data, InstanceId=other, Device="/dev/sdf")
    ec2.detach_volume(VolumeId=data)
    with refused("InvalidParameterValue"):
        ec2.attach_volume(VolumeId=data, InstanceId=instance_id, Device="/dev/xvda")
    with refused("InvalidVolume.ZoneMismatch"):
        ec2.attach_volume(VolumeId=data, InstanceId=other, Device="/dev/sdf")
    assert volumes_of(ec2, instance_id) == [root]
    assert len(volumes_of(ec2, other)) == 2
    attached = ec2.attach_volume(VolumeId=data, InstanceId=instance_id, Device="/dev/sdf")
    assert (attached["State"], attached["Device"], attached["VolumeId"]) == ("attaching", "/dev/sdf", data)


def test_an_instance_that_has_lost_a_volume_is_backed_up_without_it(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, volumes_gib=(8, 9), running=False)
    root, data = volumes_of(ec2, instance_id)
    specification = {"InstanceId": instance_id}

    def backed_up(**request: Any) -> list[str]:
        taken = ec2.create_snapshots(InstanceSpecification={**specification, **request})["Snapshots"]
        return [each["VolumeId"] for each in taken]

    ec2.detach_volume(VolumeId=data)
    ec2.delete_volume(VolumeId=data)
    assert backed_up() == [root]
    image = ec2.create_image(InstanceId=instance_id, Name="without data")["ImageId"]
    (mapping,) = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    assert mapping["DeviceName"] == "/dev/xvda"
    ec2.detach_volume(VolumeId=root)
    ec2.delete_volume(VolumeId=root)
    assert backed_up(ExcludeBootVolume=True) == backed_up() == []
    with refused("InvalidParameterValue"):
        ec2.create_image(InstanceId=instance_id, Name="without root")
