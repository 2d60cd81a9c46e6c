"""When the DAGs run that have no maintenance window of the policy to go by."""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable

POLICY_CHECK = CronTriggerTimetable("30 0 * * *", timezone="UTC")
"""Drift is known before the night's first windows open."""
