"""Which errors of `sluice` another try may help against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException


@contextmanager
def told() -> Iterator[None]:
    """Fail without another try where it would change nothing: what was asked or found does not allow the step.

    Where AWS refused or failed to answer, or another writer came first, Airflow tries again.
    """
    from sluice.core.errors import AnswerError, AWSError, EvidenceError, LostError, SluiceError

    try:
        yield
    except SluiceError as error:
        if type(error) in (AWSError, AnswerError, LostError, EvidenceError):
            raise
        raise AirflowFailException(str(error)) from error
