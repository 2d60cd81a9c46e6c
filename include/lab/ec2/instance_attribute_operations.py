"""ModifyInstanceAttribute; moto puts whatever comes into the instance, and answers nothing for the account then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.ec2.models.instances import Instance
from moto.ec2.utils import parse_user_data

from lab.ec2.instance_operations import InstanceOperations
from lab.ec2.launch_network import check_groups
from lab.ec2.operations import Reply, check_ids
from lab.ec2.wire import service_model
from lab.wire_errors import AwsError

Change = Callable[[], None]
"""Makes a change that has been found good."""

SWITCHES = {
    "DisableApiStop": "disable_api_stop",
    "DisableApiTermination": "disable_api_termination",
    "EbsOptimized": "ebs_optimized",
    "SourceDestCheck": "source_dest_check",
}
"""Attributes that are true or false, with moto's names."""

TEXTS = ("InstanceInitiatedShutdownBehavior", "InstanceType", "Kernel", "Ramdisk", "SriovNetSupport", "UserData")
LISTS = ("BlockDeviceMappings", "Groups")
WHOLE = (*LISTS, "EnclaveOptions")
"""Attributes that come without a `Value` around them."""
ATTRIBUTES = (*SWITCHES, *TEXTS, *WHOLE, "EnaSupport")

WHEN_STOPPED = {"EbsOptimized", "EnaSupport", "InstanceType", "Kernel", "Ramdisk", "SriovNetSupport", "UserData"}
"""Attributes that a running instance keeps
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html)."""

MACHINE_FILES = {"Kernel": ("InvalidKernelId", "aki"), "Ramdisk": ("InvalidRamDiskId", "ari")}
"""The errors for ids that cannot be ones, and the ids' prefixes."""

BY_NAME = {"blockDeviceMapping": "BlockDeviceMappings", "groupSet": "Groups"}
"""Members of the request for the names that `Attribute` has, where they differ in more than the first letter."""


class InstanceAttributeOperations(InstanceOperations):
    """See the module's docstring."""

    def modify_instance_attribute(self) -> Reply:
        """ModifyInstanceAttribute: one attribute, by its own parameter or by `Attribute` and `Value`."""
        (instance,) = self._named([self.params["InstanceId"]])
        attribute, value = self._asked()
        if attribute == "EnclaveOptions":
            raise NotImplementedError("the lab's instances have no enclaves")
        allowed = ("stopped",) if attribute in WHEN_STOPPED else ("running", "stopped")
        if instance._state.name not in allowed:
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state in which its {attribute} can be modified.",
            )
        if attribute in ("Groups", "SourceDestCheck") and len(instance.nics) > 1:
            raise AwsError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance.id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        if attribute == "Groups":
            change = self._groups(instance, value)
        elif attribute == "BlockDeviceMappings":
            change = _devices(instance, value)
        elif attribute in TEXTS:
            change = _text(instance, attribute, value)
        else:
            change = _switch(instance, attribute, value)
        self.stop_here_if_dry_run()
        change()

    def _asked(self) -> tuple[str, Any]:
        """The attribute and its new value: a string, a boolean or a list."""
        asked = {name: self.params[name] for name in ATTRIBUTES if self.params.get(name)}
        if (name := self.params.get("Attribute")) is not None:
            member = BY_NAME.get(name, name[:1].upper() + name[1:])
            if member not in ATTRIBUTES:
                raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
            if member not in asked:
                asked[member] = {} if member in LISTS else {"Value": self.params.get("Value")}
        if not asked:
            raise AwsError("InvalidParameterCombination", "No attributes specified.")
        if len(asked) > 1:
            raise AwsError(
                "InvalidParameterCombination", f"Fields for multiple attribute types specified: {', '.join(asked)}"
            )
        ((attribute, given),) = asked.items()
        value = given if attribute in WHOLE else given.get("Value")
        if value is None or (attribute in LISTS and not value):
            raise AwsError("MissingParameter", "The request must contain the parameter value")
        return attribute, value

    def _groups(self, instance: Instance, ids: list[str]) -> Change:
        check_groups(self.backend, ids)
        groups = [self.backend.get_security_group_from_id(each) for each in dict.fromkeys(ids)]

        def change() -> None:
            instance.security_groups = [each for each in groups if each is not None]
            for nic in instance.nics.values():
                nic._group_set = list(groups)

        return change


def _switch(instance: Instance, attribute: str, value: bool | str) -> Change:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise AwsError("InvalidParameterValue", f"Value ({value}) for parameter {attribute} is invalid.")
        value = value.lower() == "true"
    if attribute == "EnaSupport":
        if not value:
            raise AwsError("InvalidParameterValue", "Enhanced networking can be enabled only.")
        return lambda: None  # every instance of the lab has it

    def change() -> None:
        setattr(instance, SWITCHES[attribute], value)
        if attribute == "SourceDestCheck":
            for nic in instance.nics.values():
                nic.source_dest_check = value

    return change


def _text(instance: Instance, attribute: str, value: str | bytes) -> Change:
    if attribute == "UserData":
        data = parse_user_data(value)
        return lambda: setattr(instance, "user_data", data)
    text = str(value)
    if attribute == "InstanceType":
        if text not in service_model().shape_for("InstanceType").metadata["enum"]:
            raise AwsError("InvalidInstanceAttributeValue", f"Invalid instance type '{text}'.")
        return lambda: setattr(instance, "instance_type", text)
    if attribute in MACHINE_FILES:
        if text:
            check_ids(*MACHINE_FILES[attribute], [text])
        return lambda: setattr(instance, attribute.lower(), text or None)
    allowed = ("stop", "terminate") if attribute == "InstanceInitiatedShutdownBehavior" else ("simple",)
    if text not in allowed:
        raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter {attribute} is invalid.")
    if attribute == "SriovNetSupport":
        return lambda: setattr(instance, "sriov_net_support", text)
    return lambda: setattr(instance, "instance_initiated_shutdown_behavior", text)


def _devices(instance: Instance, mappings: list[Mapping[str, Any]]) -> Change:
    """Whether termination deletes the volumes; AWS changes nothing else of them here."""
    wanted: dict[str, bool] = {}
    for mapping in mappings:
        name, ebs = mapping.get("DeviceName"), mapping.get("Ebs", {})
        if name is None or "DeleteOnTermination" not in ebs:
            missing = "deviceName" if name is None else "ebs.deleteOnTermination"
            raise AwsError("MissingParameter", f"The request must contain the parameter {missing}")
        device = instance.block_device_mapping.get(name)
        if device is None or ebs.get("VolumeId", device.volume_id) != device.volume_id:
            raise AwsError("InvalidInstanceAttributeValue", f"No device is currently mapped at {name}")
        wanted[name] = ebs["DeleteOnTermination"]

    def change() -> None:
        for name, delete in wanted.items():
            instance.block_device_mapping[name].delete_on_termination = delete

    return change
