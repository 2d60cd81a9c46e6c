"""The repository of one rpm or apt product: its packages at any moment, its images, its dependencies.

Images older than a package's first known version have the version before that one, which no advisory
names: it is derived by counting the last number of the release down by one (`derived`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cmp_to_key

from lab.evaluate import Evr, Package, Version, compare
from lab.os_products import OSProduct
from lab.package_facts import requires
from lab.package_state import Installed, PackageState
from lab.releases import Release

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
"""Since when the derived versions and the packages without updates are there: before any image."""
_DIST_TAG = re.compile(r"amzn\d+|el\d+(_\d+)?|deb\d+")
"""The distribution's name within a release: its numbers are not counted down."""


class PackageRepository:
    """The versions of each package of one product, oldest first."""

    def __init__(self, product: OSProduct, releases: Iterable[Release]) -> None:
        self.product = product
        self._by_key: dict[str, list[Release]] = {}
        self._keys_of: dict[str, list[str]] = {}
        for release in releases:
            self._put(release)
        for known in self._by_key.values():
            known.sort(key=cmp_to_key(self._compare))
            if known[0].available > BEGINNING:
                known.insert(0, self._predecessor(known[0]))

    def moments(self) -> set[datetime]:
        """When something is released, edited or withdrawn."""
        return {moment for known in self._by_key.values() for release in known for moment in release.moments()}

    def approval_dates(self) -> set[datetime]:
        """The dates that an approval delay can count from."""
        dates = {release.built for known in self._by_key.values() for release in known if release.built}
        return dates | self.moments()

    def versions(self, now: datetime) -> dict[str, tuple[Version, ...]]:
        """What is offered of each package at `now`, oldest first; packages without any are left out."""
        offered = {
            key: tuple(release.version(now) for release in known if release.offered(now))
            for key, known in self._by_key.items()
        }
        return {key: versions for key, versions in offered.items() if versions}

    def package(self, key: str, installed: Installed | None, versions: tuple[Version, ...]) -> Package:
        """A package as a node sees it."""
        name, _, arch = key.rpartition(".")
        return Package(name, arch, installed if isinstance(installed, Evr) else None, versions)

    def image(self, built: datetime, names: frozenset[str]) -> PackageState:
        """What a node launched from an image of `built` has of the packages in `names`."""
        installed: dict[str, Installed] = {}
        for name in sorted(names & self._keys_of.keys()):
            for key in self._keys_of[name]:
                there = [release for release in self._by_key[key] if release.available <= built]
                if there:
                    installed[key] = there[-1].evr
        return PackageState.of(installed)

    def dependencies(self, key: str, evr: Evr | None) -> tuple[tuple[str, Evr | None], ...]:
        """What `key` needs at `evr`: packages of the same source, at the same version and release.

        Those that `packages.json` names, and by the distributions' custom any `-libs` and `-common` that
        the source builds beside it.
        """
        if evr is None:
            return ()
        name = key.rpartition(".")[0]
        found = {}
        for needed in (*requires(name), *_libraries(name)):
            for other in self._keys_of.get(needed, ()):
                twin = self._twin(other, evr)
                if other != key and twin is not None:
                    found[other] = twin
        return tuple(found.items())

    def add(self, release: Release) -> None:
        """Publish a version; one that is there already is replaced."""
        known = self._by_key.get(release.key, [])
        known[:] = [other for other in known if other.evr != release.evr]
        self._put(release)
        self._by_key[release.key].sort(key=cmp_to_key(self._compare))

    def withdraw(self, key: str, evr: Evr | None, when: datetime) -> int:
        """Drop a version (None: every version) of a package at `when`; answers how many were dropped."""
        dropped = [
            release for release in self._by_key.get(key, ()) if release.offered(when) and evr in (None, release.evr)
        ]
        for release in dropped:
            release.withdrawn = when
        return len(dropped)

    def _compare(self, a: Release, b: Release) -> int:
        return compare(self.product.operating_system, a.evr, b.evr)

    def _put(self, release: Release) -> None:
        if release.key not in self._by_key:
            self._keys_of.setdefault(release.name, []).append(release.key)
        self._by_key.setdefault(release.key, []).append(release)

    def _twin(self, key: str, evr: Evr) -> Evr | None:
        known = (release.evr for release in self._by_key[key])
        return next((other for other in known if (other.version, other.release) == (evr.version, evr.release)), None)

    def _predecessor(self, first: Release) -> Release:
        return replace(
            first,
            evr=derived(first.evr),
            available=BEGINNING,
            built=BEGINNING,
            notices=(),
            security_origin=False,
            origin="derived",
        )


def derived(evr: Evr) -> Evr:
    """The version before `evr`: the last number of its release (or version) that can be is counted down by one.

    `7.amzn2023.0.17` gives `7.amzn2023.0.16`, `0ubuntu3.10` gives `0ubuntu3.9`. Where no number is above
    zero, `~` is put behind, which sorts before nothing in rpm and dpkg alike.
    """
    text = evr.release or evr.version
    spared = [span for tag in _DIST_TAG.finditer(text) for span in range(*tag.span())]
    numbers = [m for m in re.finditer(r"\d+", text) if int(m.group()) > 0 and m.start() not in spared]
    if numbers:
        last = numbers[-1]
        text = f"{text[: last.start()]}{int(last.group()) - 1}{text[last.end() :]}"
    else:
        text += "~"
    return replace(evr, release=text) if evr.release else replace(evr, version=text)


def _libraries(name: str) -> list[str]:
    stems = [name]
    while "-" in stems[-1]:
        stems.append(stems[-1].rpartition("-")[0])
    return [stem + suffix for stem in stems for suffix in ("-libs", "-common") if stem + suffix != name]
