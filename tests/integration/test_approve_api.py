"""The API for the command line, through approve's real handler."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.approval import Answer, Verb
from bedrock_remediator.core.grant import DiagnosisKind, Grant, State, Via
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.results import NotFound, Result, Stale
from bedrock_remediator.notices.notice import request_id
from tests.builders.approve import APPROVER, ApproveStack
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import BOB, stepped, waiting
from tests.builders.grants import NOON, PROFILE, first_seen
from tests.builders.notices import SIGHTING

OTHER = PROFILE.replace("nova-2-lite", "nova-pro")
APPROVE = {"decision": "approve", "version": 1, "length": "1d"}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock) -> ApproveStack:
    """The function."""
    return ApproveStack(monkeypatch, clock, ledger)


@pytest.fixture
def row(ledger: Ledger) -> Grant:
    """A request that waits."""
    row = waiting(sighting=SIGHTING)
    ledger.open(row, first_seen(row))
    return row


def call(stack: ApproveStack, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    """Call the API; status and content."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    reply = stack.call(method, path, body=sent, **options)
    return reply.status, json.loads(reply.body)


def decide(stack: ApproveStack, row: Grant, body: Any, **options: Any) -> tuple[int, Any]:
    """Decide on a row by its id."""
    return call(stack, "POST", f"/api/requests/{request_id(row)}", body, **options)


class TestReading:
    """What there is to decide."""

    def test_requests_are_listed_by_state(self, stack: ApproveStack, row: Grant) -> None:
        """Those that wait, unless another state is asked for."""
        stack.put(stepped(waiting(sk=f"profile#{OTHER}", profile=OTHER), State.REJECTED))
        status, content = call(stack, "GET", "/api/requests")
        assert status == 200
        assert [each["id"] for each in content["requests"]] == [request_id(row)]
        assert [each["state"] for each in call(stack, "GET", "/api/requests?state=rejected")[1]["requests"]] == [
            "rejected"
        ]
        assert call(stack, "GET", "/api/requests?state=active") == (
            200,
            {"requests": [], "nextToken": None},
        )

    def test_every_request_is_listed(self, stack: ApproveStack) -> None:
        """However many there are, page by page: of 520 none is left out, and none comes twice."""
        put = [stack.put(waiting(sk=f"profile#{number}")) for number in range(520)]
        found, path = [], "/api/requests"
        while path:
            status, content = call(stack, "GET", path)
            assert status == 200
            assert len(content["requests"]) <= 200
            found += [each["id"] for each in content["requests"]]
            token = content["nextToken"]
            path = f"/api/requests?nextToken={quote(token, safe='')}" if token else ""
        assert sorted(found) == sorted(map(request_id, put))

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "!",
            "e30=",
            "bnVsbA==",
            base64.urlsafe_b64encode(b'{"pk":"","sk":"a","due_at":"2026-11-20T12:00:00Z"}').decode(),
            base64.urlsafe_b64encode(b'{"pk":"a","sk":"a","due_at":"2026-11-20T12:00:00"}').decode(),
            base64.urlsafe_b64encode(b'{"pk":"a","sk":"%s","due_at":"2026-11-20T12:00:00Z"}' % (b"a" * 1025)).decode(),
            base64.urlsafe_b64encode(b'{"pk":"%s","sk":"a","due_at":"2026-11-20T12:00:00Z"}' % (b"a" * 2049)).decode(),
            base64.urlsafe_b64encode(b'{"pk":"a","sk":"a","due_at":"1066-10-14T12:00:00Z"}').decode(),
        ],
    )
    def test_a_token_that_no_page_has_given_is_refused(self, stack: ApproveStack, row: Grant, token: str) -> None:
        """It is read as what a page gives, or not at all."""
        status, content = call(stack, "GET", f"/api/requests?nextToken={quote(token, safe='')}")
        assert (status, content["error"]) == (400, "bad_request")

    def test_a_row_that_cannot_be_read_hides_no_other(self, stack: ApproveStack, row: Grant) -> None:
        """One that another version wrote, say: the others are listed, shown and decided."""
        broken = {"pk": f"{row.pk}2", "sk": row.sk, "state": row.state.value, "due_at": "2026-11-20T11:00:00Z"}
        stack.client.put_item(TableName="ledger", Item={name: {"S": value} for name, value in broken.items()})
        status, content = call(stack, "GET", "/api/requests")
        assert (status, [each["id"] for each in content["requests"]]) == (200, [request_id(row)])
        assert call(stack, "GET", f"/api/requests/{request_id(row)}")[0] == 200
        assert decide(stack, row, APPROVE)[0] == 200

    def test_a_state_that_is_none_is_refused(self, stack: ApproveStack) -> None:
        """With the ones that there are."""
        status, content = call(stack, "GET", "/api/requests?state=open")
        assert (status, content["error"]) == (400, "bad_request")
        assert "pending" in content["message"]

    def test_one_request_is_told_in_full(self, stack: ApproveStack, row: Grant) -> None:
        """All that a page would show and a program needs, and nothing that the caller of Bedrock wrote."""
        status, content = call(stack, "GET", f"/api/requests/{request_id(row)}")
        assert status == 200
        assert content["principal"] == row.principal
        assert content["resources"] == list(row.resources)
        assert content["denials"] == {"count": 1, "first_at": "2026-11-20T12:00:00Z", "last_at": "2026-11-20T12:00:00Z"}
        assert content["may"] == ["approve", "reject"]
        assert content["lengths"] == ["1h", "1d", "30d", "none"]
        assert json.loads(content["policy"]["after"][0])["Version"] == "2012-10-17"
        assert content["risks"][0]["kind"] == "first_request"
        assert content["history"] == [
            {"at": "2026-11-20T12:00:00Z", "state": "pending", "by": "triage", "reason": "No rule names it."}
        ]
        assert "web-1" not in json.dumps(content)

    def test_a_model_id_that_nobody_confirmed_is_not_told(self, stack: ApproveStack) -> None:
        """It is the caller's own word."""
        row = stack.put(waiting(resources=(), model_id="evil", diagnosis=DiagnosisKind.UNKNOWN))
        content = call(stack, "GET", f"/api/requests/{request_id(row)}")[1]
        assert (content["model_id"], content["denials"]["count"]) == (None, 0)

    @pytest.mark.parametrize("name", ["0" * 32, "x", "x" * 200, "%00"])
    def test_an_id_of_nothing_is_not_found(self, stack: ApproveStack, row: Grant, name: str) -> None:
        """Whatever it looks like."""
        assert call(stack, "GET", f"/api/requests/{name}")[0] == 404
        assert call(stack, "POST", f"/api/requests/{name}", APPROVE)[0] == 404


class TestDeciding:
    """A decision by a signed call."""

    def test_a_request_is_approved_under_the_callers_arn(self, stack: ApproveStack, row: Grant) -> None:
        """The row as it is then comes back; the approval is signed."""
        status, content = decide(stack, row, APPROVE | {"reason": "Fine."})
        assert (status, content["state"], content["decided_by"]) == (200, "approved", APPROVER)
        after = stack.row(row)
        assert (after.decided_via, after.decision_reason) == (Via.API, "Fine.")
        assert after.approval
        assert after.expires_at == NOON + timedelta(days=1)

    @pytest.mark.parametrize(("decision", "state"), [("reject", State.REJECTED), ("revoke", State.REVOKING)])
    def test_other_decisions_need_no_length(self, stack: ApproveStack, decision: str, state: State) -> None:
        """To reject, and to take back."""
        row = waiting()
        if decision == "revoke":
            row = stepped(row, State.APPROVED, State.APPLYING, State.ACTIVE)
        stack.put(row)
        assert decide(stack, row, {"decision": decision, "version": row.version})[0] == 200
        assert stack.row(row).state is state

    def test_all_grants_of_a_principal_are_taken_back_together(self, stack: ApproveStack) -> None:
        """By the id of any of its requests; what is about to stand is left, and told."""
        steps = (State.APPROVED, State.APPLYING, State.ACTIVE)
        rows = [stack.put(stepped(waiting(sk=f"profile#{number}"), *steps)) for number in range(2)]
        moving = stack.put(stepped(waiting(sk="profile#moving"), State.APPROVED))
        others = stack.put(stepped(waiting(pk="arn:aws:iam::123456789012:role/other"), *steps))
        waits = stack.put(waiting(sk="profile#waits"))
        status, content = decide(stack, waits, {"decision": "revoke_all", "reason": "The project is over."})
        assert status == 200
        assert [(each["state"], each["decision_reason"]) for each in content["revoked"]] == [
            ("revoking", "The project is over.")
        ] * 2
        assert content["left"] == [{"id": request_id(moving), "state": "approved", "error": "not_possible"}]
        assert [stack.row(row).decided_by for row in rows] == [APPROVER, APPROVER]
        assert [stack.row(row) for row in (others, waits)] == [others, waits]
        assert decide(stack, waits, {"decision": "revoke_all"})[1]["revoked"] == []

    def test_all_requests_of_a_principal_are_rejected_together(self, stack: ApproveStack) -> None:
        """By the id of any of them; other principals' wait on."""
        rows = [stack.put(waiting(sk=f"profile#{number}")) for number in range(3)]
        other = stack.put(waiting(pk="arn:aws:iam::123456789012:role/other"))
        status, content = decide(stack, rows[1], {"decision": "reject_all", "reason": "A stolen key."})
        assert (status, content["left"]) == (200, [])
        assert [(each["state"], each["decided_by"]) for each in content["rejected"]] == [("rejected", APPROVER)] * 3
        assert stack.row(other) == other

    @pytest.mark.parametrize(("result", "left"), [(NotFound(), []), (Stale(waiting()), ["stale"])])
    def test_what_moves_meanwhile_is_not_taken_back(
        self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch, result: Result, left: list[str]
    ) -> None:
        """It is gone, or as somebody else has made it."""
        monkeypatch.setattr(Approval, "revoke_all", lambda *_: [result])
        status, content = decide(stack, row, {"decision": "revoke_all"})
        assert (status, content["revoked"], [each["error"] for each in content["left"]]) == (200, [], left)

    @pytest.mark.parametrize("more", [{"version": 1}, {"length": "1d"}, {"reason": 3}])
    def test_taking_all_back_asks_for_no_version(self, stack: ApproveStack, row: Grant, more: dict[str, Any]) -> None:
        """It is about no single one."""
        status, content = decide(stack, row, {"decision": "revoke_all", **more})
        assert (status, content["error"]) == (400, "bad_request")

    def test_a_second_decision_is_told_of_the_first(self, stack: ApproveStack, row: Grant) -> None:
        """Who, when and what."""
        decide(stack, row, {"decision": "reject", "version": 1})
        status, content = decide(stack, row, APPROVE)
        assert (status, content["error"]) == (409, "already_decided")
        assert (content["by"], content["at"], content["state"]) == (APPROVER, "2026-11-20T12:00:00Z", "rejected")

    def test_a_lost_race_is_told_apart(self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody decides between our reading and our writing."""
        taking = Approval._take

        def first_bob(use_case: Approval, seen: Grant, answer: Answer) -> Any:
            monkeypatch.setattr(Approval, "_take", taking)
            taking(use_case, seen, Answer(verb=Verb.REJECT, version=1, approver=BOB))
            return taking(use_case, seen, answer)

        monkeypatch.setattr(Approval, "_take", first_bob)
        assert decide(stack, row, APPROVE)[1]["error"] == "lost_race"

    def test_another_version_is_stale(self, stack: ApproveStack, row: Grant) -> None:
        """The decision was about something else."""
        assert decide(stack, row, APPROVE | {"version": 7}) == (
            409,
            {"error": "stale", "message": "The request is no longer as it was at that version. Read it again."},
        )

    def test_a_row_that_goes_away_meanwhile_is_not_found(
        self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the search for its id and the rest."""
        monkeypatch.setattr(Approval, "show", lambda *_: None)
        monkeypatch.setattr(Approval, "decide", lambda *_: NotFound())
        assert call(stack, "GET", f"/api/requests/{request_id(row)}")[0] == 404
        assert decide(stack, row, APPROVE)[0] == 404

    def test_what_cannot_be_done_is_refused(self, stack: ApproveStack, row: Grant) -> None:
        """A request that waits has nothing to take back."""
        status, content = decide(stack, row, {"decision": "revoke", "version": 1})
        assert (status, content["error"]) == (409, "not_possible")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "not JSON"),
            (b"[]", "object"),
            ({}, "version"),
            ({"decision": "approve", "version": True}, "version"),
            ({"decision": "approve", "version": "1"}, "version"),
            ({"decision": "maybe", "version": 1}, "decision must be one of"),
            ({"decision": "approve", "version": 1}, "length"),
            ({"decision": "approve", "version": 1, "length": 5}, "length"),
            (APPROVE | {"reason": 1}, "reason"),
            (APPROVE | {"approver": "root"}, "unknown fields: approver"),
        ],
    )
    def test_a_body_that_is_no_decision_is_refused(self, stack: ApproveStack, row: Grant, body: Any, said: str) -> None:
        """With what is wrong about it; nothing changes."""
        status, content = decide(stack, row, body)
        assert (status, content["error"]) == (400, "bad_request")
        assert said in content["message"]
        assert stack.row(row) == row


class TestCallers:
    """Only sessions of the approvers' roles."""

    @pytest.mark.parametrize("key", ["ASIASTRANGER", "ASIANOBODY"])
    def test_others_are_refused(self, stack: ApproveStack, row: Grant, key: str) -> None:
        """By the function where the role is another, by API Gateway where nobody is known."""
        for method, path in (("GET", "/api/requests"), ("GET", f"/api/requests/{request_id(row)}")):
            assert call(stack, method, path, key=key)[0] == 403
        assert decide(stack, row, APPROVE, key=key)[0] == 403
        assert stack.row(row) == row

    def test_a_role_does_not_approve_its_own_request(self, stack: ApproveStack, ledger: Ledger) -> None:
        """The approvers' role was denied itself: its session is told so, its path notwithstanding."""
        own = "arn:aws:iam::123456789012:role/teams/approvers"
        row = waiting(pk=own, principal=own)
        ledger.open(row, first_seen(row))
        status, content = decide(stack, row, APPROVE)
        assert (status, content["error"]) == (403, "own_request")
        assert stack.row(row).state is State.PENDING

    @pytest.mark.parametrize("caller", [None, "", "arn:aws:sts::123456789012:federated-user/x", "nonsense"])
    def test_a_caller_that_is_no_role_or_user_is_refused(self, stack: ApproveStack, caller: str | None) -> None:
        """Whatever API Gateway may say of it."""
        event = {"routeKey": "GET /api/requests", "requestContext": {"authorizer": {"iam": {"userArn": caller}}}}
        assert stack.function.invoke(event)["statusCode"] == 403

    @pytest.mark.parametrize(("error", "status"), [(KeyError("x"), 500), (None, 503)])
    def test_trouble_is_told_as_json(
        self, stack: ApproveStack, monkeypatch: pytest.MonkeyPatch, error: Exception | None, status: int
    ) -> None:
        """To programs there is no page."""
        from bedrock_remediator.aws.errors import RetryableError  # noqa: PLC0415 - only here

        def broken(*_: object) -> None:
            raise error or RetryableError("busy")

        monkeypatch.setattr(Approval, "requests", broken)
        assert call(stack, "GET", "/api/requests")[0] == status
