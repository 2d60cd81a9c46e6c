"""What the lab adds to moto's IAM: the policy simulator.

`evaluation`, on `conditions` and `patterns`, decides as AWS documents and knows nothing of moto; `simulation` is the
operation, over what moto holds of users, groups, roles and policies.
"""

from __future__ import annotations


def install() -> None:
    """Put the lab's IAM in moto's place. Twice is as good as once."""
    import moto.iam.urls

    from lab.iam.simulation import LabIAMResponse

    moto.iam.urls.url_paths["{0}/$"] = LabIAMResponse.dispatch
