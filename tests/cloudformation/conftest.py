"""The lab, to create stacks in."""

from lab.testing import lab, lab_fleet, lab_server

__all__ = ["lab", "lab_fleet", "lab_server"]
