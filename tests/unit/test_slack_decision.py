import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bedrock_remediator.approval_settings import SlackApprovalSettings
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.core.approval import Answer, Refusal, Verb
from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Grant, State, Via
from bedrock_remediator.flows.approval.results import (
    AlreadyDecided,
    Decided,
    LostRace,
    NotAllowed,
    NotFound,
    Result,
    Stale,
)
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.flows.slack.api import SlackDownError, SlackRefusedError
from bedrock_remediator.flows.slack.decision import SlackDecision
from bedrock_remediator.flows.slack.trust import NOT_LISTED, UNREADABLE, SlackApprovers, SlackSignature
from bedrock_remediator.flows.web.http import Request
from bedrock_remediator.notices.slack import Card, message
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import waiting
from tests.builders.grants import NOON
from tests.builders.notices import notice_of
from tests.builders.slack import ALICE, APP, CHANNEL, SIGNING_SECRET, TEAM, click, signed

NOW = NOON.timestamp()
ROW = waiting(grant_seconds=7 * 86_400)
ANOTHER = SIGNING_SECRET[::-1]


def posted(grant: Grant = ROW) -> dict[str, Any]:
    """The message that a button of it was pressed in."""
    return {"ts": "1.1", "blocks": message(Card(notice=notice_of(grant), lengths=offered(grant, None))).blocks}


class FakeDecisions:
    """Takes decisions, and says what it is told to say."""

    def __init__(self) -> None:
        self.taken: list[tuple[Ticket, Answer]] = []
        self.says: Result | Exception = Decided(ROW)

    def decide(self, ticket: Ticket, answer: Answer) -> Result:
        """Take one."""
        self.taken.append((ticket, answer))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class FakeGroups:
    """User groups, and how often they were asked for."""

    def __init__(self) -> None:
        self.groups: dict[str, frozenset[str] | Exception] = {}
        self.asked: list[str] = []
        self.addresses: dict[str, str | Exception] = {}

    def members(self, group: str) -> frozenset[str]:
        """Its users."""
        self.asked.append(group)
        found = self.groups[group]
        if isinstance(found, Exception):
            raise found
        return found

    def address(self, user: str) -> str | None:
        """The address of a user; None for whom there is none."""
        found = self.addresses.get(user)
        if isinstance(found, Exception):
            raise found
        return found


class FakeSecret:
    """The signing secret; `newer` is what there is for who looks again."""

    def __init__(self) -> None:
        self.secret = SIGNING_SECRET
        self.newer: str | None = None

    def __call__(self, *, fresh: bool = False) -> str:
        """The secret."""
        return self.newer if fresh and self.newer else self.secret


class Route:
    """The route with everything that it is made of."""

    def __init__(self, *listed: str) -> None:
        self.clock = StoppedClock(NOON)
        self.decisions = FakeDecisions()
        self.groups = FakeGroups()
        self.secret = FakeSecret()
        self.outbox: list[dict[str, Any]] = []
        self.down = False
        settings = SlackApprovalSettings(
            signing_secret_arn="",
            token_secret_arn="",
            team_id=TEAM,
            app_id=APP,
            approvers=listed,
            api_url="",
            queue_url="",
        )
        self._decision = SlackDecision(
            self.decisions,
            SlackSignature(self.secret, self.clock),
            SlackApprovers(listed, self.groups, self.clock),
            self,
            settings,
        )

    def send(self, body: str) -> None:
        """Keep what would go to the queue."""
        if self.down:
            raise RetryableError("SQS does not answer")
        self.outbox.append(json.loads(body))

    def call(self, request: Request) -> int:
        """The status of the answer."""
        return self._decision.handle(request).status

    def press(self, action: str = "approve", **changes: Any) -> int:
        """Press a button as Alice would; the status of the answer."""
        return self.call(signed(click(posted(), action, **changes), NOW))


@pytest.fixture
def route() -> Route:
    """The route of a stack in which Alice may decide."""
    return Route(ALICE)


# -------------------------------------------------------------------------------------------------- what is decided


@pytest.mark.parametrize("verb", [Verb.APPROVE, Verb.REJECT])
def test_a_button_decides_about_the_row_and_version_that_it_names(route: Route, verb: Verb) -> None:
    """As the user whom Slack vouches for; the message is renewed and nobody is told anything apart."""
    assert route.press(verb) == 200
    ((ticket, answer),) = route.decisions.taken
    assert ticket == Ticket(ROW.pk, ROW.sk, 1)
    assert (answer.verb, answer.version) == (verb, 1)
    assert (answer.approver.name, answer.approver.via) == ("slack:U0ALICE", Via.SLACK)
    (handed,) = route.outbox
    assert handed == {
        "Type": "Click",
        "pk": ROW.pk,
        "sk": ROW.sk,
        "channel": CHANNEL,
        "user": ALICE,
        "answer": None,
    }


def test_a_decision_leaves_the_line_in_the_log_that_every_decision_leaves(
    route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    """Who decided what about which row, as from the page and the command line."""
    with caplog.at_level("INFO"):
        route.press()
    (line,) = [record.__dict__ for record in caplog.records if record.message == "a decision"]
    told = {name: line[name] for name in ("decision", "result", "by", "via", "version", "pk", "sk")}
    assert told == {
        "decision": "approve",
        "result": "Decided",
        "by": "slack:U0ALICE",
        "via": "slack",
        "version": ROW.version,
        "pk": ROW.pk,
        "sk": ROW.sk,
    }


def test_the_length_that_was_chosen_counts(route: Route) -> None:
    """Else that of the button, which is the row's own."""
    route.press(length="1d")
    route.press()
    route.press(state=None)
    assert [answer.length for _, answer in route.decisions.taken] == [
        timedelta(days=1),
        timedelta(days=7),
        timedelta(days=7),
    ]


@pytest.mark.parametrize(
    "values", [{"decision": {"length": None}}, {"decision": {"length": {"selected_option": None}}}, {"decision": {}}]
)
def test_no_choice_is_the_buttons_own(route: Route, values: Any) -> None:
    """Whatever Slack sends where nothing was chosen."""
    assert route.press(state={"values": values}) == 200
    assert route.decisions.taken[0][1].length == timedelta(days=7)


@pytest.mark.parametrize("seconds", [None, 365 * 86_400])
def test_to_last_long_is_chosen_and_never_what_a_button_means_by_itself(route: Route, seconds: int | None) -> None:
    """Without an end, or for more than 90 days: without a choice nothing is approved, and the person is told."""
    message = posted(waiting(grant_seconds=seconds))
    route.call(signed(click(message, "approve"), NOW))
    assert route.decisions.taken == []
    assert "choose" in route.outbox[0]["answer"]
    route.call(signed(click(message, "approve", length="none"), NOW))
    route.call(signed(click(message, "reject"), NOW))
    assert [(answer.verb, answer.length) for _, answer in route.decisions.taken] == [
        ("approve", None),
        ("reject", None),
    ]


def test_the_address_that_slack_has_verified_is_compared(route: Route) -> None:
    """It is asked for where something would be granted; where Slack does not tell it, the id alone counts."""
    route.groups.addresses[ALICE] = "alice@example.com"
    route.press("approve")
    route.press("reject")
    route.groups.addresses[ALICE] = SlackRefusedError("users.info", "missing_scope")
    route.press("approve")
    assert [answer.approver.names for _, answer in route.decisions.taken] == [("alice@example.com",), (), ()]


@pytest.mark.parametrize("action_id", ["length", "page"])
def test_a_choice_or_a_link_decides_nothing(route: Route, action_id: str) -> None:
    """Slack tells of those too."""
    assert route.press(actions=[{"action_id": action_id, "block_id": "decision"}]) == 200
    assert route.press(actions=[{"action_id": "approve", "block_id": "elsewhere", "value": "x"}]) == 200
    assert route.press(type="view_submission") == 200
    assert route.decisions.taken == []
    assert route.outbox == []


@pytest.mark.parametrize(
    ("result", "part"),
    [
        (AlreadyDecided(ROW, "bob (unverified)", NOON, State.REJECTED), "`bob (unverified)` was first, <!date^"),
        (LostRace(ROW, "slack:U0BOB", NOON, State.APPROVED), "`slack:U0BOB` was first"),
        (
            LostRace(
                msgspec.structs.replace(ROW, decided_by="slack:U0BOB", decided_via=Via.SLACK),
                "slack:U0BOB",
                NOON,
                State.APPROVED,
            ),
            "<@U0BOB> was first",
        ),
        (Stale(ROW), "no longer as this message showed it"),
        (NotFound(), "no such request"),
        (NotAllowed(ROW, Refusal.PAUSED, "Grants are paused."), "Nothing changed. Grants are paused."),
    ],
)
def test_who_comes_too_late_is_told_why(route: Route, result: Result, part: str) -> None:
    """Alone, by way of the queue: Slack's three seconds are for the decision."""
    route.decisions.says = result
    assert route.press() == 200
    (handed,) = route.outbox
    assert handed["answer"].startswith("Nothing changed")
    assert part in handed["answer"]


def test_trouble_is_shown_to_the_person(route: Route) -> None:
    """The ledger does not answer: Slack shows that something went wrong, and they press again."""
    route.decisions.says = RetryableError("throttled")
    assert route.press() == 503


def test_a_decision_stands_though_the_queue_is_down(route: Route) -> None:
    """The ledger's stream will tell of it; but nothing else would tell of one that changed nothing."""
    route.down = True
    assert route.press() == 200
    route.decisions.says = Stale(ROW)
    assert route.press() == 503


# -------------------------------------------------------------------------------------------------- who may


@pytest.mark.parametrize("user", ["U0MALLORY", "u0alice", "U0ALICE ", "S0GROUP", ""])
def test_nobody_else_may_decide(route: Route, user: str) -> None:
    """They are told so, and nothing is decided."""
    assert route.press(user={"id": user, "team_id": TEAM}) == 200
    assert route.decisions.taken == []
    assert route.outbox[0]["answer"] == NOT_LISTED


def test_members_of_a_listed_group_may() -> None:
    """Slack is asked once a minute who they are."""
    route = Route("S0GROUP", "U0BOB")
    route.groups.groups = {"S0GROUP": frozenset({ALICE})}
    route.press()
    route.press()
    assert len(route.decisions.taken) == 2
    assert route.groups.asked == ["S0GROUP"]
    route.clock.time += timedelta(minutes=1, seconds=1)
    route.groups.groups = {"S0GROUP": frozenset()}
    route.press()
    assert len(route.decisions.taken) == 2
    assert route.outbox[-1]["answer"] == NOT_LISTED


def test_a_listed_user_needs_no_group() -> None:
    """Slack is not asked at all."""
    route = Route("S0GROUP", ALICE)
    assert route.press() == 200
    assert route.groups.asked == []
    assert len(route.decisions.taken) == 1


@pytest.mark.parametrize("error", [SlackDownError("down"), SlackRefusedError("usergroups.users.list", "missing_scope")])
def test_a_group_that_cannot_be_read_lets_nobody_in(error: Exception) -> None:
    """Whatever the reason; another group that says yes still does."""
    route = Route("S0GROUP")
    route.groups.groups = {"S0GROUP": error}
    assert route.press() == 200
    assert route.decisions.taken == []
    assert route.outbox[0]["answer"] == UNREADABLE
    route = Route("S0GROUP", "S1OTHER")
    route.groups.groups = {"S0GROUP": error, "S1OTHER": frozenset({ALICE})}
    route.press()
    assert len(route.decisions.taken) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"team": {"id": "T0OTHER"}},
        {"team": None},
        {"api_app_id": "A0OTHER"},
        {"api_app_id": None},
        {"user": {"id": ALICE, "team_id": "T0OTHER"}},
        {"user": {"id": ALICE}},
    ],
)
def test_other_teams_and_apps_are_refused(route: Route, changes: dict[str, Any]) -> None:
    """Guests who share the channel from another team included, whatever their id."""
    assert route.press(**changes) == 403
    assert route.decisions.taken == []
    assert route.outbox == []


# -------------------------------------------------------------------------------------------------- is it Slack


def forged(change: Callable[[Request], Request]) -> Request:
    """A genuine request, changed."""
    return change(signed(click(posted(), "approve"), NOW))


def header(**changes: str) -> Callable[[Request], Request]:
    """Change headers, by their names after x-slack-."""

    def change(request: Request) -> Request:
        named = {f"x-slack-{name.replace('_', '-')}": value for name, value in changes.items()}
        return msgspec.structs.replace(request, headers={**request.headers, **named})

    return change


@pytest.mark.parametrize(
    "request_",
    [
        signed(click(posted(), "approve"), NOW, secret=ANOTHER),
        signed(click(posted(), "approve"), NOW - 301),
        signed(click(posted(), "approve"), NOW + 301),
        forged(header(signature="v0=" + "0" * 64)),
        forged(header(signature="")),
        forged(header(signature="v0=\u00e9")),
        forged(header(request_timestamp="soon")),
        forged(header(request_timestamp="9" * 400)),
        forged(header(request_timestamp=str(int(NOW) - 1))),
        forged(lambda request: msgspec.structs.replace(request, headers={})),
        forged(lambda request: msgspec.structs.replace(request, raw=request.raw + b" ")),
        forged(lambda request: msgspec.structs.replace(request, raw=b"\xff\xfe")),
        forged(lambda request: msgspec.structs.replace(request, raw=b"")),
    ],
)
def test_what_slack_has_not_signed_just_now_is_refused(route: Route, request_: Request) -> None:
    """Another secret, another body, another time, an old one, nonsense: nothing of it is even read."""
    assert route.call(request_) == 401
    assert route.decisions.taken == []
    assert route.outbox == []


@pytest.mark.parametrize("age", [0, 299, -299])
def test_five_minutes_are_allowed(route: Route, age: int) -> None:
    """Clocks differ, and networks are slow."""
    assert route.call(signed(click(posted(), "approve"), NOW - age)) == 200


def test_a_secret_that_was_changed_is_read_again(route: Route) -> None:
    """It was remembered, and Slack signs with another now."""
    route.secret.secret, route.secret.newer = "old", SIGNING_SECRET
    assert route.press() == 200


@pytest.mark.parametrize(
    "payload",
    [
        b"payload=%7B",
        b"payload=",
        b"nothing=1",
        b"payload=" + b"%5B" * 2000,
        {"type": "block_actions"},
        click(posted(), "approve", actions=[{"action_id": "approve", "block_id": "decision", "value": "{}"}]),
        click(posted(), "approve", actions=[{"action_id": "approve", "block_id": "decision"}]),
        click(posted(), "approve", length="forever"),
    ],
)
def test_what_cannot_be_read_decides_nothing(route: Route, payload: Any) -> None:
    """Though Slack has signed it."""
    assert route.call(signed(payload, NOW)) == 400
    assert route.decisions.taken == []
