"""IAM permissions, declared beside each function that calls AWS.

    @calls("ssm:DescribeMaintenanceWindows")
    def read_windows(connection): ...

    @calls("ssm:DeleteMaintenanceWindow", resources="arn:{partition}:ssm:{region}:{account}:maintenancewindow/*",
           when="owned")
    def delete(connection, window_id): ...

The roles' policies are generated from `declared()`; a test holds what is called against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

F = TypeVar("F", bound=Callable[..., object])

When = Literal["always", "owned", "created"]
"""always: no condition. owned: the resource carries the deployment's tag (`aws:ResourceTag/sluice:deployment`).
created: the request gives the new resource that tag (`aws:RequestTag/sluice:deployment`)."""

Where = Literal["groups", "release tag", "creates image"]
"""Further conditions. groups: the node is in a patch group of the duty's rings; for a scanner, in none. release tag: of
tags only `sluice:release` is put on or taken off. creates image: the tags are put on while the image is made."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What one function needs."""

    function: str
    """`sluice.aws.windows.delete`."""
    actions: tuple[str, ...]
    """`ssm:DeleteMaintenanceWindow`."""
    resources: tuple[str, ...]
    """ARNs with `{partition}`, `{account}`, `{region}`, `{role_path}`, `{role}`, `{window_service}` and
    `{operations}`, `{logs}` and `{inventory}` (buckets) to fill in, or `*`: what IAM knows no resource for is refused
    on anything else."""
    when: When
    where: tuple[Where, ...] = ()


_DECLARED: list[Permission] = []


def calls(
    *actions: str, resources: str | tuple[str, ...] = "*", when: When = "always", where: tuple[Where, ...] = ()
) -> Callable[[F], F]:
    """Declare the IAM actions that a function needs, and on what. Several declarations of a function add up."""

    def declare(function: F) -> F:
        name = f"{function.__module__}.{function.__qualname__}"
        _DECLARED.append(
            Permission(name, actions, (resources,) if isinstance(resources, str) else tuple(resources), when, where)
        )
        return function

    return declare


def declared() -> tuple[Permission, ...]:
    """What was declared in the modules that are imported."""
    return tuple(_DECLARED)
