"""What IAM's policies allow, as AWS documents it; and that it agrees with a plain reading of small policies."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import PolicyDocumentError
from lab.iam import evaluation
from lab.iam.evaluation import Decision, Outcome, Source, Statement
from lab.iam.patterns import context

HERE = Source("here", "role")
WINDOW = "arn:aws:ssm:eu-west-3:111111111111:maintenancewindow/mw-1"


def statements(*found: dict[str, Any], version: str = "2012-10-17") -> tuple[Statement, ...]:
    """Statements that allow everything where they say nothing else."""
    whole = [
        {
            "Effect": "Allow",
            **({} if "NotAction" in one else {"Action": "*"}),
            **({} if "NotResource" in one else {"Resource": "*"}),
            **one,
        }
        for one in found
    ]
    return evaluation.parse({"Version": version, "Statement": whole}, HERE)


def decide(
    *found: dict[str, Any],
    boundary: tuple[Statement, ...] | None = None,
    action: str = "ssm:GetMaintenanceWindow",
    resource: str = WINDOW,
    **known: list[str],
) -> Decision:
    """A decision; context keys are written with `__` for `:` and `___` for `/`."""
    keys = {name.replace("___", "/").replace("__", ":"): values for name, values in known.items()}
    return evaluation.decide(statements(*found), boundary, action, resource, context(keys))


def allowed(*found: dict[str, Any], **request: Any) -> bool:
    return decide(*found, **request).outcome is Outcome.ALLOWED


# Effects


def test_what_nobody_allows_is_denied_implicitly() -> None:
    assert decide({"Action": "ec2:*"}) == Decision(Outcome.IMPLICIT_DENY, (), None)


def test_a_deny_wins_over_every_allow_and_is_what_is_named() -> None:
    deny = {"Effect": "Deny", "Action": "ssm:Get*"}
    assert decide({}, deny, {}) == Decision(Outcome.EXPLICIT_DENY, (HERE,), None)


@pytest.mark.parametrize(
    ("limit", "outcome", "within"),
    [
        ({"Action": "ssm:*"}, Outcome.ALLOWED, True),
        ({"Action": "ec2:*"}, Outcome.IMPLICIT_DENY, False),
        ({"Effect": "Deny"}, Outcome.EXPLICIT_DENY, False),
    ],
)
def test_a_boundary_has_to_allow_too_and_allows_nothing_by_itself(
    limit: dict[str, Any], outcome: Outcome, within: bool
) -> None:
    found = decide({}, boundary=statements(limit))
    assert (found.outcome, found.boundary) == (outcome, within)
    assert not allowed({"Action": "ec2:*"}, boundary=statements(limit))


# Actions and resources


@pytest.mark.parametrize(
    ("statement", "applies"),
    [
        ({"Action": "ssm:GetMaintenanceWindow"}, True),
        ({"Action": "SSM:getmaintenancewindow"}, True),
        ({"Action": ["ec2:*", "ssm:Get*Window"]}, True),
        ({"Action": "ssm:GetMaintenanceWindo?"}, True),
        ({"Action": "ssm:GetMaintenanceWindow?"}, False),
        ({"Action": "ssm:GetMaintenance[W]indow"}, False),
        ({"NotAction": "ec2:*"}, True),
        ({"NotAction": ["ec2:*", "ssm:Get*"]}, False),
        ({"Resource": WINDOW}, True),
        ({"Resource": WINDOW.upper()}, False),
        ({"Resource": "arn:aws:ssm:*:111111111111:maintenancewindow/*"}, True),
        ({"Resource": "arn:aws:ssm:*:222222222222:maintenancewindow/*"}, False),
        ({"Resource": "arn:aws:ssm:*"}, True),
        ({"Resource": "arn:aws:s*m:eu-west-3:111111111111:*"}, True),
        ({"Resource": "arn:aws:ssm:e*1:maintenancewindow/mw-1"}, False),
        ({"NotResource": "arn:aws:ec2:*"}, True),
        ({"NotResource": ["arn:aws:ec2:*", "arn:aws:ssm:*"]}, False),
    ],
)
def test_actions_and_resources_are_compared_with_wildcards(statement: dict[str, Any], applies: bool) -> None:
    assert allowed(statement) == applies


def test_all_resources_are_allowed_by_a_star_alone() -> None:
    assert allowed({"Resource": "*"}, resource="*")
    assert not allowed({"Resource": "arn:aws:ssm:*"}, resource="*")


def test_a_colon_in_the_name_of_a_resource_stops_no_wildcard() -> None:
    group = "arn:aws:logs:eu-west-3:111111111111:log-group:a:log-stream:b"
    assert allowed({"Resource": "arn:aws:logs:*:*:log-group:*stream:b"}, resource=group)


# Variables


@pytest.mark.parametrize(
    ("pattern", "team", "applies"),
    [
        ("maintenancewindow/${aws:PrincipalTag/Team}-1", ["mw"], True),
        ("maintenancewindow/${AWS:principaltag/team}-*", ["mw"], True),
        ("maintenancewindow/${aws:PrincipalTag/Team}", ["*"], False),
        ("maintenancewindow/${aws:PrincipalTag/Team}-1", [], False),
        ("maintenancewindow/${aws:PrincipalTag/Team}-1", ["mw", "xx"], False),
        ("maintenancewindow/${aws:PrincipalTag/Team, 'mw'}-1", [], True),
        ("maintenancewindow/${*}", ["mw"], False),
    ],
)
def test_variables_of_a_resource_have_the_requests_value_or_their_default(
    pattern: str, team: list[str], applies: bool
) -> None:
    resource = f"arn:aws:ssm:*:*:{pattern}"
    assert allowed({"Resource": resource}, aws__PrincipalTag___Team=team) == applies


def test_a_variables_special_characters_stand_for_themselves() -> None:
    resource = "arn:aws:s3:::b/a*c?$"
    assert allowed({"Resource": "arn:aws:s3:::b/a${*}c${?}${$}"}, resource=resource)
    assert not allowed({"Resource": "arn:aws:s3:::b/a${*}c${?}${$}"}, resource="arn:aws:s3:::b/abcd$")


def test_a_deny_of_all_but_what_nobody_knows_denies_nothing() -> None:
    deny = {"Effect": "Deny", "NotResource": "arn:aws:ssm:*:*:maintenancewindow/${aws:username}"}
    assert allowed({}, deny)
    assert not allowed({}, deny, aws__username=["ann"])


def test_in_the_older_language_a_variable_is_plain_text() -> None:
    old = statements({"Resource": "arn:aws:s3:::b/${aws:username}"}, version="2008-10-17")
    known = context({"aws:username": ["ann"]})
    for resource, outcome in (("ann", Outcome.IMPLICIT_DENY), ("${aws:username}", Outcome.ALLOWED)):
        assert evaluation.decide(old, None, "s3:GetObject", f"arn:aws:s3:::b/{resource}", known).outcome is outcome


# Conditions


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "holds"),
    [
        ("StringEquals", ["a", "b"], ["b"], True),
        ("StringEquals", "a", ["A"], False),
        ("StringEquals", "*", ["a"], False),
        ("StringEquals", "a", [], False),
        ("StringEqualsIfExists", "a", [], True),
        ("StringEqualsIfExists", "a", ["b"], False),
        ("StringNotEquals", ["a", "b"], ["b"], False),
        ("StringNotEquals", ["a", "b"], ["c"], True),
        ("StringNotEquals", "a", [], True),
        ("StringEqualsIgnoreCase", "Demo", ["dEMO"], True),
        ("StringNotEqualsIgnoreCase", "Demo", ["dEMO"], False),
        ("StringLike", "prod-*", ["prod-linux"], True),
        ("StringLike", "prod-?", ["prod-linux"], False),
        ("StringNotLike", "prod-*", ["nonprod-linux"], True),
        ("StringEquals", "${aws:username}", ["ann"], True),
        ("StringEquals", "${aws:userid}", ["ann"], False),
        ("StringNotEquals", "${aws:userid}", ["ann"], True),
        ("ArnLike", "arn:aws:iam::*:role/ops/*", ["arn:aws:iam::111111111111:role/ops/ann"], True),
        ("ArnEquals", "arn:aws:iam:*:role/ann", ["arn:aws:iam::111111111111:role/ann"], False),
        ("ArnNotLike", "arn:aws:iam::*:role/*", ["arn:aws:iam::111111111111:user/ann"], True),
        ("Bool", "true", ["True"], True),
        ("Bool", False, ["false"], True),
        ("Bool", "false", [], False),
        ("BoolIfExists", "false", [], True),
        ("Null", "true", [], True),
        ("Null", "true", ["a"], False),
        ("Null", "false", ["a"], True),
        ("Null", False, [], False),
        ("NumericLessThanEquals", 3600, ["3600"], True),
        ("NumericLessThan", "3600", ["3600.0"], False),
        ("NumericGreaterThan", "9", ["10"], True),
        ("NumericNotEquals", "9", ["9.0"], False),
        ("NumericEquals", "9", ["nine"], False),
        ("DateGreaterThan", "2025-06-02T00:00:00Z", ["2025-06-02T03:00:00+02:00"], True),
        ("DateLessThan", "2025-06-02", ["1748822399"], True),
        ("DateEquals", "2025-06-02T00:00:00Z", ["2025-06-02"], True),
        ("IpAddress", "203.0.113.0/24", ["203.0.113.7"], True),
        ("NotIpAddress", "203.0.113.0/24", ["2001:db8::1"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a", "b"], [], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], True),
        ("ForAnyValue:StringLike", ["a*", "b"], ["c", "d"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], [], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], [], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),
        ("ForAnyValue:StringEqualsIfExists", ["a", "b"], [], True),
    ],
)
def test_a_condition_holds_as_its_operator_is_documented(
    operator: str, wanted: Any, found: list[str], holds: bool
) -> None:
    request = {"lab__key": found, "aws__username": ["ann"]}
    assert allowed({"Condition": {operator: {"Lab:Key": wanted}}}, **request) == holds


def test_all_operators_and_keys_of_a_condition_have_to_hold() -> None:
    condition = {"StringEquals": {"a:one": "1", "a:two": "2"}, "Null": {"a:three": "true"}}
    assert allowed({"Condition": condition}, a__one=["1"], a__two=["2"])
    assert not allowed({"Condition": condition}, a__one=["1"])
    assert not allowed({"Condition": condition}, a__one=["1"], a__two=["2"], a__three=["3"])


def test_keys_that_policies_look_at_and_the_request_lacks_are_missing() -> None:
    found = statements(
        {"Resource": "arn:aws:s3:::b/${aws:username}/${aws:PrincipalTag/Team, 'all'}"},
        {
            "Condition": {
                "StringEquals": {"aws:RequestedRegion": "${aws:SourceVpc}"},
                "Bool": {"aws:SecureTransport": True},
            }
        },
    )
    known = context({"AWS:SecureTransport": ["true"]})
    assert evaluation.missing(found, known) == ["aws:RequestedRegion", "aws:SourceVpc", "aws:username"]


# What cannot be evaluated


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Condition": {"StringSounds": {"a:b": "c"}}}, "StringSounds"),
        ({"Condition": {"BinaryEquals": {"a:b": "c"}}}, "BinaryEquals"),
        ({"Condition": {"ForSomeValues:StringEquals": {"a:b": "c"}}}, "ForSomeValues:StringEquals"),
        ({"Condition": {"NullIfExists": {"a:b": "true"}}}, "NullIfExists"),
        ({"Condition": {"NumericEquals": {"a:b": "c"}}}, "cannot compare with 'c'"),
        ({"Condition": {"DateLessThan": {"a:b": "soon"}}}, "cannot compare with 'soon'"),
        ({"Condition": {"Bool": {"a:b": "yes"}}}, "cannot compare with 'yes'"),
        ({"Condition": {"StringEquals": "a"}}, "keys with their values"),
        ({"Condition": ["a"]}, "operators with their keys"),
        ({"Effect": "allow"}, "Allow or Deny"),
        ({"NotAction": "s3:*", "Action": "s3:*"}, "Action and NotAction"),
        ({"Resource": []}, "texts as Resource"),
        ({"Conditon": {}}, "Conditon"),
        ({"Principal": "*"}, "Principal"),
    ],
)
def test_what_iam_does_not_know_is_refused_whether_it_would_matter_or_not(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyDocumentError, match=said):
        statements({"Action": "never:*", **change})


@pytest.mark.parametrize(
    "document", ["", "[]", "{}", '{"Version": "2025-01-01", "Statement": []}', '{"Statement": [1]}']
)
def test_a_document_that_is_no_policy_is_refused_by_its_name(document: str) -> None:
    with pytest.raises(PolicyDocumentError, match="policy here: "):
        evaluation.parse(document, HERE)


# Whatever the policies

ACTIONS = ("ec2:Get", "ec2:Put", "ssm:Get", "ssm:Put")
RESOURCES = tuple(f"arn:aws:{service}:::{name}" for service in ("ec2", "ssm") for name in ("a", "b"))
TAGS = ([], ["x"], ["y"])

some_actions = st.lists(st.sampled_from([*ACTIONS, "ec2:*", "*:Get", "*", "s?m:Put"]), min_size=1, max_size=2)
some_resources = st.lists(
    st.sampled_from([*RESOURCES, "*", "arn:aws:ec2:::*", "arn:aws:*:::a", "arn:aws:ssm:::?"]), min_size=1, max_size=2
)
some_condition = st.sampled_from(
    [{}, *({operator: {"k:tag": "x"}} for operator in ("StringEquals", "StringNotEquals", "StringEqualsIfExists"))]
)


def some_statement(effect: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda action, actions, resource, resources, condition: {
            "Effect": effect, action: actions, resource: resources, "Condition": condition,
        },
        st.sampled_from(["Action", "NotAction"]),
        some_actions,
        st.sampled_from(["Resource", "NotResource"]),
        some_resources,
        some_condition,
    )  # fmt: skip


some_policy = st.lists(some_statement("Allow") | some_statement("Deny"), max_size=5)


def read(policy: list[dict[str, Any]]) -> tuple[Statement, ...]:
    return evaluation.parse(json.dumps({"Version": "2012-10-17", "Statement": policy}), HERE)


def whole(policy: list[dict[str, Any]], boundary: list[dict[str, Any]] | None = None) -> dict[Any, Outcome]:
    """The outcome of every request that there is."""
    limit = None if boundary is None else read(boundary)
    return {
        (action, resource, tuple(tag)): evaluation.decide(
            read(policy), limit, action, resource, context({"k:tag": tag})
        ).outcome
        for action in ACTIONS
        for resource in RESOURCES
        for tag in TAGS
    }


def plainly(policy: list[dict[str, Any]], action: str, resource: str, tag: list[str]) -> Outcome:
    """What a reader of the policy would say."""

    def applies(one: dict[str, Any]) -> bool:
        return (
            any(fnmatchcase(action, pattern) for pattern in one.get("Action", one.get("NotAction")))
            == ("Action" in one)
            and any(fnmatchcase(resource, pattern) for pattern in one.get("Resource", one.get("NotResource")))
            == ("Resource" in one)
            and all(
                {"StringEquals": tag == ["x"], "StringNotEquals": tag != ["x"], "StringEqualsIfExists": tag != ["y"]}[
                    name
                ]
                for name in one["Condition"]
            )
        )

    effects = {one["Effect"] for one in policy if applies(one)}
    if "Deny" in effects:
        return Outcome.EXPLICIT_DENY
    return Outcome.ALLOWED if effects else Outcome.IMPLICIT_DENY


def gives(outcomes: dict[Any, Outcome]) -> set[Any]:
    return {request for request, outcome in outcomes.items() if outcome is Outcome.ALLOWED}


@given(some_policy)
def test_it_agrees_with_a_plain_reading(policy: list[dict[str, Any]]) -> None:
    for (action, resource, tag), outcome in whole(policy).items():
        assert outcome is plainly(policy, action, resource, list(tag))


@given(some_policy, some_statement("Allow"), some_statement("Deny"), some_policy, st.randoms(use_true_random=False))
def test_an_allow_takes_nothing_away_and_neither_a_deny_nor_a_boundary_gives_anything(
    policy: list[dict[str, Any]],
    allow: dict[str, Any],
    deny: dict[str, Any],
    boundary: list[dict[str, Any]],
    random: Any,
) -> None:
    before = whole(policy)
    assert gives(before) <= gives(whole([*policy, allow]))
    assert gives(whole([*policy, deny])) <= gives(before)
    assert gives(whole(policy, boundary)) == gives(before) & gives(whole(boundary))
    assert whole(random.sample(policy, len(policy))) == before
