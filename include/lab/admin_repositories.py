"""The admin API's page about package repositories: what is offered, publishing a version, pulling one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from lab.admin import Refusal, Request, Route
from lab.clock import stamp
from lab.evaluate import Evr, Package, WindowsPatch
from lab.releases import DatedNotice, Update
from lab.world import Lab


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PackageVersion(_Strict):
    """A version's three parts; apt's whole version may stand in `version`."""

    epoch: int = Field(default=0, ge=0)
    version: str = Field(min_length=1)
    release: str = ""

    def evr(self) -> Evr:
        """As the repositories have it."""
        return Evr(self.epoch, self.version, self.release)


class NewNotice(_Strict):
    """The advisory of a version, issued when the version becomes available."""

    id: str = Field(min_length=1)
    classification: str | None = None
    severity: str | None = None
    cves: list[str] = Field(default_factory=list)

    def dated(self, issued: datetime) -> DatedNotice:
        """As the repositories have it."""
        return DatedNotice(self.id, issued, issued, self.classification, self.severity, tuple(self.cves))


class NewPackage(PackageVersion):
    """A version of an rpm or apt package."""

    name: str = Field(min_length=1)
    arch: str = Field(min_length=1)
    notice: NewNotice | None = None
    security_origin: bool = True


class NewUpdate(_Strict):
    """A Windows update."""

    kb: str = Field(pattern=r"^KB\d+$")
    title: str = Field(min_length=1)
    classification: str = "SecurityUpdates"
    msrc_severity: str | None = "Critical"
    line: str = "cumulative"
    """What it is an instalment of: the latest of a line takes the place of those before."""


class Publication(_Strict):
    """The body of a POST: a package, or for Windows an update; `available` is by default now."""

    product: str
    available: AwareDatetime | None = None
    package: NewPackage | None = None
    update: NewUpdate | None = None
    broken: bool = False
    """Its install fails on every node."""

    @model_validator(mode="after")
    def _publishes_one_thing(self) -> Self:
        if (self.package is None) == (self.update is None):
            raise ValueError("expected either a package or an update")
        return self


class Withdrawal(_Strict):
    """The body of a DELETE: `id` is `name.arch` or a KB; without a version all of them go."""

    product: str
    id: str
    version: PackageVersion | None = None


def routes(lab: Lab) -> Mapping[str, Mapping[str, Route]]:
    """The page, over one lab."""
    return {
        "/lab/repositories": {
            "GET": Route(
                "OS products; with ?product= what is offered now, &name= of one package, &limit=100&offset=0",
                lambda request: _listed(lab, request),
            ),
            "POST": Route(
                'publish: {"product", "available", "package": {"name", "arch", "epoch", "version", "release", "notice"}'
                ' or "update": {"kb", "title", "classification", "msrc_severity", "line"}, "broken": false}',
                lambda request: _published(lab, request),
            ),
            "DELETE": Route(
                'withdraw: {"product", "id": "name.arch" or KB, "version": {"epoch", "version", "release"} or null}',
                lambda request: _withdrawn(lab, request),
            ),
        }
    }


def _listed(lab: Lab, request: Request) -> Any:
    request.known("product", "name", "limit", "offset")
    product = request.query.get("product")
    if product is None:
        return {"products": [{"product": one.key, "family": one.family} for one in lab.repositories.products()]}
    limit, offset = request.page()
    view = lab.repositories.view(product, lab.repositories.empty(product), lab.clock.now())
    name = request.query.get("name")
    shown = [_shown(one) for one in view if name is None or _name(one) == name]
    more = offset + limit < len(shown)
    return {
        "total": len(shown),
        "offered": shown[offset : offset + limit],
        "next_offset": offset + limit if more else None,
    }


def _name(one: Package | WindowsPatch) -> str:
    return one.kb if isinstance(one, WindowsPatch) else one.name


def _shown(one: Package | WindowsPatch) -> dict[str, Any]:
    if isinstance(one, WindowsPatch):
        return {
            "id": one.kb,
            "title": one.title,
            "classification": one.classification,
            "msrc_severity": one.msrc_severity,
            "released": stamp(one.released),
        }
    return {
        "id": one.key,
        "versions": [
            {
                "epoch": version.evr.epoch,
                "version": version.evr.version,
                "release": version.evr.release,
                "notice": version.notice.id if version.notice else None,
            }
            for version in one.versions
        ],
    }


def _published(lab: Lab, request: Request) -> Any:
    wanted = request.checked(Publication)
    available = wanted.available or lab.clock.now()
    if wanted.package is not None:
        name = _add_package(lab, wanted.product, wanted.package, available)
    if wanted.update is not None:
        name = _add_update(lab, wanted.product, wanted.update, available)
    if wanted.broken:
        lab.repositories.break_version(wanted.product, name, wanted.package.evr() if wanted.package else None)
    return {"published": name, "available": stamp(available)}


def _add_package(lab: Lab, product: str, package: NewPackage, available: datetime) -> str:
    lab.repositories.add(
        product,
        package.name,
        package.arch,
        package.evr(),
        available,
        notice=package.notice.dated(available) if package.notice else None,
        security_origin=package.security_origin,
    )
    return f"{package.name}.{package.arch}"


def _add_update(lab: Lab, product_key: str, update: NewUpdate, available: datetime) -> str:
    product = lab.repositories.product(product_key)
    lab.repositories.add_update(
        product_key,
        Update(
            kb=update.kb,
            title=update.title,
            product=product.product,
            product_family=product.product_family,
            classification=update.classification,
            msrc_severity=update.msrc_severity,
            patch_set="OS",
            line=update.line,
            issues=(available,),
            origin="added",
        ),
    )
    return update.kb


def _withdrawn(lab: Lab, request: Request) -> Any:
    wanted = request.checked(Withdrawal)
    evr = wanted.version.evr() if wanted.version else None
    dropped = lab.repositories.withdraw(wanted.product, wanted.id, evr, lab.clock.now())
    if not dropped:
        raise Refusal(
            404, f"{wanted.product} offers no such version of {wanted.id!r}; GET /lab/repositories lists them"
        )
    return {"withdrawn": dropped}
