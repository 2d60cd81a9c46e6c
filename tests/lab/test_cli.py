"""`python -m lab`: what it prints, when it stops, and what it says when it cannot or does not understand."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab import __main__ as cli
from lab import aws_models

ROOT = Path(__file__).parents[2]
SMALL = """
accounts: [{id: "111111111111", regions: [eu-west-3]}]
profiles: [{name: ManagedNode, policies: [AmazonSSMManagedInstanceCore]}]
defaults: {profile: ManagedNode, image: 2025-05-05}
groups: [{name: web, os: AmazonLinux2023, count: 2, tags: {Name: "web-{n}"}}]
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "include")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "lab", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A lab of its own on a free port: the process and what it has printed up to its last line of welcome."""
    process = start("serve", "--port", "0", *arguments)
    try:
        printed = ""
        while "Stop it with" not in printed:
            line = process.stdout.readline()
            assert line, f"the lab ended early: {process.communicate(timeout=30)}"
            printed += line
        yield process, printed
    finally:
        process.kill()
        process.communicate(timeout=30)


def endpoint(printed: str) -> str:
    return re.search(r"^Endpoint: (http://127\.0\.0\.1:\d+)$", printed, re.MULTILINE)[1]


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  # the lab
        return json.loads(answer.read())


def stop(process: subprocess.Popen[str], number: int) -> None:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "The lab has stopped.\n"
    assert err == ""


def test_the_lab_serves_what_it_prints_to_boto3_and_the_aws_cli_until_sigterm():
    with served() as (process, printed):
        exports = dict(re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE))
        assert exports["AWS_ENDPOINT_URL"] == endpoint(printed)
        assert exports["AWS_DEFAULT_REGION"] == "eu-west-3"
        assert "The lab has 63 nodes in 4 locations" in printed
        assert "Its time is 2025-06-02T00:00:00Z" in printed
        ssm = aws_models.session().create_client(
            "ssm",
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            region_name=exports["AWS_DEFAULT_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        )
        assert ssm.describe_instance_information()["InstanceInformationList"]
        ssm.close()
        said = subprocess.run(
            [Path(sys.executable).parent / "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"],
            env={**os.environ, **exports, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "arn:aws:iam::111111111111:user/lab\n"
        advance = re.search(r"^curl -X POST -d '(.*)' (http.*)$", printed, re.MULTILINE)
        request = urllib.request.Request(advance[2], advance[1].encode())  # noqa: S310  # the lab
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # the lab
            assert json.loads(answer.read())["now"] == "2025-06-02T01:00:00Z"
        stop(process, signal.SIGTERM)


def test_a_clock_with_a_rate_runs_by_itself_and_ctrl_c_stops_the_lab(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(SMALL)
    with served("--fleet", str(fleet), "--clock", "3600", "--start", "2025-07-01T02:00:00+02:00") as (process, printed):
        assert "The lab has 2 nodes in 1 location " in printed
        assert "The clock runs: 3600 lab seconds a second." in printed
        first = get(f"{endpoint(printed)}/lab/clock")
        assert first["mode"] == "rate"
        assert first["now"] >= "2025-07-01T00:00:00Z"
        while get(f"{endpoint(printed)}/lab/clock")["now"] == first["now"]:
            pass
        stop(process, signal.SIGINT)


def test_a_real_clock_starts_now_and_the_same_seed_gives_the_same_nodes(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(SMALL)
    ids = []
    for _ in range(2):
        with served("--fleet", str(fleet), "--clock", "real", "--seed", "4") as (process, printed):
            now = datetime.fromisoformat(get(f"{endpoint(printed)}/lab/clock")["now"])
            assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)  # noqa: TID251  # what a real clock shows
            ids.append([node["node_id"] for node in get(f"{endpoint(printed)}/lab/fleet")["nodes"]])
            stop(process, signal.SIGTERM)
    assert ids[0] == ids[1] != []


def test_a_port_in_use_is_an_error_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("serve", "--port", str(port))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == (
        f"lab: cannot listen on 127.0.0.1:{port}: Address already in use; choose another port, or 0 for any free one\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: {serve,evaluate,bench,rehearse,demo}"),
        (["dance"], "invalid choice: 'dance'"),
        (["serve", "--port", "70000"], "expected a port from 0 (any free one) to 65535, found '70000'"),
        (["serve", "--port", "-1"], "expected a port from 0 (any free one) to 65535, found '-1'"),
        (["serve", "--clock", "fast"], "expected manual, real, or how many lab seconds pass in a second"),
        (["serve", "--clock", "0"], "above 0"),
        (["serve", "--clock", "inf"], "above 0"),
        (["serve", "--clock", "nan"], "above 0"),
        (["serve", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["serve", "--start", "2025-06-02"], "expected a time with its zone such as 2025-06-02T00:00:00Z"),
        (["serve", "--start", "soon"], "expected a time with its zone such as 2025-06-02T00:00:00Z"),
        (["serve", "--color"], "unrecognized arguments: --color"),
    ],
)
def test_what_is_not_understood_ends_with_status_2_and_says_what_was_expected(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_fleet_that_cannot_be_read_ends_with_status_1_and_says_which_there_are(capsys):
    assert cli.main(["serve", "--fleet", "tiny"]) == 1
    assert "expected a YAML file or one of demo, huge, large" in capsys.readouterr().err


def test_help_explains_the_clocks(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for words in ("manual   (default) time stands still", "real     one lab second a second", "The port is 5999"):
        assert words in printed


def test_evaluate_reads_standard_input_and_answers_on_standard_output(monkeypatch, capsys):
    question = {
        "os": "AMAZON_LINUX_2023",
        "product": "AmazonLinux2023",
        "now": "2025-06-02T00:00:00Z",
        "baseline": {"OperatingSystem": "AMAZON_LINUX_2023", "ApprovedPatches": []},
        "override_list": None,
        "packages": [
            {
                "name": "bash",
                "arch": "x86_64",
                "installed": {"epoch": 0, "version": "5.2", "release": "1"},
                "versions": [],
            }
        ],
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(question)))
    assert cli.main(["evaluate"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["id"] == "bash.x86_64"


def test_bench_has_its_own_help(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["bench", "--help"])
    assert caught.value.code == 0
    assert "--fleet" in capsys.readouterr().out
