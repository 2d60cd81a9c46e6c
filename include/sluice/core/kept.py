"""A property whose value is worked out once for each object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class kept(Generic[T]):  # noqa: N801  # used as a decorator, as property is
    """As `functools.cached_property`, without its lock.

    Python 3.11's has one lock for all objects of a class: where working out asks AWS, one slow location would stop all
    others. Two threads that ask one object at once may both work it out.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        value = self._function(instance)
        instance.__dict__[self._name] = value  # found before this descriptor from now on
        return value
