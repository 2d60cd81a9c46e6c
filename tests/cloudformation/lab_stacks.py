"""Stacks of the templates in the local AWS, with what its CloudFormation leaves out.

moto creates roles, policies, buckets and the topic. What it does not, and what therefore only `test_templates.py` and
`test_duties.py` hold:

- AWS::S3::BucketPolicy and AWS::SNS::TopicPolicy: moto's CloudFormation knows neither; they are left out here.
- A bucket's versioning, public access block, ownership, lifecycle and Object Lock: moto reads the name and the
  encryption of AWS::S3::Bucket.
- ManagedPolicyArns of a role: moto creates the managed policy and does not attach it to the role; `create` does.
- The default of a list parameter: moto does not split it, so each list is given.
"""

from __future__ import annotations

import yaml
from stacks import PARAMETERS, Stack, parsed

from lab.testing import LabHandle

NOT_IN_MOTO = ("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")


def create(lab: LabHandle, name: str, **parameters: str) -> None:
    """Create the stack, as CloudFormation is asked to; raises what it answers."""
    template = parsed(name)
    resources = template["Resources"]
    template["Resources"] = {key: one for key, one in resources.items() if one["Type"] not in NOT_IN_MOTO}
    lists = {
        key: one["Default"]
        for key, one in template.get("Parameters", {}).items()
        if one["Type"] == "CommaDelimitedList" and one.get("Default")
    }
    lab.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=yaml.safe_dump(template, sort_keys=False),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in {**lists, **PARAMETERS[name], **parameters}.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    iam = lab.client("iam")
    made = iam.list_policies(Scope="Local")["Policies"]
    for key, role in Stack(name, **parameters).of("AWS::IAM::Role").items():
        for policy in resources[key]["Properties"].get("ManagedPolicyArns", ()):
            # CloudFormation makes its name of the stack's and the resource's.
            (arn,) = [one["Arn"] for one in made if one["PolicyName"].startswith(f"{name}-{policy['Ref']}-")]
            iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
