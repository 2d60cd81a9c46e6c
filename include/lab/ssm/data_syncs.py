"""Resource data syncs, kept as records: the lab delivers no inventory to S3 through them.

B:CreateResourceDataSync. A sync that has never run says so: `LastStatus` is InProgress, no LastSyncTime.
"""

from __future__ import annotations

from typing import Any

from lab.ssm.base import SSMOperations, error

MAX_SYNCS = 5
TO_DESTINATION = "SyncToDestination"
FROM_SOURCE = "SyncFromSource"


class DataSyncOperations(SSMOperations):
    """Create, Update, Delete and List resource data syncs."""

    def create_resource_data_sync(self) -> dict[str, Any]:
        """Create a sync. Raises ResourceDataSync{AlreadyExists,CountExceeded,InvalidConfiguration}Exception."""
        name = self.params["SyncName"]
        item = {"SyncName": name, **self._configuration(self._kind())}
        if name in self.location.data_syncs:
            raise error("ResourceDataSyncAlreadyExistsException", f"The resource data sync {name} exists already.")
        if len(self.location.data_syncs) >= MAX_SYNCS:
            raise error(
                "ResourceDataSyncCountExceededException",
                f"An account can have at most {MAX_SYNCS} resource data syncs.",
            )
        self.location.data_syncs[name] = {
            **item,
            "SyncCreatedTime": self.now(),
            "SyncLastModifiedTime": self.now(),
            "LastStatus": "InProgress",
        }
        return {}

    def update_resource_data_sync(self) -> dict[str, Any]:
        """Change the source of a SyncFromSource; other syncs cannot be changed."""
        item = self._existing()
        if item["SyncType"] != FROM_SOURCE:
            raise _invalid(f"Only a {FROM_SOURCE} can be updated.")
        changed = {**item, **self._configuration(FROM_SOURCE), "SyncLastModifiedTime": self.now()}
        self.location.data_syncs[item["SyncName"]] = changed
        return {}

    def delete_resource_data_sync(self) -> dict[str, Any]:
        """Delete a sync. Raises ResourceDataSyncNotFoundException."""
        del self.location.data_syncs[self._existing()["SyncName"]]
        return {}

    def list_resource_data_sync(self) -> dict[str, Any]:
        """Syncs by name, of one type if asked for."""
        kind = self.params.get("SyncType")
        if kind is not None:
            self._kind()
        items = [item for _, item in sorted(self.location.data_syncs.items()) if kind in (None, item["SyncType"])]
        shown, more = self.page(items, 50)
        return {"ResourceDataSyncItems": shown, **more}

    def _kind(self) -> str:
        kind: str = self.params.get("SyncType", TO_DESTINATION)
        if kind not in (TO_DESTINATION, FROM_SOURCE):
            raise _invalid(f"SyncType is {TO_DESTINATION} or {FROM_SOURCE}, found {kind}.")
        return kind

    def _configuration(self, kind: str) -> dict[str, Any]:
        needed = "S3Destination" if kind == TO_DESTINATION else "SyncSource"
        if needed not in self.params:
            raise _invalid(f"A {kind} needs {needed}.")
        if kind == TO_DESTINATION:
            return {"SyncType": kind, needed: self.params[needed]}
        source = self.params[needed]
        if source["SourceType"] not in ("AwsOrganizations", "SingleAccountMultiRegions"):
            raise _invalid(
                f"SourceType is AwsOrganizations or SingleAccountMultiRegions, found {source['SourceType']}."
            )
        return {"SyncType": kind, needed: source}

    def _existing(self) -> dict[str, Any]:
        name = self.params["SyncName"]
        item = self.location.data_syncs.get(name)
        if item is None or self._kind() != item["SyncType"]:
            raise error("ResourceDataSyncNotFoundException", f"There is no resource data sync {name} of this type.")
        return item


def _invalid(message: str) -> Exception:
    return error("ResourceDataSyncInvalidConfigurationException", message)
