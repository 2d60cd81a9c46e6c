"""Accounts, Regions, roles, buckets and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.places import CALLER
from sluice.core.policy.regions import REGIONS
from sluice.core.policy.rings import SEVERITIES

NO_CONFIG_RULE = frozenset({"ap-northeast-3", "eu-south-1", "ap-east-2"})
"""Regions without EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK (AWS Config's page of the rule)."""


def check(subject: Subject) -> Iterator[Found]:
    """Everything around the windows and baselines."""
    yield from _regions(subject)
    yield from _roles(subject)
    yield from _bucket_names(subject)
    yield from _config(subject)
    yield from _sla(subject)
    yield from _buckets(subject)
    notify = subject.policy.notify
    if not (notify.sns_topic or notify.slack_connection or notify.email_connection):
        yield Found(
            "P226",
            ("notify",),
            "expected a topic, a Slack or an email connection, found none: what fails or waits is seen in Airflow only",
        )


def _regions(subject: Subject) -> Iterator[Found]:
    for index, location in enumerate(subject.policy.locations):
        if location.region in (CALLER, *REGIONS):
            continue
        close = get_close_matches(location.region, sorted(REGIONS), n=1)
        advice = f"take {close[0]} if that is meant" if close else "correct it"
        yield Found(
            "P233",
            ("locations", index, "region"),
            f"expected a Region of AWS's that has Systems Manager, found {location.region}, which is not known here: "
            f"{advice}, or waive this where AWS has added it",
        )


def _roles(subject: Subject) -> Iterator[Found]:
    roles = subject.policy.roles
    accounts = {location.account for location in subject.policy.locations}
    if len(accounts) > 1 and not roles.assume:
        yield Found(
            "P221",
            ("roles", "assume"),
            f"expected roles.assume: true for {len(accounts)} accounts, found false: one account's credentials reach "
            "only that one; deploy the roles and set it",
        )
    if roles.assume and not roles.external_id:
        yield Found(
            "P222",
            ("roles",),
            "expected an external_id beside assume, found none: with one nobody else's Airflow can be led to assume "
            "these roles",
        )
    if "{ring}" not in roles.window_service and len(subject.policy.rings) > 1:
        yield Found(
            "P231",
            ("roles", "window_service"),
            f"expected a role per ring (`{{ring}}` in its name), found {roles.window_service}: windows of "
            "non-production could then run what production's may; put {ring} into the name",
        )


def _bucket_names(subject: Subject) -> Iterator[Found]:
    policy = subject.policy
    named = [
        (("logs", "bucket"), policy.logs.bucket),
        (("operations_bucket",), policy.operations_bucket),
        (("evidence", "bucket"), policy.evidence.bucket),
        (("extras", "data_sync_bucket"), policy.extras.data_sync_bucket),
        *((("windows", index, "logs", "bucket"), w.logs.bucket) for index, w in enumerate(policy.windows) if w.logs),
    ]
    for path, name in named:
        if name and re.search(r"\.\.|\.-|-\.|^\d+\.\d+\.\d+\.\d+$|^xn--|^sthree-|-s3alias$|--ol-s3$", name):
            yield Found(
                "P103",
                path,
                f"expected the name of a bucket as S3 takes it, found {name!r}: no `..`, `.-` or `-.`, no IP address, "
                "not xn--… or …-s3alias",
            )


def _config(subject: Subject) -> Iterator[Found]:
    if not subject.policy.extras.config_rule:
        return
    without = sorted({one.region for one in subject.policy.locations} & NO_CONFIG_RULE)
    if without:
        yield Found(
            "P223",
            ("extras", "config_rule"),
            f"expected Regions in which AWS Config has EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK, found "
            f"{', '.join(without)}: set config_rule: false, or give those Regions a deployment of their own",
        )
    yield Found(
        "P224",
        ("extras", "config_rule"),
        "expected a configuration recorder in every location that records AWS::SSM::PatchCompliance, which cannot be "
        "known here: make sure of it (python -m sluice doctor looks), or AWS refuses the rule",
    )


def _sla(subject: Subject) -> Iterator[Found]:
    """A patch cannot be anywhere sooner than the soaks before it add up to."""
    soaks = [ring.soak for ring in subject.policy.rings if ring.soak]
    for severity in SEVERITIES[:-1]:
        days = getattr(subject.policy.sla, f"{severity}_days")
        soak = sum(one.for_severity(severity) for one in soaks)
        if days <= soak:
            yield Found(
                "P225",
                ("sla", f"{severity}_days"),
                f"expected more days than the soak of {severity} patches ({soak}), found {days}: each of them would be "
                "late; raise it, or agree on a shorter soak for them",
            )


def _buckets(subject: Subject) -> Iterator[Found]:
    policy = subject.policy
    bare = [window.name for window in policy.windows if not (window.logs or policy.logs).bucket]
    if bare:
        yield Found(
            "P227",
            ("logs",),
            f"expected a bucket for logs, found none for {', '.join(bare)}: AWS keeps the first 24,000 characters of a "
            "command's output and for 30 days; set logs.bucket",
        )
    if policy.windows and not policy.operations_bucket:
        yield Found(
            "P228",
            ("operations_bucket",),
            "expected an operations bucket for leases, steps and manifests, found none: every release, of scans too, "
            "ends at its first step; set operations_bucket",
        )
    if not policy.evidence.bucket and not policy.evidence.folder:
        yield Found(
            "P229",
            ("evidence",),
            "expected a bucket or a folder for evidence, found none: it stays on whichever machine a step runs, and "
            "what has soaked is not seen from another; set evidence.bucket",
        )
    one_for_all = policy.operations_bucket
    if one_for_all and len(policy.locations) > 1 and not re.search(r"\{(account|region)\}", one_for_all):
        yield Found(
            "P230",
            ("operations_bucket",),
            f"expected a bucket per location (`{{account}}` and `{{region}}` in its name), found {one_for_all} for "
            f"{len(policy.locations)}: nodes would read across accounts or Regions; put both into the name",
        )
    synced, regions = policy.extras.data_sync_bucket, {location.region for location in policy.locations}
    if synced and "{region}" not in synced and len(regions) > 1:
        yield Found(
            "P230",
            ("extras", "data_sync_bucket"),
            f"expected a bucket per Region (`{{region}}` in its name), found {synced} for {len(regions)}: a sync "
            "delivers to a bucket of its own Region; put it into the name",
        )
