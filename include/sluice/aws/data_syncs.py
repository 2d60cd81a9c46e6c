"""The resource data sync of inventory to a bucket, where the policy asks for it.

It cannot be tagged: it is the deployment's by its name.
"""

from __future__ import annotations

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.policy.objects import DATA_SYNC, DataSync, Key
from sluice.core.policy.plan import Found

SYNCS = "arn:{partition}:ssm:{region}:{account}:resource-data-sync/*"


@calls("ssm:ListResourceDataSync")
def found(connection: Connection, name: str) -> Found | None:
    """The sync of that name, None where there is none."""
    for one in connection.pages("ssm", "ListResourceDataSync", "ResourceDataSyncItems"):
        if one["SyncName"] == name:
            to = one.get("S3Destination", {})
            sync = DataSync(name, to.get("BucketName", ""), to.get("Region", ""), to.get("Prefix"))
            return Found(Key(DATA_SYNC, name), name, sync)
    return None


@calls("ssm:CreateResourceDataSync", resources=SYNCS)
def create(connection: Connection, wanted: DataSync) -> None:
    """Create the sync. The bucket's policy must let Systems Manager write to it.

    That it is there as wanted already (a lost answer) is no error.
    """
    destination = {"BucketName": wanted.bucket, "SyncFormat": "JsonSerDe", "Region": wanted.region}
    if wanted.prefix:
        destination["Prefix"] = wanted.prefix
    try:
        connection.call("ssm", "CreateResourceDataSync", SyncName=wanted.name, S3Destination=destination)
    except AWSError as error:
        exists = error.code == "ResourceDataSyncAlreadyExistsException"
        there = found(connection, wanted.name) if exists else None
        if there is None or there.object != wanted:
            raise


@calls("ssm:DeleteResourceDataSync", resources=SYNCS)
def delete(connection: Connection, name: str) -> None:
    """Delete the sync; what it has delivered stays."""
    connection.call("ssm", "DeleteResourceDataSync", SyncName=name)
