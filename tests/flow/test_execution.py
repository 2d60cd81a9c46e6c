"""An execution has ended when all of it has: an answer that is short of nodes is no success."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flow_world import HERE
from in_process import answer_in_process
from test_wave import THREE, admitted, connection, drive, executions

from lab.testing import LabHandle
from sluice.aws.session import Connection
from sluice.core.policy.policy import Policy
from sluice.flow.records import read_record
from sluice.flow.wave import advance

__all__ = ["connection"]


@pytest.fixture(autouse=True)
def _in_process(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_in_process(lab, monkeypatch)


@contextmanager
def short_of_nodes(kept: int) -> Iterator[None]:
    """AWS lists so many of a command's invocations and says that there are no more."""
    real = Connection.call

    def call(self: Connection, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        answer = real(self, service, operation, **parameters)
        if operation == "ListCommandInvocations":
            answer = {**answer, "CommandInvocations": answer["CommandInvocations"][:kept]}
            answer.pop("NextToken", None)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "call", call)
        yield


@pytest.mark.parametrize("kept", [0, 1])
def test_a_list_that_is_short_of_nodes_is_no_end_and_no_success(
    policy: Policy, lab: LabHandle, connection: Connection, kept: int
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    lab.advance_to(THREE + timedelta(hours=1))
    assert [one.status for one in executions(lab)] == ["SUCCESS"], "AWS has ended it"
    with short_of_nodes(kept):
        for _ in range(2):
            found = advance(run, HERE, 1, "install")
            assert (found.state, found.due, found.reason.rpartition(" ")[2]) == ("waiting", False, "SUCCESS")
    record = read_record(run, connection, 1, "install")
    assert record is not None
    assert (record.step, record.verdict, record.results) == ("running", "", ())

    done = drive(lab, run)
    assert (done.state, done.counts) == ("done", {"expected": 2, "success": 2, "missing": 0, "failed": 0})
