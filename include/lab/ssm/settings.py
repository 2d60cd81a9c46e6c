"""Service settings: account-wide switches of Systems Manager that the lab keeps and does not act on.

Ids: B:GetServiceSetting. Defaults: the user guide's pages on each; where it names none, the value that
stands for "not set".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.ssm.base import SSMOperations, error

DEFAULTS: Mapping[str, str] = {
    "/ssm/appmanager/appmanager-enabled": "False",
    "/ssm/automation/customer-script-log-destination": "None",
    "/ssm/automation/customer-script-log-group-name": "/aws/ssm/automation/executeScript",
    "/ssm/automation/enable-adaptive-concurrency": "False",
    "/ssm/documents/console/public-sharing-permission": "Enable",
    "/ssm/managed-instance/activation-tier": "standard",
    "/ssm/managed-instance/default-ec2-instance-management-role": "$None",
    "/ssm/opsinsights/opscenter": "Disabled",
    "/ssm/parameter-store/default-parameter-tier": "Standard",
    "/ssm/parameter-store/high-throughput-enabled": "false",
}
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "/ssm/automation/customer-script-log-destination": ("CloudWatch", "None"),
    "/ssm/automation/enable-adaptive-concurrency": ("True", "False"),
    "/ssm/documents/console/public-sharing-permission": ("Enable", "Disable"),
    "/ssm/managed-instance/activation-tier": ("standard", "advanced"),
    "/ssm/opsinsights/opscenter": ("Enabled", "Disabled"),
    "/ssm/parameter-store/default-parameter-tier": ("Standard", "Advanced", "Intelligent-Tiering"),
    "/ssm/parameter-store/high-throughput-enabled": ("true", "false"),
}
PROVISIONED = datetime(2019, 4, 17, 20, 26, 58, tzinfo=UTC)
"""LastModifiedDate of a setting that nobody changed."""


@dataclass(frozen=True, slots=True)
class ServiceSetting:
    """A setting that the account changed."""

    value: str
    modified: datetime
    user: str


class SettingOperations(SSMOperations):
    """GetServiceSetting, UpdateServiceSetting, ResetServiceSetting."""

    def get_service_setting(self) -> dict[str, Any]:
        """A setting's value. The id is as the model lists it, or an ARN. Raises ServiceSettingNotFound."""
        return {"ServiceSetting": self._shown(self._setting_id())}

    def update_service_setting(self) -> dict[str, Any]:
        """Change a setting. Raises ValidationException for a value that it does not take."""
        setting_id, value = self._setting_id(), self.params["SettingValue"]
        allowed = ALLOWED.get(setting_id, (value,))
        if value not in allowed:
            raise error("ValidationException", f"{setting_id} takes one of {', '.join(allowed)}, found {value}.")
        user = f"arn:aws:iam::{self.location.account}:root"
        self.location.service_settings[setting_id] = ServiceSetting(value, self.now(), user)
        return {}

    def reset_service_setting(self) -> dict[str, Any]:
        """Give a setting its default again."""
        setting_id = self._setting_id()
        self.location.service_settings.pop(setting_id, None)
        return {"ServiceSetting": self._shown(setting_id)}

    def _setting_id(self) -> str:
        given: str = self.params["SettingId"]
        prefix = self.location.arn("servicesetting/")
        setting_id = "/" + given.removeprefix(prefix).removeprefix("/")
        if setting_id not in DEFAULTS:
            raise error("ServiceSettingNotFound", f"Setting {given} does not exist. Settings: {', '.join(DEFAULTS)}")
        return setting_id

    def _shown(self, setting_id: str) -> dict[str, Any]:
        changed = self.location.service_settings.get(setting_id)
        return {
            "SettingId": setting_id,
            "SettingValue": DEFAULTS[setting_id] if changed is None else changed.value,
            "LastModifiedDate": PROVISIONED if changed is None else changed.modified,
            "LastModifiedUser": "System" if changed is None else changed.user,
            "ARN": self.location.arn(f"servicesetting{setting_id}"),
            "Status": "Default" if changed is None else "Customized",
        }
