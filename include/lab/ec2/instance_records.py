"""An instance as DescribeInstances, RunInstances and DescribeInstanceStatus answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, Reservation

from lab.ec2.operations import tag_list
from lab.ec2.state import state

if TYPE_CHECKING:
    from lab.world import Node

Record = dict[str, Any]

USAGE_OPERATIONS = {
    "Linux/UNIX": "RunInstances",
    "Windows": "RunInstances:0002",
    "Red Hat Enterprise Linux": "RunInstances:0010",
    "SUSE Linux": "RunInstances:000g",
}
"""What is billed, by platform details
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html)."""


def platform_details(backend: EC2Backend, instance: Instance) -> str:
    """What the bill calls the instance's platform."""
    default = "Windows" if instance.platform == "windows" else "Linux/UNIX"
    return state(backend).platform_details.get(instance.id, default)


class Seen(NamedTuple):
    """An instance in its surroundings: all that a record is made of."""

    backend: EC2Backend
    instance: Instance
    reservation: Reservation
    tags: Mapping[str, str]

    @property
    def network(self) -> NetworkInterface | None:
        """The primary network interface; a terminated instance has lost it, and its volumes."""
        nics = self.instance.nics
        return nics[0] if nics and self.instance._state.name != "terminated" else None


class InstanceRecord(Mapping[str, Any]):
    """An instance as the API has it, each member made when it is read: a filter reads one of forty.

    Beside the API's members it has `ReservationId`, which `filled` leaves out.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def __getitem__(self, name: str) -> Any:
        return _MEMBERS[name](self._seen)

    def __iter__(self) -> Iterator[str]:
        return iter(_MEMBERS)

    def __len__(self) -> int:
        return len(_MEMBERS)

    def filled(self) -> Record:
        """The whole record."""
        seen = self._seen
        return {name: make(seen) for name, make in _MEMBERS.items() if name != "ReservationId"}


def _state(instance: Instance) -> Record:
    return {"Code": instance._state.code, "Name": instance._state.name}


def _reason(instance: Instance) -> Record | None:
    reason = instance.state_reason
    return {"Code": reason.code, "Message": reason.message} if reason.code else None


def _placement(instance: Instance) -> Record:
    placement = instance.placement
    return {
        "AvailabilityZone": placement.zone,
        "AvailabilityZoneId": _zone_id(instance),
        "GroupName": placement.group_name,
        "Tenancy": placement.tenancy,
        "HostId": placement.host_id,
    }


def _zone_id(instance: Instance) -> str | None:
    return instance.nics[0].subnet.availability_zone_id if instance.nics else None


def _profile(backend: EC2Backend, instance: Instance) -> Record | None:
    association = backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return None
    return {"Arn": association.iam_instance_profile.arn, "Id": association.iam_instance_profile.id}


def _metadata_options(instance: Instance) -> Record:
    options = instance.metadata_options
    return {
        "State": options.state,
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }


def _block_devices(instance: Instance) -> list[Record]:
    return [
        {
            "DeviceName": device,
            "Ebs": {
                "AttachTime": block.attach_time,
                "DeleteOnTermination": block.delete_on_termination,
                "Status": "attached",
                "VolumeId": block.volume_id,
            },
        }
        for device, block in instance.block_device_mapping.items()
    ]


def _interfaces(seen: Seen) -> list[Record]:
    return [_interface(seen.instance, nic) for nic in seen.instance.nics.values()] if seen.network else []


def _groups(nic: NetworkInterface) -> list[Record]:
    return [{"GroupName": group.name, "GroupId": group.id} for group in nic.group_set]


def _interface(instance: Instance, nic: NetworkInterface) -> Record:
    association = _public_address(instance, nic)
    return {
        "Association": association,
        "Attachment": {
            "AttachTime": nic.attach_time,
            "AttachmentId": nic.attachment_id,
            "DeleteOnTermination": nic.delete_on_termination,
            "DeviceIndex": nic.device_index,
            "Status": "attached",
            "NetworkCardIndex": 0,
        },
        "Description": nic.description,
        "Groups": _groups(nic),
        "Ipv6Addresses": [{"Ipv6Address": address} for address in nic.ipv6_addresses],
        "MacAddress": nic.mac_address,
        "NetworkInterfaceId": nic.id,
        "OwnerId": instance.owner_id,
        "PrivateDnsName": instance.private_dns_name,
        "PrivateIpAddress": nic.private_ip_address,
        "PrivateIpAddresses": [
            {
                "Association": association if primary else None,
                "Primary": primary,
                "PrivateIpAddress": each.get("PrivateIpAddress"),
            }
            for each in nic.private_ip_addresses
            for primary in [each.get("PrivateIpAddress") == nic.private_ip_address]
        ],
        "SourceDestCheck": nic.source_dest_check,
        "Status": "in-use",
        "SubnetId": nic.subnet.id,
        "VpcId": nic.subnet.vpc_id,
        "InterfaceType": nic.interface_type,
    }


def _public_address(instance: Instance, nic: NetworkInterface) -> Record | None:
    if not nic.public_ip:
        return None
    return {"IpOwnerId": "amazon", "PublicDnsName": instance.public_dns_name, "PublicIp": nic.public_ip}


_MEMBERS: Mapping[str, Callable[[Seen], Any]] = {
    "ReservationId": lambda seen: seen.reservation.id,
    "InstanceId": lambda seen: seen.instance.id,
    "ImageId": lambda seen: seen.instance.image_id,
    "State": lambda seen: _state(seen.instance),
    "StateTransitionReason": lambda seen: seen.instance._reason or "",
    "StateReason": lambda seen: _reason(seen.instance),
    "PrivateDnsName": lambda seen: seen.instance.private_dns_name if seen.network else "",
    "PublicDnsName": lambda seen: (seen.network and seen.instance.public_dns_name) or "",
    "PrivateIpAddress": lambda seen: seen.network and seen.network.private_ip_address,
    "PublicIpAddress": lambda seen: seen.network and seen.network.public_ip,
    "KeyName": lambda seen: seen.instance.key_name,
    "AmiLaunchIndex": lambda seen: seen.instance.ami_launch_index,
    "InstanceType": lambda seen: seen.instance.instance_type,
    "InstanceLifecycle": lambda seen: seen.instance.lifecycle,
    "LaunchTime": lambda seen: seen.instance.launch_time,
    "Placement": lambda seen: _placement(seen.instance),
    "Platform": lambda seen: seen.instance.platform or None,
    "PlatformDetails": lambda seen: platform_details(seen.backend, seen.instance),
    "UsageOperation": lambda seen: USAGE_OPERATIONS.get(platform_details(seen.backend, seen.instance)),
    "Monitoring": lambda seen: {"State": seen.instance.monitoring_state},
    "Architecture": lambda seen: seen.instance.architecture,
    "VirtualizationType": lambda seen: seen.instance.virtualization_type,
    "Hypervisor": lambda seen: "xen",
    "ClientToken": lambda seen: seen.instance.client_token or "",
    "EbsOptimized": lambda seen: seen.instance.ebs_optimized,
    "EnaSupport": lambda seen: True,
    "IamInstanceProfile": lambda seen: _profile(seen.backend, seen.instance),
    "RootDeviceName": lambda seen: seen.instance.root_device_name,
    "RootDeviceType": lambda seen: "ebs",
    "BlockDeviceMappings": lambda seen: _block_devices(seen.instance),
    "MetadataOptions": lambda seen: _metadata_options(seen.instance),
    "NetworkInterfaces": _interfaces,
    "SecurityGroups": lambda seen: _groups(seen.network) if seen.network else [],
    "SourceDestCheck": lambda seen: seen.instance.source_dest_check if seen.network else None,
    "SubnetId": lambda seen: seen.network and seen.network.subnet.id,
    "VpcId": lambda seen: seen.network and seen.network.subnet.vpc_id,
    "ProductCodes": lambda seen: [],
    "Tags": lambda seen: tag_list(seen.tags),
}


def status_record(instance: Instance, node: Node | None) -> Record:
    """An instance as DescribeInstanceStatus has it: what AWS's reachability checks find.

    The instance check is `initializing` while the machine boots and `impaired` when it never came back.
    """
    if instance._state.name != "running":
        instance_check = system_check = {"Status": "not-applicable"}
    else:
        system_check = _status("ok", "passed")
        instance_check = _instance_check(node)
    return {
        "AvailabilityZone": instance.placement.zone,
        "AvailabilityZoneId": _zone_id(instance),
        "Events": [],
        "InstanceId": instance.id,
        "InstanceState": _state(instance),
        "InstanceStatus": instance_check,
        "SystemStatus": system_check,
    }


def _instance_check(node: Node | None) -> Record:
    if node is not None and node.lost_for_good:
        return _status("impaired", "failed")
    if node is not None and node.rebooting_until is not None:
        return _status("initializing", "initializing")
    return _status("ok", "passed")


def _status(status: str, reachability: str) -> Record:
    return {"Status": status, "Details": [{"Name": "reachability", "Status": reachability}]}
