"""Which DAG releases which window: names alone, so that whoever triggers DAGs agrees with whoever makes them."""

from __future__ import annotations

NAMED = {
    "patch_scan": "scan-daily",
    "patch_install_nonprod": "install-nonprod",
    "patch_install_prod_linux": "install-prod-linux",
    "patch_install_prod_windows": "install-prod-windows",
}
"""The windows that have a DAG file of their own."""
REBOOT = "patch_reboot"
"""The DAG whose runs reboot and install nothing."""

TAKEN = frozenset(
    f"patch_{name}" for name in ("backup_retention", "halt", "policy", "reboot", "rollback", "scan", "windows")
)
"""Ids that no window's DAG gets: those of other DAGs, and of two that do not exist yet, for backups and rollbacks."""
OTHERWISE = ".window"
"""The end of a DAG's id whose window has such a name: no name in the policy has a dot."""


def dag_of(window: str) -> str:
    """The id of a window's DAG."""
    named = {name: dag_id for dag_id, name in NAMED.items()}
    dag_id = f"patch_{window.replace('-', '_')}"
    return named.get(window) or (f"{dag_id}{OTHERWISE}" if dag_id in TAKEN else dag_id)


def window_of(dag_id: str) -> str:
    """The window of a DAG by its id: `dag_of`'s inverse, as names in the policy have no underscores."""
    return NAMED.get(dag_id) or dag_id.removeprefix("patch_").removesuffix(OTHERWISE).replace("_", "-")
