"""`python -m sandbox serve`: the whole round of a request over HTTP, by page, by API and by Slack, and upkeep."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from sandbox.bedrock import Bedrock
from sandbox.world import InferenceProfile
from tests.builders.served import Page, Served, served
from tests.builders.slack import (
    ALICE,
    PARAMETERS,
    SECRETS,
    FakeSlack,
    click,
    failing,
    limited,
    shown,
    signed,
    slack_server,
)

GUIDE: Final = (Path(__file__).parents[2] / "events" / "geographic-profile.json").read_bytes()
USER: Final = "arn:aws:iam::123456789012:user/nova-developer"


@pytest.fixture
def stack() -> Iterator[Served]:
    """A stack that is kept up, in mode approve, with one request that waits."""
    with served() as stack:
        stack.put(GUIDE)
        yield stack


def test_the_whole_round(stack: Served) -> None:
    """Event, mail, page, approval: the grant is active, the link tells so, and it ends with its day."""
    link = stack.link
    assert link.startswith(f"{stack.address}/request/")
    page = stack.ask(link)
    assert (page.status, page.buttons >= {"approve", "reject"}) == (200, True)
    sent = stack.press(link, "approve", page, length="1d", reason="for the trial")
    assert (sent.status, sent.headers["location"]) == (303, link.removeprefix(stack.address))
    (grant,) = stack.ask("/grants").json
    assert (grant["state"], grant["verification"]) == ("active", "simulated")
    assert "Alice (unverified)" in stack.ask(link).text
    assert len(stack.ask("/policies").json[USER]) == 2
    assert stack.forward("23h")["UpkeepSchedule"]["expire"] == {}
    assert stack.states == ["active"]
    assert stack.forward("61m")["UpkeepSchedule"]["expire"] == {"expired": 1}
    assert stack.states == ["revoked"]
    assert len(stack.ask("/policies").json[USER]) == 1
    assert [subject.split(":")[0] for subject in stack.subjects] == [
        "Bedrock access requested",
        "Bedrock access granted",
        "Bedrock access revoked",
    ]
    assert stack.ask("/failures").json == []
    assert stack.sandbox.authorization.refusals == []


def test_two_who_decide_at_once(stack: Served) -> None:
    """Of two who opened the page the first decides; the second is told who and what, and changes nothing."""
    link = stack.link
    first, second = stack.ask(link), stack.ask(link)
    assert stack.press(link, "reject", first, name="Alice").status == 303
    late = stack.press(link, "approve", second, name="Bob", length="none")
    assert (late.status, "Alice (unverified)" in late.text) == (409, True)
    assert stack.states == ["rejected"]
    assert len(stack.ask("/policies").json[USER]) == 1
    assert len(stack.subjects) == 2


def test_a_second_click_changes_nothing(stack: Served) -> None:
    """The same form sent twice approves once."""
    link = stack.link
    page = stack.ask(link)
    assert [stack.press(link, "approve", page, length="1d").status for _ in range(2)] == [303, 409]
    (grant,) = stack.ask("/grants").json
    assert (grant["state"], grant["version"]) == ("active", 4)
    assert stack.ask("/calls").json["iam:CreatePolicy"] == 1


def test_what_was_tampered_with_is_refused(stack: Served) -> None:
    """A link that was made up or cut, and a form without its seal, get a page of their own and change nothing."""
    link = stack.link
    form = urlencode({"decision": "approve", "name": "Eve", "length": "none"}).encode()
    for answer in (stack.ask(f"{stack.address}/request/{'a' * 40}"), stack.ask(link[:-3]), stack.ask(link, form)):
        assert (answer.status // 100, answer.title != "", answer.buttons) == (4, True, set())
    assert stack.states == ["pending"]


def test_a_link_of_a_version_that_has_passed_decides_nothing(stack: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS routes elsewhere by the time of the approval: the request asks again, and only its new link decides."""
    link = stack.link
    page = stack.ask(link)
    described = Bedrock._described

    def wider(self: Bedrock, profile: InferenceProfile, region: str) -> dict[str, Any]:
        found = described(self, profile, region)
        elsewhere = found["models"][0]["modelArn"].replace("us-east-1", "us-west-1")
        return found | {"models": [*found["models"], {"modelArn": elsewhere}]}

    monkeypatch.setattr(Bedrock, "_described", wider)
    assert stack.press(link, "approve", page, length="1d").status == 303
    assert stack.states == ["pending"]
    stale = stack.ask(link)
    assert (stale.status, stale.buttons) == (200, {"new_link"})
    assert "This link is for an earlier request" in stale.text
    assert stack.press(link, "approve", page, length="1d").status == 409
    assert stack.states == ["pending"]
    fresh = stack.link
    assert stack.press(fresh, "approve", stack.ask(fresh), length="1d").status == 303
    assert stack.states == ["active"]


def test_a_request_lapses_after_one_reminder(stack: Served) -> None:
    """Nobody decides: one reminder goes out, then the request lapses, and its link with it."""
    link = stack.link
    stack.forward("37h")
    stack.forward("1h")
    stack.forward("35h")
    assert stack.states == ["lapsed"]
    assert [subject.split(":")[0] for subject in stack.subjects] == [
        "Bedrock access requested",
        "Reminder",
        "Bedrock access request lapsed",
    ]
    assert stack.ask(link).status == 410


def test_a_grant_is_taken_back_long_after_its_link_has_expired(stack: Served) -> None:
    """Who has the old link lets the approvers be sent a new one, which revokes; all by the template's own roles."""
    link = stack.link
    stack.press(link, "approve", stack.ask(link), length="none")
    stack.forward("200h")
    old = stack.ask(link)
    assert (old.status, old.buttons) == (410, {"new_link"})
    asked = stack.press(link, "new_link", old)
    assert (asked.status, USER.rpartition("/")[2] in asked.text) == (202, False)
    assert stack.subjects[-1].startswith("New link, Bedrock access")
    fresh = stack.link
    assert fresh != link
    page = stack.ask(fresh)
    assert page.buttons == {"revoke", "extend"}
    assert stack.press(fresh, "revoke", page).status == 303
    assert stack.states == ["revoked"]
    assert len(stack.ask("/policies").json[USER]) == 1
    assert (stack.ask("/failures").json, stack.sandbox.authorization.refusals) == ([], [])


def test_upkeep_can_be_asked_for(stack: Served) -> None:
    """POST /upkeep makes a round at once and says what it did; without a schedule for it there is no digest."""
    page = stack.ask("/upkeep", b"")
    assert (page.status, set(page.json["rounds"])) == (200, {"UpkeepSchedule"})
    assert stack.ask("/digest", b"").status == 404


def test_the_digest_can_be_asked_for() -> None:
    """With a schedule for it, POST /digest sends the digest."""
    with served(parameters={"DigestSchedule": "cron(0 7 ? * MON-FRI *)"}) as stack:
        stack.put(GUIDE)
        assert stack.ask("/digest", b"").json["rounds"] == {"DigestRound": {"digest": {"sent": 1}}}
        assert stack.subjects[-1] == "Bedrock access digest 2026-11-23: 0 granted, 0 refused, 1 waiting"


def test_upkeep_that_fails_is_told(stack: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails is tried once more; then its event is a failure, and the answer says what went wrong."""
    function = stack.sandbox.functions["UpkeepFunction"]
    monkeypatch.setitem(function._environment, "MODE", "sometimes")
    page = stack.ask("/upkeep", b"")
    assert page.status == 500
    assert "MODE" in page.json["rounds"]["UpkeepSchedule"]["error"]
    (letter,) = stack.ask("/failures").json
    assert (letter["queue"], letter["body"]["requestPayload"]) == ("UpkeepDeadLetters", {"task": "upkeep"})
    assert len(function.invocations) == 2


def test_the_clock_goes_forward_only() -> None:
    """What is no time, or one that has passed, is answered with the reason, and the time stays."""
    with served() as stack:
        before = stack.ask("/clock").json
        for body in ("", "3d", "[]", '{"forward": 3}', '{"forward": "-1h"}', '{"to": "2020-01-01"}', '{"to": "soon"}'):
            page = stack.ask("/clock", body.encode())
            assert (page.status, list(page.json)) == (400, ["error"])
        assert stack.ask("/clock").json == before


def test_the_clock_can_be_set() -> None:
    """Upkeep runs only if its schedule would have run on the way."""
    with served() as stack:
        page = stack.ask("/clock", b'{"to": "2026-11-23T09:10:00Z"}')
        assert (page.json["now"], page.json["rounds"]) == ("2026-11-23T09:10:00Z", {})
        assert "UpkeepSchedule" in stack.ask("/clock", b'{"forward": "300s"}').json["rounds"]


def test_the_api_takes_signed_calls() -> None:
    """With roles that may approve there is /api: their calls list and decide, others get no further than the gate."""
    role = "arn:aws:iam::123456789012:role/teams/approvers"
    with served(parameters={"ApproverRoleArns": role}) as stack:
        stack.put(GUIDE)
        assert stack.ask("/api/requests").status == 403
        own = {"Authorization": "AWS4-HMAC-SHA256 Credential=ASIAAPPROVER1/20261123/us-east-1/execute-api/aws4_request"}
        (request,) = stack.ask("/api/requests?state=pending", headers=own).json["requests"]
        body = {"decision": "approve", "version": request["version"], "length": "1d"}
        answer = stack.ask(
            f"/api/requests/{request['id']}", json.dumps(body).encode(), {**own, "Content-Type": "application/json"}
        )
        assert (answer.status, stack.states) == (200, ["active"])


def test_without_slack_there_is_nothing_of_it(stack: Served) -> None:
    """Without its parameters, Slack's route, queue and function are not there."""
    assert stack.ask("/slack/interactions", b"payload={}").status == 404
    assert "SlackFunction" not in stack.sandbox.functions
    assert not [queue for queue in stack.sandbox.queues.values() if "Slack" in queue.logical_id]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """A workspace."""
    with slack_server() as slack:
        yield slack


@pytest.fixture
def chatting(slack: FakeSlack) -> Iterator[Served]:
    """A stack with Slack configured, and one request that waits."""
    with served(parameters=PARAMETERS, secrets=SECRETS, slack_api=slack.url) as stack:
        yield stack


def pressed(stack: Served, payload: dict[str, Any], **changes: str) -> Page:
    """Send a click as Slack does, signed at the stack's time."""
    request = signed(payload, stack.sandbox.clock.seconds(), **changes)
    return stack.ask("/slack/interactions", request.raw, request.headers)


def test_a_click_in_slack_grants(slack: FakeSlack, chatting: Served) -> None:
    """A request is posted with buttons; a click on one decides, and the message tells what became of it."""
    chatting.put(GUIDE)
    (message,) = slack.messages
    assert pressed(chatting, click(message, "approve", length="1d")).status == 200
    assert chatting.states == ["active"]
    (message,) = slack.messages
    assert "granted" in shown(message).lower()
    assert f"<@{ALICE}>" in shown(message) or ALICE in shown(message)
    assert chatting.ask("/failures").json == []
    assert chatting.sandbox.authorization.refusals == []


def test_a_click_that_is_not_slacks_is_refused(slack: FakeSlack, chatting: Served) -> None:
    """A wrong signature, or one of another time, changes nothing."""
    chatting.put(GUIDE)
    (message,) = slack.messages
    assert pressed(chatting, click(message, "approve", length="1d"), secret="x" * 32).status == 401
    old = signed(click(message, "approve", length="1d"), chatting.sandbox.clock.seconds() - 3600)
    assert chatting.ask("/slack/interactions", old.raw, old.headers).status == 401
    assert chatting.states == ["pending"]


def test_what_slack_puts_off_comes_once(slack: FakeSlack, chatting: Served) -> None:
    """After a 429 the message waits as long as Slack says, and is posted once; mail does not wait for it."""
    before = chatting.sandbox.clock.seconds()
    slack.faults[:] = [limited("40")]
    chatting.put(GUIDE)
    assert len(slack.messages) == 1
    assert chatting.sandbox.clock.seconds() - before > 40
    assert len(chatting.subjects) == 1


def test_what_slack_never_takes_is_a_dead_letter(slack: FakeSlack, chatting: Served) -> None:
    """Where Slack stays broken the message ends in the dead-letter queue, in SNS's envelope; the mail went out."""
    slack.faults[:] = [failing()] * 500
    chatting.put(GUIDE)
    (letter,) = chatting.ask("/failures").json
    assert (letter["queue"], letter["body"]["Type"]) == ("SlackDeadLetters", "Notification")
    notice = json.loads(letter["body"]["Message"])
    assert (notice["request"]["version"], chatting.link in letter["body"]["Message"]) == (1, False)
    assert (slack.messages, len(chatting.subjects)) == ([], 1)


def test_the_inbox_lists_requests_and_notices_with_their_links(stack: Served) -> None:
    """`/` is a page for a person: the request with its link, and the notice that told of it; hostile text is text."""
    page = stack.ask("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert stack.link in page.source
    for part in ("nova-developer", "pending", "us.amazon.nova-2-lite-v1:0", "Bedrock access requested"):
        assert part in page.text
    hostile = json.loads(GUIDE)
    hostile["id"] = hostile["detail"]["eventID"] = "another"
    hostile["detail"]["requestParameters"] = {"modelId": "<script>alert(1)</script>"}
    hostile["detail"]["errorMessage"] = "<script>alert(2)</script>"
    stack.put(json.dumps(hostile).encode())
    assert "<script>" not in stack.ask("/").source


def test_an_event_of_another_account_is_answered_with_what_to_do(stack: Served) -> None:
    """What is posted for an account that the world lacks is refused, and the answer says what to do."""
    event = json.loads(GUIDE) | {"account": "777788889999"}
    answer = stack.ask("/events", json.dumps(event).encode())
    assert (answer.status, "--world derived" in answer.text) == (400, True)
