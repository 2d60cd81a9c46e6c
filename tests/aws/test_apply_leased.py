"""`apply` leaves a window alone that a release drives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from policies import apply, changed, connect, plan, small, state

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.aws import leases
from sluice.aws.apply import apply_plan
from sluice.aws.operations import Bucket
from sluice.core.errors import DeniedError, LeasedError
from sluice.core.lease import Lease
from sluice.core.policy.objects import WINDOW
from sluice.core.policy.plan import Step
from sluice.core.policy.policy import Policy

pytestmark = pytest.mark.usefixtures("aws_environment")

BUCKET = Bucket("operations-111111111111-eu-west-3", "sluice")
RELEASE = "install-nonprod-20250602T0600-0a1b2c3d"


@pytest.fixture
def policy(lab: LabHandle) -> Policy:
    """Applied, with an operations bucket."""
    found = small(operations_bucket="operations-{account}-{region}")
    lab.client("s3").create_bucket(Bucket=BUCKET.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    apply(connect(found), found)
    return found


@pytest.fixture
def longer(policy: Policy) -> Policy:
    """The same with other hours for both windows."""
    scan = changed(policy, "windows", 0, "duration_hours", value=3)
    return changed(scan, "windows", 1, "duration_hours", value=5)


def leased(policy: Policy, window: str = "install-nonprod", hours: int = 2) -> Lease:
    connection = connect(policy)
    now = connection.now()
    return leases.acquire(connection, BUCKET, window, RELEASE, now=now, expires=now + timedelta(hours=hours))


def written(folder: Path, policy: Policy) -> str:
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(policy.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    return str(file)


def test_nothing_is_changed_in_a_location_where_a_release_drives_a_window_that_is_to_change(
    lab: LabHandle, policy: Policy, longer: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = leased(policy)
    before = state(lab)
    lab.server.calls.clear()
    assert main(["apply", "--yes", "--policy", written(tmp_path, longer)]) == 1
    told = capsys.readouterr().err
    assert f"install-nonprod to be nobody's, found it leased by the release {RELEASE}" in told
    assert f"until {lease.expires:%Y-%m-%d %H:%M} UTC" in told
    assert lab.server.calls.total(mutating=True) == 0
    assert state(lab) == before


def test_destroy_leaves_it_too(lab: LabHandle, policy: Policy, tmp_path: Path) -> None:
    leased(policy)
    before = state(lab)
    assert main(["destroy", "--yes", "--yes", "--policy", written(tmp_path, policy)]) == 1
    assert state(lab) == before


@pytest.mark.parametrize("how", ["released", "expired"])
def test_a_lease_that_is_over_is_in_nobodys_way(
    lab: LabHandle, policy: Policy, longer: Policy, tmp_path: Path, how: str
) -> None:
    lease = leased(policy)
    if how == "released":
        leases.release(connect(policy), BUCKET, lease)
    else:
        lab.advance(hours=2)
    assert main(["apply", "--yes", "--policy", written(tmp_path, longer)]) == 0
    assert plan(connect(longer), longer).pending == ()


def test_a_lease_of_a_window_that_stays_as_it_is_is_in_nobodys_way(policy: Policy, tmp_path: Path) -> None:
    leased(policy, "scan-daily")
    other = changed(policy, "windows", 1, "duration_hours", value=5)
    assert main(["apply", "--yes", "--policy", written(tmp_path, other)]) == 0


@pytest.mark.parametrize(
    "path", [("windows", 1, "concurrency", "20%"), ("tags", {"patch_group": "PatchGroup", "role": "Role"})]
)
def test_a_change_of_its_tasks_or_targets_alone_counts(policy: Policy, path: tuple[object, ...]) -> None:
    lease = leased(policy)
    scan = leased(policy, "scan-daily")
    other = changed(policy, *path[:-1], value=path[-1])  # type: ignore[arg-type]  # a path and a value
    found = plan(connect(other), other)
    assert all(change.key.noun != WINDOW for change in found.pending)
    with pytest.raises(LeasedError, match=f"{lease.window}|{scan.window}"):
        apply_plan(connect(other), other.deployment, found, operations_bucket=BUCKET)


def test_a_release_that_begins_while_apply_is_at_work_stops_it_before_its_window(
    policy: Policy, longer: Policy
) -> None:
    seen: list[Step] = []

    def progress(step: Step) -> None:
        if not seen:
            leased(policy)
        seen.append(step)

    found = plan(connect(longer), longer)
    with pytest.raises(LeasedError, match="stopped before it"):
        apply_plan(connect(longer), longer.deployment, found, progress=progress, operations_bucket=BUCKET)
    assert {step.key.name for step in seen} == {"scan-daily"}
    left = plan(connect(longer), longer).pending
    assert "install-nonprod" in {change.key.name for change in left}


def test_a_first_apply_needs_no_bucket_yet(lab: LabHandle, tmp_path: Path) -> None:
    found = small(operations_bucket="not-there-{account}-{region}")
    assert main(["apply", "--yes", "--policy", written(tmp_path, found)]) == 0
    assert len(lab.location().windows) == 2


def test_where_leases_cannot_be_read_nothing_is_changed(lab: LabHandle, policy: Policy, longer: Policy) -> None:
    found = plan(connect(longer), longer)
    lab.server.faults.add(FaultRule(kind="access_denied", service="s3", operation="GetObject"))
    lab.server.calls.clear()
    with pytest.raises(DeniedError):
        apply_plan(connect(longer), longer.deployment, found, operations_bucket=BUCKET)
    assert lab.server.calls.total(mutating=True) == 0


def test_the_window_of_a_step_is_guarded_by_the_lease_of_the_window_that_it_serves(
    lab: LabHandle, policy: Policy
) -> None:
    windows = [one.model_dump(exclude_unset=True) for one in policy.windows]
    windows[1]["after"] = [{"automation": "Open-Ticket"}]
    with_step = policy.model_validate({**policy.model_dump(exclude_unset=True, by_alias=True), "windows": windows})
    leased(policy)
    before = state(lab)
    planned = plan(connect(with_step), with_step)
    with pytest.raises(LeasedError, match="install-nonprod to be nobody's"):
        apply_plan(connect(with_step), with_step.deployment, planned, operations_bucket=BUCKET)
    assert state(lab) == before
