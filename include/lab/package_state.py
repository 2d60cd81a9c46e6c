"""What is installed on a node, shared by all nodes that have the same.

Fifty thousand nodes are in a few hundred states, and a state is asked after far more often than it
changes: so a state is immutable, and there is only ever one object for one content. Two nodes have the
same packages exactly when they hold the same object.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping
from typing import ClassVar, Literal
from weakref import WeakValueDictionary

from lab.evaluate import Evr

Installed = Evr | Literal[True]
"""The version of a package; True for a Windows update, which has none."""


class PackageState:
    """Installed packages by `name.arch`, or Windows updates by KB.

    Made by `of` and `with_installed` alone, compared and hashed by identity.
    """

    __slots__ = ("__weakref__", "_installed")

    _known: ClassVar[WeakValueDictionary[frozenset[tuple[str, Installed]], PackageState]] = WeakValueDictionary()

    def __init__(self, installed: dict[str, Installed]) -> None:
        self._installed = installed

    @classmethod
    def of(cls, installed: Mapping[str, Installed]) -> PackageState:
        """The state with this content."""
        content = frozenset(installed.items())
        found = cls._known.get(content)
        if found is None:
            found = cls._known[content] = cls(dict(installed))
        return found

    def get(self, key: str) -> Installed | None:
        """What is installed of a package or KB; None: nothing."""
        return self._installed.get(key)

    def keys(self) -> KeysView[str]:
        """Every `name.arch`, or every KB."""
        return self._installed.keys()

    def items(self) -> ItemsView[str, Installed]:
        """Every `name.arch` with its version, or every KB."""
        return self._installed.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._installed)

    def __contains__(self, key: str) -> bool:
        return key in self._installed

    def __len__(self) -> int:
        return len(self._installed)

    def __repr__(self) -> str:
        return f"<PackageState of {len(self)}>"

    def with_installed(self, changes: Mapping[str, Installed | None]) -> PackageState:
        """The state after an installation; None (or True) installs a KB."""
        brought: dict[str, Installed] = {key: True if evr is None else evr for key, evr in changes.items()}
        return PackageState.of({**self._installed, **brought})
