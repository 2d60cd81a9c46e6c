"""What the lab's EC2 replaces or leans on in moto is as it was when that was written.

A failure here means that moto changed under the lab: read what changed, adapt the part of the lab that the
message names, and only then write down the new fingerprint.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import moto.ec2.urls
import pytest
from ec2_builder import NOBODY, launch
from moto.ec2.exceptions import InvalidInstanceIdError, InvalidVolumeIdError
from moto.ec2.models.amis import Ami
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot, Volume, VolumeAttachment
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.instances import InstanceResponse

from lab.ec2.images import Image, find_image, public_images
from lab.ec2.replacements import ORIGINALS, REPLACED
from lab.ec2.response import LabEC2Response
from lab.testing import LabHandle

FINGERPRINTS: dict[tuple[type, str], tuple[str, str]] = {
    (TaggedEC2Resource, "get_tags"): ("73ba6daeb7cb", "lab.ec2.replacements.get_tags"),
    (InstanceBackend, "get_instance_by_id"): ("37c4e1d1afea", "lab.ec2.replacements.get_instance_by_id"),
    (InstanceBackend, "get_instance"): ("483df6579b0c", "lab.ec2.replacements.get_instance"),
    (InstanceBackend, "get_multi_instances_by_id"): ("ed55e5240318", "lab.ec2.replacements.get_multi_instances_by_id"),
    (InstanceBackend, "run_instances"): (
        "4f521b284b7e",
        "lab.ec2.replacements.run_instances, lab.ec2.launch_operations",
    ),
    (EBSBackend, "describe_volumes"): ("69316fdf20a8", "lab.ec2.replacements.describe_volumes"),
    (Instance, "__init__"): ("4b6a3d3c0bf6", "lab.ec2.instances.create_instance, lab.ec2.instance_records"),
    (Instance, "stop"): ("e6e7da70fc8a", "lab.ec2.instances._stopped"),
    (Instance, "terminate"): ("b5e4ee68c414", "lab.ec2.instance_operations.terminate_instances"),
    (EBSBackend, "attach_volume"): ("f4e03c1ea35a", "lab.ec2.instances._attach_volume"),
    (Volume, "__init__"): ("90cbbefb1ec9", "lab.ec2.instances._attach_volume"),
    (VolumeAttachment, "__init__"): ("303fd8beb9c4", "lab.ec2.instances._attach_volume"),
    (Snapshot, "__init__"): ("4ce1b182b3e1", "lab.ec2.snapshots.take_snapshot"),
    (Ami, "__init__"): ("5f3ab2d46e8c", "lab.ec2.images.Image"),
    (Subnet, "get_available_subnet_ip"): ("9d5b47095a21", "lab.ec2.addresses.free_addresses"),
    (Instance, "prep_nics"): ("c2288c1e5e70", "lab.ec2.launch_network.settled_interfaces"),
    (Instance, "detach_eni"): ("80ba099c5bdf", "lab.ec2.launch_undo"),
    (InstanceBackend, "_get_template_from_args"): ("192826de132f", "lab.ec2.launch_templates"),
    (EBSBackend, "detach_volume"): ("b090dc9b51f6", "lab.ec2.volume_operations"),
    (Subnet, "request_ip"): ("d229fa8f2231", "lab.ec2.launch_network.check_address, lab.ec2.launch_undo"),
    (Subnet, "del_subnet_ip"): ("afd0493efa10", "lab.ec2.launch_undo"),
    (AmisResponse, "modify_image_attribute"): ("4cb365e7cdf4", "lab.ec2.image_attribute_operations"),
    (InstanceResponse, "run_instances"): ("053f1ed0a0ec", "lab.ec2.launch_operations"),
    (InstanceResponse, "terminate_instances"): ("4cfeb70d416d", "lab.ec2.instance_operations.terminate_instances"),
}
"""The beginning of the SHA-256 of moto's source, and what of the lab depends on it."""


def fingerprint(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("owner", "name"), FINGERPRINTS)
def test_moto_is_as_it_was_when_the_lab_was_written(owner: type, name: str) -> None:
    expected, look_at = FINGERPRINTS[owner, name]
    original = ORIGINALS.get((owner, name)) or getattr(owner, name)
    assert fingerprint(original) == expected, f"moto changed {owner.__name__}.{name}: look at {look_at}"


def test_every_replacement_has_a_canary_and_is_in_place(lab: LabHandle) -> None:
    assert set(REPLACED) <= set(FINGERPRINTS)
    for (owner, name), replacement in REPLACED.items():
        assert getattr(owner, name) is replacement
    assert moto.ec2.urls.url_paths["{0}/"] == LabEC2Response.dispatch


def test_the_replacements_answer_what_moto_answers(lab: LabHandle) -> None:
    first, second = launch(lab, {"Name": "a", "Env": "b"}), launch(lab, volumes_gib=(8, 9))
    backend = lab.location().ec2
    instance = backend.get_instance(first)
    volumes = list(backend.volumes)

    def both(owner: type, name: str, *args: Any) -> tuple[Any, Any]:
        return REPLACED[owner, name](*args), ORIGINALS[owner, name](*args)

    for owner, name, *args in (
        (TaggedEC2Resource, "get_tags", instance),
        (InstanceBackend, "get_instance", backend, second),
        (InstanceBackend, "get_instance_by_id", backend, second),
        (InstanceBackend, "get_instance_by_id", backend, NOBODY),
        (InstanceBackend, "get_multi_instances_by_id", backend, [second, first]),
        (EBSBackend, "describe_volumes", backend, volumes[:2]),
        (EBSBackend, "describe_volumes", backend, None, {"size": ["9"]}),
    ):
        ours, motos = both(owner, name, *args)
        assert ours == motos, name
    for name, wrong, error in (
        ("get_instance", NOBODY, InvalidInstanceIdError),
        ("get_multi_instances_by_id", [first, NOBODY], InvalidInstanceIdError),
    ):
        for functions in (REPLACED, ORIGINALS):
            with pytest.raises(error):
                functions[InstanceBackend, name](backend, wrong)
    for functions in (REPLACED, ORIGINALS):
        with pytest.raises(InvalidVolumeIdError):
            functions[EBSBackend, "describe_volumes"](backend, [volumes[0], "vol-0fedcba9876543210"])


def test_moto_finds_an_instance_while_it_is_still_launching_it(lab: LabHandle) -> None:
    """Auto Scaling launches through moto's backend, and attaches volumes before the launch has returned."""
    backend = lab.location().ec2
    reservation = backend.run_instances(
        next(iter(public_images("eu-west-3"))), 2, None, [], instance_type="t3.small", is_instance_type_default=False
    )
    for instance in reservation.instances:
        assert backend.get_instance(instance.id) is instance
        assert [volume.attachment.instance for volume in backend.volumes.values() if volume.attachment].count(instance)


def test_an_instance_of_a_fleet_has_the_attributes_that_motos_have(lab: LabHandle) -> None:
    backend = lab.location().ec2
    ours = backend.get_instance(launch(lab, platform="windows"))
    (motos,) = backend.run_instances(
        next(iter(public_images("eu-west-3"))), 1, None, [], instance_type="t3.small", is_instance_type_default=False
    ).instances
    assert vars(ours).keys() == vars(motos).keys()
    assert vars(ours.nics[0]).keys() == vars(motos.nics[0]).keys()
    device = next(iter(ours.block_device_mapping.values()))
    assert vars(device).keys() == vars(next(iter(motos.block_device_mapping.values()))).keys()


def test_an_image_of_the_lab_has_the_attributes_that_motos_have(lab: LabHandle) -> None:
    backend = lab.location().ec2
    motos = Ami(backend, "ami-0fedcba9876543210", region_name="eu-west-3a")
    ours = find_image(backend, next(iter(public_images("eu-west-3"))))
    assert isinstance(ours, Image)
    assert vars(motos).keys() - vars(ours).keys() == {"ebs_snapshot"}


def test_motos_subnets_still_count_their_addresses(lab: LabHandle) -> None:
    backend = lab.location().ec2
    subnet = backend.get_subnet(backend.get_instance(launch(lab)).subnet_id)
    assert (subnet._available_ip_addresses, len(subnet._subnet_ips)) == (4091, 1)


def test_public_images_of_moto_still_carry_a_date_in_their_name() -> None:
    assert len(public_images("eu-west-3")) > 10
    assert public_images("eu-nowhere-1") == {}
