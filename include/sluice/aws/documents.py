"""The account's own documents."""

from __future__ import annotations

import json
from collections.abc import Collection

from sluice.aws import tags
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError, AWSError
from sluice.core.policy.objects import DOCUMENT, Document, Key
from sluice.core.policy.plan import Found
from sluice.core.policy.reboot_document import canonical

DOCUMENTS = tags.RESOURCES["Document"]


@calls("ssm:DescribeDocument", "ssm:GetDocument", resources=DOCUMENTS)
def found(connection: Connection, deployment: str, name: str, others: Collection[str] = ()) -> Found | None:
    """The default version of a document; None where the account has none of that name.

    It is the deployment's also where a deployment has made it that is not among the `others` that have windows here.
    """
    try:
        description = connection.need("ssm", "DescribeDocument", "Document", Name=name)["Document"]
    except AWSError as error:
        if error.code == "InvalidDocument":
            return None
        raise
    own = {tag["Key"]: tag["Value"] for tag in description.get("Tags", ())}
    answer = connection.need("ssm", "GetDocument", "Content", Name=name, DocumentVersion="$DEFAULT")
    try:
        content = canonical(json.loads(answer["Content"]))
    except ValueError:
        raise AnswerError(f"{connection.key}: the document {name} is not JSON: expected GetDocument's") from None
    maker = tags.owner(own)
    owned = maker is not None and maker not in others
    return Found(Key(DOCUMENT, name), name, Document(name, content), owned=owned)


@calls("ssm:CreateDocument", "ssm:AddTagsToResource", resources=DOCUMENTS, when="created")
def create(connection: Connection, deployment: str, wanted: Document) -> None:
    """Create a document with its ownership tags. That it is there as wanted already (a lost answer) is no error."""
    try:
        connection.call(
            "ssm",
            "CreateDocument",
            Name=wanted.name,
            Content=wanted.content,
            DocumentType="Command",
            DocumentFormat="JSON",
            Tags=tags.ownership(deployment, wanted.name),
        )
    except AWSError as error:
        there = found(connection, deployment, wanted.name) if error.code == "DocumentAlreadyExists" else None
        if there is None or there.object != wanted:
            raise


@calls("ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion", resources=DOCUMENTS, when="owned")
@calls("ssm:ListDocumentVersions", resources=DOCUMENTS)
def update(connection: Connection, wanted: Document) -> None:
    """Add a version, or find the one that says the same already, and make it the default."""
    try:
        answer = connection.need(
            "ssm",
            "UpdateDocument",
            "DocumentDescription",
            Name=wanted.name,
            Content=wanted.content,
            DocumentVersion="$LATEST",
            DocumentFormat="JSON",
        )
        version = answer["DocumentDescription"]["DocumentVersion"]
    except AWSError as error:
        if error.code != "DuplicateDocumentContent":
            raise
        version = _same(connection, wanted)
    connection.call("ssm", "UpdateDocumentDefaultVersion", Name=wanted.name, DocumentVersion=version)


@calls("ssm:ListDocumentVersions", "ssm:GetDocument", resources=DOCUMENTS)
def _same(connection: Connection, wanted: Document) -> str:
    """The version of a document that has the wanted content."""
    for one in connection.pages("ssm", "ListDocumentVersions", "DocumentVersions", Name=wanted.name):
        version = str(one["DocumentVersion"])
        answer = connection.need("ssm", "GetDocument", "Content", Name=wanted.name, DocumentVersion=version)
        if canonical(json.loads(answer["Content"])) == wanted.content:
            return version
    raise AnswerError(f"{connection.key}: no version of {wanted.name} has the content that AWS says one has: try again")


def own(connection: Connection, deployment: str, name: str) -> None:
    """Put the deployment's ownership tags on a document that does not have them."""
    if tags.owner(tags.read(connection, "Document", name)) != deployment:
        tags.take(connection, "Document", name, deployment, name)


@calls("ssm:DeleteDocument", resources=DOCUMENTS, when="owned")
def delete(connection: Connection, name: str) -> None:
    """Delete a document with all its versions."""
    connection.call("ssm", "DeleteDocument", Name=name)
