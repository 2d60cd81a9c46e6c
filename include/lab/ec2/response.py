"""The lab's EC2: every operation in one class, over moto's."""

from __future__ import annotations

from lab.ec2.image_attribute_operations import ImageAttributeOperations
from lab.ec2.image_copy_operations import ImageCopyOperations
from lab.ec2.instance_attribute_operations import InstanceAttributeOperations
from lab.ec2.launch_operations import LaunchOperations
from lab.ec2.tag_operations import TagOperations
from lab.ec2.volume_operations import VolumeOperations


class LabEC2Response(
    LaunchOperations,
    ImageAttributeOperations,
    ImageCopyOperations,
    InstanceAttributeOperations,
    VolumeOperations,
    TagOperations,
):
    """What `lab.ec2.install` puts in the place of moto's response class."""
