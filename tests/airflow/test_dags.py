"""What holds for the DAG files: they parse at once, without AWS, and say who owns them and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.name for path in (ROOT / "dags").glob("*.py"))

PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag

folder = Path(sys.argv[1])
bag = DagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
heavy = ("aiobotocore", "boto3", "botocore", "duckdb", "polars", "pyarrow", "sluice.aws", "sluice.cli")
print(json.dumps({
    "dags": sorted(bag.dags),
    "errors": bag.import_errors,
    "warnings": bag.captured_warnings,
    "heavy": [name for name in heavy if name in sys.modules],
}))
"""


@pytest.fixture(scope="module")
def parsed(airflow_home: Path) -> dict[str, Any]:
    """What a fresh process says that reads the DAGs."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(ROOT / "dags")], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_dag_is_parsed_without_an_error_or_a_warning(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert parsed["warnings"] == {}
    assert parsed["dags"] == [name.removesuffix(".py") for name in FILES]


def test_parsing_imports_neither_awss_sdk_nor_the_adapters(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


@pytest.mark.parametrize("name", FILES)
def test_a_dag_file_is_short_and_says_purpose_owner_and_triage(name: str, dag_bag: Any) -> None:
    assert len((ROOT / "dags" / name).read_text("utf-8").splitlines()) <= 120
    dag = dag_bag.dags[name.removesuffix(".py")]
    for word in ("**Purpose.**", "**Owner.**", "**Triage.**"):
        assert word in dag.doc_md
    assert dag.description
    assert "sluice" in dag.tags
    assert dag.owner
    assert "airflow" not in dag.owner


@pytest.mark.parametrize("name", FILES)
def test_a_dag_runs_once_at_a_time_and_catches_nothing_up(name: str, dag_bag: Any) -> None:
    dag = dag_bag.dags[name.removesuffix(".py")]
    at_once = 8 if name == "patch_halt.py" else 1  # a halt waits for no other
    assert (dag.max_active_runs, dag.catchup) == (at_once, False)


def test_nothing_is_applied_but_behind_an_approval_and_without_a_second_try(dag_bag: Any) -> None:
    dag = dag_bag.dags["patch_policy"]
    assert dag.task_dict["apply"].upstream_task_ids == {"ask", "approve"}
    assert {dag.task_dict[name].trigger_rule.value for name in ("apply", "approve")} == {"all_success"}
    assert dag.task_dict["apply"].partial_kwargs["retries"] == 0
    # What hangs directly on a rejected approval is skipped whatever its rule: apply, and not the report.
    assert dag.task_dict["approve"].downstream_task_ids == {"apply"}


def test_the_policy_is_looked_at_every_day_before_the_shipped_policys_first_window(dag_bag: Any) -> None:
    from sluice.files import DEFAULT, SHIPPED, read_policy

    timetable = dag_bag.dags["patch_policy"].timetable
    minute, hour, *rest = timetable.expression.split()
    assert (rest, str(timetable.timezone)) == (["*", "*", "*"], "UTC")
    windows = read_policy(str(SHIPPED / DEFAULT), {}).policy.windows
    starts = [window.schedule.removeprefix("cron(").split()[:2] for window in windows]
    assert (int(hour), int(minute)) < min((int(start[1]), int(start[0])) for start in starts)


def test_the_trigger_form_offers_apply_take_over_locations_and_policy(dag_bag: Any) -> None:
    params = dag_bag.dags["patch_policy"].params
    assert {name: params.get_param(name).value for name in params} == {
        "apply": False,
        "take_over": [],
        "locations": [],
        "policy": None,
    }
