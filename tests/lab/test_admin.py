"""The lab's own API: each page does what it lists, and says what was wrong with a request that it refuses."""

import http.client
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab import admin_pages
from lab.admin import Request
from lab.calls import CallRecord
from lab.clock import START, Clock
from lab.errors import ClockError
from lab.faults import Faults
from lab.fleet import Fleet, parse_fleet
from lab.testing import LabHandle
from lab.world import AgentState, Lab

FLEET = """
accounts:
  - {id: "111111111111", name: workloads, regions: [eu-west-3, eu-central-1]}
  - {id: "222222222222", name: customers, regions: [eu-west-3]}
profiles:
  - {name: ManagedNode, policies: [AmazonSSMManagedInstanceCore]}
defaults: {profile: ManagedNode, image: 2025-05-05}
groups:
  - {name: web, os: AmazonLinux2023, count: 2, tags: {Name: "web-{n}", Patch Group: web}}
  - name: db
    os: Ubuntu22.04
    count: 3
    locations: [111111111111/eu-west-3]
    tags: {Name: "db-{n}", Patch Group: db, Role: db}
rules:
  - {kind: automation, match: "AWS-*", outcome: Failed}
faults:
  - {kind: throttle, service: ec2, operation: CopyImage, times: 1}
"""


@pytest.fixture
def lab_fleet() -> Fleet:
    return parse_fleet(FLEET)


def ask(
    lab: LabHandle, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(lab.endpoint.removeprefix("http://"), timeout=10)
    try:
        text = body if isinstance(body, str | None) else json.dumps(body)
        connection.request(method, path, text, headers or {})
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_list_names_every_page_and_each_says_what_it_is(lab):
    status, found = ask(lab, "GET", "/lab/")
    assert status == 200
    pages = {(page["method"], page["path"]) for page in found["pages"]}
    assert {
        ("GET", "/lab/clock"),
        ("POST", "/lab/clock/advance"),
        ("PATCH", "/lab/fleet"),
        ("POST", "/lab/reset"),
    } < pages
    assert all(page["about"] for page in found["pages"])
    for page in found["pages"]:
        if page["method"] == "GET":
            assert ask(lab, "GET", page["path"])[0] == 200


def test_the_clock_tells_its_time_and_moves_as_asked(lab):
    assert ask(lab, "GET", "/lab/clock") == (
        200,
        {
            "now": "2025-06-02T00:00:00Z",
            "mode": "manual",
            "rate": None,
            "pending": 0,
            "next": None,
            "under_way": 0,
            "opens": None,
        },
    )
    moves = [
        ({"seconds": 30}, "2025-06-02T00:00:30Z"),
        ({"minutes": 1.5}, "2025-06-02T00:02:00Z"),
        ({"hours": 2}, "2025-06-02T02:02:00Z"),
        ({"days": 1}, "2025-06-03T02:02:00Z"),
        ({"to": "2025-06-10T12:00:00+02:00"}, "2025-06-10T10:00:00Z"),
        ({"to": "2025-06-10T10:00:00Z"}, "2025-06-10T10:00:00Z"),
    ]
    for body, now in moves:
        status, found = ask(lab, "POST", "/lab/clock/advance", body)
        assert (status, found["now"]) == (200, now)


def test_the_clock_says_what_is_to_come_and_a_move_makes_it_happen(lab):
    seen = []
    lab.world.clock.after(3600, lambda: seen.append(1), "a promise")
    found = ask(lab, "GET", "/lab/clock")[1]
    assert (found["pending"], found["next"]) == (1, "2025-06-02T01:00:00Z")
    assert ask(lab, "GET", "/lab/state")[1]["next_events"] == [{"when": "2025-06-02T01:00:00Z", "label": "a promise"}]
    ask(lab, "POST", "/lab/clock/advance", {"hours": 1})
    assert seen == [1]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "expected exactly one of"),
        ({"hours": 1, "days": 1}, 400, "expected exactly one of"),
        ({"weeks": 1}, 400, "unknown fields ['weeks']; expected some of"),
        ({"hours": "1"}, 400, "hours: expected a number of 0 or more (the clock only goes forward), found '1'"),
        ({"hours": True}, 400, "expected a number"),
        ({"hours": -1}, 400, "the clock only goes forward"),
        ({"days": 10**9}, 400, "beyond the calendar's end"),
        ({"days": 1e300}, 400, "beyond the calendar's end"),
        ('{"days": NaN}', 400, "expected a number"),
        ({"to": "tomorrow"}, 400, "to: expected a time such as 2025-06-03T02:00:00Z, found 'tomorrow'"),
        ({"to": 5}, 400, "expected a time"),
        ({"to": "2025-06-03T02:00:00"}, 400, "expected a time with its zone, such as 2025-06-03T02:00:00Z"),
        ({"to": "2025-06-01T00:00:00Z"}, 409, "the clock only goes forward: it is 2025-06-02T00:00:00Z"),
        ("not json", 400, "expected a body of JSON, found b'not json'"),
        (None, 400, "expected a JSON object"),
        ([1], 400, "expected a JSON object with some of"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused_and_moves_nothing(lab, body, status, said):
    found = ask(lab, "POST", "/lab/clock/advance", body)
    assert found[0] == status
    assert said in found[1]["error"]
    assert lab.world.clock.now() == START


def test_a_page_that_there_is_not_says_which_there_are(lab):
    status, found = ask(lab, "GET", "/lab/weather")
    assert status == 404
    assert "there is no page /lab/weather; expected one of ['/lab/', '/lab/calls'" in found["error"]


def test_a_method_that_a_page_does_not_take_says_which_it_does(lab):
    status, found = ask(lab, "DELETE", "/lab/clock")
    assert (status, found["error"]) == (405, "/lab/clock does not take DELETE; expected one of GET")


def test_browsers_and_other_hosts_are_kept_out(lab):
    assert ask(lab, "GET", "/lab/clock", headers={"Origin": lab.endpoint})[0] == 403
    assert ask(lab, "GET", "/lab/clock", headers={"Host": "lab.example.com"})[0] == 403
    for host in ("localhost", "localhost:5999", "[::1]:5999", "127.0.0.1"):
        assert ask(lab, "GET", "/lab/clock", headers={"Host": host})[0] == 200


def test_an_event_that_crashes_in_a_move_is_said_in_json_and_fails_the_test(lab):
    def crash() -> None:
        raise KeyError("of the engine")

    lab.world.clock.after(60, crash, "the crash")
    status, found = ask(lab, "POST", "/lab/clock/advance", {"hours": 1})
    assert (status, found["error"]) == (500, "the lab crashed: KeyError('of the engine'); its log has the details")
    assert lab.take_problems() == ["POST /lab/clock/advance crashed: KeyError('of the engine')"]


def test_the_fleet_lists_nodes_with_what_they_are_in_pages(lab):
    found = ask(lab, "GET", "/lab/fleet?limit=5")[1]
    assert (found["total"], len(found["nodes"]), found["next_offset"]) == (9, 5, 5)
    rest = ask(lab, "GET", "/lab/fleet?limit=5&offset=5")[1]
    assert (len(rest["nodes"]), rest["next_offset"]) == (4, None)
    nodes = [*found["nodes"], *rest["nodes"]]
    assert len({node["node_id"] for node in nodes}) == 9
    [one] = [node for node in nodes if node["name"] == "db-2"]
    assert one["account"] == "111111111111"
    assert one["product"] == "Ubuntu22.04"
    assert one["group"] == "db"
    assert one["tags"]["Role"] == "db"
    assert (one["agent"], one["running"], one["reachable"]) == ("online", True, True)
    assert (one["last_operation"], one["patch_states"], one["faults"]) == (None, {}, None)


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("account=222222222222", 2),
        ("region=eu-central-1", 2),
        ("account=111111111111&region=eu-west-3", 5),
        ("group=db", 3),
        ("product=AmazonLinux2023&account=111111111111", 4),
        ("agent=lost", 0),
    ],
)
def test_the_fleet_can_be_filtered(lab, query, total):
    assert ask(lab, "GET", f"/lab/fleet?{query}")[1]["total"] == total


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("color=red", "unknown query parameters ['color']"),
        ("limit=0", "limit: expected 1 to 1000, found 0"),
        ("offset=-1", "offset: expected a whole number of 0 or more, found '-1'"),
        ("agent=asleep", "agent: Input should be 'online', 'lost' or 'none'"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(lab, query, said):
    status, found = ask(lab, "GET", f"/lab/fleet?{query}")
    assert status == 400
    assert said in found["error"]


def test_nodes_can_be_broken_and_mended(lab):
    broken = ask(
        lab, "PATCH", "/lab/fleet", {"match": {"group": "db"}, "set": {"agent": "lost", "faults": {"hang": True}}}
    )
    assert broken[0] == 200
    assert broken[1]["changed"] == 3
    nodes = ask(lab, "GET", "/lab/fleet?group=db")[1]["nodes"]
    assert {(node["agent"], node["reachable"], node["faults"]["hang"]) for node in nodes} == {("lost", False, True)}
    statuses = lab.client("ssm").describe_instance_information()["InstanceInformationList"]
    lost = {row["InstanceId"] for row in statuses if row["PingStatus"] == "ConnectionLost"}
    assert lost == set(broken[1]["node_ids"])

    mended = ask(lab, "PATCH", "/lab/fleet", {"match": {"agent": "lost"}, "set": {"agent": "online", "faults": None}})
    assert mended[1]["changed"] == 3
    nodes = ask(lab, "GET", "/lab/fleet?group=db")[1]["nodes"]
    assert {(node["reachable"], node["faults"]) for node in nodes} == {(True, None)}


def test_a_node_that_comes_back_gets_the_command_that_waited_for_it(lab):
    node_id = ask(lab, "GET", "/lab/fleet?group=db&limit=1")[1]["nodes"][0]["node_id"]
    ask(lab, "PATCH", "/lab/fleet", {"match": {"node_ids": [node_id]}, "set": {"agent": "lost"}})
    ssm = lab.client("ssm")
    command = ssm.send_command(
        InstanceIds=[node_id], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]}
    )["Command"]["CommandId"]
    lab.advance(minutes=5)
    assert ssm.list_command_invocations(CommandId=command)["CommandInvocations"][0]["StatusDetails"] == "Delayed"
    ask(lab, "PATCH", "/lab/fleet", {"match": {"node_ids": [node_id]}, "set": {"agent": "online"}})
    lab.advance(minutes=5)
    assert ssm.list_command_invocations(CommandId=command)["CommandInvocations"][0]["Status"] == "Success"


def test_a_node_whose_reboot_never_returned_can_be_brought_back(lab):
    node = next(iter(lab.location().nodes.values()))
    node.lost_for_good, node.rebooting_until = True, lab.world.clock.now()
    node.pending = frozenset({"kernel.x86_64"})
    lab.advance(hours=1)
    ask(lab, "PATCH", "/lab/fleet", {"match": {"node_ids": [node.node_id]}, "set": {"agent": "online"}})
    assert lab.location().reachable(node)
    assert node.booted_at == lab.world.clock.now()
    assert not node.pending


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"match": {"group": "none"}, "set": {"agent": "lost"}}, 404, "no node matches {'group': 'none'}"),
        ({"match": {}, "set": {}}, 400, "expected at least one of ['agent', 'faults']"),
        ({"match": {}, "set": {"agent": "asleep"}}, 400, "set.agent: Input should be 'online', 'lost' or 'none'"),
        ({"match": {}, "set": {"faults": {"install_failure": 2}}}, 400, "less than or equal to 1 (found 2)"),
        ({"match": {"colour": "red"}, "set": {"agent": "lost"}}, 400, "match.colour: Extra inputs are not permitted"),
        ({"set": {"agent": "lost"}}, 400, "match: Field required"),
        (None, 400, "Input should be a valid dictionary"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(lab, body, status, said):
    found = ask(lab, "PATCH", "/lab/fleet", body)
    assert found[0] == status
    assert said in found[1]["error"]
    assert all(node.agent is AgentState.ONLINE for node in lab.location().nodes.values())


def test_fault_rules_can_be_set_seen_added_and_forgotten(lab):
    denied = {"kind": "access_denied", "service": "ssm", "operation": "Get*"}
    status, found = ask(lab, "PUT", "/lab/faults", {"rules": [denied]})
    assert (status, found) == (200, {"rules": [{**denied, "seen": 0, "hit": 0}]})
    with pytest.raises(ClientError, match="AccessDeniedException"):
        lab.client("ssm").get_parameter(Name="/a")
    lab.client("ssm").describe_parameters()
    assert ask(lab, "GET", "/lab/faults")[1]["rules"] == [{**denied, "seen": 1, "hit": 1}]
    added = ask(lab, "POST", "/lab/faults", {"rules": [{"kind": "drop", "service": "s3"}]})[1]["rules"]
    assert [rule["kind"] for rule in added] == ["access_denied", "drop"]
    assert ask(lab, "DELETE", "/lab/faults") == (200, {"rules": []})
    with pytest.raises(ClientError, match="ParameterNotFound"):
        lab.client("ssm").get_parameter(Name="/a")


def test_a_fault_rule_that_makes_no_sense_changes_nothing(lab):
    ask(lab, "PUT", "/lab/faults", {"rules": [{"kind": "drop", "service": "s3"}]})
    wrong = {"rules": [{"kind": "throttle", "service": "ssm"}, {"kind": "flood"}, {"kind": "drop", "service": "smm"}]}
    status, found = ask(lab, "PUT", "/lab/faults", wrong)
    assert status == 400
    assert "rule 2, kind: Input should be 'throttle'" in found["error"]
    assert "rule 3, as a whole: no service is called 'smm'; use botocore's name" in found["error"]
    assert [rule["kind"] for rule in ask(lab, "GET", "/lab/faults")[1]["rules"]] == ["drop"]
    assert "aws_rates: expected true or false" in ask(lab, "PUT", "/lab/faults", {"aws_rates": 1})[1]["error"]


def test_aws_s_own_rates_can_be_switched_on(lab):
    rules = ask(lab, "PUT", "/lab/faults", {"aws_rates": True})[1]["rules"]
    assert {"Describe*", "CreateImage", "CopyImage"} <= {rule["operation"] for rule in rules}
    assert all(rule["kind"] == "throttle" and rule["service"] == "ec2" for rule in rules)


def test_the_outcomes_of_what_the_lab_cannot_run_can_be_set(lab):
    assert [rule["match"] for rule in ask(lab, "GET", "/lab/rules")[1]["rules"]] == ["AWS-*"]
    rule = {"kind": "lambda", "match": "notify-*", "outcome": "Failed", "seconds": 5}
    assert ask(lab, "PUT", "/lab/rules", {"rules": [rule]})[0] == 200
    assert ask(lab, "POST", "/lab/rules", {"rules": [{"kind": "script", "match": "*", "exit_code": 3}]})[0] == 200
    assert [found.kind for found in lab.world.rules] == ["lambda", "script"]
    refused = ask(lab, "PUT", "/lab/rules", {"rules": [{"kind": "lambda"}]})
    assert refused == (400, {"error": "rule 1, match: Field required"})
    assert ask(lab, "PUT", "/lab/rules", {"rules": 5})[0] == 400
    assert len(list(lab.world.rules)) == 2
    assert ask(lab, "DELETE", "/lab/rules") == (200, {"rules": []})


def test_settings_can_be_read_and_changed(lab):
    before = ask(lab, "GET", "/lab/settings")[1]
    assert before["past_at"] == "never_fires"
    changed = ask(lab, "PATCH", "/lab/settings", {"past_at": "reject", "image_seconds": 7})
    assert changed == (200, {**before, "past_at": "reject", "image_seconds": 7})
    assert lab.world.settings.image_seconds == 7


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"past_at": "fires"}, "past_at: Input should be 'never_fires' or 'reject'"),
        ({"speed": 1}, "unknown fields ['speed']"),
        ({"image_seconds": -1}, "image_seconds: expected 0 or more, found -1"),
        ({"notification_drop": 1.5}, "notification_drop: expected 0 to 1, found 1.5"),
        ({"image_seconds": None}, "image_seconds: Input should be a valid integer"),
    ],
)
def test_a_setting_that_makes_no_sense_changes_nothing(lab, body, said):
    before = ask(lab, "GET", "/lab/settings")
    status, found = ask(lab, "PATCH", "/lab/settings", body)
    assert status == 400
    assert said in found["error"]
    assert ask(lab, "GET", "/lab/settings") == before


def test_the_record_of_calls_can_be_asked_and_cleared(lab):
    ssm = lab.client("ssm")
    for name in ("/a", "/b"):
        ssm.put_parameter(Name=name, Value="1", Type="String")
    ssm.get_parameters_by_path(Path="/")
    found = ask(lab, "GET", "/lab/calls?mutating=true&last=1")[1]
    assert found["total"] == 2
    assert found["counts"] == [
        {
            "service": "ssm",
            "operation": "PutParameter",
            "account": "111111111111",
            "region": "eu-west-3",
            "mutating": True,
            "count": 2,
        }
    ]
    assert [call["operation"] for call in found["last"]] == ["GetParametersByPath"]
    assert ask(lab, "GET", "/lab/calls?service=ssm&operation=GetParametersByPath")[1]["total"] == 1
    assert ask(lab, "GET", "/lab/calls?mutating=perhaps")[0] == 400
    ask(lab, "DELETE", "/lab/calls")
    assert ask(lab, "GET", "/lab/calls")[1] == {"total": 0, "counts": []}


def test_a_published_version_is_offered_from_its_date_and_a_withdrawn_one_no_longer(lab):
    package = {
        "name": "sluice-test",
        "arch": "x86_64",
        "version": "1.0",
        "release": "1.amzn2023",
        "notice": {
            "id": "ALAS2023-2025-999",
            "classification": "Security",
            "severity": "Critical",
            "cves": ["CVE-2025-1"],
        },
    }
    body = {"product": "AmazonLinux2023", "available": "2025-06-03T00:00:00Z", "package": package}
    query = "/lab/repositories?product=AmazonLinux2023&name=sluice-test"
    assert ask(lab, "POST", "/lab/repositories", body) == (
        200,
        {"published": "sluice-test.x86_64", "available": "2025-06-03T00:00:00Z"},
    )
    assert ask(lab, "GET", query)[1]["total"] == 0
    lab.advance(days=1)
    [offered] = ask(lab, "GET", query)[1]["offered"]
    assert offered["id"] == "sluice-test.x86_64"
    assert offered["versions"] == [
        {"epoch": 0, "version": "1.0", "release": "1.amzn2023", "notice": "ALAS2023-2025-999"}
    ]
    gone = {"product": "AmazonLinux2023", "id": "sluice-test.x86_64"}
    assert ask(lab, "DELETE", "/lab/repositories", gone)[0] == 200
    assert ask(lab, "GET", query)[1]["total"] == 0
    assert ask(lab, "DELETE", "/lab/repositories", gone)[0] == 404


def test_a_windows_update_can_be_published(lab):
    update = {"kb": "KB9999999", "title": "2025-06 Cumulative Update", "line": "sluice-test"}
    assert ask(lab, "POST", "/lab/repositories", {"product": "WindowsServer2022", "update": update})[0] == 200
    [offered] = ask(lab, "GET", "/lab/repositories?product=WindowsServer2022&name=KB9999999")[1]["offered"]
    assert offered["title"] == "2025-06 Cumulative Update"
    gone = {"product": "WindowsServer2022", "id": "KB9999999"}
    assert ask(lab, "DELETE", "/lab/repositories", gone) == (200, {"withdrawn": 1})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"product": "AmazonLinux2023"}, "expected either a package or an update"),
        ({"product": "Plan9", "package": {"name": "a", "arch": "b", "version": "1"}}, "no OS product 'Plan9'"),
        ({"product": "AmazonLinux2023", "update": {"kb": "KB1", "title": "x"}}, "AmazonLinux2023 has packages"),
        ({"product": "WindowsServer2022", "package": {"name": "a", "arch": "b", "version": "1"}}, "has updates by KB"),
        ({"product": "AmazonLinux2023", "package": {"name": "a", "arch": "b"}}, "package.version: Field required"),
        (
            {"product": "AmazonLinux2023", "available": "2025-06-03T00:00:00"},
            "available: Input should have timezone info",
        ),
    ],
)
def test_a_publication_that_makes_no_sense_is_refused(lab, body, said):
    status, found = ask(lab, "POST", "/lab/repositories", body)
    assert status == 400
    assert said in found["error"]


def test_the_state_counts_what_there_is_by_place(lab):
    lab.client("ssm").create_maintenance_window(
        Name="counted", Schedule="rate(1 day)", Duration=2, Cutoff=1, AllowUnassociatedTargets=False
    )
    found = ask(lab, "GET", "/lab/state")[1]
    places = {(place["account"], place["region"]): place for place in found["locations"]}
    assert set(places) == {
        ("111111111111", "eu-west-3"),
        ("111111111111", "eu-central-1"),
        ("222222222222", "eu-west-3"),
    }
    first = places["111111111111", "eu-west-3"]
    assert (first["nodes"], first["instances"], first["windows"], first["images"]) == (5, 5, 1, 0)
    assert found["events"] >= 1


def test_a_reset_is_back_at_the_seeded_fleet_and_the_start(lab):
    before = ask(lab, "GET", "/lab/fleet?region=eu-west-3")[1]
    ask(lab, "PATCH", "/lab/fleet", {"match": {}, "set": {"agent": "lost"}})
    ask(lab, "PUT", "/lab/faults", {"rules": []})
    ask(lab, "DELETE", "/lab/rules")
    ask(lab, "PATCH", "/lab/settings", {"image_seconds": 7})
    ask(lab, "DELETE", "/lab/repositories", {"product": "AmazonLinux2023", "id": "kernel.x86_64"})
    lab.client("ec2").terminate_instances(InstanceIds=[before["nodes"][0]["node_id"]])
    ask(lab, "POST", "/lab/clock/advance", {"days": 40})
    status, found = ask(lab, "POST", "/lab/reset")
    assert (status, found["now"], found["pending"]) == (200, "2025-06-02T00:00:00Z", 0)
    assert ask(lab, "GET", "/lab/fleet?region=eu-west-3")[1] == before
    assert [rule["operation"] for rule in ask(lab, "GET", "/lab/faults")[1]["rules"]] == ["CopyImage"]
    assert len(ask(lab, "GET", "/lab/rules")[1]["rules"]) == 1
    assert ask(lab, "GET", "/lab/settings")[1]["image_seconds"] != 7
    assert ask(lab, "GET", "/lab/calls")[1]["total"] == 0
    kernel = ask(lab, "GET", "/lab/repositories?product=AmazonLinux2023&name=kernel")[1]
    assert "kernel.x86_64" in {one["id"] for one in kernel["offered"]}
    assert ask(lab, "POST", "/lab/reset", {"to": "now"})[0] == 400


@pytest.mark.parametrize(("rate", "mode"), [(1.0, "real"), (3600.0, "rate")])
def test_a_clock_that_runs_says_so_and_only_a_real_one_cannot_be_moved(rate, mode):
    world = Lab(clock=Clock(rate=rate))
    pages = admin_pages.routes(world, Faults(world.clock, 0), CallRecord(), lambda: None)
    found = pages["/lab/clock"]["GET"].page(Request({}, None))
    assert (found["mode"], found["rate"]) == (mode, rate)
    move = Request({}, {"days": 1})
    if mode == "real":
        with pytest.raises(ClockError, match="real clock cannot be advanced"):
            pages["/lab/clock/advance"]["POST"].page(move)
    else:
        assert pages["/lab/clock/advance"]["POST"].page(move)["now"] >= "2025-06-03T00:00:00Z"
