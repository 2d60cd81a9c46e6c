"""DescribeImageAttribute and ModifyImageAttribute: the owner's, one attribute at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.ec2.models.amis import Ami

from lab.ec2.image_operations import ImageOperations
from lab.ec2.images import Image
from lab.ec2.operations import Reply
from lab.ec2.wire import stamp
from lab.wire_errors import AwsError


def _value(value: str | None) -> dict[str, str]:
    """A value as the API has it; an attribute that an image does not have is empty."""
    return {} if value is None else {"Value": value}


def _last_launched(image: Ami) -> str | None:
    when = image.last_launched if isinstance(image, Image) else None
    return stamp(when) if when else None


ATTRIBUTES: Mapping[str, Callable[[Ami], dict[str, Any]]] = {
    "bootMode": lambda image: {"BootMode": _value(image.boot_mode)},
    "deregistrationProtection": lambda image: {"DeregistrationProtection": _value("disabled")},
    "description": lambda image: {"Description": _value(image.description or None)},
    "imdsSupport": lambda image: {"ImdsSupport": {}},
    "kernel": lambda image: {"KernelId": _value(image.kernel_id)},
    "lastLaunchedTime": lambda image: {"LastLaunchedTime": _value(_last_launched(image))},
    "launchPermission": lambda image: {"LaunchPermissions": image.launch_permissions},
    "productCodes": lambda image: {"ProductCodes": []},
    "ramdisk": lambda image: {"RamdiskId": {}},
    "sriovNetSupport": lambda image: {"SriovNetSupport": _value(image.sriov)},
    "tpmSupport": lambda image: {"TpmSupport": {}},
    "uefiData": lambda image: {"UefiData": {}},
}
"""How each attribute is answered."""


class ImageAttributeOperations(ImageOperations):
    """See the module's docstring."""

    def describe_image_attribute(self) -> Reply:
        """DescribeImageAttribute. AWS reports the last launch up to a day later than the lab.

        Nobody may read `blockDeviceMapping` here (https://github.com/aws/aws-cli/issues/1083).
        """
        attribute = self.params["Attribute"]
        image = self._own_image(self.params["ImageId"])
        if attribute == "blockDeviceMapping":
            raise AwsError("AuthFailure", "Unauthorized attempt to access restricted resource")
        self.stop_here_if_dry_run()
        return {"ImageId": image.id, **ATTRIBUTES[attribute](image)}

    def modify_image_attribute(self) -> Reply:
        """ModifyImageAttribute: the launch permissions, as moto keeps them, or the description."""
        image = self._own_image(self.params["ImageId"])
        described = self.params.get("Description", {}).get("Value")
        if described is None and self.params.get("Attribute") == "description":
            described = self.params.get("Value", "")
        self.stop_here_if_dry_run()
        if described is not None:
            image.description = described
        super().modify_image_attribute()

    def _own_image(self, image_id: str) -> Ami:
        image = self._image(image_id)
        if image.owner_id != self.current_account:
            raise AwsError("AuthFailure", f"Not authorized for image:{image.id}")
        return image
