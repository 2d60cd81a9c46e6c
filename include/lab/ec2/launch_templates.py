"""The version of a launch template that RunInstances names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion

from lab.ec2.operations import check_ids
from lab.wire_errors import AwsError


def template_version(backend: EC2Backend, asked: Mapping[str, Any]) -> LaunchTemplateVersion:
    """The version that a `LaunchTemplateSpecification` means, the default one without a number.

    Raises MissingParameter without id and name, InvalidParameterCombination for both,
    InvalidLaunchTemplateId.Malformed, InvalidLaunchTemplateId.NotFound, InvalidLaunchTemplateId.VersionNotFound and
    InvalidLaunchTemplateName.NotFoundException
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
    """
    template = _template(backend, asked.get("LaunchTemplateId"), asked.get("LaunchTemplateName"))
    wanted = asked.get("Version") or "$Default"
    if wanted == "$Latest":
        return template.latest_version()
    if wanted == "$Default":
        return template.default_version()
    for version in template.versions:
        if str(version.number) == wanted:
            return version
    raise AwsError(
        "InvalidLaunchTemplateId.VersionNotFound",
        f"Could not find the specified version {wanted} for the launch template with ID {template.id}.",
    )


def _template(backend: EC2Backend, template_id: str | None, name: str | None) -> LaunchTemplate:
    if template_id and name:
        raise AwsError("InvalidParameterCombination", "Name either the launch template's ID or its name, not both.")
    if template_id:
        check_ids("InvalidLaunchTemplateId", "lt", [template_id])
        found = backend.launch_templates.get(template_id)
        code, what = "InvalidLaunchTemplateId.NotFound", f"template ID {template_id}"
    elif name:
        found = backend.launch_templates.get(backend.launch_template_name_to_ids.get(name, ""))
        code, what = "InvalidLaunchTemplateName.NotFoundException", f"template name {name}"
    else:
        raise AwsError("MissingParameter", "The request must contain the parameter launchTemplateId")
    if found is None:
        raise AwsError(code, f"The specified launch template, with {what}, does not exist.")
    return found
