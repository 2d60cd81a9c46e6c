"""Which errors Airflow tries again after."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sluice.core import errors
from sluice_airflow.failures import told
from sluice_airflow.policy import _failure

PASSING = [
    errors.AWSError("throttled"),
    errors.AnswerError("half an answer"),
    errors.LostError("another writer"),
    errors.EvidenceError("no store"),
]
LASTING = [
    errors.ReleaseError("may not"),
    errors.LeasedError("another release"),
    errors.PolicyError([]),
    errors.DeniedError("denied"),
    errors.LocationError("another account"),
]


@pytest.mark.parametrize("error", PASSING)
def test_what_may_pass_is_tried_again_by_every_dag(error: errors.SluiceError) -> None:
    with pytest.raises(type(error)), told():
        raise error
    assert _failure(error) is error


@pytest.mark.parametrize("error", LASTING)
def test_what_another_try_does_not_change_fails_at_once_in_every_dag(error: errors.SluiceError) -> None:
    with pytest.raises(AirflowFailException), told():
        raise error
    assert isinstance(_failure(error), AirflowFailException)
