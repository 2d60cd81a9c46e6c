"""`python -m lab evaluate`: a node as JSON in, its rows as JSON out."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from lab.evaluate import main

RULES = {
    "BaselineId": "pb-0123456789abcdef0",
    "OperatingSystem": "AMAZON_LINUX_2023",
    "GlobalFilters": {"PatchFilters": []},
    "ApprovalRules": {
        "PatchRules": [
            {
                "PatchFilterGroup": {"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["Security"]}]},
                "ComplianceLevel": "HIGH",
                "ApproveAfterDays": 7,
                "EnableNonSecurity": False,
            }
        ]
    },
    "ApprovedPatches": [],
    "ApprovedPatchesComplianceLevel": "UNSPECIFIED",
    "ApprovedPatchesEnableNonSecurity": False,
    "RejectedPatches": [],
    "RejectedPatchesAction": "ALLOW_AS_DEPENDENCY",
    "CreatedDate": "2025-01-01T00:00:00+00:00",
    "Sources": [],
}
UPDATE = {
    "epoch": 1,
    "version": "3.0.8",
    "release": "1.amzn2023.0.22",
    "built": "2025-05-01T08:00:00Z",
    "notice": {
        "id": "ALAS2023-2025-1000",
        "updated": "2025-05-10T00:00:00Z",
        "classification": "Security",
        "severity": "Important",
        "cves": ["CVE-2025-0001"],
    },
    "priority": None,
    "section": None,
    "security_origin": None,
}
OPENSSL = {
    "name": "openssl",
    "arch": "x86_64",
    "installed": {"epoch": 1, "version": "3.0.8", "release": "1.amzn2023.0.21"},
    "versions": [UPDATE],
}
LINUX = {
    "os": "AMAZON_LINUX_2023",
    "product": "AmazonLinux2023",
    "now": "2025-06-02T00:00:00Z",
    "baseline": RULES,
    "override_list": None,
    "packages": [OPENSSL],
}
WINDOWS = {
    "os": "WINDOWS",
    "product": "WindowsServer2022",
    "now": "2025-06-02T00:00:00Z",
    "baseline": {},
    "packages": [
        {
            "kb": "KB5058385",
            "installed": False,
            "title": "2025-05 Cumulative Update",
            "product": "WindowsServer2022",
            "product_family": "Windows",
            "classification": "SecurityUpdates",
            "msrc_severity": "Critical",
            "patch_set": "OS",
            "released": "2025-05-13T17:00:00Z",
        }
    ],
}


def run(document: Any) -> tuple[int, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    text = document if isinstance(document, str) else json.dumps(document)
    return main(io.StringIO(text), stdout, stderr), stdout.getvalue(), stderr.getvalue()


def rows(document: Any) -> list[dict[str, Any]]:
    code, out, err = run(document)
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def refused(document: Any) -> list[str]:
    code, out, err = run(document)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert all(line.startswith("evaluate: ") for line in lines)
    return [line.removeprefix("evaluate: ") for line in lines]


def test_a_row_has_id_title_state_compliance_matched_and_requested() -> None:
    assert rows(LINUX) == [
        {
            "id": "openssl.x86_64",
            "title": "openssl.x86_64:1:3.0.8-1.amzn2023.0.22",
            "state": "MISSING",
            "compliance": "HIGH",
            "matched": True,
            "requested": True,
        }
    ]


def test_an_absent_epoch_is_0() -> None:
    for absent in ({}, {"epoch": None}, {"epoch": ""}, {"epoch": "(none)"}, {"epoch": "0"}):
        package = {**OPENSSL, "installed": {"version": "1.0", "release": "1", **absent}, "versions": []}
        assert rows({**LINUX, "packages": [package]})[0]["title"] == "openssl.x86_64:0:1.0-1"


def test_the_title_of_a_debian_package_has_its_whole_version() -> None:
    for installed in (
        {"epoch": 2, "version": "8.2", "release": "4ubuntu3"},
        {"epoch": None, "version": "2:8.2-4ubuntu3", "release": None},
    ):
        package = {"name": "vim", "arch": "amd64", "installed": installed, "versions": []}
        document = {**LINUX, "os": "UBUNTU", "product": "Ubuntu22.04", "baseline": {}, "packages": [package]}
        assert rows(document)[0]["title"] == "vim.amd64:2:8.2-4ubuntu3"


def test_an_override_list_is_read() -> None:
    def requested(patches: list[dict[str, Any]]) -> bool:
        found: bool = rows({**LINUX, "override_list": {"patches": patches}})[0]["requested"]
        return found

    assert requested([{"id": "openssl.*"}])
    assert requested([{"id": "openssl", "title": "*3.0.8-1.amzn2023.0.22"}])
    assert not requested([{"id": "openssl", "title": "*3.0.8-1.amzn2023.0.21"}])
    assert not requested([])


def test_a_windows_node_has_kbs() -> None:
    (row,) = rows(WINDOWS)
    assert (row["id"], row["title"]) == ("KB5058385", "2025-05 Cumulative Update")
    assert (row["state"], row["matched"], row["requested"]) == ("AVAILABLE_SECURITY_UPDATE", False, False)
    approved = {"ApprovedPatches": ["KB5058385"], "ApprovedPatchesComplianceLevel": "CRITICAL"}
    (row,) = rows({**WINDOWS, "baseline": approved, "override_list": {"patches": [{"id": "KB5058385"}]}})
    assert (row["state"], row["compliance"], row["requested"]) == ("MISSING", "CRITICAL", True)


def test_a_windows_update_without_a_date_is_from_1970() -> None:
    undated = {**WINDOWS["packages"][0], "released": None}
    body = {"ApprovalRules": {"PatchRules": [{"PatchFilterGroup": {"PatchFilters": []}, "ApproveAfterDays": 360}]}}
    assert rows({**WINDOWS, "baseline": body, "packages": [undated]})[0]["state"] == "MISSING"


def test_a_baseline_may_come_as_a_client_prints_it() -> None:
    printed = {**RULES, "PatchGroups": ["web"], "ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}
    assert rows({**LINUX, "baseline": printed}) == rows(LINUX)
    bare = {"ApprovalRules": {"PatchRules": None}, "GlobalFilters": {"PatchFilters": None}}
    assert rows({**LINUX, "baseline": bare})[0]["state"] == "INSTALLED_OTHER"


def test_a_node_without_packages_has_no_rows() -> None:
    assert rows({**LINUX, "packages": []}) == rows({**WINDOWS, "packages": []}) == []


def test_a_time_without_a_zone_is_utc() -> None:
    assert rows({**LINUX, "now": "2025-05-17T00:00:01"})[0]["state"] == "MISSING"
    assert rows({**LINUX, "now": "2025-05-17T01:00:00+01:00"})[0]["state"] == "INSTALLED_OTHER"


def test_what_a_node_does_not_say_is_unknown() -> None:
    bare = {"name": "bash", "arch": "x86_64", "installed": None, "versions": [{"version": "5", "release": "1"}]}
    document = {key: value for key, value in LINUX.items() if key != "override_list"}
    assert rows({**document, "packages": [bare]}) == []
    body = {"ApprovedPatches": ["bash"], "ApprovedPatchesEnableNonSecurity": True, "GlobalFilters": None}
    assert rows({**document, "baseline": body, "packages": [bare]})[0]["state"] == "NOT_APPLICABLE"


@pytest.mark.parametrize("text", ["", "{", "nothing", '"a"', "[]", "null", "[" * 100_000])
def test_what_is_not_a_json_object_is_refused(text: str) -> None:
    (line,) = refused(text)
    assert line.startswith("standard input: expected a JSON object; found ")


def with_rule(**members: Any) -> dict[str, Any]:
    return {"ApprovalRules": {"PatchRules": [{"PatchFilterGroup": {"PatchFilters": []}, **members}]}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"os": "BEOS"}, r"os: expected one of ALMA_LINUX, .*, WINDOWS; found 'BEOS'"),
        ({"os": 5}, "os: expected a valid string; found 5"),
        ({"product": None}, "product: expected a valid string; found null"),
        ({"now": "yesterday"}, 'now: expected a time such as 2025-06-02T00:00:00Z; found "yesterday"'),
        ({"now": 1748822400}, "now: expected a time such as 2025-06-02T00:00:00Z; found 1748822400"),
        ({"baseline": []}, r"baseline: expected an object; found \[\]"),
        ({"packages": {}}, "packages: expected a valid list; found {}"),
        ({"packages": [1]}, r"packages\[0\]: expected an object; found 1"),
        ({"override_list": []}, r"override_list: expected an object; found \[\]"),
        ({"override_list": {}}, "override_list.patches: expected a value; found none"),
        ({"override_list": {"patches": [{"title": "x"}]}}, r"override_list.patches\[0\].id: expected a value; .*"),
        ({"baseline": {"ApprovedPatches": "bash"}}, 'baseline.ApprovedPatches: expected a valid list; found "bash"'),
        (
            {"baseline": {"RejectedPatchesAction": "IGNORE"}},
            """baseline.RejectedPatchesAction: expected 'ALLOW_AS_DEPENDENCY' or 'BLOCK'; found "IGNORE\"""",
        ),
        (
            {"baseline": with_rule(ApproveAfterDays=-1)},
            r"baseline.ApprovalRules.PatchRules\[0\].ApproveAfterDays: expected greater than or equal to 0; found -1",
        ),
        (
            {"baseline": with_rule(ApproveUntilDate="30/06/2025")},
            r'.*\[0\].ApproveUntilDate: expected a date such as 2025-06-30; found "30/06/2025"',
        ),
        (
            {"baseline": with_rule(ComplianceLevel="URGENT")},
            r".*\[0\].ComplianceLevel: expected 'UNSPECIFIED', .* or 'CRITICAL'; found \"URGENT\"",
        ),
        (
            {"baseline": {"GlobalFilters": {"PatchFilters": [{"Key": "PRIORITY", "Values": ["*"]}]}}},
            "baseline: expected a filter key of dnf: PRODUCT, CLASSIFICATION, SEVERITY; found 'PRIORITY'",
        ),
        ({"now": "0001-01-01T00:00:00Z"}, "expected times between the years 1 and 9999, .*"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_with_place_expectation_and_finding(
    changes: dict[str, Any], line: str
) -> None:
    (found,) = refused({**LINUX, **changes})
    assert re.fullmatch(line, found)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": None}, "name: expected a valid string; found null"),
        ({"installed": "1.0"}, 'installed: expected an object; found "1.0"'),
        ({"installed": {"epoch": "one", "version": "1"}}, 'installed.epoch: expected a valid integer, .*; found "one"'),
        ({"versions": [{"release": "1"}]}, r"versions\[0\].version: expected a value; found none"),
        ({"versions": [{**UPDATE, "built": "x"}]}, r"versions\[0\].built: expected a time such as .*; found \"x\""),
        ({"versions": [{**UPDATE, "notice": {}}]}, r"versions\[0\].notice.id: expected a value; found none"),
        ({"versions": [{**UPDATE, "security_origin": "no"}]}, r"versions\[0\].security_origin: .*; found \"no\""),
        ({"versions": [{**UPDATE, "version": "1" * 99 + ".", "epoch": []}]}, r"versions\[0\].epoch: .*; found \[\]"),
    ],
)
def test_a_package_that_makes_no_sense_is_refused(changes: dict[str, Any], line: str) -> None:
    (found,) = refused({**LINUX, "packages": [OPENSSL, {**OPENSSL, **changes}]})
    assert re.fullmatch(rf"packages\[1\].{line}", found)


def test_every_problem_of_a_document_is_named() -> None:
    patch = {"kb": "KB1", "installed": "yes", "title": "T" * 100, "released": 5}
    assert refused({**WINDOWS, "packages": [patch]}) == [
        'packages[0].installed: expected a valid boolean; found "yes"',
        "packages[0].product: expected a value; found none",
        "packages[0].classification: expected a value; found none",
        "packages[0].released: expected a time such as 2025-06-02T00:00:00Z; found 5",
    ]
