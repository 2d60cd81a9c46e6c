"""Sends what the policy's `notify` asks for. Addresses and secrets are in Airflow's connections."""

from __future__ import annotations

import json
import logging
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.core.policy.places import Notify
    from sluice.core.policy.policy import Policy

log = logging.getLogger(__name__)

SUBJECT = 100
"""Characters of a subject that SNS takes."""
SLACK = "https://hooks.slack.com/services"
LOOPBACK = ("http://127.0.0.1:", "http://localhost:")
"""Where no TLS is needed: a relay on the same machine."""
SECONDS = 10
"""How long an answer of Slack's is waited for."""


def send(policy: Policy, subject: str, text: str) -> list[str]:
    """Tell everybody whom the policy names; the ways that worked. One that fails is logged and stops no other."""
    notify = policy.notify
    ways = {
        "sns": (notify.sns_topic, _sns),
        "email": (notify.email_connection, _email),
        "slack": (notify.slack_connection, _slack),
    }
    sent = []
    for name, (configured, way) in ways.items():
        if configured:
            try:
                way(notify, subject, text)
                sent.append(name)
            except Exception:  # whoever is told must not decide what becomes of the run
                log.exception("no notice went out by %s (%s)", name, configured)
    return sent


def _sns(notify: Notify, subject: str, text: str) -> None:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook

    from sluice_airflow.aws import CONNECTION

    topic = str(notify.sns_topic)
    hook = SnsHook(aws_conn_id=CONNECTION, region_name=topic.split(":")[3])
    hook.publish_to_target(topic, text, subject[:SUBJECT])


def _email(notify: Notify, subject: str, text: str) -> None:
    from html import escape

    from airflow.providers.smtp.hooks.smtp import SmtpHook

    with SmtpHook(smtp_conn_id=str(notify.email_connection)) as server:
        server.send_email_smtp(to=list(notify.email_to), subject=subject, html_content=f"<pre>{escape(text)}</pre>")


def _slack(notify: Notify, subject: str, text: str) -> None:
    """A POST to the webhook: its address, a secret, is the connection's password, or host and password joined."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(str(notify.slack_connection))
    secret = str(connection.password or "")
    host = (connection.host or SLACK).rstrip("/")
    url = secret if "://" in secret else f"{host}/{secret.lstrip('/')}"
    if not url.startswith(("https://", *LOOPBACK)):
        raise ValueError(f"expected a host with https:// in the connection {notify.slack_connection}, found none")
    body = json.dumps({"text": f"*{_plain(subject)}*\n{_plain(text)}"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # the scheme was looked at above
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310  # the scheme was looked at above
        pass


def _plain(text: str) -> str:
    """Text that Slack shows as it is: a link or a mention in a reason would be one of Sluice's.

    Slack: "Formatting text for app surfaces", escaping.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
