"""State Manager associations, kept as records: the lab never runs one.

B:CreateAssociation. An association therefore stays Pending, as one whose nodes have not applied it yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.documents import Document, bind_parameters, find_document
from lab.ssm.tags import forget_tags, new_tags, resource_tags
from lab.targets import problem, resolve

MAX_ASSOCIATIONS = 2000

_SCHEDULE = re.compile(r"(rate|cron|at)\(.+\)")
_LISTED = (
    "DocumentVersion",
    "Targets",
    "ScheduleExpression",
    "AssociationName",
    "ScheduleOffset",
    "Duration",
    "TargetMaps",
)
_KEPT = (
    *_LISTED,
    "Parameters",
    "OutputLocation",
    "AutomationTargetParameterName",
    "MaxErrors",
    "MaxConcurrency",
    "ComplianceSeverity",
    "SyncCompliance",
    "ApplyOnlyAtCronInterval",
    "CalendarNames",
    "TargetLocations",
    "AlarmConfiguration",
    "AssociationDispatchAssumeRole",
)


@dataclass(frozen=True, slots=True)
class AssociationVersion:
    """What a version of an association says; `body` as the API has it."""

    name: str
    """The document's name."""
    created: datetime
    body: Mapping[str, Any]


@dataclass(slots=True)
class Association:
    """An association with its versions, oldest first."""

    association_id: str
    instance_id: str | None
    """The node of the older kind of association, which has one."""
    versions: list[AssociationVersion]

    @property
    def latest(self) -> AssociationVersion:
        """The version that holds."""
        return self.versions[-1]

    @property
    def name(self) -> str:
        """The document's name."""
        return self.latest.name


class AssociationOperations(SSMOperations):
    """Create, Update, Delete, Describe and List associations, and what a node has of them."""

    def create_association(self) -> dict[str, Any]:
        """Create an association. Raises the errors that B:CreateAssociation lists."""
        name, instance_id = self.params["Name"], self.params.get("InstanceId")
        tags = new_tags(self.params.get("Tags"))
        body = {key: self.params[key] for key in _KEPT if key in self.params}
        if instance_id is not None:
            self._node(instance_id)
            body["Targets"] = [{"Key": "InstanceIds", "Values": [instance_id]}]
            if any((a.name, a.instance_id) == (name, instance_id) for a in self.location.associations.values()):
                raise error("AssociationAlreadyExists", f"{instance_id} is already associated with {name}.")
        self._check(name, body)
        if len(self.location.associations) >= MAX_ASSOCIATIONS:
            raise error("AssociationLimitExceeded", f"You can have at most {MAX_ASSOCIATIONS} active associations.")
        association = Association(self.lab.guid(), instance_id, [AssociationVersion(name, self.now(), body)])
        self.location.associations[association.association_id] = association
        resource_tags(self.location, "Association", association.association_id).update(tags)
        return {"AssociationDescription": self._described(association, association.latest)}

    def update_association(self) -> dict[str, Any]:
        """Add a version: what the request leaves out is no longer set, except the document (B:UpdateAssociation)."""
        association = self._existing()
        if self.params.get("AssociationVersion", "$LATEST") not in ("$LATEST", str(len(association.versions))):
            raise error("InvalidAssociationVersion", "Only the latest version of an association can be updated.")
        name = self.params.get("Name", association.name)
        body = {key: self.params[key] for key in _KEPT if key in self.params}
        if "Targets" not in body and "Targets" in association.latest.body:
            body["Targets"] = association.latest.body["Targets"]
        self._check(name, body)
        association.versions.append(AssociationVersion(name, self.now(), body))
        return {"AssociationDescription": self._described(association, association.latest)}

    def delete_association(self) -> dict[str, Any]:
        """Delete an association, by id or by document and node."""
        association = self._existing()
        del self.location.associations[association.association_id]
        forget_tags(self.location, "Association", association.association_id)
        return {}

    def describe_association(self) -> dict[str, Any]:
        """An association, by id or by document and node; its latest version unless told otherwise."""
        association = self._existing()
        wanted = self.params.get("AssociationVersion", "$LATEST")
        for number, version in enumerate(association.versions, start=1):
            if str(number) == wanted or (wanted == "$LATEST" and version is association.latest):
                return {"AssociationDescription": self._described(association, version)}
        raise error("InvalidAssociationVersion", f"The association has no version {wanted}.")

    def list_associations(self) -> dict[str, Any]:
        """Associations, oldest first. AssociationFilterList narrows them down; none has ever run."""
        items = list(self.location.associations.values())
        for one in self.params.get("AssociationFilterList", ()):
            items = [item for item in items if self._passes(item, one["key"], one["value"])]
        shown, more = self.page(items, 50)
        return {"Associations": [self._listed(item) for item in shown], **more}

    def list_association_versions(self) -> dict[str, Any]:
        """An association's versions, newest first."""
        association = self._existing()
        numbered = list(enumerate(association.versions, start=1))[::-1]
        shown, more = self.page(numbered, 50)
        versions = [
            {
                "AssociationId": association.association_id,
                "AssociationVersion": str(number),
                "CreatedDate": version.created,
                "Name": version.name,
                **{k: v for k, v in version.body.items() if k not in _NOT_IN_VERSIONS},
            }
            for number, version in shown
        ]
        return {"AssociationVersions": versions, **more}

    def describe_association_executions(self) -> dict[str, Any]:
        """The runs of an association: the lab runs none."""
        self._existing()
        return {"AssociationExecutions": []}

    def describe_effective_instance_associations(self) -> dict[str, Any]:
        """What is associated with a node, with the documents' content."""
        node_id = self.params["InstanceId"]
        shown, more = self.page(self._of_node(node_id), 5, at_most=5)
        return {
            "Associations": [
                {
                    "AssociationId": item.association_id,
                    "InstanceId": node_id,
                    "Content": self._document(item).text,
                    "AssociationVersion": str(len(item.versions)),
                }
                for item in shown
            ],
            **more,
        }

    def describe_instance_associations_status(self) -> dict[str, Any]:
        """How far a node has applied what is associated with it: not yet."""
        node_id = self.params["InstanceId"]
        shown, more = self.page(self._of_node(node_id), 50)
        infos = [
            {
                "AssociationId": item.association_id,
                "Name": item.name,
                "DocumentVersion": self._document(item).version,
                "AssociationVersion": str(len(item.versions)),
                "InstanceId": node_id,
                "Status": "Pending",
                "DetailedStatus": "Associated",
                **({"AssociationName": n} if (n := item.latest.body.get("AssociationName")) else {}),
            }
            for item in shown
        ]
        return {"InstanceAssociationStatusInfos": infos, **more}

    def _check(self, name: str, body: Mapping[str, Any]) -> None:
        document = find_document(self.location, name, body.get("DocumentVersion"))
        bind_parameters(document, body.get("Parameters", {}))
        schedule = body.get("ScheduleExpression")
        if schedule is not None and _SCHEDULE.fullmatch(schedule) is None:
            raise error("InvalidSchedule", f"A schedule is rate(…), cron(…) or at(…), found {schedule}.")
        targets = body.get("Targets", [])
        if not all(group.get("Key") for group in targets):
            raise error("InvalidTarget", "A target needs a key.")
        if document.document_type != "Automation" and not targets:
            raise error("InvalidTarget", "An association needs an instance or targets.")
        if document.document_type != "Automation" and (wrong := problem(targets)):
            raise error("InvalidTarget", wrong)

    def _node(self, node_id: str) -> None:
        if node_id not in self.location.nodes:
            raise error("InvalidInstanceId", f"{node_id} is not a managed node of this account and Region.")

    def _existing(self) -> Association:
        association_id = self.params.get("AssociationId")
        if association_id is None:
            given = (self.params.get("Name"), self.params.get("InstanceId"))
            found = next((a for a in self.location.associations.values() if (a.name, a.instance_id) == given), None)
        else:
            found = self.location.associations.get(association_id)
        if found is None:
            raise error("AssociationDoesNotExist", "The specified association does not exist.")
        return found

    def _document(self, association: Association) -> Document:
        return find_document(self.location, association.name, association.latest.body.get("DocumentVersion"))

    def _of_node(self, node_id: str) -> list[Association]:
        self._node(node_id)
        return [item for item in self.location.associations.values() if self._targets(item, node_id)]

    def _targets(self, association: Association, node_id: str) -> bool:
        targets = list(association.latest.body.get("Targets", ()))
        everyone = any(t["Key"].lower() == "instanceids" and "*" in t.get("Values", ()) for t in targets)
        return everyone or node_id in resolve(self.location, targets)

    def _passes(self, association: Association, key: str, value: str) -> bool:
        if key == "InstanceId":
            return value in self.location.nodes and self._targets(association, value)
        facts = {
            "Name": association.name,
            "AssociationId": association.association_id,
            "AssociationName": association.latest.body.get("AssociationName"),
            "AssociationStatusName": "Pending",
        }
        return facts.get(key) == value

    def _listed(self, association: Association) -> dict[str, Any]:
        body = association.latest.body
        shown = {
            "Name": association.name,
            "AssociationId": association.association_id,
            "AssociationVersion": str(len(association.versions)),
            "Overview": {"Status": "Pending", "DetailedStatus": "Associated"},
            **{key: body[key] for key in _LISTED if key in body},
        }
        return shown if association.instance_id is None else {**shown, "InstanceId": association.instance_id}

    def _described(self, association: Association, version: AssociationVersion) -> dict[str, Any]:
        shown = {
            "Name": version.name,
            "AssociationId": association.association_id,
            "AssociationVersion": str(association.versions.index(version) + 1),
            "Date": association.versions[0].created,
            "LastUpdateAssociationDate": association.latest.created,
            "Overview": {"Status": "Pending", "DetailedStatus": "Creating"},
            "ApplyOnlyAtCronInterval": False,
            "DocumentVersion": "$DEFAULT",
            **version.body,
        }
        if association.instance_id is not None:
            message = f"Associated with {version.name}"
            shown["InstanceId"] = association.instance_id
            shown["Status"] = {"Date": version.created, "Name": "Pending", "Message": message}
        return shown


_NOT_IN_VERSIONS = ("AutomationTargetParameterName", "AlarmConfiguration")
