"""Replaces attributes of moto's modules and classes, and puts them back."""

from __future__ import annotations

from typing import Any


class Swaps:
    """What has been replaced, in order; `restore` undoes it."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Replace `owner.name`. Raises AttributeError where moto has no such thing (any more)."""
        self._before.append((owner, name, vars(owner)[name] if name in vars(owner) else getattr(owner, name)))
        setattr(owner, name, value)

    def restore(self) -> None:
        """Put everything back as it was."""
        while self._before:
            owner, name, value = self._before.pop()
            setattr(owner, name, value)
