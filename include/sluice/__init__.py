"""Sluice: gated patch releases for AWS fleets."""

__version__ = "0.1.0"
