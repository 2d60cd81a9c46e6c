"""What a DAG file costs when it is parsed, over a DAG of TaskFlow alone: `make bench`.

Each figure is processor time, the best of several fresh processes: other work on the machine disturbs it least.
`again` is what a file costs with the policy's schedules kept from the last time, `first` without: once after each
change of the policy.
As Airflow's DAG processor does before it forks one process for each file, the garbage collector is told to leave alone
what is already there.
Fails where a file takes longer than it may, or brings AWS's SDK in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AT_MOST_MS = 60
TIMES = 3

PLAIN = """
from airflow.sdk import DAG, task

@task
def work() -> int:
    return 1

with DAG("plain", schedule=None):
    work()
"""

PARSE = """
import gc, json, logging, sys, time
from pathlib import Path
logging.disable(logging.CRITICAL)
from airflow.dag_processing.dagbag import DagBag

file = Path(sys.argv[1])
gc.collect()
gc.freeze()
began = time.process_time()
bag = DagBag(str(file), bundle_path=file.parent, bundle_name="bench")
took = (time.process_time() - began) * 1000
print(json.dumps({"ms": took, "dags": len(bag.dags), "errors": bag.import_errors, "boto3": "boto3" in sys.modules}))
"""


@dataclass(frozen=True)
class Parsed:
    """A DAG file's figures."""

    ms: float
    dags: int
    boto3: bool


def parse(file: Path, home: Path, *, kept: bool = True) -> Parsed:
    """Parse a file in fresh processes."""
    found = []
    for _ in range(TIMES):
        if not kept:
            (home / "sluice-schedules.json").unlink(missing_ok=True)
        done = subprocess.run(  # this Python, with a file of this repository
            [sys.executable, "-c", PARSE, str(file)], capture_output=True, text=True, check=True, env=environment(home)
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        if answer["errors"]:
            raise SystemExit(f"{file}: {answer['errors']}")
        found.append(answer)
    return Parsed(min(one["ms"] for one in found), found[-1]["dags"], any(one["boto3"] for one in found))


def environment(home: Path) -> dict[str, str]:
    """Airflow's, with a home of its own."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "PYTHONPATH": f"{ROOT / 'include'}{os.pathsep}{ROOT / 'plugins'}",
    }


def main() -> int:
    """Print the table; 1 where a file takes longer than it may."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        plain = home / "plain.py"
        plain.write_text(PLAIN, "utf-8")
        parse(plain, home)  # Airflow writes its configuration
        base = parse(plain, home).ms
        print(f"a DAG of TaskFlow alone: {base:.0f} ms; each file over it, best of {TIMES} fresh processes:\n")
        print(f"{'file':34}{'DAGs':>5}{'first':>10}{'again':>10}   boto3 in sys.modules")
        slow = []
        for file in sorted((ROOT / "dags").glob("*.py")):
            first, again = parse(file, home, kept=False), parse(file, home)
            print(f"{file.name:34}{again.dags:5}{first.ms - base:7.0f} ms{again.ms - base:7.0f} ms   {_word(again)}")
            if again.ms - base > AT_MOST_MS or again.boto3:
                slow.append(file.name)
    print(f"\nat most {AT_MOST_MS} ms: {'no: ' + ', '.join(slow) if slow else 'yes'}")
    return 1 if slow else 0


def _word(parsed: Parsed) -> str:
    return "yes" if parsed.boto3 else "no"


if __name__ == "__main__":
    sys.exit(main())
