"""The network of a launch: security groups, addresses and interfaces, checked before anything is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet

from lab.ec2.addresses import free_addresses
from lab.ec2.operations import check_ids
from lab.wire_errors import AwsError

Interface = Mapping[str, Any]
"""An entry of RunInstances' `NetworkInterfaces`."""

NOT_WITH_INTERFACES = {
    "SubnetId": "subnet ID",
    "PrivateIpAddress": "private IP address",
    "SecurityGroupIds": "security groups",
    "SecurityGroups": "security groups",
}
"""What a request may say of the instance or of its interfaces, but not of both, with AWS's words for it."""

RESERVED_AT_START = 4
"""The first addresses of a subnet, and the last, are AWS's own
(https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html)."""


def check_groups(backend: EC2Backend, ids: Iterable[str] = (), names: Iterable[str] = ()) -> None:
    """Raise InvalidGroupId.Malformed or InvalidGroup.NotFound unless every security group exists."""
    ids = list(ids)
    check_ids("InvalidGroupId", "sg", ids)
    unknown = [each for each in ids if backend.get_security_group_from_id(each) is None]
    unknown += [each for each in names if backend.get_security_group_by_name_or_id(each) is None]
    if unknown:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{unknown[0]}' does not exist")


def check_address(subnet: Subnet, address: str, count: int) -> None:
    """Raise unless `address` is a free IPv4 address of the subnet, and asked for by one instance alone."""
    try:
        wanted = IPv4Address(address)
    except AddressValueError as problem:
        raise AwsError("InvalidParameterValue", f"invalid value for parameter address: {address}") from problem
    if wanted not in subnet.cidr:
        raise AwsError("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    place = int(wanted) - int(subnet.cidr.network_address)
    if place < RESERVED_AT_START or wanted == subnet.cidr.broadcast_address:
        raise AwsError("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in subnet._subnet_ips:
        raise AwsError("InvalidIPAddress.InUse", f"Address {address} is in use.")
    if count > 1:
        raise AwsError("InvalidParameterCombination", "A private IP address can be given to one instance only.")


def check_room(subnet: Subnet, count: int) -> None:
    """Raise InsufficientFreeAddressesInSubnet where a subnet has less than `count` free addresses."""
    if free_addresses(subnet) < count:
        raise AwsError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of "
            "instances.",
        )


def default_subnet(backend: EC2Backend, zone: str | None) -> Subnet:
    """The default subnet of a zone, of the first zone without one. Raises MissingInput where there is none."""
    defaults = backend.get_default_subnets()
    if zone is None and defaults:
        zone = min(defaults)
    if zone not in defaults:
        raise AwsError("MissingInput", f"No default subnet for availability zone: '{zone}'.")
    return defaults[zone]


def settled_interfaces(
    backend: EC2Backend, asked: Sequence[Interface], count: int, zone: str | None
) -> list[dict[str, Any]]:
    """The interfaces of each of `count` instances, in the order of their index, each new one with its subnet.

    Raises AWS's errors for interfaces that an instance cannot have. The lab's instances have one network card.
    """
    _check_places(asked)
    settled = []
    for interface in sorted(asked, key=lambda each: int(each["DeviceIndex"])):
        if "NetworkInterfaceId" in interface:
            _check_given(backend, interface, count)
            settled.append(dict(interface))
        else:
            named = interface.get("SubnetId")
            subnet = backend.get_subnet(named) if named else default_subnet(backend, zone)
            _check_new(backend, interface, subnet, count)
            settled.append({**interface, "SubnetId": subnet.id})
    for subnet_id, wanted in Counter(each["SubnetId"] for each in settled if "SubnetId" in each).items():
        check_room(backend.get_subnet(subnet_id), wanted * count)
    return settled


def _check_places(asked: Sequence[Interface]) -> None:
    places = [each.get("DeviceIndex") for each in asked]
    if None in places:
        problem = "Each network interface requires a device index."
    elif 0 not in places:
        problem = "When specifying network interfaces, you must include a device at index 0."
    elif len(set(places)) < len(places) or min(each for each in places if each is not None) < 0:
        problem = "Each network interface requires a device index of its own."
    elif any(each.get("NetworkCardIndex") for each in asked):
        problem = "The instance has one network card, whose index is 0."
    else:
        return
    raise AwsError("InvalidParameterValue", problem)


def _check_given(backend: EC2Backend, interface: Interface, count: int) -> None:
    nic_id = interface["NetworkInterfaceId"]
    check_ids("InvalidNetworkInterfaceId", "eni", [nic_id])
    nic = backend.enis.get(nic_id)
    if nic is None:
        raise AwsError("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{nic_id}' does not exist")
    if count > 1 or interface.keys() & {"SubnetId", "Groups", "PrivateIpAddress", "PrivateIpAddresses"}:
        raise AwsError(
            "InvalidParameterCombination",
            f"The network interface '{nic_id}' goes to one instance, with its own subnet, groups and addresses.",
        )
    if nic.instance is not None and nic.instance._state.name != "terminated":
        raise AwsError("InvalidNetworkInterface.InUse", f"Interface: [{nic_id}] in use.")


def _check_new(backend: EC2Backend, interface: Interface, subnet: Subnet, count: int) -> None:
    check_groups(backend, interface.get("Groups", []))
    addresses = [each.get("PrivateIpAddress") for each in interface.get("PrivateIpAddresses", [])]
    if None in addresses:
        raise AwsError("MissingParameter", "The request must contain the parameter privateIpAddress")
    if "PrivateIpAddress" in interface:
        addresses.append(interface["PrivateIpAddress"])
    for address in addresses:
        check_address(subnet, address, count)
