"""What a node downloads, and why it may not."""

from __future__ import annotations

import json

import pytest

from lab.downloads import DownloadError, baseline_override, fetch, install_override_list, parse_url
from lab.testing import LabHandle


@pytest.mark.parametrize(
    "url",
    [
        "s3://ops/lists/a.yaml",
        "https://s3.eu-west-3.amazonaws.com/ops/lists/a.yaml",
        "https://s3-eu-west-3.amazonaws.com/ops/lists/a.yaml?X-Amz-Signature=1",
        "https://ops.s3.eu-west-3.amazonaws.com/lists/a.yaml",
        "https://ops.s3.amazonaws.com/lists/a.yaml",
    ],
)
def test_every_way_to_write_an_object_of_s3_is_understood(url: str) -> None:
    assert parse_url(url) == ("ops", "lists/a.yaml")


def test_what_is_no_object_of_s3_is_refused() -> None:
    with pytest.raises(DownloadError, match="not an s3"):
        parse_url("ftp://example.com/list.yaml")


def put(lab: LabHandle, body: str, policy: str | None = None) -> str:
    s3 = lab.client("s3")
    s3.create_bucket(Bucket="ops", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    s3.put_object(Bucket="ops", Key="list", Body=body.encode())
    if policy is not None:
        s3.put_bucket_policy(Bucket="ops", Policy=policy)
    return "s3://ops/list"


def test_a_list_is_read_with_and_without_titles(lab: LabHandle) -> None:
    url = put(lab, "patches:\n- id: 'kernel.x86_64'\n- id: KB123\n  title: '*1:2*'\n")
    entries = install_override_list(lab.location(), url).patches
    assert [(entry.id, entry.title) for entry in entries] == [("kernel.x86_64", None), ("KB123", "*1:2*")]


@pytest.mark.parametrize("body", ["", "patches: 3", "- id: a", "patches: [{title: x}]", "{", "patches:\n  - [a]"])
def test_what_is_no_list_is_said_to_be_none(lab: LabHandle, body: str) -> None:
    with pytest.raises(DownloadError, match="Unable to parse"):
        install_override_list(lab.location(), put(lab, body))


def test_a_bucket_of_another_account_is_denied_unless_its_policy_names_the_account(lab: LabHandle) -> None:
    url = put(lab, "patches: []")
    other = lab.location("222222222222")
    with pytest.raises(DownloadError, match="Access denied"):
        fetch(other, url)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::ops/*",
    }
    lab.client("s3").put_bucket_policy(Bucket="ops", Policy=json.dumps({"Statement": [statement]}))
    assert fetch(other, url) == b"patches: []"


def test_a_missing_object_and_a_missing_bucket_are_told_apart(lab: LabHandle) -> None:
    put(lab, "x")
    with pytest.raises(DownloadError, match="does not exist"):
        fetch(lab.location(), "s3://ops/other")
    with pytest.raises(DownloadError, match="The bucket of"):
        fetch(lab.location(), "s3://nowhere/other")


def test_a_baseline_override_is_chosen_by_operating_system(lab: LabHandle) -> None:
    url = put(lab, json.dumps([{"OperatingSystem": "UBUNTU"}, {"OperatingSystem": "WINDOWS", "Name": "w"}]))
    now = lab.world.clock.now()
    assert baseline_override(lab.location(), url, "WINDOWS", now).body["Name"] == "w"
    with pytest.raises(DownloadError, match="no baseline for CENTOS"):
        baseline_override(lab.location(), url, "CENTOS", now)
