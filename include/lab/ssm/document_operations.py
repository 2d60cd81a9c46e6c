"""Operations on documents: AWS's are read-only, an account's own have versions.

Limits and errors: B:CreateDocument, B:UpdateDocument, B:DeleteDocument. The lab keeps documents of the
types Command, Policy, Automation, Session and ChangeCalendar; others are refused in so many words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from lab.ssm import calendars
from lab.ssm.aws_documents import OWNER, aws_documents
from lab.ssm.base import SSMOperations, error
from lab.ssm.document_content import SCHEMAS, Content, invalid, load, parse
from lab.ssm.document_parameters import Parameter
from lab.ssm.documents import Document, DocumentHistory, find_history
from lab.ssm.tags import as_list, forget_tags, new_tags, resource_tags

MAX_DOCUMENTS = 500
MAX_BYTES = 64 * 1024
MAX_VERSIONS = 1000
MAX_SHARES = 20
RESERVED_PREFIXES = ("aws", "amazon", "amzn")
TYPES = (*SCHEMAS, "ChangeCalendar")


class DocumentOperations(SSMOperations):
    """Create, Update, Delete, Describe, Get and List documents, their versions and their sharing."""

    def create_document(self) -> dict[str, Any]:
        """Create a document, its version 1 the default. Raises the errors that B:CreateDocument lists."""
        name = self.params["Name"]
        if name.lower().startswith(RESERVED_PREFIXES):
            raise error(
                "ValidationException",
                f"The document name {name} begins with a prefix that AWS reserves: {', '.join(RESERVED_PREFIXES)}",
            )
        if self.params.get("Attachments"):
            raise error("ValidationException", "The lab keeps no attachments of documents.")
        tags = new_tags(self.params.get("Tags"))
        document = self._document(self.params.get("DocumentType", "Command"), version=1)
        if name in self.location.documents:
            raise error("DocumentAlreadyExists", "The specified document already exists.")
        if len(self.location.documents) >= MAX_DOCUMENTS:
            raise error("DocumentLimitExceeded", f"You can have at most {MAX_DOCUMENTS} active SSM documents.")
        history = DocumentHistory({1: document})
        self.location.documents[name] = history
        resource_tags(self.location, "Document", name).update(tags)
        return {"DocumentDescription": {**self._description(history, document), "Status": "Creating"}}

    def update_document(self) -> dict[str, Any]:
        """Add a version; the default stays as it is. `DocumentVersion` must be the latest's number or `$LATEST`."""
        history = self._own()
        latest = history.versions[history.latest]
        if self.params.get("DocumentVersion") not in ("$LATEST", latest.version):
            raise error("InvalidDocumentVersion", "The document version is not valid or does not exist.")
        document = self._document(latest.document_type, history.latest + 1, latest)
        if any(before.version_name == document.version_name for before in history.versions.values()) and (
            document.version_name is not None
        ):
            raise error("DuplicateDocumentVersionName", "The specified version name is a duplicate.")
        if any(
            (before.text, before.target_type) == (document.text, document.target_type)
            for before in history.versions.values()
        ):
            raise error(
                "DuplicateDocumentContent",
                "The content of the association document matches another document. "
                "Change the content of the document and try again.",
            )
        if len(history.versions) >= MAX_VERSIONS:
            raise error("DocumentVersionLimitExceeded", f"A document can have at most {MAX_VERSIONS} versions.")
        history.versions[history.latest + 1] = document
        return {"DocumentDescription": {**self._description(history, document), "Status": "Updating"}}

    def update_document_default_version(self) -> dict[str, Any]:
        """Make a version the default."""
        history = self._own()
        history.default = history.number(self.params["DocumentVersion"])
        document = history.versions[history.default]
        shown = {"Name": document.name, "DefaultVersion": document.version}
        if document.version_name is not None:
            shown["DefaultVersionName"] = document.version_name
        return {"Description": shown}

    def delete_document(self) -> dict[str, Any]:
        """Delete a document, or one version of it that is not the default."""
        name = self.params["Name"]
        history = self._own()
        if history.shared_with:
            raise error("InvalidDocumentOperation", "Must unshare document first before delete")
        if any(association.name == name for association in self.location.associations.values()):
            raise error("AssociatedInstances", f"Delete the associations with the document {name} first.")
        # The model declares no InvalidDocumentVersion here.
        document = self._chosen(history, missing="InvalidDocument") if self._names_version() else None
        if document is None or len(history.versions) == 1:
            del self.location.documents[name]
            forget_tags(self.location, "Document", name)
        elif int(document.version) == history.default:
            raise error("InvalidDocumentOperation", "Default version of the document can't be deleted.")
        else:
            del history.versions[int(document.version)]
        return {}

    def describe_document(self) -> dict[str, Any]:
        """A document's description."""
        history = find_history(self.location, self.params["Name"])
        return {"Document": self._description(history, self._chosen(history))}

    def get_document(self) -> dict[str, Any]:
        """A document's content as JSON, or in the format asked for; calendars only as the text they are."""
        document = self._chosen(find_history(self.location, self.params["Name"]))
        wanted = self.params.get("DocumentFormat", "JSON") if document.content is not None else "TEXT"
        shown = {
            "Name": document.name,
            "CreatedDate": document.created,
            "DocumentVersion": document.version,
            "Status": "Active",
            "Content": _converted(document, wanted),
            "DocumentType": document.document_type,
            "DocumentFormat": wanted,
        }
        return {**shown, **_optional(document)}

    def list_documents(self) -> dict[str, Any]:
        """Documents by name, AWS's included.

        Filters: Name (a prefix), Owner, PlatformTypes, DocumentType, TargetType, SearchKeyword, `tag:…`;
        DocumentFilterList is their older form.
        """
        filters = [
            *((one.get("Key", ""), tuple(one.get("Values", ()))) for one in self.params.get("Filters", ())),
            *((one["key"], (one["value"],)) for one in self.params.get("DocumentFilterList", ())),
        ]
        everything = {**aws_documents(), **self.location.documents}
        documents = [everything[name].versions[everything[name].default] for name in sorted(everything)]
        kept = [document for document in documents if all(self._passes(document, key, v) for key, v in filters)]
        shown, more = self.page(kept, 50)
        return {"DocumentIdentifiers": [self._identifier(document) for document in shown], **more}

    def list_document_versions(self) -> dict[str, Any]:
        """A document's versions, newest first."""
        history = find_history(self.location, self.params["Name"])
        shown, more = self.page([history.versions[n] for n in sorted(history.versions, reverse=True)], 50)
        versions = [
            {
                "Name": document.name,
                "DocumentVersion": document.version,
                "CreatedDate": document.created,
                "IsDefaultVersion": int(document.version) == history.default,
                "DocumentFormat": document.document_format,
                "Status": "Active",
                **{key: value for key, value in _optional(document).items() if key != "Requires"},
            }
            for document in shown
        ]
        return {"DocumentVersions": versions, **more}

    def describe_document_permission(self) -> dict[str, Any]:
        """The accounts that a document is shared with, in the order of sharing."""
        history = self._own()
        shown, more = self.page(list(history.shared_with.items()), MAX_SHARES, at_most=MAX_SHARES)
        return {
            "AccountIds": [account for account, _ in shown],
            "AccountSharingInfoList": [{"AccountId": a, "SharedDocumentVersion": version} for a, version in shown],
            **more,
        }

    def modify_document_permission(self) -> dict[str, Any]:
        """Share a document with accounts or with `all`, or stop sharing it."""
        history = self._own()
        add = [account.lower() for account in self.params.get("AccountIdsToAdd", ())]
        remove = [account.lower() for account in self.params.get("AccountIdsToRemove", ())]
        for accounts in (add, remove):
            if "all" in accounts and len(accounts) > 1:
                raise error("DocumentPermissionLimit", "Accounts can either be all or a group of AWS accounts")
        shared = dict(history.shared_with)
        if add:
            shared = {} if add == ["all"] else {account: v for account, v in shared.items() if account != "all"}
            shared.update(dict.fromkeys(add, self.params.get("SharedDocumentVersion", "$DEFAULT")))
        shared = {} if "all" in remove else {account: v for account, v in shared.items() if account not in remove}
        if len(shared) > MAX_SHARES:
            raise error("DocumentPermissionLimit", f"A document can be shared with at most {MAX_SHARES} accounts.")
        history.shared_with = shared
        return {}

    def _own(self) -> DocumentHistory:
        """The account's own document that the request names. AWS's and other accounts' cannot be changed."""
        name = self.params["Name"]
        found = self.location.documents.get(name)
        if found is None:
            why = "is provided by AWS" if name in aws_documents() else "does not exist"
            raise error("InvalidDocument", f"The specified document {why}: {name}")
        return found

    def _names_version(self) -> bool:
        return "DocumentVersion" in self.params or "VersionName" in self.params

    def _chosen(self, history: DocumentHistory, missing: str = "InvalidDocumentVersion") -> Document:
        """The version that the request names, by number or by name. Raises `missing` and InvalidDocument."""
        name = self.params.get("VersionName")
        if name is None:
            return history.versions[history.number(self.params.get("DocumentVersion"), missing)]
        for document in history.versions.values():
            if document.version_name == name and self.params.get("DocumentVersion") in (None, document.version):
                return document
        raise error("InvalidDocument", f"The document has no version named {name}.")

    def _document(self, document_type: str, version: int, before: Document | None = None) -> Document:
        text = self.params["Content"]
        document_format = self.params.get("DocumentFormat", "JSON")
        if len(text.encode()) > MAX_BYTES:
            raise error("MaxDocumentSizeExceeded", f"The size limit of a document is {MAX_BYTES // 1024} KB.")
        if document_type not in TYPES:
            raise error(
                "ValidationException",
                f"The lab keeps documents of the types {', '.join(TYPES)}; {document_type} is not among them.",
            )
        return Document(
            self.params["Name"],
            str(version),
            document_type,
            document_format,
            text,
            self.location.account,
            self.now(),
            _content(text, document_format, document_type),
            self.params.get("VersionName"),
            self.params.get("DisplayName", before and before.display_name),
            self.params.get("TargetType", before and before.target_type),
            self.params.get("Requires", before.requires if before else ()),
        )

    def _description(self, history: DocumentHistory, document: Document) -> dict[str, Any]:
        tags = self._tags(document)
        content = document.content
        return {
            "Hash": hashlib.sha256(document.text.encode()).hexdigest(),
            "HashType": "Sha256",
            "Name": document.name,
            "Owner": document.owner,
            "CreatedDate": document.created,
            "Status": "Active",
            "DocumentVersion": document.version,
            "PlatformTypes": list(document.platform_types),
            "DocumentType": document.document_type,
            "LatestVersion": str(history.latest),
            "DefaultVersion": str(history.default),
            "DocumentFormat": document.document_format,
            "Tags": as_list(tags),
            "Parameters": [_shown_parameter(parameter) for parameter in document.parameters.values()],
            **({"SchemaVersion": content.schema_version} if content is not None else {}),
            **({"Description": content.description} if content is not None and content.description else {}),
            **({"TargetType": document.target_type} if document.target_type else {}),
            **_optional(document),
        }

    def _identifier(self, document: Document) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "Name": document.name,
            "CreatedDate": document.created,
            "Owner": document.owner,
            "PlatformTypes": list(document.platform_types),
            "DocumentVersion": document.version,
            "DocumentType": document.document_type,
            "DocumentFormat": document.document_format,
            "Tags": as_list(self._tags(document)),
        }
        if document.content is not None:
            shown["SchemaVersion"] = document.content.schema_version
        if document.target_type:
            shown["TargetType"] = document.target_type
        return {**shown, **_optional(document)}

    def _tags(self, document: Document) -> dict[str, str]:
        if document.owner != self.location.account:
            return {}
        return resource_tags(self.location, "Document", document.name)

    def _passes(self, document: Document, key: str, values: tuple[str, ...]) -> bool:
        if key.startswith("tag:"):
            return self._tags(document).get(key.removeprefix("tag:")) in values
        if key == "Owner":
            return self._owned_by(document, values)
        if key not in _FILTERS:
            raise error("InvalidFilterKey", f"The filter key {key} is not valid. Keys: Owner, {', '.join(_FILTERS)}")
        return _FILTERS[key](document, values)

    def _owned_by(self, document: Document, values: Iterable[str]) -> bool:
        owners: Mapping[str, bool] = {
            "All": True,
            "Amazon": document.owner == OWNER,
            "Self": document.owner == self.location.account,
            # Documents of other accounts are found by their ARN; no list shows them.
            "Public": document.owner == OWNER,
            "Private": False,
            "ThirdParty": False,
        }
        for value in values:
            if value not in owners:
                raise error("ValidationException", f"Owner is one of {', '.join(owners)}, found {value}.")
        return any(owners[value] for value in values)


_FILTERS: Mapping[str, Callable[[Document, tuple[str, ...]], bool]] = {
    "Name": lambda document, values: document.name.startswith(values),
    "PlatformTypes": lambda document, values: any(value in document.platform_types for value in values),
    "DocumentType": lambda document, values: document.document_type in values,
    "TargetType": lambda document, values: document.target_type in values,
    "SearchKeyword": lambda document, values: any(value.lower() in document.name.lower() for value in values),
}


def _content(text: str, document_format: str, document_type: str) -> Content | None:
    if document_type != "ChangeCalendar":
        if document_format == "TEXT":
            raise invalid(f"a document of type {document_type} is JSON or YAML")
        return parse(text, document_format, document_type)
    if document_format != "TEXT":
        raise invalid("a ChangeCalendar is TEXT")
    try:
        calendars.parse(text)
    except calendars.CalendarError as problem:
        raise invalid(str(problem)) from problem
    return None


def _converted(document: Document, wanted: str) -> str:
    if wanted == document.document_format:
        return document.text
    if wanted == "TEXT":
        raise error("ValidationException", "DocumentFormat TEXT is for calendars only.")
    data = load(document.text, document.document_format)
    return json.dumps(data, indent=2, default=str) if wanted == "JSON" else yaml.safe_dump(data, sort_keys=False)


def _optional(document: Document) -> dict[str, Any]:
    shown = {
        "VersionName": document.version_name,
        "DisplayName": document.display_name,
        "Requires": list(document.requires),
    }
    return {name: value for name, value in shown.items() if value}


def _shown_parameter(parameter: Parameter) -> dict[str, Any]:
    shown = {"Name": parameter.name, "Type": "StringList" if parameter.is_list else "String"}
    if parameter.description is not None:
        shown["Description"] = parameter.description
    if parameter.default is not None:
        shown["DefaultValue"] = json.dumps(list(parameter.default)) if parameter.is_list else parameter.default[0]
    return shown
