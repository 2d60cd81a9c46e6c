"""Which DAG is due when: the policy's calendar, as a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lab.errors import LabError
from sluice.core.calendar import is_gated, occurrences
from sluice.core.dag_names import dag_of
from sluice.core.errors import SluiceError
from sluice.core.policy.load import load_policy
from sluice.core.policy.policy import Policy


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """One occurrence of a window and the DAG that releases it. Times are UTC."""

    dag_start: datetime
    start: datetime
    end: datetime
    window: str
    gated: bool

    @property
    def dag_id(self) -> str:
        """The DAG that this window has."""
        return dag_of(self.window)

    @property
    def run_id(self) -> str:
        """The run's id: the same for every attempt at this occurrence."""
        return f"rehearsal__{self.start:%Y-%m-%dT%H:%M}"


def read_policy(file: Path, environment: dict[str, str]) -> Policy:
    """The policy of one file. Raises LabError with everything that is wrong with it."""
    try:
        return load_policy([(str(file), file.read_text("utf-8"))], environment).policy
    except OSError as error:
        raise LabError(f"expected a policy in {file}: {error.strerror}") from error
    except SluiceError as error:
        raise LabError(str(error)) from error


def agenda(policy: Policy, first: datetime, until: datetime, windows: Sequence[str] = ()) -> list[Planned]:
    """Every occurrence that starts from `first` on and before `until`, in the order in which their DAGs begin.

    Windows that AWS starts by itself are not Airflow's to trigger. `windows`: only these.
    """
    found = [
        Planned(one.dag_start, one.start, one.end, window.name, is_gated(policy, window))
        for window in policy.windows
        if window.trigger == "airflow" and (not windows or window.name in windows)
        for one in occurrences(policy, window, first, until)
    ]
    return sorted(found)
