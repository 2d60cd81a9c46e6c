"""Service settings and resource data syncs, as a client of AWS sees them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.ssm.settings import ALLOWED, DEFAULTS
from lab.testing import LabHandle

ROLE = "/ssm/managed-instance/default-ec2-instance-management-role"
DESTINATION = {"BucketName": "inventory", "SyncFormat": "JsonSerDe", "Region": "eu-west-3"}
SOURCE = {"SourceType": "SingleAccountMultiRegions", "SourceRegions": ["eu-west-3"]}


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def code(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("setting", sorted(DEFAULTS))
def test_every_setting_has_a_default_that_it_allows(ssm: Any, setting: str) -> None:
    shown = ssm.get_service_setting(SettingId=setting)["ServiceSetting"]
    assert (shown["SettingId"], shown["Status"], shown["LastModifiedUser"]) == (setting, "Default", "System")
    assert shown["ARN"] == f"arn:aws:ssm:eu-west-3:111111111111:servicesetting{setting}"
    assert shown["SettingValue"] in ALLOWED.get(setting, (DEFAULTS[setting],))


def test_a_changed_setting_says_so_until_it_is_reset(lab: LabHandle, ssm: Any) -> None:
    lab.advance(hours=1)
    ssm.update_service_setting(SettingId=ROLE, SettingValue="service-role/PatchRole")
    shown = ssm.get_service_setting(SettingId=ROLE)["ServiceSetting"]
    assert (shown["SettingValue"], shown["Status"]) == ("service-role/PatchRole", "Customized")
    assert shown["LastModifiedDate"] == lab.world.clock.now()
    assert ssm.reset_service_setting(SettingId=ROLE)["ServiceSetting"]["Status"] == "Default"
    assert ssm.get_service_setting(SettingId=ROLE)["ServiceSetting"]["SettingValue"] == DEFAULTS[ROLE]


def test_a_setting_is_found_by_its_arn(ssm: Any) -> None:
    arn = f"arn:aws:ssm:eu-west-3:111111111111:servicesetting{ROLE}"
    assert ssm.get_service_setting(SettingId=arn)["ServiceSetting"]["SettingId"] == ROLE


def test_an_unknown_setting_and_a_wrong_value_are_typed_errors(ssm: Any) -> None:
    assert code(ssm.get_service_setting, SettingId="/ssm/no/such") == "ServiceSettingNotFound"
    permission = "/ssm/documents/console/public-sharing-permission"
    assert code(ssm.update_service_setting, SettingId=permission, SettingValue="Maybe") == "ValidationException"


def test_an_account_changes_only_its_own_settings(lab: LabHandle, ssm: Any) -> None:
    ssm.update_service_setting(SettingId=ROLE, SettingValue="service-role/PatchRole")
    other = lab.client("ssm", account="222222222222").get_service_setting(SettingId=ROLE)
    assert other["ServiceSetting"]["Status"] == "Default"


def test_a_data_sync_is_kept_until_it_is_deleted(lab: LabHandle, ssm: Any) -> None:
    assert ssm.list_resource_data_sync()["ResourceDataSyncItems"] == []
    ssm.create_resource_data_sync(SyncName="inventory", S3Destination=DESTINATION)
    item = ssm.list_resource_data_sync()["ResourceDataSyncItems"][0]
    assert (item["SyncName"], item["SyncType"], item["S3Destination"]) == (
        "inventory",
        "SyncToDestination",
        DESTINATION,
    )
    assert item["SyncCreatedTime"] == lab.world.clock.now()
    assert "LastSuccessfulSyncTime" not in item
    assert code(ssm.create_resource_data_sync, SyncName="inventory", S3Destination=DESTINATION) == (
        "ResourceDataSyncAlreadyExistsException"
    )
    ssm.delete_resource_data_sync(SyncName="inventory")
    assert code(ssm.delete_resource_data_sync, SyncName="inventory") == "ResourceDataSyncNotFoundException"
    assert ssm.list_resource_data_sync()["ResourceDataSyncItems"] == []


def test_point_9_an_account_has_at_most_five_data_syncs(ssm: Any) -> None:
    for number in range(5):
        ssm.create_resource_data_sync(SyncName=f"sync-{number}", S3Destination=DESTINATION)
    assert code(ssm.create_resource_data_sync, SyncName="sync-5", S3Destination=DESTINATION) == (
        "ResourceDataSyncCountExceededException"
    )


def test_a_data_sync_needs_what_its_type_says(ssm: Any) -> None:
    invalid = "ResourceDataSyncInvalidConfigurationException"
    assert code(ssm.create_resource_data_sync, SyncName="x") == invalid
    assert code(ssm.create_resource_data_sync, SyncName="x", SyncType="SyncFromSource") == invalid
    assert code(ssm.create_resource_data_sync, SyncName="x", SyncType="SyncSideways") == invalid
    bad = {**SOURCE, "SourceType": "Everyone"}
    assert code(ssm.create_resource_data_sync, SyncName="x", SyncType="SyncFromSource", SyncSource=bad) == invalid


def test_only_a_sync_from_a_source_can_be_updated(ssm: Any) -> None:
    ssm.create_resource_data_sync(SyncName="out", S3Destination=DESTINATION)
    ssm.create_resource_data_sync(SyncName="in", SyncType="SyncFromSource", SyncSource=SOURCE)
    wider = {**SOURCE, "SourceRegions": ["eu-west-3", "eu-west-1"]}
    ssm.update_resource_data_sync(SyncName="in", SyncType="SyncFromSource", SyncSource=wider)
    listed = ssm.list_resource_data_sync(SyncType="SyncFromSource")["ResourceDataSyncItems"]
    assert [item["SyncName"] for item in listed] == ["in"]
    assert listed[0]["SyncSource"]["SourceRegions"] == ["eu-west-3", "eu-west-1"]
    assert code(ssm.update_resource_data_sync, SyncName="out", SyncType="SyncToDestination", SyncSource=SOURCE) == (
        "ResourceDataSyncInvalidConfigurationException"
    )
