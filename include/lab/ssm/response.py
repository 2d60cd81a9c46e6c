"""Systems Manager as the lab answers it: each operation goes to the class of its noun."""

from __future__ import annotations

from typing import Any

from moto.core.utils import camelcase_to_underscores

from lab.ssm.associations import AssociationOperations
from lab.ssm.automations import AutomationOperations
from lab.ssm.base import SSMOperations
from lab.ssm.baselines import BaselineOperations
from lab.ssm.calendars import CalendarOperations
from lab.ssm.commands import CommandOperations
from lab.ssm.compliance import ComplianceOperations
from lab.ssm.data_syncs import DataSyncOperations
from lab.ssm.document_operations import DocumentOperations
from lab.ssm.executions import ExecutionOperations
from lab.ssm.inventory import InventoryOperations
from lab.ssm.nodes import NodeOperations
from lab.ssm.patch_catalog import PatchCatalogOperations
from lab.ssm.patch_groups import PatchGroupOperations
from lab.ssm.patch_states import PatchStateOperations
from lab.ssm.settings import SettingOperations
from lab.ssm.tags import TagOperations
from lab.ssm.window_targets import WindowTargetOperations
from lab.ssm.window_tasks import WindowTaskOperations
from lab.ssm.windows import WindowOperations

NOUNS: tuple[type[SSMOperations], ...] = (
    AssociationOperations,
    AutomationOperations,
    BaselineOperations,
    CalendarOperations,
    CommandOperations,
    ComplianceOperations,
    DataSyncOperations,
    DocumentOperations,
    ExecutionOperations,
    InventoryOperations,
    NodeOperations,
    PatchCatalogOperations,
    PatchGroupOperations,
    PatchStateOperations,
    SettingOperations,
    TagOperations,
    WindowOperations,
    WindowTargetOperations,
    WindowTaskOperations,
)

_OWNERS: dict[str, type[SSMOperations]] = {method: noun for noun in NOUNS for method in noun.own_operations}


class LabSSMResponse(SSMOperations):
    """What moto's routing calls: hands each request to the class that has its operation."""

    @classmethod
    def dispatch(cls, request: Any, full_url: str, headers: Any) -> Any:
        """Answer a request; operations that no noun has are moto's, or unsupported (`SSMOperations`)."""
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        owner = _OWNERS.get(camelcase_to_underscores(operation), SSMOperations)
        return owner()._dispatch(request, full_url, headers)
