"""Whose request it is: access keys, accounts, and the security token service that hands them out.

Credentials that the lab has never issued are those of a user in the fleet's first account. AssumeRole
gives credentials of the role's account; any role name works there unless a fault rule denies it, and
an account that is not in the fleet is refused as AWS refuses a role that does not trust the caller.
"""

from __future__ import annotations

import hashlib
import re

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.ssm.exceptions import SSMException
from moto.sts.models import AssumedRole, sts_backends
from moto.sts.responses import TokenResponse

from lab.aws_models import service_model
from lab.ssm.base import parse_params
from lab.wire_errors import AwsError
from lab.world import Lab, current

PARTITION = "aws"
CHAINED_SECONDS = 3600
"""A role assumed with a role's credentials lasts at most an hour (AssumeRole, `DurationSeconds`)."""


class AccessKeys:
    """Which account an access key belongs to; moto itself would search every account at each request."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._accounts: dict[str, str] = {}

    def account_of(self, access_key: str) -> str:
        """The account that issued `access_key`, or the fleet's first account for a key that nobody issued."""
        known = self._accounts.get(access_key)
        if known is not None and access_key in iam_backends[known][PARTITION].access_keys:
            return known
        for account, backends in list(iam_backends.items()):
            if PARTITION in backends.keys() and access_key in backends[PARTITION].access_keys:  # noqa: SIM118  # `in backends` would say yes to every Region there is
                self._accounts[access_key] = account
                return account
        return self._lab.default_account

    def clear(self) -> None:
        """Forget every key, as a reset does."""
        self._accounts.clear()


def assumed_role(account: str, access_key: str) -> AssumedRole | None:
    """The role session that an access key belongs to, None for a user's key."""
    return sts_backends[account][PARTITION].get_assumed_role_from_access_key(access_key)


def principal_arn(account: str, access_key: str) -> str:
    """Who the caller is, as GetCallerIdentity and AWS's "not authorized" messages name it."""
    role = assumed_role(account, access_key)
    return role.arn if role else f"arn:aws:iam::{account}:user/lab"


def principal_id(prefix: str, arn: str) -> str:
    """A unique id as IAM gives users (`AIDA`) and roles (`AROA`): the same for the same ARN, always."""
    return prefix + hashlib.sha256(arn.encode()).hexdigest().upper()[:17]


def accounts_of(lab: Lab) -> set[str]:
    """The accounts in which roles can be assumed: those where something of the fleet lives."""
    return {lab.default_account, *(location.account for location in lab.locations())}


class LabTokenResponse(TokenResponse):
    """moto's security token service with AWS's checks and identities."""

    def assume_role(self) -> ActionResult:
        """AssumeRole: validated as the model says; unknown accounts are denied."""
        try:
            request = parse_params(service_model("sts").operation_model("AssumeRole"), dict(self.params))
        except SSMException as problem:
            raise AwsError("ValidationError", problem.message) from problem
        target = self._account_of_role(request["RoleArn"])
        chained = assumed_role(self.current_account, self.access_key) is not None
        if chained and request.get("DurationSeconds", CHAINED_SECONDS) > CHAINED_SECONDS:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            )
        if target not in accounts_of(current()):
            caller = principal_arn(self.current_account, self.access_key)
            raise AwsError(
                "AccessDenied",
                f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {request['RoleArn']}",
                status=403,
            )
        return super().assume_role()

    def get_caller_identity(self) -> ActionResult:
        """GetCallerIdentity: the role session's own ARN, or a user of the account."""
        role = assumed_role(self.current_account, self.access_key)
        arn = principal_arn(self.current_account, self.access_key)
        user_id = role.user_id if role else principal_id("AIDA", arn)
        return ActionResult({"UserId": user_id, "Account": self.current_account, "Arn": arn})

    @staticmethod
    def _account_of_role(arn: str) -> str:
        found = re.fullmatch(r"arn:aws(?:-[a-z-]+)?:iam::(\d{12}):role/[\w+=,.@/-]+", arn)
        if found is None:
            raise AwsError("ValidationError", f"{arn} is invalid")
        return found[1]


def session_id(role: AssumedRole) -> str:
    """`AssumedRoleId` of a session: stable per role, where moto draws a new one at each look."""
    return f"{principal_id('AROA', role.role_arn)}:{role.session_name}"
