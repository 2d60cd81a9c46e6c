"""Finding things by filters: the comparisons that Systems Manager's filters know, and lazy pages.

A fleet has fifty thousand nodes and a page fifty: a page looks at no more of them than it must, and
its token says where it stopped, so that reading everything looks at each node once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from lab.ssm.base import SSMOperations

T = TypeVar("T")


def select(
    operation: SSMOperations, items: Iterable[T], wanted: Callable[[T], bool], default: int, at_most: int = 50
) -> tuple[list[T], dict[str, str]]:
    """One page of those `items` that are `wanted`, and the `NextToken` member, if any, to add to the answer.

    The request's `MaxResults` decides the page's size, `default` without one. Raises InvalidNextToken
    for a token that is not ours.
    """
    return select_from(operation, lambda start: enumerate(islice(items, start, None), start), wanted, default, at_most)


def select_from(
    operation: SSMOperations,
    numbered_from: Callable[[int], Iterable[tuple[int, T]]],
    wanted: Callable[[T], bool],
    default: int,
    at_most: int = 50,
) -> tuple[list[T], dict[str, str]]:
    """As `select`, of items that can be had from any number on; numbers rise, and may leave gaps."""
    size = min(operation.params.get("MaxResults") or default, at_most)
    found: list[T] = []
    for number, item in numbered_from(operation.page_start()):
        if wanted(item):
            if len(found) == size:
                return found, operation.next_token(number)
            found.append(item)
    return found, {}


def compare(operator: str, actual: str, values: Sequence[str]) -> bool:
    """Whether `actual` is as the filter says of any of `values` (not-equal: of all of them).

    Operators are taken in every spelling of the API (`NotEqual`, `NOT_EQUAL`). Letter case does not
    matter: AWS's own samples filter an inventory's `Terminated` by `terminated`. Less and greater
    compare numbers and versions by their parts, everything else (times) as text.
    """
    kind = operator.replace("_", "").lower()
    if kind in ("equal", "notequal"):
        same = actual.lower() in {value.lower() for value in values}
        return same == (kind == "equal")
    if kind == "beginwith":
        return actual.lower().startswith(tuple(value.lower() for value in values))
    if kind == "lessthan":
        return any(_orders(actual, value) for value in values)
    if kind == "greaterthan":
        return any(_orders(value, actual) for value in values)
    raise ValueError(f"unknown filter operator {operator}")


def _orders(first: str, second: str) -> bool:
    a, b = _parts(first), _parts(second)
    return first < second if a is None or b is None else a < b


def _parts(text: str) -> tuple[int, ...] | None:
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d{1,18}(\.\d{1,18})*", text) else None
