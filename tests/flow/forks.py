"""Forks of a process that never uses polars itself: its threads do not survive a fork, and a fork of them hangs.

Whatever reads or writes tables is done in a fork of its own, which ends with it. So a fork that goes on with a release
finds polars as a fresh process does.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from sluice.evidence import queries, tables
from sluice.evidence.store import FolderStore
from sluice.flow import report
from sluice.report import story


class _Rows(list[dict[str, Any]]):
    """Rows where a frame is asked for its rows."""

    def to_dicts(self) -> list[dict[str, Any]]:
        return self


def tables_in_forks(patch: pytest.MonkeyPatch) -> None:
    """Read and write every table in a fork."""
    read, write, by_release = tables.read, tables.write, tables.by_release

    def rows(*given: Any, **named: Any) -> _Rows:
        return _Rows(read(*given, **named).to_dicts())

    def releases(*given: Any, **named: Any) -> list[tuple[str, _Rows]]:
        return [(release, _Rows(frame.to_dicts())) for release, frame in by_release(*given, **named)]

    def written(store: FolderStore, table: str, release: Any, part: str, given: Any) -> str:
        key = in_a_fork(patch, lambda: write(store, table, release, part, given))
        store.put(key, store.get(key) or b"")  # so that whoever counts what is written hears of it here
        return str(key)

    patch.setattr(tables, "write", written)
    patch.setattr(tables, "read", _forked(patch, rows))
    patch.setattr(tables, "by_release", _forked(patch, releases))
    for module, name in ((tables, "of_release"), (queries, "sightings"), (report, "rendered")):
        patch.setattr(module, name, _forked(patch, _listed(getattr(module, name))))
    patch.setattr(queries, "durations", _forked(patch, queries.durations))
    patch.setattr(story, "read", _forked(patch, story.read))


def _listed(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    return lambda *given, **named: list(function(*given, **named))


def _forked(patch: pytest.MonkeyPatch, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: in_a_fork(patch, lambda: function(*given, **named))


def in_a_fork(patch: pytest.MonkeyPatch, function: Callable[[], Any]) -> Any:
    """What a function answers in a fork, where nothing is forked further. Its error is raised here, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        patch.undo()
        try:
            told: tuple[bool, Any] = (True, function())
        except BaseException:
            told = (False, traceback.format_exc())
        with os.fdopen(writing, "wb") as stream:
            pickle.dump(told, stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    good, answer = pickle.loads(content)  # noqa: S301  # of this process's own fork
    assert good, answer
    return answer
