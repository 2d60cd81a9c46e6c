"""Tells whom the policy's `notify` names, from Airflow's callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context


class PolicyNotifier(BaseNotifier):
    """Send `subject` and `text`, Jinja templates, by SNS, Slack and email as the policy says."""

    template_fields: Sequence[str] = ("subject", "text")

    def __init__(self, subject: str, text: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.subject = subject
        self.text = text

    def notify(self, context: Context) -> None:
        """Send, as a task or Airflow's DAG processor does."""
        from sluice_airflow.notices import send
        from sluice_airflow.runs import deployed_policy

        self.log.info("%s: told by %s", self.subject, send(deployed_policy(), self.subject, self.text))

    async def async_notify(self, context: Context) -> None:
        """Send, as the triggerer does; from a thread, as the ways are synchronous."""
        from asgiref.sync import sync_to_async

        await sync_to_async(self.notify)(context)
