"""Where the policy applies, as whom, and where its records go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sluice.core.errors import SluiceError
from sluice.core.policy.base import (
    AccountId,
    BucketName,
    LocationBucket,
    Matching,
    Part,
    Region,
    Text,
    TopicArn,
    Values,
)

CALLER = "caller"
"""The caller's own account or Region, as the credentials say."""


class Location(Part):
    """A target location: an account and a Region. AWS Automation's own word."""

    account: AccountId = CALLER
    region: Region = CALLER

    @property
    def key(self) -> str:
        """`111111111111/eu-west-3`."""
        return f"{self.account}/{self.region}"

    @classmethod
    def of_key(cls, key: str) -> Location:
        """The inverse of `key`."""
        account, _, region = key.partition("/")
        return cls(account=account, region=region)

    def is_at(self, key: str) -> bool:
        """Whether a location's key, with the caller's account and Region in it or in words, may be this one's."""
        account, _, region = key.partition("/")
        return self.account in (account, CALLER) and self.region in (region, CALLER)


def chosen(locations: Sequence[Location], keys: Collection[str]) -> tuple[Location, ...]:
    """Those of a policy's locations that the keys name, all without any. Raises SluiceError for a strange one."""
    known = [location.key for location in locations]
    if unknown := [key for key in keys if key not in known]:
        raise SluiceError(f"expected locations of the policy ({', '.join(known)}), found {', '.join(unknown)}")
    return tuple(location for location in locations if not keys or location.key in keys)


def bucket_in(name: str, account: str, region: str) -> str:
    """The bucket of one location, by the name in the policy, which may have `{account}` and `{region}` in it."""
    return name.replace("{account}", account).replace("{region}", region)


RoleName = Annotated[str, Matching(r"[a-zA-Z0-9_+=,.@-]{1,64}", "the name of an IAM role, without its path")]
ServiceRoleName = Annotated[
    str,
    Matching(
        r"(?=.{1,64}$)([a-zA-Z0-9_+=,.@-]|\{ring\})+",
        "the name of an IAM role, without its path, {ring} in it where each ring has its own",
    ),
]
Connection = Annotated[str, Matching(r"[a-zA-Z0-9_.()#!-]{1,200}", "the id of an Airflow connection")]
_DAYS = "Held against the soaks by the policy check; nothing warns of late patches yet."


class Roles(Part):
    """The roles that are assumed in each location, one per duty: a stolen one does no more than its duty.

    Without `assume` the caller's own credentials do everything, which fits one account of one's own.
    """

    assume: bool = False
    external_id: str | None = Field(default=None, min_length=2, max_length=1224)
    path: Annotated[str, Matching(r"/([a-zA-Z0-9_+=,.@-]+/)*", "a path such as / or /sluice/")] = "/"
    reader: RoleName = "sluice-reader"
    scanner: RoleName = "sluice-scanner"
    nonprod_installer: RoleName = "sluice-nonprod-installer"
    prod_installer: RoleName = "sluice-prod-installer"
    image_deleter: RoleName = Field(
        default="sluice-image-deleter", description="To delete expired backups, which nothing does yet."
    )
    halter: RoleName = "sluice-halter"
    policy_applier: RoleName = "sluice-policy-applier"
    window_service: ServiceRoleName = Field(
        default="sluice-window-{ring}", description="The windows' own role, one per ring."
    )


class Notify(Part):
    """Who hears of releases, alerts and drift. Addresses and secrets stay in Airflow connections."""

    sns_topic: TopicArn | None = None
    slack_connection: Connection | None = Field(default=None, description="An Airflow connection of type slackwebhook.")
    email_connection: Connection | None = Field(default=None, description="An Airflow connection of type smtp.")
    email_to: Values = ()

    @model_validator(mode="after")
    def _complete(self) -> Notify:
        if bool(self.email_connection) != bool(self.email_to):
            raise ValueError("expected email_connection and email_to together, found one of them")
        return self


class Evidence(Part):
    """Where what was read back from AWS is kept: a bucket or a folder."""

    bucket: BucketName | None = None
    prefix: str = Field(default="evidence", max_length=300)
    folder: Text | None = Field(default=None, description="A local folder, for trying things out.")

    @model_validator(mode="after")
    def _one_place(self) -> Evidence:
        if self.bucket and self.folder:
            raise ValueError("expected bucket or folder, found both: remove one")
        return self


class Sla(Part):
    """Days within which patches are to have reached every node, and how late a run may be."""

    critical_days: int = Field(default=14, ge=1, le=365, description=_DAYS)
    important_days: int = Field(default=30, ge=1, le=365, description=_DAYS)
    medium_days: int = Field(default=60, ge=1, le=365, description=_DAYS)
    low_days: int = Field(default=90, ge=1, le=365, description=_DAYS)
    run_margin_minutes: int = Field(default=60, ge=0, le=1440, description="After the window's end.")


class Extras(Part):
    """What apply sets up beside windows and baselines, only where it is asked to."""

    config_rule: bool = Field(default=False, description="EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK.")
    data_sync_bucket: LocationBucket | None = Field(
        default=None, description="A resource data sync of inventory to it, in its Region; `{account}` and `{region}`."
    )


class Tags(Part):
    """Which tags of the nodes the policy reads."""

    patch_group: Literal["Patch Group", "PatchGroup"] = "Patch Group"
    role: str = Field(default="Role", min_length=1, max_length=128)
