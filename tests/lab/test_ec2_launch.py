"""RunInstances, as a careful user meets it."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_builder import instances, launch, listening, only, refused
from moto.core.exceptions import ServiceException

from lab.ec2.events import Change
from lab.testing import LabHandle

PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64"


@pytest.fixture
def image(lab: LabHandle) -> str:
    """An image that AWS offers, as its public parameter names it."""
    return str(lab.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"])


def run(lab: LabHandle, image: str, count: int = 1, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = lab.client("ec2").run_instances(
        ImageId=image, MinCount=count, MaxCount=count, InstanceType="t3.small", **request
    )
    return answer


def test_the_image_of_a_public_parameter_can_be_launched(lab: LabHandle, image: str) -> None:
    with listening() as told:
        (launched,) = run(lab, image)["Instances"]
    assert launched["State"]["Name"] == "pending"
    assert told == [(launched["InstanceId"], Change.LAUNCHED)]
    found = only(lab.client("ec2"), launched["InstanceId"])
    assert (found["State"]["Name"], found["ImageId"]) == ("running", image)
    assert found["LaunchTime"] == lab.world.clock.now()
    assert found["RootDeviceName"] == "/dev/xvda"
    assert found["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True


def test_an_image_may_be_named_by_its_parameter(lab: LabHandle, image: str) -> None:
    (launched,) = run(lab, f"resolve:ssm:{PARAMETER}")["Instances"]
    assert launched["ImageId"] == image


def test_without_a_subnet_it_lands_in_a_default_one_with_an_address_of_it(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    (launched,) = run(lab, image, Placement={"AvailabilityZone": "eu-west-3b"})["Instances"]
    (subnet,) = ec2.describe_subnets(SubnetIds=[launched["SubnetId"]])["Subnets"]
    assert (subnet["AvailabilityZone"], subnet["DefaultForAz"]) == ("eu-west-3b", True)
    assert launched["PrivateIpAddress"].startswith("172.31.16.")


def test_as_many_are_launched_as_the_maximum_allows_all_with_tags_and_profile(lab: LabHandle, image: str) -> None:
    lab.client("iam").create_instance_profile(InstanceProfileName="node")
    specifications = [
        {"ResourceType": kind, "Tags": [{"Key": "Env", "Value": "test"}]}
        for kind in ("instance", "volume", "network-interface")
    ]
    ec2 = lab.client("ec2")
    answer = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=3,
        IamInstanceProfile={"Name": "node"},
        TagSpecifications=specifications,
    )
    assert len(answer["Instances"]) == 3
    profiles = {each["IamInstanceProfile"]["Arn"] for each in instances(ec2.describe_instances())}
    assert profiles == {"arn:aws:iam::111111111111:instance-profile/node"}
    tagged = ec2.describe_tags(Filters=[{"Name": "tag:Env", "Values": ["test"]}])["Tags"]
    assert sorted(each["ResourceType"] for each in tagged) == sorted(
        ["instance"] * 3 + ["volume"] * 3 + ["network-interface"] * 3
    )


def test_the_same_token_launches_once(lab: LabHandle, image: str) -> None:
    first = run(lab, image, 2, ClientToken="once")
    again = run(lab, image, 2, ClientToken="once")
    assert [each["InstanceId"] for each in again["Instances"]] == [each["InstanceId"] for each in first["Instances"]]
    assert again["ReservationId"] == first["ReservationId"]
    assert len(instances(lab.client("ec2").describe_instances())) == 2


def test_the_same_token_with_another_request_is_refused(lab: LabHandle, image: str) -> None:
    run(lab, image, ClientToken="once")
    with refused("IdempotentParameterMismatch"):
        run(lab, image, 2, ClientToken="once")


def test_an_instance_of_a_backup_has_the_volumes_that_were_backed_up(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    source = launch(lab, platform="windows", platform_details="Windows with SQL Server Standard", volumes_gib=(30, 200))
    backup = ec2.create_image(InstanceId=source, Name="backup", NoReboot=True)["ImageId"]
    lab.advance(minutes=10)
    (launched,) = run(lab, backup)["Instances"]
    assert (launched["Platform"], launched["PlatformDetails"]) == ("windows", "Windows with SQL Server Standard")
    mappings = ec2.describe_images(ImageIds=[backup])["Images"][0]["BlockDeviceMappings"]
    snapshots = {each["Ebs"]["SnapshotId"] for each in mappings}
    found = only(ec2, launched["InstanceId"])
    volumes = ec2.describe_volumes(VolumeIds=[each["Ebs"]["VolumeId"] for each in found["BlockDeviceMappings"]])
    assert sorted(each["Size"] for each in volumes["Volumes"]) == [30, 200]
    assert {each["SnapshotId"] for each in volumes["Volumes"]} == snapshots


def test_a_request_may_change_the_volumes_of_an_image(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    mappings = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "VolumeType": "gp3"}},
    ]
    (launched,) = run(lab, image, BlockDeviceMappings=mappings)["Instances"]
    mine = [{"Name": "attachment.instance-id", "Values": [launched["InstanceId"]]}]
    volumes = ec2.describe_volumes(Filters=mine)["Volumes"]
    assert {each["Attachments"][0]["Device"]: each["Size"] for each in volumes} == {"/dev/xvda": 20, "/dev/sdf": 5}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"ImageId": "ami-0fedcba9876543210"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "web-image"}, "InvalidAMIID.Malformed"),
        ({"ImageId": "resolve:ssm:/no/such/parameter"}, "InvalidParameterValue"),
        ({"InstanceType": "t3.gigantic"}, "InvalidParameterValue"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-0fedcba9876543210"}, "InvalidSubnetID.NotFound"),
        ({"Placement": {"AvailabilityZone": "eu-west-3z"}}, "MissingInput"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue"),
        ({"MaxCount": 5000}, "InsufficientFreeAddressesInSubnet"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {}}]}, "MissingParameter"),
        (
            {"TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]}]},
            "InvalidParameterValue",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:a", "Value": "b"}]}]},
            "InvalidParameterValue",
        ),
        ({"DryRun": True}, "DryRunOperation"),
        ({"SecurityGroups": ["nobodys"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": ["sg-0fedcba9876543210"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": ["web"]}, "InvalidGroupId.Malformed"),
        ({"PrivateIpAddress": "localhost"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.9.8.7"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.0.3"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.0.9", "MaxCount": 2}, "InvalidParameterCombination"),
        ({"LaunchTemplate": {"Version": "1"}}, "MissingParameter"),
        ({"LaunchTemplate": {"LaunchTemplateId": "web"}}, "InvalidLaunchTemplateId.Malformed"),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-0fedcba9876543210"}}, "InvalidLaunchTemplateId.NotFound"),
        ({"LaunchTemplate": {"LaunchTemplateName": "web"}}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"NetworkInterfaces": [{"Description": "x"}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 1}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": -1}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": 0}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkCardIndex": 3}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}], "SecurityGroups": ["default"]}, "InvalidParameterCombination"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0fedcba9876543210"}]},
            "InvalidSubnetID.NotFound",
        ),
        ({"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-0fedcba9876543210"]}]}, "InvalidGroup.NotFound"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddress": "x"}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddresses": [{"Primary": True}]}]}, "MissingParameter"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0fedcba9876543210"}]},
            "InvalidNetworkInterfaceID.NotFound",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eth0"}]},
            "InvalidNetworkInterfaceId.Malformed",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-0fedcba9876543210"}}]},
            "InvalidSnapshot.NotFound",
        ),
    ],
)
def test_a_mistake_is_answered_as_aws_answers_it_and_launches_nothing(
    lab: LabHandle, image: str, request_: dict[str, Any], code: str
) -> None:
    ec2 = lab.client("ec2")
    with refused(code):
        ec2.run_instances(**{"ImageId": image, "MinCount": 1, "MaxCount": 1, **request_})
    assert_nothing_is_there(lab)


def assert_nothing_is_there(lab: LabHandle) -> None:
    ec2, backend = lab.client("ec2"), lab.location().ec2
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_tags()["Tags"] == []
    subnets = [subnet for zone in backend.subnets.values() for subnet in zone.values()]
    assert subnets
    assert [subnet._subnet_ips for subnet in subnets] == [{}] * len(subnets)


def test_a_launch_that_fails_half_way_leaves_nothing_behind(lab: LabHandle, image: str) -> None:
    """Whoever launches: Auto Scaling reaches moto's backend without the lab's checks before it."""
    ec2, backend = lab.client("ec2"), lab.location().ec2
    kept = ec2.create_network_interface(SubnetId=ec2.describe_subnets()["Subnets"][0]["SubnetId"])["NetworkInterface"]
    unknown = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-0fedcba9876543210"}}
    interfaces = [{"DeviceIndex": 0, "NetworkInterfaceId": kept["NetworkInterfaceId"]}]
    for nics in (interfaces, [{"DeviceIndex": 0, "SubnetId": kept["SubnetId"]}]):
        with pytest.raises(ServiceException):
            backend.run_instances(
                image,
                2,
                None,
                [],
                instance_type="t3.small",
                is_instance_type_default=False,
                nics=nics,
                tags={"instance": {"Name": "half"}},
                block_device_mappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}, unknown],
            )
    (still,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert (still["Status"], still.get("Attachment")) == ("available", None)
    ec2.delete_network_interface(NetworkInterfaceId=kept["NetworkInterfaceId"])
    assert_nothing_is_there(lab)


def test_an_instance_may_have_several_interfaces_each_in_a_subnet(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    interfaces = [{"DeviceIndex": 1, "Description": "backup"}, {"DeviceIndex": 0, "PrivateIpAddress": "172.31.0.77"}]
    (launched,) = run(lab, image, NetworkInterfaces=interfaces)["Instances"]
    found = only(ec2, launched["InstanceId"])
    assert found["PrivateIpAddress"] == "172.31.0.77"
    assert sorted(each["Attachment"]["DeviceIndex"] for each in found["NetworkInterfaces"]) == [0, 1]
    assert {each["SubnetId"] for each in found["NetworkInterfaces"]} == {found["SubnetId"]}


def test_an_interface_that_an_instance_has_is_not_given_to_another(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    nic = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    interfaces = [{"DeviceIndex": 0, "NetworkInterfaceId": nic}]
    (launched,) = run(lab, image, NetworkInterfaces=interfaces)["Instances"]
    assert launched["NetworkInterfaces"][0]["NetworkInterfaceId"] == nic
    with refused("InvalidNetworkInterface.InUse"):
        run(lab, image, NetworkInterfaces=interfaces)
    assert len(instances(ec2.describe_instances())) == 1


def test_an_address_belongs_to_one_instance(lab: LabHandle, image: str) -> None:
    (launched,) = run(lab, image, PrivateIpAddress="172.31.0.9")["Instances"]
    assert launched["PrivateIpAddress"] == "172.31.0.9"
    with refused("InvalidIPAddress.InUse"):
        run(lab, image, PrivateIpAddress="172.31.0.9")


def test_a_launch_template_says_what_the_request_leaves_out(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    data = {
        "ImageId": image,
        "InstanceType": "t3.large",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 33}}],
    }
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
    named = {"LaunchTemplateName": "web"}
    for asked in (named, {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"}):
        (launched,) = ec2.run_instances(LaunchTemplate=asked, MinCount=1, MaxCount=1)["Instances"]
        assert (launched["ImageId"], launched["InstanceType"]) == (image, "t3.large")
        found = only(ec2, launched["InstanceId"])
        (mapping,) = found["BlockDeviceMappings"]
        (volume,) = ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
        assert (mapping["DeviceName"], volume["Size"]) == ("/dev/xvda", 33)
        assert found["PrivateIpAddress"].startswith("172.31.")
    for version in ("7", "0", "newest"):
        with refused("InvalidLaunchTemplateId.VersionNotFound"):
            ec2.run_instances(LaunchTemplate={**named, "Version": version}, MinCount=1, MaxCount=1)
    ec2.create_launch_template(LaunchTemplateName="bare", LaunchTemplateData={"InstanceType": "t3.large"})
    with refused("MissingParameter"):
        ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "bare"}, MinCount=1, MaxCount=1)


def test_an_image_that_is_not_ready_cannot_be_launched(lab: LabHandle) -> None:
    pending = lab.client("ec2").create_image(InstanceId=launch(lab), Name="backup")["ImageId"]
    with refused("InvalidAMIID.Unavailable"):
        run(lab, pending)


def test_an_image_is_needed(lab: LabHandle) -> None:
    with refused("MissingParameter"):
        lab.client("ec2").run_instances(MinCount=1, MaxCount=1)


def test_a_launched_instance_that_is_terminated_leaves_no_interface_behind(lab: LabHandle, image: str) -> None:
    ec2 = lab.client("ec2")
    (launched,) = run(lab, image)["Instances"]
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_volumes()["Volumes"] == []
