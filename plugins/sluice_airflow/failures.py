"""Which errors of `sluice` another try may help against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException


def may_pass(error: Exception | None) -> bool:
    """Whether another try may help: AWS or the evidence refused or failed to answer, or another writer came first."""
    from sluice.core.errors import AnswerError, AWSError, EvidenceError, LostError

    return type(error) in (AWSError, AnswerError, LostError, EvidenceError)


def is_final(error: Exception, context: Mapping[str, Any]) -> bool:
    """Whether a task that raises it in `told` fails for good: there is no further try, or none may help."""
    ti = context["ti"]
    return not may_pass(error) or ti.try_number > ti.max_tries


@contextmanager
def told() -> Iterator[None]:
    """Fail without another try where it would change nothing: what was asked or found does not allow the step.

    What may pass is raised as it is, and Airflow tries again.
    """
    from sluice.core.errors import SluiceError

    try:
        yield
    except SluiceError as error:
        if may_pass(error):
            raise
        raise AirflowFailException(str(error)) from error
