"""State Manager associations: read, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.policy.others import Other


@calls("ssm:ListAssociations")
def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every association of the account."""
    return list(connection.pages("ssm", "ListAssociations", "Associations", MaxResults=50))


def others(connection: Connection) -> Iterator[Other]:
    """Every association, as something of others."""
    for one in listed(connection):
        yield Other(
            kind="association",
            id=one["AssociationId"],
            name=one.get("AssociationName") or one["Name"],
            documents=(one["Name"],),
            targets=tuple((target["Key"], tuple(target.get("Values", ()))) for target in one.get("Targets", ())),
        )
