"""What a release expects is resolved once, with the reason of each node that it cannot reach."""

from __future__ import annotations

from flow_world import HERE, NONPROD, PROD, SCAN, run_of

from lab.testing import LabHandle
from sluice.core.policy.policy import Policy
from sluice.flow.admit import admit, read_part
from sluice.flow.resolve import read_resolved, resolve


def test_every_node_of_the_windows_groups_is_expected(policy: Policy, lab: LabHandle) -> None:
    lab.advance(hours=1)
    run = run_of(policy, NONPROD)
    told = resolve(run, HERE)
    assert told == {
        "location": HERE,
        "expected": 2,
        "reachable": 2,
        "reasons": {},
        "slots": {"nonprod-linux.AMAZON_LINUX_2023": 2},
    }
    print(admit(run, [HERE]))
    with run.connect(HERE) as c:
        print(read_resolved(run, c), read_part(run, c, HERE, 1))
