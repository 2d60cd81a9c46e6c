"""The rule of AWS Config on patch compliance, where the policy asks for it."""

from __future__ import annotations

from sluice.aws import tags
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.policy.objects import CONFIG_RULE, ConfigRule, Key
from sluice.core.policy.plan import Found

RULES = "arn:{partition}:config:{region}:{account}:config-rule/*"


@calls("config:DescribeConfigRules")
@calls("config:ListTagsForResource", resources=RULES)
def found(connection: Connection, deployment: str, name: str) -> Found | None:
    """The rule of that name, None where there is none."""
    try:
        answer = connection.need("config", "DescribeConfigRules", "ConfigRules", ConfigRuleNames=[name])
    except AWSError as error:
        if error.code == "NoSuchConfigRuleException":
            return None
        raise
    if not answer["ConfigRules"]:
        return None
    rule = answer["ConfigRules"][0]
    own = connection.need("config", "ListTagsForResource", "Tags", ResourceArn=rule["ConfigRuleArn"])["Tags"]
    owned = tags.owned_name({tag["Key"]: tag["Value"] for tag in own}, deployment) is not None
    actual = ConfigRule(
        name,
        rule["Source"]["SourceIdentifier"],
        tuple(rule.get("Scope", {}).get("ComplianceResourceTypes", ())),
    )
    return Found(Key(CONFIG_RULE, name), name, actual, owned=owned)


@calls("config:PutConfigRule", "config:TagResource", resources=RULES, when="created")
def put(connection: Connection, deployment: str, wanted: ConfigRule) -> None:
    """Create or change the rule. AWS refuses it where no configuration recorder is."""
    connection.call(
        "config",
        "PutConfigRule",
        ConfigRule={
            "ConfigRuleName": wanted.name,
            "Description": f"Sluice, deployment {deployment}.",
            "Scope": {"ComplianceResourceTypes": list(wanted.resource_types)},
            "Source": {"Owner": "AWS", "SourceIdentifier": wanted.identifier},
        },
        Tags=tags.ownership(deployment, wanted.name),
    )


@calls("config:DeleteConfigRule", resources=RULES, when="owned")
def delete(connection: Connection, name: str) -> None:
    """Delete the rule with its results."""
    connection.call("config", "DeleteConfigRule", ConfigRuleName=name)
