"""What holds for the DAG files: they parse at once, without AWS, and say who owns them and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from dag_runs import read_dags
from flow_world import SMALL

ROOT = Path(__file__).resolve().parents[2]
OTHERS = "patch_windows.py"
FILES = sorted(path.name for path in (ROOT / "dags").glob("*.py") if path.name != OTHERS)
"""Files that have one DAG each, of their own name; `OTHERS` has one for each window that has no file."""
LONGEST = 120
"""Lines of a DAG file."""
SAID = ("**Purpose.**", "**Owner.**", "**Triage.**")
INSTALLS = ("patch_install_nonprod", "patch_install_prod_linux", "patch_install_prod_windows")

PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.execution_time import context
from sqlalchemy import event
from sqlalchemy.engine import Engine

asked = []

def refuse(what):
    def ask(*arguments, **settings):
        asked.append(what)
        raise RuntimeError(f"a DAG file asked for a {what} when it was parsed")
    return ask

for name in [name for name in vars(context) if name.endswith(("_get_variable", "_get_variable_keys"))]:
    setattr(context, name, refuse("variable"))
for name in [name for name in vars(context) if name.endswith("_get_connection")]:
    setattr(context, name, refuse("connection"))
event.listen(Engine, "do_connect", refuse("row of the metadata database"))

folder = Path(sys.argv[1])
bag = DagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
heavy = ("aiobotocore", "boto3", "botocore", "duckdb", "polars", "pyarrow", "sluice.aws", "sluice.cli")
print(json.dumps({
    "dags": sorted(bag.dags),
    "errors": bag.import_errors,
    "warnings": bag.captured_warnings,
    "heavy": [name for name in heavy if name in sys.modules],
    "asked": sorted(set(asked)),
}))
"""

CURIOUS = {
    "variable": "from airflow.sdk import Variable\nVariable.get('patching', default=None)",
    "keys": "from airflow.sdk import Variable\nlist(Variable.keys())",
    "connection": "from airflow.sdk import Connection\nConnection.get('aws_default')",
    "hook": "from airflow.sdk import BaseHook\nBaseHook.get_connection('aws_default')",
    "table": "from airflow.models import DagRun\nDagRun.find(dag_id='patch_scan')",
}
"""DAG files that ask Airflow for something when they are parsed."""


def parse(folder: Path) -> dict[str, Any]:
    """What a fresh process says that reads the DAGs of a folder, and may ask Airflow for nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(folder)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def parsed(airflow_home: Path) -> dict[str, Any]:
    """The project's DAGs as `parse` has them."""
    return parse(ROOT / "dags")


def test_every_dag_is_parsed_without_an_error_or_a_warning(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert parsed["warnings"] == {}
    assert parsed["dags"] == [name.removesuffix(".py") for name in FILES]


def test_parsing_imports_neither_awss_sdk_nor_the_adapters(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


def test_parsing_asks_for_no_variable_no_connection_and_no_row_of_the_database(parsed: dict[str, Any]) -> None:
    """A DAG file is parsed every few seconds."""
    assert parsed["asked"] == []


def test_a_dag_file_that_asks_for_one_is_noticed(airflow_home: Path, tmp_path: Path) -> None:
    for name, text in CURIOUS.items():
        (tmp_path / f"{name}_dag.py").write_text(f"# airflow DAG\n{text}\n", "utf-8")
    found = parse(tmp_path)
    assert found["asked"] == ["connection", "row of the metadata database", "variable"]
    assert len(found["errors"]) == len(CURIOUS)
    assert all("a DAG file asked for a" in error for error in found["errors"].values())


def test_the_file_of_the_other_windows_is_short_too(dags_of: Callable[..., Any]) -> None:
    assert len((ROOT / "dags" / OTHERS).read_text("utf-8").splitlines()) <= LONGEST
    own = dags_of(windows=[*SMALL["windows"], window("erp", patch_groups="nonprod-linux")])["patch_erp"]
    assert all(word in own.doc_md for word in SAID)


@pytest.mark.parametrize("name", FILES)
def test_a_dag_file_is_short_and_says_purpose_owner_and_triage(name: str, dag_bag: Any) -> None:
    assert len((ROOT / "dags" / name).read_text("utf-8").splitlines()) <= LONGEST
    dag = dag_bag.dags[name.removesuffix(".py")]
    for word in SAID:
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


def test_the_form_of_a_plan_asks_for_nothing_of_itself(dag_bag: Any) -> None:
    params = dag_bag.dags["patch_policy"].params
    assert {name: params.get_param(name).value for name in params} == {
        "apply": False,
        "take_over": [],
        "locations": [],
    }


@pytest.fixture
def dags_of(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The DAGs that Airflow reads with another policy."""

    def read(**changes: Any) -> Any:
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump({**SMALL, **changes}), "utf-8")
        monkeypatch.setenv("SLUICE_POLICY", str(file))
        bag = read_dags()
        assert bag.import_errors == {}
        return bag.dags

    return read


def window(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "operation": "install", "schedule": "cron(0 22 ? * SAT#3 *)", "duration_hours": 3, **changes}


def test_every_dag_tells_when_it_is_late(dag_bag: Any) -> None:
    assert dag_bag.dags
    for dag in dag_bag.dags.values():
        (alert,) = dag.deadline
        assert type(alert.reference).__name__ == "DagRunQueuedAtDeadline"
        assert alert.interval > timedelta()
        assert alert.callback.path == "sluice_airflow.notifiers.PolicyNotifier"
        assert "{{ dag_run.dag_id }}" in alert.callback.kwargs["subject"]
    (alert,) = dag_bag.dags["patch_install_prod_linux"].deadline
    assert alert.interval == timedelta(hours=12 + 4 + 1)  # the lead, the window, the policy's margin


def test_a_missed_deadline_is_shown_as_what_it_is_the_end_of(dag_bag: Any) -> None:
    names = {dag_id: dag.deadline[0].name for dag_id, dag in dag_bag.dags.items()}
    others = {"patch_halt": "ten minutes", "patch_policy": "approval and margin"}
    assert names == {dag_id: others.get(dag_id, "window's end and margin") for dag_id in dag_bag.dags}


@pytest.mark.parametrize("name", INSTALLS)
def test_installs_begin_paused_and_backfill_nothing(name: str, dag_bag: Any) -> None:
    dag = dag_bag.dags[name]
    assert dag.is_paused_upon_creation
    assert {kind.value for kind in dag.allowed_run_types} == {"scheduled", "manual"}


def test_every_dag_of_windows_starts_by_the_policys_own_schedule(dag_bag: Any) -> None:
    from sluice.core.dag_names import dag_of
    from sluice.files import DEFAULT, SHIPPED, read_policy

    windows = read_policy(str(SHIPPED / DEFAULT), {}).policy.windows
    for one in windows:
        assert dag_bag.dags[dag_of(one.name)].timetable.serialize() == {
            "schedule": one.schedule,
            "zone": one.time_zone,
            "lead_minutes": one.lead_minutes,
            "open_minutes": 60 * one.duration_hours,
        }
    assert dag_bag.dags["patch_reboot"].timetable.can_be_scheduled is False


def test_holding_and_closing_are_setup_and_teardown_and_the_report_decides(dag_bag: Any) -> None:
    for name in (*INSTALLS, "patch_scan", "patch_reboot"):
        tasks = dag_bag.dags[name].task_dict
        assert tasks["hold"].is_setup
        assert tasks["close"].is_teardown
        assert tasks["close"].on_failure_fail_dagrun
        assert "hold" in tasks["close"].upstream_task_ids
        assert tasks["report"].trigger_rule.value == tasks["verify"].trigger_rule.value == "all_done"
        assert [task.task_id for task in dag_bag.dags[name].leaves] == ["report"]


def test_nothing_that_is_to_run_after_a_rejection_hangs_on_the_approval(dag_bag: Any) -> None:
    assert dag_bag.dags["patch_install_prod_linux"].task_dict["approve"].downstream_task_ids == {"backup"}
    assert dag_bag.dags["patch_reboot"].task_dict["approve"].downstream_task_ids == {"admit"}


def test_nothing_is_installed_but_behind_gate_and_approval_on_production(dag_bag: Any) -> None:
    for name in ("patch_install_prod_linux", "patch_install_prod_windows"):
        tasks = dag_bag.dags[name].task_dict
        for wave in ("wave_1.patch", "wave_3.reboot"):
            above = tasks[wave].get_flat_relative_ids(upstream=True)
            assert {"manifest", "gate", "approve", "backup", "admit", "hold"} <= set(above)
        for step in ("gate", "approve", "backup", "hold", "wave_1.patch", "wave_2.patch"):
            assert tasks[step].trigger_rule.value == "all_success", step


def test_a_window_of_ones_own_gets_its_dag_without_new_code(dags_of: Callable[..., Any]) -> None:
    shares = {"canary": 1, "shares": [10, 20]}
    own = window("install-prod-erp", patch_groups="prod-linux", time_zone="Europe/Paris", waves=shares)
    scan = window("scan-web", operation="scan", patch_groups="nonprod-linux", trigger="native")
    dags = dags_of(windows=[*SMALL["windows"], own, scan, window("reboot", patch_groups="nonprod-linux")])
    erp = dags["patch_install_prod_erp"]
    assert [name for name in erp.task_ids if name.endswith("settle")] == [f"wave_{n}.settle" for n in (1, 2, 3, 4)]
    assert "approve" in erp.task_ids
    assert erp.timetable.serialize()["zone"] == "Europe/Paris"
    assert "wave_1.scan" in dags["patch_scan_web"].task_ids
    assert dags["patch_reboot"].task_ids != dags["patch_reboot.window"].task_ids
    for name in ("patch_install_prod_erp", "patch_scan_web", "patch_reboot.window"):
        assert "**Triage.**" in dags[name].doc_md


def test_a_policy_without_windows_has_no_dags_for_them_and_breaks_no_file(dags_of: Callable[..., Any]) -> None:
    assert set(dags_of(windows=SMALL["windows"][:1])) == {"patch_scan", "patch_policy", "patch_halt"}
    assert set(dags_of(windows=[])) == {"patch_policy", "patch_halt"}


def test_reboots_are_asked_for_the_ticket_of_any_window_of_production(dags_of: Callable[..., Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    assert "change_ticket" not in dags_of()["patch_reboot"].params
    own = window("payroll-prod", patch_groups="prod-linux", gate={"change_ticket": "INC[0-9]+"})
    gate = {"approval": "never", "change_ticket": "CHG[0-9]{7}"}
    asked = dags_of(windows=[*SMALL["windows"], own], gate=gate)["patch_reboot"].params.get_param("change_ticket")
    for ticket in ("CHG0012345", "INC7"):
        assert asked.resolve(ticket) == ticket
    for ticket in ("CHG1", "INC", "xINC7", "INC7x"):
        with pytest.raises(ParamValidationError):
            asked.resolve(ticket)


EVERY = {"occurrence", "locations", "patch_groups", "nodes", "report"}
INSTALL = EVERY | {"retry_of", "reboot", "backup", "dry_run"}
FORMS = {
    "patch_scan": EVERY,
    "patch_install_nonprod": INSTALL,
    "patch_install_prod_linux": INSTALL | {"expedite", "because"},
    "patch_reboot": EVERY | {"window", "reboot"},
    "patch_halt": {"release", "reason", "lift", "locations"},
    "patch_policy": {"apply", "take_over", "locations"},
}


def test_the_forms_have_the_specifications_parameters_and_no_other(dags_of: Callable[..., Any]) -> None:
    assert {name: set(dag.params) for name, dag in dags_of().items()} == FORMS


def test_the_form_has_what_the_window_allows_and_checks_it(dags_of: Callable[..., Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dags = dags_of(gate={"approval": "never", "change_ticket": "CHG[0-9]{7}"})
    prod, nonprod, scan = (dags[f"patch_{name}"].params for name in ("install_prod_linux", "install_nonprod", "scan"))
    assert set(prod) - set(nonprod) == {"expedite", "because"}
    assert {"reboot", "backup", "dry_run", "retry_of", "change_ticket"} <= set(nonprod) - set(scan)
    good = {
        "change_ticket": "CHG0012345",
        "retry_of": "install-prod-linux-20250609T0300-0123abcd",
        "nodes": ["i-0123456789abcdef0", "mi-0123456789abcdef0"],
        "occurrence": "2025-06-09T03:00:00Z",
        "reboot": "always",
    }
    for name, value in good.items():
        assert prod.get_param(name).resolve(value) == value
    bad = {
        "change_ticket": "CHG1",
        "retry_of": "yesterday's",
        "nodes": ["web-1"],
        "reboot": "sometimes",
        "locations": ["eu-west-3"],
        "dry_run": "yes",
    }
    for name, value in bad.items():
        with pytest.raises(ParamValidationError):
            prod.get_param(name).resolve(value)
    reboot = dags["patch_reboot"].params
    assert reboot.get_param("change_ticket").resolve("CHG0012345") == "CHG0012345"
    with pytest.raises(ParamValidationError):
        reboot.get_param("change_ticket").resolve("CHG1")
    for params in (prod, nonprod, scan, reboot):
        for name in params:
            param = params.get_param(name)
            assert param.schema["title"], name
            assert param.description, name
            assert param.resolve() == param.value
