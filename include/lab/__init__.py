"""The lab: AWS patching on one machine (see docs/lab.md)."""
