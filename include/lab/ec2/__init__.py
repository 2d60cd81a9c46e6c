"""EC2 as the lab answers it: moto keeps the state, the lab corrects what is wrong or slow for a fleet.

What there is: state, instances, instance_records, addresses, images, snapshots, tags. What every operation
shares: wire, filters, filter_paths, operations. The operations: *_operations, joined in response. moto's
internals that are quadratic in the fleet: replacements. What happens to an instance, for the agents: events.
"""

from __future__ import annotations

import os

# moto would load a catalogue of public images for each account and Region: 74 ms and 3.2 MB instead of
# 1 ms. It reads this when an EC2 backend is made, not when it is imported.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def install() -> None:
    """Put the lab's EC2 in moto's place, for the server and for `mock_aws` alike. Twice is as good as once."""
    import moto.ec2.urls

    from lab.ec2 import replacements
    from lab.ec2.response import LabEC2Response

    replacements.install()
    moto.ec2.urls.url_paths["{0}/"] = LabEC2Response.dispatch
