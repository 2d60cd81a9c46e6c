"""Images: made of instances, found, deregistered, as a backup of a fleet needs them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from ec2_builder import IMAGE, NOBODY, collect, launch, listening, refused

from lab.ec2.events import Change
from lab.ec2.images import fail_images, public_images
from lab.testing import LabHandle


def described(client: Any, image_id: str) -> dict[str, Any]:
    (image,) = client.describe_images(ImageIds=[image_id])["Images"]
    assert isinstance(image, dict)
    return image


def snapshots_of(client: Any, image_id: str) -> list[dict[str, Any]]:
    mappings = described(client, image_id)["BlockDeviceMappings"]
    found = client.describe_snapshots(SnapshotIds=[each["Ebs"]["SnapshotId"] for each in mappings])["Snapshots"]
    assert isinstance(found, list)
    return found


def backup(client: Any, instance_id: str, name: str = "backup", **request: Any) -> str:
    return str(client.create_image(InstanceId=instance_id, Name=name, NoReboot=True, **request)["ImageId"])


def test_an_image_is_pending_until_its_snapshots_are_taken(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = backup(ec2, launch(lab))
    lab.advance(seconds=lab.world.settings.image_seconds / 2)
    assert described(ec2, image_id)["State"] == "pending"
    assert [(each["State"], each["Progress"]) for each in snapshots_of(ec2, image_id)] == [("pending", "50%")]
    lab.advance(seconds=lab.world.settings.image_seconds / 2)
    assert described(ec2, image_id)["State"] == "available"
    assert [(each["State"], each["Progress"]) for each in snapshots_of(ec2, image_id)] == [("completed", "100%")]


def test_an_image_has_a_snapshot_of_every_volume_with_its_size(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    instance_id = launch(lab, volumes_gib=(8, 100, 250))
    image_id = backup(ec2, instance_id)
    image = described(ec2, image_id)
    assert {each["DeviceName"]: each["Ebs"]["VolumeSize"] for each in image["BlockDeviceMappings"]} == {
        "/dev/xvda": 8,
        "/dev/sdb": 100,
        "/dev/sdc": 250,
    }
    snapshots = snapshots_of(ec2, image_id)
    assert sorted(each["VolumeSize"] for each in snapshots) == [8, 100, 250]
    assert {each["Description"] for each in snapshots} == {f"Created by CreateImage({instance_id}) for {image_id}"}
    attached = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    volumes = ec2.describe_volumes(Filters=attached)["Volumes"]
    assert {each["VolumeId"] for each in snapshots} == {each["VolumeId"] for each in volumes}


def test_an_image_says_what_it_was_made_of_and_when(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    instance_id = launch(lab, platform="windows")
    image = described(ec2, backup(ec2, instance_id, Description="before June"))
    assert (image["SourceInstanceId"], image["SourceImageId"]) == (instance_id, IMAGE)
    assert image["CreationDate"] == "2025-06-02T00:00:00.000Z"
    assert (image["Platform"], image["PlatformDetails"]) == ("windows", "Windows")
    assert (image["OwnerId"], image["Public"], image["Description"]) == ("111111111111", False, "before June")


def test_tags_go_to_the_image_and_to_its_snapshots(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    specifications = [
        {"ResourceType": "image", "Tags": [{"Key": "release", "Value": "r1"}]},
        {"ResourceType": "snapshot", "Tags": [{"Key": "release", "Value": "r1"}, {"Key": "of", "Value": "web"}]},
    ]
    image_id = backup(ec2, launch(lab), TagSpecifications=specifications)
    assert described(ec2, image_id)["Tags"] == [{"Key": "release", "Value": "r1"}]
    (snapshot,) = snapshots_of(ec2, image_id)
    assert snapshot["Tags"] == [{"Key": "release", "Value": "r1"}, {"Key": "of", "Value": "web"}]
    by_tag = [{"Name": "tag:release", "Values": ["r*"]}]
    assert [each["ImageId"] for each in ec2.describe_images(Owners=["self"], Filters=by_tag)["Images"]] == [image_id]


def test_an_image_reboots_the_instance_unless_told_not_to(lab: LabHandle) -> None:
    ec2, on, off = lab.client("ec2"), launch(lab), launch(lab, running=False)
    with listening() as told:
        ec2.create_image(InstanceId=on, Name="without")
        ec2.create_image(InstanceId=on, Name="with", NoReboot=True)
        ec2.create_image(InstanceId=off, Name="stopped")
    assert told == [(on, Change.REBOOTED)]


def test_a_name_is_taken_once_by_an_account_until_its_image_is_deregistered(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    image_id = backup(ec2, instance_id, "nightly")
    with refused("InvalidAMIName.Duplicate") as caught:
        backup(ec2, instance_id, "nightly")
    assert image_id in str(caught.value)
    elsewhere = launch(lab, location=lab.location("222222222222"))
    backup(lab.client("ec2", account="222222222222"), elsewhere, "nightly")
    ec2.deregister_image(ImageId=image_id)
    backup(ec2, instance_id, "nightly")


@pytest.mark.parametrize("name", ["ab", "a" * 129, "web:1", "wéb-1", "web\n1", "web#1"])
def test_a_name_that_aws_refuses_is_refused(lab: LabHandle, name: str) -> None:
    unchecked = lab.client("ec2", config=Config(parameter_validation=False))
    with refused("InvalidAMIName.Malformed"):
        backup(unchecked, launch(lab), name)


@pytest.mark.parametrize("name", ["abc", "a" * 128, "Web (1) [a]/b.c-d_e@f's"])
def test_a_name_that_aws_takes_is_taken(lab: LabHandle, name: str) -> None:
    ec2 = lab.client("ec2")
    assert described(ec2, backup(ec2, launch(lab), name))["Name"] == name


def test_only_an_instance_that_is_there_can_be_backed_up(lab: LabHandle) -> None:
    ec2, gone = lab.client("ec2"), launch(lab)
    ec2.terminate_instances(InstanceIds=[gone])
    for instance_id, code in (
        (gone, "IncorrectInstanceState"),
        (NOBODY, "InvalidInstanceID.NotFound"),
        ("web-1", "InvalidInstanceID.Malformed"),
    ):
        with refused(code):
            backup(ec2, instance_id)


def test_a_dry_run_makes_nothing(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with refused("DryRunOperation"):
        backup(ec2, instance_id, DryRun=True)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_a_data_volume_may_be_left_out(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    instance_id = launch(lab, volumes_gib=(8, 100))
    leave_out = [{"DeviceName": "/dev/sdb", "NoDevice": ""}]
    (only,) = described(ec2, backup(ec2, instance_id, BlockDeviceMappings=leave_out))["BlockDeviceMappings"]
    assert only["DeviceName"] == "/dev/xvda"


@pytest.mark.parametrize(
    "mapping",
    [
        {"DeviceName": "/dev/xvda", "NoDevice": ""},
        {"DeviceName": "/dev/sdz", "NoDevice": ""},
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 9}},
    ],
)
def test_a_mapping_that_an_image_cannot_have_is_refused(lab: LabHandle, mapping: dict[str, Any]) -> None:
    with refused("InvalidBlockDeviceMapping"):
        backup(lab.client("ec2"), launch(lab), BlockDeviceMappings=[mapping])


def test_termination_may_be_told_to_keep_a_volume(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    keep = [{"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False}}]
    (mapped,) = described(ec2, backup(ec2, launch(lab), BlockDeviceMappings=keep))["BlockDeviceMappings"]
    assert mapped["Ebs"]["DeleteOnTermination"] is False


@pytest.mark.parametrize("kind", ["volume", "instance"])
def test_only_images_and_snapshots_can_be_tagged_with_an_image(lab: LabHandle, kind: str) -> None:
    with refused("InvalidParameterValue"):
        backup(
            lab.client("ec2"),
            launch(lab),
            TagSpecifications=[{"ResourceType": kind, "Tags": [{"Key": "a", "Value": "b"}]}],
        )


def test_an_image_may_fail_with_a_reason(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    fail_images(lab.location(), instance_id)
    failed = backup(ec2, instance_id, "first")
    lab.advance(hours=1)
    image = described(ec2, failed)
    assert (image["State"], image["StateReason"]["Code"]) == ("failed", "Server.InternalError")
    assert [each["State"] for each in snapshots_of(ec2, failed)] == ["error"]
    fail_images(lab.location(), instance_id, fail=False)
    second = backup(ec2, instance_id, "second")
    lab.advance(hours=1)
    assert described(ec2, second)["State"] == "available"


def test_too_many_pending_snapshots_are_refused_until_some_are_done(lab: LabHandle) -> None:
    lab.world.settings.pending_snapshots = 3
    ec2, two = lab.client("ec2"), launch(lab, volumes_gib=(8, 9))
    backup(ec2, two, "first")
    with refused("PendingSnapshotLimitExceeded"):
        backup(ec2, two, "second")
    lab.advance(hours=1)
    backup(ec2, two, "second")


def test_a_volume_has_five_pending_snapshots_at_most(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    for number in range(5):
        backup(ec2, instance_id, f"backup-{number}")
    with refused("ConcurrentSnapshotLimitExceeded"):
        backup(ec2, instance_id, "backup-5")


def test_a_deregistered_image_is_gone_and_its_snapshots_stay(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = backup(ec2, launch(lab), TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "a"}]}])
    (snapshot,) = snapshots_of(ec2, image_id)
    assert ec2.deregister_image(ImageId=image_id)["Return"] is True
    with refused("InvalidAMIID.NotFound"):
        ec2.describe_images(ImageIds=[image_id])
    with refused("InvalidAMIID.Unavailable"):
        ec2.deregister_image(ImageId=image_id)
    assert ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["image"]}])["Tags"] == []
    lab.advance(hours=1)
    (left,) = ec2.describe_snapshots(SnapshotIds=[snapshot["SnapshotId"]])["Snapshots"]
    assert left["State"] == "completed"


def test_a_deregistered_image_takes_its_snapshots_along_when_asked(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = backup(ec2, launch(lab, volumes_gib=(8, 20)))
    lab.advance(hours=1)
    snapshots = {each["SnapshotId"] for each in snapshots_of(ec2, image_id)}
    results = ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)["DeleteSnapshotResults"]
    assert {each["SnapshotId"]: each["ReturnCode"] for each in results} == dict.fromkeys(snapshots, "success")
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_an_image_that_never_was_cannot_be_deregistered(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    with refused("InvalidAMIID.NotFound"):
        ec2.deregister_image(ImageId="ami-0fedcba9876543210")
    with refused("InvalidAMIID.Malformed"):
        ec2.deregister_image(ImageId="backup")
    with refused("AuthFailure"):
        ec2.deregister_image(ImageId=next(iter(public_images("eu-west-3"))))


def test_images_come_in_pages_that_hold_each_once(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    made = set()
    for number in range(12):
        made.add(backup(ec2, instance_id, f"backup-{number}"))
        lab.advance(hours=1)
    pages = collect(ec2.describe_images, "Images", 5, Owners=["self"])
    assert [len(page) for page in pages] == [5, 5, 2]
    assert {each["ImageId"] for page in pages for each in page} == made


def test_images_are_found_by_day_name_and_state(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    first = backup(ec2, instance_id, "web-1-nightly")
    lab.advance(days=1)
    second = backup(ec2, instance_id, "web-2-nightly")

    def find(name: str, *values: str) -> list[str]:
        found = ec2.describe_images(Owners=["self"], Filters=[{"Name": name, "Values": list(values)}])["Images"]
        return [each["ImageId"] for each in found]

    assert find("creation-date", "2025-06-02*") == [first]
    assert find("creation-date", "2025-06-03T00:00:00.000Z") == [second]
    assert find("name", "web-2-*") == [second]
    assert find("state", "available") == [first]
    assert find("source-instance-id", instance_id) == sorted([first, second])
    assert find("block-device-mapping.volume-size", "8") == sorted([first, second])
    assert find("owner-id", "222222222222") == []


def test_owners_decide_what_is_seen(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    mine = backup(ec2, launch(lab))
    assert [each["ImageId"] for each in ec2.describe_images(Owners=["self"])["Images"]] == [mine]
    assert [each["ImageId"] for each in ec2.describe_images(Owners=["111111111111"])["Images"]] == [mine]
    offered = ec2.describe_images(Owners=["amazon"])["Images"]
    assert {each["ImageId"] for each in offered} == set(public_images("eu-west-3"))
    assert all(each["Public"] and each["ImageOwnerAlias"] == "amazon" for each in offered)
    assert len(ec2.describe_images()["Images"]) == len(offered) + 1
    assert [each["ImageId"] for each in ec2.describe_images(ExecutableUsers=["222222222222"])["Images"]] == sorted(
        public_images("eu-west-3")
    )


def test_unknown_images_are_named(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    known = backup(ec2, launch(lab))
    with refused("InvalidAMIID.NotFound") as caught:
        ec2.describe_images(ImageIds=[known, "ami-0fedcba9876543210"])
    assert "ami-0fedcba9876543210" in str(caught.value)
    assert known not in str(caught.value)
    with refused("InvalidAMIID.Malformed"):
        ec2.describe_images(ImageIds=["backup"])


def test_a_disabled_image_is_seen_only_when_asked_for(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = backup(ec2, launch(lab))
    lab.advance(hours=1)
    ec2.disable_image(ImageId=image_id)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    (found,) = ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert found["State"] == "disabled"


def test_the_waiter_of_boto3_sees_an_image_become_available(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    image_id = backup(ec2, launch(lab))
    lab.advance(hours=1)
    ec2.get_waiter("image_available").wait(ImageIds=[image_id], WaiterConfig={"Delay": 0, "MaxAttempts": 1})


def test_a_reset_forgets_images_that_were_pending(lab: LabHandle) -> None:
    backup(lab.client("ec2"), launch(lab))
    lab.server.reset()
    lab.advance(hours=1)
    assert lab.client("ec2").describe_images(Owners=["self"])["Images"] == []
    backup(lab.client("ec2"), launch(lab))
