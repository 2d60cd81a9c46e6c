"""The plan of one target location: what differs from the policy, and the steps that make it so. Pure.

Steps are ordered so that a kill between any two leaves nothing that can fire, and the next plan takes up
where this one ended: each step is found done by reading, none by remembering.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from sluice.core.policy.diff import Difference, differences
from sluice.core.policy.objects import (
    BASELINE,
    CONFIG_RULE,
    DATA_SYNC,
    DEFAULT,
    DOCUMENT,
    GROUP,
    TARGET,
    TASK,
    WINDOW,
    AWSObject,
    DataSync,
    DefaultBaseline,
    Key,
    MaintenanceWindow,
    PatchBaseline,
    Registration,
    WindowTarget,
    WindowTask,
)
from sluice.core.policy.others import Notice, Other, notices

Action = Literal["create", "update", "delete", "unchanged"]
Act = Literal["create", "update", "delete", "hold", "settle"]


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it is in AWS. References in it are AWS's ids: a plan turns them into names."""

    key: Key
    id: str
    object: AWSObject
    owned: bool = True
    """Whether it carries the deployment's ownership tags, or hangs on something that does."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What is in a location: the objects of the deployment, those that stand in their place, and others."""

    objects: tuple[Found, ...] = ()
    others: tuple[Other, ...] = ()
    deployments: tuple[str, ...] = ()
    """Other deployments that have windows here: they run the same document."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of an object."""

    action: Action
    key: Key
    differences: tuple[Difference, ...] = ()
    found: Found | None = None
    wanted: AWSObject | None = None
    take_over: str | None = None
    """What has to be agreed to with `--take-over`, for what is not ours."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act on one object. hold: disable a window. settle: give a window all that it is at rest."""

    act: Act
    key: Key
    wanted: AWSObject | None = None
    found: Found | None = None


@dataclass(frozen=True)
class Plan:
    """What differs in a location."""

    account: str
    region: str
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]

    @property
    def key(self) -> str:
        """`111111111111/eu-west-3`."""
        return f"{self.account}/{self.region}"

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that change something."""
        return tuple(change for change in self.changes if change.action != "unchanged")

    @property
    def ids(self) -> dict[Key, str]:
        """AWS's ids of what is there and stays."""
        return {change.key: change.found.id for change in self.changes if change.found and change.action != "delete"}

    def count(self, action: Action) -> int:
        """How many objects that is to become of."""
        return sum(change.action == action for change in self.changes)

    def needs(self, agreed: Iterable[str] = ()) -> tuple[str, ...]:
        """What has to be taken over first and is not agreed to, each once."""
        wanted = {change.take_over for change in self.pending if change.take_over}
        wanted |= {name for notice in self.notices for name in notice.take_over}
        return tuple(sorted(wanted - set(agreed)))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The acts, in a safe order."""
        return tuple(_steps(self.changes))


def make_plan(account: str, region: str, wanted: Mapping[Key, AWSObject], actual: Actual) -> Plan:
    """Compare what a policy wants with what is there. An empty `wanted` plans to remove all that is ours."""
    chosen, surplus = _choose(wanted, actual.objects)
    named = {key: replace(found, object=_named(found.object, chosen)) for key, found in chosen.items()}
    changes = [_change(key, wanted.get(key), named.get(key)) for key in _in_order(wanted, named)]
    changes += [_removal(found) for found in surplus if found.owned]
    planned = [change for change in changes if change is not None]
    shared = [change for change in planned if change.action == "delete" and change.key.noun == DOCUMENT]
    kept = shared if actual.deployments else []
    settled = tuple(change for change in planned if change not in kept)
    groups = {object.group for object in wanted.values() if isinstance(object, Registration)}
    altered = {
        change.wanted.group
        for change in settled
        if change.action in ("create", "update") and isinstance(change.wanted, Registration)
    }
    dropped = {
        change.found.object.group
        for change in settled
        if change.action == "delete" and change.found and isinstance(change.found.object, Registration)
    }
    defaults = sorted(one.key.name for one in settled if one.key.noun == DEFAULT and one.action != "unchanged")
    told = notices(actual.others, sorted(groups | dropped), altered, dropped, defaults)
    return Plan(account, region, settled, (*(_stays(change.key, actual.deployments) for change in kept), *told))


def _choose(wanted: Mapping[Key, AWSObject], objects: Iterable[Found]) -> tuple[dict[Key, Found], list[Found]]:
    """One object for each key, and those beyond: copies, and what cannot become what is wanted."""
    by_key: dict[Key, list[Found]] = defaultdict(list)
    for found in objects:
        by_key[found.key].append(found)
    chosen: dict[Key, Found] = {}
    surplus: list[Found] = []
    for key, all_found in by_key.items():
        fit: list[Found] = []
        unfit: list[Found] = []
        for found in sorted(all_found, key=lambda one: (not one.owned, one.id)):
            (fit if _can_become(found.object, wanted.get(key)) else unfit).append(found)
        if fit:
            chosen[key] = fit[0]
        surplus += [*fit[1:], *unfit]
    return chosen, surplus


def _can_become(found: AWSObject, wanted: AWSObject | None) -> bool:
    """Whether an update can make it so: some things AWS only makes anew."""
    if isinstance(found, PatchBaseline) and isinstance(wanted, PatchBaseline):
        return found.operating_system == wanted.operating_system
    if isinstance(found, WindowTask) and isinstance(wanted, WindowTask):
        return found.task_type == wanted.task_type
    if isinstance(found, DataSync) and isinstance(wanted, DataSync):
        return found == wanted
    return True


def _named(object: AWSObject, chosen: Mapping[Key, Found]) -> AWSObject:
    """An object whose references are names where they are to what is chosen."""
    if isinstance(object, Registration | DefaultBaseline):
        return replace(object, baseline=_name_of(BASELINE, object.baseline, chosen))
    if isinstance(object, WindowTask):
        return replace(object, target=_name_of(TARGET, object.target, chosen).rpartition("/")[2])
    return object


def _name_of(noun: str, id: str, chosen: Mapping[Key, Found]) -> str:
    return next((key.name for key, found in chosen.items() if key.noun == noun and found.id == id), id)


def _in_order(wanted: Mapping[Key, AWSObject], found: Mapping[Key, Found]) -> list[Key]:
    return [*wanted, *(key for key in sorted(found) if key not in wanted)]


def _change(key: Key, wanted: AWSObject | None, found: Found | None) -> Change | None:
    if wanted is None:
        return _removal(found) if found and found.owned else None
    if found is None:
        return Change("create", key, differences(None, wanted), None, wanted)
    changed = differences(found.object, wanted)
    if not changed:
        return Change("unchanged", key, (), found, wanted)
    take_over = None
    if not found.owned:
        take_over = wanted.group if isinstance(wanted, Registration) else str(key)
    return Change("update", key, changed, found, wanted, take_over)


def _stays(key: Key, deployments: Iterable[str]) -> Notice:
    """That a document outlives the deployment that made it."""
    effect = f"stays: windows of other deployments run it ({', '.join(deployments)}); the last one takes it away"
    return Notice(key.noun, key.name, key.name, effect)


def _removal(found: Found) -> Change:
    return Change("delete", found.key, differences(found.object, None), found)


def _steps(changes: tuple[Change, ...]) -> Iterator[Step]:
    by_noun: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_noun[change.key.noun].append(change)
    windows = [_WindowChanges(change, by_noun) for change in by_noun[WINDOW]]
    # First of all what could fire: an enabled window that is not to be, or is to be changed.
    for window in windows:
        yield from window.hold()
    for window in windows:
        yield from window.removal()
    for noun in (DOCUMENT, BASELINE):
        yield from _of(by_noun[noun], "create", "update")
    # A baseline that goes must serve nothing; a group has one baseline of an operating system at a time.
    for noun in (GROUP, DEFAULT):
        yield from _of(by_noun[noun], "delete")
        yield from _of(by_noun[noun], "create", "update")
    for window in windows:
        yield from window.steps()
    for noun in (BASELINE, DATA_SYNC, CONFIG_RULE, DOCUMENT):
        yield from _of(by_noun[noun], "delete")
    for noun in (DATA_SYNC, CONFIG_RULE):
        yield from _of(by_noun[noun], "create", "update")


def _of(changes: Iterable[Change], *actions: Action) -> Iterator[Step]:
    for action in actions:
        for change in changes:
            if change.action == action and action != "unchanged":
                yield Step(action, change.key, change.wanted, change.found)


class _WindowChanges:
    """A window with its targets and tasks."""

    def __init__(self, change: Change, by_noun: Mapping[str, list[Change]]) -> None:
        self.change = change
        self.targets = [other for other in by_noun.get(TARGET, ()) if self._is_mine(other)]
        self.tasks = [other for other in by_noun.get(TASK, ()) if self._is_mine(other)]

    def _is_mine(self, other: Change) -> bool:
        part = other.wanted or (other.found.object if other.found else None)
        return isinstance(part, WindowTarget | WindowTask) and part.window == self.change.key.name

    @property
    def _touched(self) -> bool:
        return any(change.action != "unchanged" for change in (self.change, *self.targets, *self.tasks))

    @property
    def _enabled(self) -> bool:
        found = self.change.found.object if self.change.found else None
        return isinstance(found, MaintenanceWindow) and found.enabled

    def hold(self) -> Iterator[Step]:
        """Disable it where it is enabled and anything of it changes."""
        if self._enabled and self._touched:
            yield Step("hold", self.change.key, self.change.wanted, self.change.found)

    def steps(self) -> Iterator[Step]:
        """Make it and its parts so; it gets its schedule, and is enabled if it is to be, last."""
        change = self.change
        if change.action == "delete" or not self._touched:
            return
        if change.action == "create":
            yield Step("create", change.key, change.wanted)
            yield Step("hold", change.key, change.wanted)
        yield from _of(self.tasks, "delete")
        yield from _of(self.targets, "create", "update")
        yield from _of(self.tasks, "create", "update")
        yield from _of(self.targets, "delete")
        if change.action != "unchanged" or self._enabled:
            yield Step("settle", change.key, change.wanted, change.found)

    def removal(self) -> Iterator[Step]:
        """Its targets and tasks go with it."""
        if self.change.action == "delete":
            yield Step("delete", self.change.key, None, self.change.found)
