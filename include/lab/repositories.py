"""The lab's package repositories: what there is to install, for every OS product, at any moment.

Shipped content is read when a product is first asked for; the admin API publishes and withdraws. What
a repository offers only changes at its `moments`, so a view is made once for a state between two of
them, and shared by every node in that state.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lab import advisory_data
from lab.errors import LabError
from lab.evaluate import Evr, Package, Version, WindowsPatch, compare
from lab.os_products import PRODUCTS, OSProduct
from lab.package_facts import needs_reboot, priority_and_section, profile, profiles
from lab.package_repository import PackageRepository
from lab.package_state import Installed, PackageState
from lab.releases import DatedNotice, Release, Update
from lab.windows_repository import WindowsRepository

__all__ = ["PackageState", "Repositories"]

View = tuple[Package, ...] | tuple[WindowsPatch, ...]
PERIODS_KEPT = 4
"""How many periods between moments a product keeps its views of."""


class Repositories:
    """Every product's repository. `serial` is raised by each change, for caches of what was seen here."""

    def __init__(self) -> None:
        self.serial = 0
        self._broken: set[tuple[str, str, Evr | None]] = set()
        self._packages: dict[str, PackageRepository] = {}
        self._windows: dict[str, WindowsRepository] = {}
        self._moments: dict[str, list[datetime]] = {}
        self._periods: dict[str, dict[int, _Period]] = {}

    @classmethod
    def shipped(cls) -> Repositories:
        """The repositories as the lab ships them."""
        return cls()

    def products(self) -> tuple[OSProduct, ...]:
        """Every OS product."""
        return tuple(PRODUCTS.values())

    def product(self, product_key: str) -> OSProduct:
        """An OS product by key. Raises LabError for one that there is not."""
        found = PRODUCTS.get(product_key)
        if found is None:
            raise LabError(f"no OS product {product_key!r}: expected one of {', '.join(PRODUCTS)}")
        return found

    def empty(self, product_key: str) -> PackageState:
        """The state of a node that has nothing: its view is the whole repository."""
        self.product(product_key)
        return PackageState.of({})

    def image(self, product_key: str, built: datetime, packages: str = "base") -> PackageState:
        """What a node launched from an image of `built` has; `packages` is a profile such as `web`.

        Raises LabError for a profile that there is not.
        """
        if packages not in profiles():
            raise LabError(f"no packages profile {packages!r}: expected one of {', '.join(profiles())}")
        return self._repository(product_key).image(built, profile(packages))

    def view(self, product_key: str, state: PackageState, now: datetime) -> View:
        """Everything that is known of a node's packages at `now`, as `lab.evaluate.evaluate` takes it.

        For Linux: every package that is offered or installed, with the versions offered, oldest first.
        """
        period = self._period(product_key, now)
        found = period.views.get(state)
        if found is None:
            found = period.views[state] = period.make(state)
        return found

    def offered(self, product_key: str, now: datetime) -> View:
        """Everything that some node of the product is offered at `now`, updates of applications included."""
        repository = self._repository(product_key)
        if isinstance(repository, WindowsRepository):
            return repository.offered(now)
        return self.view(product_key, self.empty(product_key), now)

    def moments(self, product_key: str) -> list[datetime]:
        """When something is released, edited or withdrawn, in order."""
        if product_key not in self._moments:
            self._moments[product_key] = sorted(self._repository(product_key).moments())
        return self._moments[product_key]

    def approval_dates(self, product_key: str) -> set[datetime]:
        """The dates that an approval delay can count from: past one of them by the delay, an evaluation changes."""
        return self._repository(product_key).approval_dates()

    def dependencies(self, product_key: str, key: str, evr: Evr | None) -> tuple[tuple[str, Evr | None], ...]:
        """What a package needs when it is installed at `evr`: keys and the version each must at least have.

        Windows updates need none: their prerequisites come as lines of their own.
        """
        repository = self._repository(product_key)
        return repository.dependencies(key, evr) if isinstance(repository, PackageRepository) else ()

    def satisfies(self, product_key: str, has: Installed, at_least: Evr | None) -> bool:
        """Whether an installed version is new enough."""
        if at_least is None or not isinstance(has, Evr):
            return True
        return compare(self.product(product_key).operating_system, has, at_least) >= 0

    def newest(self, product_key: str, versions: Sequence[Version]) -> Evr | None:
        """The newest of the versions that a view has of a package; None of none."""
        best: Evr | None = None
        for version in versions:
            if best is None or compare(self.product(product_key).operating_system, version.evr, best) > 0:
                best = version.evr
        return best

    def install(
        self, product_key: str, state: PackageState, changes: Mapping[str, Evr | None], now: datetime
    ) -> PackageState:
        """The state after `changes` (by id; None for a KB), which remembers the issue of a re-issued KB."""
        repository = self._repository(product_key)
        if isinstance(repository, PackageRepository):
            return state.with_installed(changes)
        return state.with_installed({kb: repository.installed(kb, now) for kb in changes})

    def needs_reboot(self, product_key: str, key: str) -> bool:
        """Whether what was installed under `key` only takes effect with a reboot."""
        repository = self._repository(product_key)
        if isinstance(repository, WindowsRepository):
            return needs_reboot("windows", repository.line(key))
        return needs_reboot(repository.product.family, key.rpartition(".")[0])

    def add(
        self,
        product_key: str,
        name: str,
        arch: str,
        evr: Evr,
        available: datetime,
        *,
        built: datetime | None = None,
        notice: DatedNotice | None = None,
        security_origin: bool = True,
    ) -> None:
        """Publish a version of an rpm or apt package (replacing the same version, if it is there).

        `built` is by default `available`; apt's packages have no such date. Raises LabError for a Windows product.
        """
        repository = self._repository(product_key)
        if not isinstance(repository, PackageRepository):
            raise LabError(f"{product_key} has updates by KB: publish one with add_update")
        apt = repository.product.family == "apt"
        priority, section = priority_and_section(name) if apt else (None, None)
        repository.add(
            Release(
                name=name,
                arch=arch,
                evr=evr,
                available=available,
                built=None if apt else built or available,
                notices=() if notice is None else (notice,),
                priority=priority,
                section=section,
                security_origin=security_origin,
                origin="added",
            )
        )
        self._changed(product_key)

    def add_update(self, product_key: str, update: Update) -> None:
        """Publish a Windows update (replacing the same KB, if it is there). Raises LabError for another product."""
        repository = self._repository(product_key)
        if not isinstance(repository, WindowsRepository):
            raise LabError(f"{product_key} has packages: publish a version with add")
        repository.add(update)
        self._changed(product_key)

    def break_version(self, product_key: str, key: str, evr: Evr | None) -> None:
        """Let the install of a version (None: of a KB) fail on every node, as a bad package does."""
        self.product(product_key)
        self._broken.add((product_key, key, evr))
        self._changed(product_key)

    def is_broken(self, product_key: str, key: str, evr: Evr | None) -> bool:
        """Whether the install of a version fails on every node."""
        return (product_key, key, evr) in self._broken

    def withdraw(self, product_key: str, key: str, evr: Evr | None, when: datetime) -> int:
        """Drop a version of a package (None: all) or a KB at `when`, as a vendor pulls a bad one.

        What has it installed keeps it. Answers how many versions were dropped.
        """
        repository = self._repository(product_key)
        if isinstance(repository, PackageRepository):
            dropped = repository.withdraw(key, evr, when)
        else:
            dropped = repository.withdraw(key, when)
        self._changed(product_key)
        return dropped

    def _changed(self, product_key: str) -> None:
        self.serial += 1
        self._moments.pop(product_key, None)
        self._periods.pop(product_key, None)

    def _repository(self, product_key: str) -> PackageRepository | WindowsRepository:
        product = self.product(product_key)
        if product.family == "windows":
            if product_key not in self._windows:
                self._windows[product_key] = WindowsRepository(product, advisory_data.updates(product))
            return self._windows[product_key]
        if product_key not in self._packages:
            self._packages[product_key] = PackageRepository(product, advisory_data.packages(product))
        return self._packages[product_key]

    def _period(self, product_key: str, now: datetime) -> _Period:
        index = bisect_right(self.moments(product_key), now)
        periods = self._periods.setdefault(product_key, {})
        if index not in periods:
            if len(periods) >= PERIODS_KEPT:
                del periods[min(periods)]
            repository = self._repository(product_key)
            if isinstance(repository, PackageRepository):
                periods[index] = _Period(_package_views(repository, now))
            else:
                periods[index] = _Period(lambda state: repository.view(state, now))
        return periods[index]


class _Period:
    """The views of one product between two moments, by state."""

    def __init__(self, make: Callable[[PackageState], View]) -> None:
        self.make = make
        self.views: dict[PackageState, Any] = {}


def _package_views(repository: PackageRepository, now: datetime) -> Callable[[PackageState], tuple[Package, ...]]:
    """A maker of views that shares between states each package that they have in the same version."""
    offered = repository.versions(now)
    keys = sorted(offered)
    made: dict[tuple[str, Installed | None], Package] = {}

    def package(key: str, installed: Installed | None) -> Package:
        found = made.get((key, installed))
        if found is None:
            found = made[key, installed] = repository.package(key, installed, offered.get(key, ()))
        return found

    def view(state: PackageState) -> tuple[Package, ...]:
        gone = [key for key in state if key not in offered]
        return tuple(package(key, state.get(key)) for key in (*keys, *sorted(gone)))

    return view
