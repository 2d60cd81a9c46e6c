"""Who is told what a run found: by SNS, Slack and email, as the policy says and Airflow's connections know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from listeners import Mail, Webhook, connection, served

from lab.testing import LabHandle
from sluice.core.policy.policy import Policy
from sluice_airflow.notices import send

SUBJECT, TEXT = "Sluice policy: drift", "Policy: drift\n111111111111/eu-west-3: drift <1 to create>"


def policy(**notify: Any) -> Policy:
    return Policy.model_validate({"version": 1, "mode": "observe", "rings": [{"name": "nonprod"}], "notify": notify})


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    yield from served(Webhook())


@pytest.fixture
def mail() -> Iterator[Mail]:
    yield from served(Mail())


@pytest.fixture(autouse=True)
def home(airflow_home: Any) -> None:
    """Connections are looked up in Airflow."""


def test_nobody_is_told_where_the_policy_names_nobody() -> None:
    assert send(policy(), SUBJECT, TEXT) == []


@pytest.mark.parametrize("whole", [True, False])
def test_slack_is_told_by_the_webhook_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, webhook: Webhook, whole: bool
) -> None:
    address = f"http://127.0.0.1:{webhook.server_port}/services"
    secret = {"password": f"{address}/T0/B0/x"} if whole else {"host": address, "password": "T0/B0/x"}
    connection(monkeypatch, "slack_patching", conn_type="slackwebhook", **secret)
    assert send(policy(slack_connection="slack_patching"), SUBJECT, TEXT) == ["slack"]
    shown = TEXT.replace("<", "&lt;").replace(">", "&gt;")  # else a reason could be a link, or call everybody
    assert webhook.posts == [("/services/T0/B0/x", {"text": f"*{SUBJECT}*\n{shown}"})]


def test_a_webhook_without_tls_is_told_nothing_but_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection(monkeypatch, "slack_patching", conn_type="slackwebhook", password="http://example.com/sEcReT")
    assert send(policy(slack_connection="slack_patching"), SUBJECT, TEXT) == []
    assert "expected a host with https://" in caplog.text
    assert "sEcReT" not in caplog.text


def test_email_goes_through_the_smtp_connection(monkeypatch: pytest.MonkeyPatch, mail: Mail) -> None:
    connection(
        monkeypatch,
        "smtp_patching",
        **mail.connection,
    )
    told = send(policy(email_connection="smtp_patching", email_to="patching@example.com"), SUBJECT, TEXT)
    assert told == ["email"]
    assert f"Subject: {SUBJECT}" in mail.lines
    assert "To: patching@example.com" in mail.lines


def test_sns_is_told_in_the_topics_own_region(aws_environment: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = aws_environment.client("sns", region="eu-central-1").create_topic(Name="patching")["TopicArn"]
    assert send(policy(sns_topic=topic), SUBJECT, TEXT) == ["sns"]
    assert aws_environment.server.calls.total(service="sns", operation="Publish", region="eu-central-1") == 1


def test_a_way_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch, webhook: Webhook) -> None:
    address = f"http://127.0.0.1:{webhook.server_port}/services"
    connection(monkeypatch, "slack_patching", conn_type="slackwebhook", password=f"{address}/T0/B0/x")
    told = send(
        policy(slack_connection="slack_patching", email_connection="not_there", email_to="patching@example.com"),
        SUBJECT,
        TEXT,
    )
    assert told == ["slack"]


def test_a_failure_does_not_tell_the_webhooks_secret(
    monkeypatch: pytest.MonkeyPatch, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"http://127.0.0.1:{webhook.server_port}/gone"
    connection(monkeypatch, "slack_patching", conn_type="slackwebhook", password=f"{address}/sEcReT")
    assert send(policy(slack_connection="slack_patching"), SUBJECT, TEXT) == []
    assert "no notice went out by slack" in caplog.text
    assert "sEcReT" not in caplog.text
