"""Step 3: the patches that a production release requests, written once, to every location that is ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sluice.aws import operations, patch_catalog, recalls
from sluice.aws.session import Connection, Duty
from sluice.core.calendar import local_day
from sluice.core.errors import LostError, ReleaseError, SluiceError
from sluice.core.json_text import encoded
from sluice.core.os_product import operating_system
from sluice.core.release.manifest import Manifest, file_name
from sluice.core.release.manifest_build import Known, build, products_of
from sluice.core.release.recall import Recall
from sluice.core.sighted import Sighted
from sluice.evidence import queries, release_records, tables
from sluice.flow.run import Run, aws_time

RECORD = "manifest"

LEAST_HISTORY = timedelta(days=60)
"""How far back evidence is read at the least."""


def manifest(run: Run, ready: Sequence[str]) -> dict[str, Any]:
    """Make the manifest where there is none yet, and see that every ready location has its lists.

    Raises ReleaseError where a location has another list under its name, AWSError where one cannot be written.
    """
    found = read_manifest(run)
    if found is None:
        found = _once(run, _made(run, ready))
    for key in ready:
        with run.connect(key) as connection:
            _write_lists(run, connection, found)
    _write_rows(run, found)
    return {
        "items": len(found.items),
        "products": dict(Counter(item.product for item in found.items)),
        "sha256": found.digests(),
    }


def read_manifest(run: Run) -> Manifest | None:
    """The release's manifest; None: it has none yet, or needs none."""
    found = run.recorded(RECORD)
    return None if found is None else Manifest.of_json(found)


def override_list(run: Run, connection: Connection, product: str) -> str | None:
    """The URL of a product's InstallOverrideList in a location; None: the release requests nothing for it.

    `product` is an OS product as the policy lists it (a slot's). Raises ReleaseError where there is no manifest yet.
    """
    found = read_manifest(run)
    if found is None:
        raise ReleaseError(f"expected a manifest of {run.release.id}, found none: run the step manifest first")
    if not found.of(product):
        return None
    return f"s3://{operations.bucket_of(run.policy, connection)}/{_list_key(run, product)}"


def known_sightings(run: Run, at: datetime) -> tuple[Sighted, ...]:
    """The evidence behind a release: what the nodes of the policy's rings showed, for as long as a soak may take."""
    demanding = [ring for ring in run.policy.rings if ring.soak]
    days = sum(2 * ring.soak.longest + ring.max_wait_days for ring in demanding if ring.soak)
    since = at - max(LEAST_HISTORY, timedelta(days=days))
    rings = [ring.name for ring in run.policy.rings]
    # A release's rows lie under its occurrence's day, which may come after what it read.
    until = max(at, run.release.occurrence).date() + timedelta(days=1)
    return tuple(queries.sightings(run.store, since.date(), until, rings=rings))


def recalls_of(run: Run, ready: Sequence[str]) -> tuple[Recall, ...]:
    """What is recalled in any of these locations. Raises AWSError where one cannot be read: nobody knows then."""
    found: dict[str, Recall] = {}
    for key in ready:
        with run.connect(key, Duty.READER) as connection:
            for one in recalls.listed(connection, operations.bucket_of(run.policy, connection)):
                if one.lifted is None:
                    found[one.patch] = one
    return tuple(found.values())


def _made(run: Run, ready: Sequence[str]) -> Manifest:
    at = aws_time(run.connections, run.locations)
    sightings = known_sightings(run, at)
    known = Known(sightings, recalls_of(run, ready), _issued(run, ready, sightings))
    day = local_day(run.window, run.release.occurrence)
    return build(run.policy, run.window, release=run.release.id, at=at, day=day, asked=run.asked, known=known)


def _issued(run: Run, ready: Sequence[str], sightings: Sequence[Sighted]) -> dict[str, datetime]:
    """When Windows' updates were issued last, from the first location that says so. Raises the last one's error."""
    if not any(operating_system(product) == "WINDOWS" for product in products_of(run.policy, run.window)):
        return {}
    kbs = sorted({row.id for row in sightings if row.windows})
    error: SluiceError = ReleaseError("expected a location that is ready, found none")
    for key in ready:
        try:
            with run.connect(key, Duty.READER) as connection:
                return patch_catalog.issued(connection, kbs)
        except SluiceError as refused:
            error = refused
    raise error


def _once(run: Run, made: Manifest) -> Manifest:
    """Keep it, if nobody has kept one before; what holds."""
    run.store.put(release_records.key(run.release.id, RECORD), encoded(made.as_json()), once=True)
    kept = read_manifest(run)
    if kept is None:
        raise ReleaseError(f"{run.release.id}: the manifest that was just written is not there; try again")
    return kept


def _write_lists(run: Run, connection: Connection, made: Manifest) -> None:
    """Write each product's list and the evidence of its items, once."""
    lists = {product: text for product in made.products if (text := made.override_list(product))}
    files = {_list_key(run, product): text.encode() for product, text in lists.items()}
    files[operations.manifest_key(run.release.id)] = encoded(made.as_json())
    bucket = operations.bucket_of(run.policy, connection)
    for key, content in files.items():
        try:
            operations.put_manifest(connection, bucket, key, content)
        except LostError:
            there = operations.read(connection, bucket, key)
            if there is None or there.content != content:
                raise ReleaseError(
                    f"{connection.key}: {bucket}/{key} is not what this release wrote: somebody altered it."
                    " Nothing was overwritten; begin a new release"
                ) from None


def _list_key(run: Run, product: str) -> str:
    return operations.manifest_key(run.release.id, file_name(product))


def _write_rows(run: Run, made: Manifest) -> None:
    """The table of manifests."""
    digests = made.digests()
    rows = [
        {
            "product": item.product,
            "id": item.id,
            "title": item.title,
            "classification": item.classification or None,
            "severity": item.severity,
            "soaked_since": item.started,
            "soak_days": item.days,
            "nodes": len(item.nodes),
            "let_through": None if item.covered == "soak" else f"{item.covered} by {item.by}: {item.because}",
            "sha256": digests[item.product],
        }
        for item in made.items
    ]
    tables.write(run.store, "manifests", run.release, "all", rows)
