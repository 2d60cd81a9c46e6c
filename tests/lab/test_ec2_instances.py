"""Instances as a fleet file makes them, described, and started, stopped, rebooted, terminated."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from ec2_builder import IMAGE, LAUNCHED, NOBODY, collect, ids, instances, launch, listening, only, refused
from world_builder import add_nodes

from lab.ec2.addresses import KEPT_FREE, free_addresses, next_subnet
from lab.ec2.events import Change
from lab.ec2.instances import instance_by_id
from lab.testing import LabHandle


def test_an_instance_is_as_the_fleet_asked_for_it(lab: LabHandle) -> None:
    instance_id = launch(lab, {"Name": "web-1", "Patch Group": "web"}, profile="node", instance_type="m5.large")
    found = only(lab.client("ec2"), instance_id)
    assert found["ImageId"] == IMAGE
    assert found["InstanceType"] == "m5.large"
    assert found["LaunchTime"] == LAUNCHED
    assert found["State"] == {"Code": 16, "Name": "running"}
    assert found["IamInstanceProfile"]["Arn"] == "arn:aws:iam::111111111111:instance-profile/node"
    assert {"Key": "Patch Group", "Value": "web"} in found["Tags"]
    assert "Platform" not in found
    assert found["PlatformDetails"] == "Linux/UNIX"


def test_the_profile_of_an_instance_is_one_that_iam_knows_by_the_same_id(lab: LabHandle) -> None:
    instance_id = launch(lab, profile="team/node")
    profile = lab.client("iam").get_instance_profile(InstanceProfileName="node")["InstanceProfile"]
    assert profile["Path"] == "/team/"
    assert only(lab.client("ec2"), instance_id)["IamInstanceProfile"] == {
        "Arn": profile["Arn"],
        "Id": profile["InstanceProfileId"],
    }


def test_a_profile_put_on_or_taken_off_later_shows(lab: LabHandle) -> None:
    ec2, iam, instance_id = lab.client("ec2"), lab.client("iam"), launch(lab)
    arns = [
        iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"] for name in ("first", "second")
    ]
    assert "IamInstanceProfile" not in only(ec2, instance_id)
    associated = ec2.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile={"Arn": arns[0]})
    assert only(ec2, instance_id)["IamInstanceProfile"]["Arn"] == arns[0]
    association = associated["IamInstanceProfileAssociation"]["AssociationId"]
    ec2.replace_iam_instance_profile_association(AssociationId=association, IamInstanceProfile={"Arn": arns[1]})
    assert only(ec2, instance_id)["IamInstanceProfile"]["Arn"] == arns[1]
    ec2.disassociate_iam_instance_profile(AssociationId=association)
    assert "IamInstanceProfile" not in only(ec2, instance_id)


def test_windows_says_so_in_platform_and_bill(lab: LabHandle) -> None:
    found = only(lab.client("ec2"), launch(lab, platform="windows"))
    assert (found["Platform"], found["PlatformDetails"]) == ("windows", "Windows")
    assert (found["UsageOperation"], found["RootDeviceName"]) == ("RunInstances:0002", "/dev/sda1")


def test_a_bill_may_say_more_than_linux(lab: LabHandle) -> None:
    found = only(lab.client("ec2"), launch(lab, platform_details="Red Hat Enterprise Linux"))
    assert found["PlatformDetails"] == "Red Hat Enterprise Linux"
    assert found["UsageOperation"] == "RunInstances:0010"


def test_a_stopped_instance_says_why(lab: LabHandle) -> None:
    found = only(lab.client("ec2"), launch(lab, running=False))
    assert found["State"] == {"Code": 80, "Name": "stopped"}
    assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert found["StateTransitionReason"] == "User initiated (2025-06-02 00:00:00 GMT)"


def test_addresses_are_unique_in_their_subnet_and_zones_go_round(lab: LabHandle) -> None:
    for _ in range(9):
        launch(lab)
    ec2 = lab.client("ec2")
    found = instances(ec2.describe_instances())
    subnets = {each["SubnetId"]: each for each in ec2.describe_subnets()["Subnets"]}
    assert len({each["PrivateIpAddress"] for each in found}) == 9
    assert {each["Placement"]["AvailabilityZone"] for each in found} == {f"eu-west-3{zone}" for zone in "abc"}
    for each in found:
        assert ip_address(each["PrivateIpAddress"]) in ip_network(subnets[each["SubnetId"]]["CidrBlock"])
        dashed = each["PrivateIpAddress"].replace(".", "-")
        assert each["PrivateDnsName"] == f"ip-{dashed}.eu-west-3.compute.internal"
        assert each["VpcId"] == subnets[each["SubnetId"]]["VpcId"]


def test_a_fleet_that_fills_the_default_vpc_goes_on_in_another(lab: LabHandle) -> None:
    launch(lab)
    backend = lab.location().ec2
    for subnet in backend.describe_subnets():
        subnet._available_ip_addresses = len(subnet._subnet_ips) + KEPT_FREE
    found = only(lab.client("ec2"), launch(lab))
    assert ip_address(found["PrivateIpAddress"]) in ip_network("10.0.0.0/16")
    assert found["VpcId"] != backend.default_vpc.id
    assert free_addresses(next_subnet(backend)) > 16_000
    assert all(free_addresses(subnet) >= KEPT_FREE for subnet in backend.describe_subnets())


def test_volumes_stand_in_the_instance_and_in_describe_volumes(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    instance_id = launch(lab, volumes_gib=(8, 100))
    root, data = only(ec2, instance_id)["BlockDeviceMappings"]
    assert (root["DeviceName"], root["Ebs"]["DeleteOnTermination"]) == ("/dev/xvda", True)
    assert (data["DeviceName"], data["Ebs"]["DeleteOnTermination"]) == ("/dev/sdb", False)
    volumes = ec2.describe_volumes(VolumeIds=[root["Ebs"]["VolumeId"], data["Ebs"]["VolumeId"]])["Volumes"]
    by_device = {each["Attachments"][0]["Device"]: each for each in volumes}
    assert {device: each["Size"] for device, each in by_device.items()} == {"/dev/xvda": 8, "/dev/sdb": 100}
    assert {each["Attachments"][0]["InstanceId"] for each in volumes} == {instance_id}
    assert by_device["/dev/xvda"]["CreateTime"] == LAUNCHED


def test_the_same_seed_gives_the_same_ids(lab: LabHandle) -> None:
    first = launch(lab)
    lab.server.reset()
    assert launch(lab) == first


def test_accounts_and_regions_do_not_see_each_other(lab: LabHandle) -> None:
    here = launch(lab)
    there = launch(lab, location=lab.location("222222222222", "eu-west-1"))
    assert ids(lab.client("ec2").describe_instances()) == {here}
    assert ids(lab.client("ec2", account="222222222222", region="eu-west-1").describe_instances()) == {there}


def test_pages_hold_instances_and_together_all_of_them_once(lab: LabHandle) -> None:
    launched = {launch(lab) for _ in range(12)}
    pages = collect(lab.client("ec2").describe_instances, "Reservations", 5)
    found = [each["InstanceId"] for page in pages for each in instances({"Reservations": page})]
    assert [sum(len(each["Instances"]) for each in page) for page in pages] == [5, 5, 2]
    assert sorted(found) == sorted(launched)


def test_without_a_page_size_every_instance_comes_at_once(lab: LabHandle) -> None:
    launched = {launch(lab) for _ in range(7)}
    answer = lab.client("ec2").describe_instances()
    assert ids(answer) == launched
    assert "NextToken" not in answer


def test_a_page_is_not_upset_by_what_vanishes_before_it(lab: LabHandle) -> None:
    launched = sorted(launch(lab) for _ in range(12))
    ec2 = lab.client("ec2")
    first = ec2.describe_instances(MaxResults=5)
    ec2.terminate_instances(InstanceIds=launched[:4])
    lab.advance(hours=2)
    rest = ec2.describe_instances(MaxResults=1000, NextToken=first["NextToken"])
    assert ids(rest) == set(launched[5:])


def test_a_filter_fills_its_pages(lab: LabHandle) -> None:
    wanted = {launch(lab, {"Env": "prod" if number % 2 else "dev"}) for number in range(20) if number % 2}
    pages = collect(
        lab.client("ec2").describe_instances, "Reservations", 5, Filters=[{"Name": "tag:Env", "Values": ["prod"]}]
    )
    assert [len(page) for page in pages] == [5, 5]
    assert {each["InstanceId"] for page in pages for each in instances({"Reservations": page})} == wanted


def test_ids_and_a_page_size_do_not_go_together(lab: LabHandle) -> None:
    with refused("InvalidParameterCombination"):
        lab.client("ec2").describe_instances(InstanceIds=[launch(lab)], MaxResults=5)


@pytest.mark.parametrize("size", [1, 4, 1001])
def test_a_page_has_five_to_a_thousand_instances(lab: LabHandle, size: int) -> None:
    with refused("InvalidParameterValue"):
        lab.client("ec2").describe_instances(MaxResults=size)


def test_a_token_of_another_operation_or_of_nobody_is_refused(lab: LabHandle) -> None:
    for _ in range(6):
        launch(lab)
    ec2 = lab.client("ec2")
    token = ec2.describe_instances(MaxResults=5)["NextToken"]
    for wrong in (token, "none", "!"):
        with refused("InvalidParameterValue"):
            ec2.describe_volumes(MaxResults=5, NextToken=wrong)


def test_ids_that_are_unknown_or_none_are_told_apart(lab: LabHandle) -> None:
    ec2, known = lab.client("ec2"), launch(lab)
    with refused("InvalidInstanceID.NotFound") as caught:
        ec2.describe_instances(InstanceIds=[known, NOBODY])
    assert f"'{NOBODY}'" in str(caught.value)
    with refused("InvalidInstanceID.Malformed"):
        ec2.describe_instances(InstanceIds=["i-web-1"])


def test_filters_name_what_an_instance_is(lab: LabHandle) -> None:
    ec2 = lab.client("ec2")
    web = launch(lab, {"Name": "web-1", "Env": "prod"}, profile="node")
    database = launch(lab, {"Name": "db-1"}, platform="windows", instance_type="m5.large", running=False)
    seen = only(ec2, web)

    def find(**filters: str) -> set[str]:
        asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return ids(ec2.describe_instances(Filters=asked))

    assert find(platform="windows") == {database}
    assert find(platform_details="Windows") == {database}
    assert find(instance_state_name="running") == {web}
    assert find(instance_type="m5.*") == {database}
    assert find(image_id=IMAGE) == {web, database}
    assert find(private_ip_address=seen["PrivateIpAddress"]) == {web}
    assert find(vpc_id=seen["VpcId"], availability_zone=seen["Placement"]["AvailabilityZone"]) == {web}
    assert find(launch_time="2025-04-01T12:30:00.000Z") == {web, database}
    assert find(launch_time="2025-04-02*") == set()
    assert find(tag_key="Env") == {web}
    assert find(tag_value="db-?") == {database}
    assert find(instance_id=web, platform="windows") == set()
    arn = [{"Name": "iam-instance-profile.arn", "Values": ["*/node"]}]
    assert ids(ec2.describe_instances(Filters=arn)) == {web}
    either = [{"Name": "tag:Name", "Values": ["web-1", "db-*"]}]
    assert ids(ec2.describe_instances(Filters=either)) == {web, database}
    reservation = ec2.describe_instances(InstanceIds=[web])["Reservations"][0]["ReservationId"]
    assert find(reservation_id=reservation) == {web}


def test_an_unknown_filter_is_refused(lab: LabHandle) -> None:
    with refused("InvalidParameterValue") as caught:
        lab.client("ec2").describe_instances(Filters=[{"Name": "patch-group", "Values": ["web"]}])
    assert "'patch-group'" in str(caught.value)


def test_status_shows_the_running_ones_unless_all_are_asked_for(lab: LabHandle) -> None:
    ec2, on, off = lab.client("ec2"), launch(lab), launch(lab, running=False)
    (status,) = ec2.describe_instance_status()["InstanceStatuses"]
    assert (status["InstanceId"], status["InstanceStatus"]["Status"]) == (on, "ok")
    everything = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert {each["InstanceId"]: each["InstanceStatus"]["Status"] for each in everything} == {
        on: "ok",
        off: "not-applicable",
    }


def test_status_comes_in_pages_and_filtered(lab: LabHandle) -> None:
    launched = sorted(launch(lab) for _ in range(7))
    ec2 = lab.client("ec2")
    pages = collect(ec2.describe_instance_status, "InstanceStatuses", 5)
    assert [each["InstanceId"] for page in pages for each in page] == launched
    none = [{"Name": "instance-status.status", "Values": ["impaired"]}]
    assert ec2.describe_instance_status(Filters=none)["InstanceStatuses"] == []


def test_the_instance_check_initialises_while_the_machine_boots(lab: LabHandle) -> None:
    (node,) = add_nodes(lab, reboot_seconds=120)
    ec2 = lab.client("ec2")

    def check() -> str:
        (status,) = ec2.describe_instance_status(InstanceIds=[node.node_id])["InstanceStatuses"]
        return str(status["InstanceStatus"]["Status"])

    ec2.reboot_instances(InstanceIds=[node.node_id])
    assert check() == "initializing"
    lab.advance(seconds=121)
    assert check() == "ok"
    node.lost_for_good = True
    assert check() == "impaired"


def test_stopping_and_starting_changes_the_state_and_the_launch_time(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with listening() as told:
        (stopping,) = ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"]
        assert (stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]) == ("running", "stopping")
        assert only(ec2, instance_id)["State"]["Name"] == "stopped"
        lab.advance(hours=1)
        (starting,) = ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"]
        assert (starting["PreviousState"]["Name"], starting["CurrentState"]["Name"]) == ("stopped", "pending")
    found = only(ec2, instance_id)
    assert found["State"]["Name"] == "running"
    assert found["LaunchTime"] == lab.world.clock.now()
    assert found["NetworkInterfaces"][0]["Attachment"]["AttachTime"] == LAUNCHED
    assert told == [(instance_id, Change.STOPPED), (instance_id, Change.STARTED)]


def test_doing_it_twice_changes_nothing_and_tells_nobody(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with listening() as told:
        (change,) = ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"]
    assert change["PreviousState"] == change["CurrentState"] == {"Code": 16, "Name": "running"}
    assert told == []


def test_a_reboot_reaches_the_agents_and_leaves_the_state(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with listening() as told:
        ec2.reboot_instances(InstanceIds=[instance_id])
    assert told == [(instance_id, Change.REBOOTED)]
    assert only(ec2, instance_id)["State"]["Name"] == "running"


def test_a_terminated_instance_is_seen_for_an_hour_without_network_and_volumes(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab, {"Name": "old"}, volumes_gib=(8, 20))
    root, data = (each["Ebs"]["VolumeId"] for each in only(ec2, instance_id)["BlockDeviceMappings"])
    ec2.create_tags(Resources=[root], Tags=[{"Key": "of", "Value": "old"}])
    with listening() as told:
        (change,) = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
        ec2.terminate_instances(InstanceIds=[instance_id])
    assert change["CurrentState"]["Name"] == "shutting-down"
    assert told == [(instance_id, Change.TERMINATED)]
    found = only(ec2, instance_id)
    assert (found["State"]["Name"], found["BlockDeviceMappings"], found["NetworkInterfaces"]) == ("terminated", [], [])
    assert "PrivateIpAddress" not in found
    assert [each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]] == [data]
    assert ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["volume"]}])["Tags"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    lab.advance(minutes=61)
    with refused("InvalidInstanceID.NotFound"):
        ec2.describe_instances(InstanceIds=[instance_id])
    assert ec2.describe_tags()["Tags"] == []
    assert instance_by_id(lab.location().ec2, instance_id) is None


def test_a_protected_instance_saves_its_zone_from_termination(lab: LabHandle) -> None:
    ec2, launched = lab.client("ec2"), [launch(lab) for _ in range(6)]
    zones = {each["InstanceId"]: each["Placement"]["AvailabilityZone"] for each in instances(ec2.describe_instances())}
    ec2.modify_instance_attribute(InstanceId=launched[0], DisableApiTermination={"Value": True})
    with listening() as told, refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=launched)
    gone = {each for each in launched if zones[each] != zones[launched[0]]}
    assert {each for each, _ in told} == gone
    dead = [{"Name": "instance-state-name", "Values": ["terminated"]}]
    assert ids(ec2.describe_instances(Filters=dead)) == gone


def test_an_instance_that_is_protected_from_it_stops_the_stop(lab: LabHandle) -> None:
    ec2, free, protected = lab.client("ec2"), launch(lab), launch(lab)
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiStop={"Value": True})
    with refused("OperationNotPermitted"):
        ec2.stop_instances(InstanceIds=[free, protected])
    assert only(ec2, free)["State"]["Name"] == "running"


@pytest.mark.parametrize("operation", ["start_instances", "stop_instances", "reboot_instances"])
def test_nothing_but_its_end_can_be_asked_of_a_terminated_instance(lab: LabHandle, operation: str) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    ec2.terminate_instances(InstanceIds=[instance_id])
    with refused("IncorrectInstanceState"):
        getattr(ec2, operation)(InstanceIds=[instance_id])


@pytest.mark.parametrize("operation", ["start_instances", "stop_instances", "reboot_instances", "terminate_instances"])
def test_a_change_needs_instances_that_exist_and_may_be_tried_dry(lab: LabHandle, operation: str) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with refused("InvalidInstanceID.NotFound"):
        getattr(ec2, operation)(InstanceIds=[instance_id, NOBODY])
    with refused("DryRunOperation") as caught, listening() as told:
        getattr(ec2, operation)(InstanceIds=[instance_id], DryRun=True)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert told == []
    assert only(ec2, instance_id)["State"]["Name"] == "running"


def test_one_bad_id_leaves_the_others_alone(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    with refused("InvalidInstanceID.NotFound"):
        ec2.stop_instances(InstanceIds=[instance_id, NOBODY])
    assert only(ec2, instance_id)["State"]["Name"] == "running"


def test_a_reset_forgets_the_instances_and_what_was_to_happen_to_them(lab: LabHandle) -> None:
    ec2, instance_id = lab.client("ec2"), launch(lab)
    ec2.terminate_instances(InstanceIds=[instance_id])
    lab.server.reset()
    again = launch(lab)
    lab.world.clock.advance(timedelta(hours=2))
    assert ids(lab.client("ec2").describe_instances()) == {again}
