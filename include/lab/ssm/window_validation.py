"""What the operations on windows, their targets and their tasks share: lookups, filters, merging updates.

Messages in quotes in the docstrings of these four modules are AWS's own, as users report them; where none
is known the code is AWS's and the words are the lab's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from lab.ssm.base import error
from lab.ssm.model import Window
from lab.world import Location

T = TypeVar("T")

DEFAULT_PAGE = 50
MAX_PAGE = 100

Targets = Sequence[Mapping[str, Any]]
"""`Targets` of the API: `[{"Key": "tag:Patch Group", "Values": ["web"]}]`."""


def find_window(location: Location, window_id: str) -> Window:
    """The window, or DoesNotExistException."""
    window = location.windows.get(window_id)
    if window is None:
        raise error("DoesNotExistException", f"Maintenance window {window_id} does not exist")
    return window


def invalid(message: str) -> Exception:
    """A ValidationException to raise."""
    return error("ValidationException", message)


def full(what: str, limit: int) -> Exception:
    """The exception for one thing more than the quota allows."""
    return error("ResourceLimitExceededException", f"The maximum number of {what} is {limit}.")


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a response that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def matching(
    items: Iterable[T], filters: Sequence[Mapping[str, Any]] | None, keys: Mapping[str, Callable[[T, str], bool]]
) -> list[T]:
    """The items that every filter lets through; a filter's values are alternatives.

    Raises ValidationException for a key that the operation doesn't document.
    """
    for given in filters or ():
        if given.get("Key") not in keys:
            raise invalid(f"Filter key {given.get('Key')} is not supported. Supported keys are {', '.join(keys)}.")
    return [
        item
        for item in items
        if all(any(keys[given["Key"]](item, value) for value in given.get("Values") or ()) for given in filters or ())
    ]


def merged(
    request: Mapping[str, Any],
    members: Mapping[str, str],
    current: Callable[[str], Any],
    required: Iterable[str],
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    """The attributes of a record after an update; `members` maps the API's members to attributes.

    What the request leaves out keeps its `current` value. With `Replace` it goes back to its default
    (None without one), and to leave out a `required` member is a ValidationException.
    """
    replace = request.get("Replace", False)
    missing = [name for name in required if name not in request] if replace else []
    if missing:
        nulls = "; ".join(
            f"Value null at '{name[:1].lower()}{name[1:]}' failed to satisfy constraint: Member must not be null"
            for name in missing
        )
        raise invalid(f"{len(missing)} validation error{'s' if len(missing) > 1 else ''} detected: {nulls}")
    return {
        attribute: request[name] if name in request else defaults.get(attribute) if replace else current(attribute)
        for name, attribute in members.items()
    }


def check_values(targets: Targets) -> None:
    """Refuse targets that name nothing: "Please specify at least one target.  Filter values can't be null…"."""
    if not targets:
        raise invalid("Please specify at least one target.")
    for group in targets:
        if not group.get("Key"):
            raise invalid("Please specify at least one target.  Target key can't be null.")
        if not group.get("Values"):
            raise invalid(f"Please specify at least one target.  Filter values can't be null and {group['Key']} is.")


def values_of(targets: Targets, key: str) -> list[str]:
    """Every value that `targets` give for a key."""
    return [value for group in targets if group["Key"] == key for value in group.get("Values") or ()]
