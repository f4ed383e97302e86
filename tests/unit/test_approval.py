"""A person's decision: what becomes of the row, who may not decide, and what is signed."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bedrock_remediator.core.approval import (
    Approver,
    NotAllowedError,
    Refusal,
    StaleError,
    Terms,
    Verb,
    decide,
    may_approve,
    own_request,
    possible,
    signable,
    signature,
    signed,
    statement,
)
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.grant import Event, Grant, Outcome, State, Via, Written, kept_copy
from tests.builders.decisions import ALICE, ANYTHING, BOB, answer, stepped, waiting
from tests.builders.grants import ACCOUNT, NOON, ROLE

LATER = NOON + timedelta(hours=1)
ACTIVE = stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE)
FAILED = stepped(waiting(), State.APPROVED, State.FAILED)


def refusal(grant: Grant, verb: Verb = Verb.APPROVE, terms: Terms = ANYTHING, **changes: Any) -> Refusal:
    """Why a decision is not accepted."""
    with pytest.raises(NotAllowedError) as error:
        decide(grant, answer(verb, grant.version, **changes), terms, LATER)
    assert error.value.reason.endswith(".")
    return error.value.why


def test_approving_names_who_when_and_until_when() -> None:
    """The row is approved one version higher, with everything that a later reader asks about the decision."""
    row = decide(waiting(), answer(length=timedelta(days=1), reason="They asked\n me."), ANYTHING, LATER)
    assert (row.state, row.version, row.decided_version) == (State.APPROVED, 2, 2)
    assert (row.decided_by, row.decided_at, row.decided_via) == ("Alice (unverified)", LATER, Via.LINK)
    assert (row.decision_reason, row.approval) == ("They asked me.", None)
    assert (row.grant_seconds, row.expires_at) == (86400, LATER + timedelta(days=1))
    assert row.history[-1] == Event(
        at=LATER,
        state=State.APPROVED,
        by="Alice (unverified)",
        reason="Approved, to last 1 day. They asked me.",
    )
    assert row.reason_code == "no_rule"


def test_approving_without_end() -> None:
    """A grant without end has neither a length nor an end, whatever the rule would have given."""
    row = decide(waiting(grant_seconds=60, expires_at=NOON), answer(), ANYTHING, LATER)
    assert (row.grant_seconds, row.expires_at, row.decision_reason) == (None, None, None)


def test_what_a_person_approves_is_no_rules_decision_any_more() -> None:
    """A row that a rule had approved and that failed asks for the person's signature from then on."""
    failed = msgspec.structs.replace(FAILED, decision=Outcome.AUTO, rule="nova", cool_down_until=LATER)
    row = decide(failed, answer(version=3), ANYTHING, LATER)
    assert (row.state, row.decision, row.rule, row.cool_down_until) == (State.APPROVED, Outcome.ASK, None, None)
    assert row.reason_code == "approved_again"


def test_rejecting_starts_a_cool_down() -> None:
    """Repeats of what was rejected only count for a day."""
    row = decide(waiting(), answer(Verb.REJECT, reason="No."), Terms(longest=None, paused=True), LATER)
    assert (row.state, row.cool_down_until) == (State.REJECTED, LATER + timedelta(days=1))
    assert row.history[-1].reason == "Rejected. No."


def test_revoking_forgets_the_approval() -> None:
    """What was taken back carries no signature that somebody could use again."""
    row = decide(
        msgspec.structs.replace(ACTIVE, approval="bWFj"), answer(Verb.REVOKE, 4, approver=BOB), ANYTHING, LATER
    )
    assert (row.state, row.approval, row.decided_by) == (State.REVOKING, None, "bob@example.com")


def test_extending_is_approving_anew() -> None:
    """The grant gets another end from now on, and what was written for it is kept in mind."""
    active = msgspec.structs.replace(ACTIVE, written=Written(strategy="managed", policies=("arn",)), applied_at=NOON)
    row = decide(active, answer(Verb.EXTEND, 4, length=timedelta(hours=2)), ANYTHING, LATER)
    assert (row.state, row.expires_at, row.written) == (State.APPROVED, LATER + timedelta(hours=2), active.written)
    assert row.history[-1].reason == "Approved anew, to last 2 hours."


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", Verb)
def test_only_what_is_possible_is_done(state: State, verb: Verb) -> None:
    """What the page offers for a state works, and nothing else does."""
    row = waiting(state=state)
    if verb in possible(row):
        assert decide(row, answer(verb), ANYTHING, LATER).version == 2
    else:
        assert refusal(row, verb) is Refusal.NOT_POSSIBLE


def test_another_version_is_stale() -> None:
    """A decision about a row that has moved on, or is not there yet, is none."""
    for version in (1, 3):
        with pytest.raises(StaleError):
            decide(waiting(version=2), answer(version=version), ANYTHING, LATER)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        (Terms(longest=None, paused=True), Refusal.PAUSED),
        (Terms(longest=None, observing=True), Refusal.OBSERVING),
        (Terms(longest=timedelta(days=7)), Refusal.TOO_LONG),
    ],
)
def test_the_stack_sets_terms(terms: Terms, why: Refusal) -> None:
    """A grant without end is refused under a maximum, and any grant while nothing would be granted."""
    assert refusal(waiting(), terms=terms) is why
    assert refusal(ACTIVE, Verb.EXTEND, terms=terms) is why


def test_the_maximum_itself_is_allowed() -> None:
    """Exactly as long as people may grant, and not a second longer."""
    week = timedelta(days=7)
    assert decide(waiting(), answer(length=week), Terms(longest=week), LATER).grant_seconds == 604800
    assert refusal(waiting(), terms=Terms(longest=week), length=week + timedelta(seconds=1)) is Refusal.TOO_LONG
    assert refusal(waiting(), length=timedelta()) is Refusal.TOO_LONG


@pytest.mark.parametrize("changes", [{"resources": ()}, {"principal": None}, {"principal_id": None}])
def test_nothing_is_approved_that_grants_nothing(changes: dict[str, Any]) -> None:
    """A row without ARNs, or without a principal that exists, can only be rejected."""
    assert refusal(waiting(**changes)) is Refusal.NOTHING_TO_GRANT
    assert decide(waiting(**changes), answer(Verb.REJECT), ANYTHING, LATER).state is State.REJECTED


def test_what_is_kept_while_something_else_is_asked_can_only_be_revoked() -> None:
    """It ends as it was approved, or is replaced by what is asked."""
    assert possible(kept_copy(ACTIVE)) == {Verb.REVOKE}


class TestOwnRequests:
    """Nobody approves access for themselves, as far as that can be told."""

    @pytest.mark.parametrize(
        ("approver", "own"),
        [
            (Approver.by_api(ROLE), True),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/session"), True),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/session"), False),
            (Approver.by_api("arn:aws:sts::111122223333:assumed-role/llm-app/session"), False),
            (Approver.by_api(f"arn:aws:iam::{ACCOUNT}:user/llm-app"), False),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/Alice@example.com"), True),
            (Approver.by_oidc("ALICE@example.com"), True),
            (Approver.by_oidc("bob@example.com"), False),
            (Approver.by_link("alice@example.com"), False),
            (Approver.by_slack("U0123"), False),
        ],
    )
    def test_are_told_by_role_user_and_session(self, approver: Approver, own: bool) -> None:  # noqa: FBT001 - a parameter
        """The same role in a session or not, whatever its path; and the person that the denied session is named for."""
        row = waiting()
        row = msgspec.structs.replace(row, sighting=msgspec.structs.replace(row.sighting, session="alice@example.com"))
        assert own_request(approver, row) is own

    def test_of_nobody_known_are_nobodys(self) -> None:
        """Without a principal and a session there is nothing to compare with."""
        assert not own_request(Approver.by_api(ROLE), waiting(principal=None))

    def test_can_be_rejected_and_revoked_but_not_approved_or_extended(self) -> None:
        """Giving up access is everybody's right."""
        me = Approver.by_api(ROLE)
        assert refusal(waiting(), approver=me) is Refusal.OWN_REQUEST
        assert refusal(ACTIVE, Verb.EXTEND, approver=me) is Refusal.OWN_REQUEST
        assert decide(waiting(), answer(Verb.REJECT, approver=me), ANYTHING, LATER).state is State.REJECTED
        assert decide(ACTIVE, answer(Verb.REVOKE, 4, approver=me), ANYTHING, LATER).state is State.REVOKING


class TestApprovers:
    """Who somebody is said to be."""

    def test_of_a_link_are_marked(self) -> None:
        """Nobody can type a name that looks like one that was verified."""
        assert Approver.by_link("bob@example.com").name == "bob@example.com (unverified)"

    def test_have_a_name_in_one_clean_line(self) -> None:
        """Control characters, line breaks and half characters are gone, and the name has an end."""
        assert Approver.by_link("  A\x00l\r\nice\ud800 \x85 B ").name == "A l ice B (unverified)"
        assert len(Approver.by_oidc("x" * 10_000).name) == 100
        assert json.loads(statement(waiting(decided_by=Approver.by_link("Ålice <b>").name)))["approver"] == (
            "Ålice <b> (unverified)"
        )

    @pytest.mark.parametrize("name", ["", "  ", "\n\x00"])
    def test_without_a_name_are_nobody(self, name: str) -> None:
        """A decision has an author."""
        for made in (Approver.by_link, Approver.by_oidc, Approver.by_slack):
            with pytest.raises(ValueError, match="name"):
                made(name)

    def test_of_the_api_are_in_iam(self) -> None:
        """The whole ARN is kept: its session tells the person."""
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/bob"
        assert Approver.by_api(session) == Approver(name=session, via=Via.API, arn=session)
        with pytest.raises(ArnError):
            Approver.by_api(f"arn:aws:iam::{ACCOUNT}:root")

    def test_of_slack_go_by_their_id(self) -> None:
        """Names in Slack can be chosen."""
        assert Approver.by_slack("U0123").name == "slack:U0123"

    @pytest.mark.parametrize(
        ("caller", "may"),
        [
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/approver/alice", True),
            (f"arn:aws:iam::{ACCOUNT}:role/people/approver", True),
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/approver2/alice", False),
            ("arn:aws:sts::111122223333:assumed-role/approver/alice", False),
            (f"arn:aws:iam::{ACCOUNT}:user/approver", False),
            (f"arn:aws:sts::{ACCOUNT}:federated-user/approver", False),
            ("", False),
        ],
    )
    def test_of_the_api_have_one_of_the_roles(self, caller: str, may: bool) -> None:  # noqa: FBT001 - a parameter
        """A session of a role counts as the role; an account has no two roles of one name."""
        assert may_approve(caller, [f"arn:aws:iam::{ACCOUNT}:role/people/approver", "not an arn"]) is may
        assert not may_approve(caller, [])


class TestSignatures:
    """What is signed, and what is left of it on the row."""

    def test_cover_the_whole_decision(self) -> None:
        """Everything that decides about what is granted, to whom, until when and by whom is in the statement."""
        row = decide(waiting(), answer(length=timedelta(hours=1)), ANYTHING, LATER)
        assert json.loads(statement(row)) == {
            "v": 1,
            "pk": row.pk,
            "sk": row.sk,
            "version": 2,
            "principal_id": row.principal_id,
            "actions": list(row.actions),
            "resources": list(row.resources),
            "profile": row.profile,
            "expires_at": "2026-11-20T14:00:00Z",
            "approver": "Alice (unverified)",
            "via": "link",
            "decided_at": "2026-11-20T13:00:00Z",
        }

    def test_are_made_of_a_text_that_kms_takes(self) -> None:
        """However many ARNs a row has."""
        row = waiting(resources=tuple(f"arn:{number}" for number in range(1000)))
        assert len(statement(row)) > 4096 > len(signable(row))

    def test_come_back_from_the_row(self) -> None:
        """In every state that follows the approval."""
        row = signed(decide(waiting(), answer(), ANYTHING, LATER), b"mac")
        assert signature(row) == b"mac"
        active = stepped(row, State.APPLYING, State.ACTIVE)
        assert signature(active) == b"mac"
        assert statement(active) == statement(kept_copy(active)) == statement(row)

    @pytest.mark.parametrize(
        "changes",
        [
            {"approval": None},
            {"approval": "not base64!"},
            {"approval": "é"},
            {"decided_by": None},
            {"decided_at": None},
            {"decided_via": None},
            {"decided_version": None},
            {"decided_version": 3},
            {"decided_version": 0},
        ],
    )
    def test_are_none_on_a_row_that_nobody_has_approved(self, changes: dict[str, Any]) -> None:
        """Nor on one that was decided in a version it has not reached."""
        row = signed(decide(waiting(), answer(), ANYTHING, LATER), b"mac")
        assert signature(msgspec.structs.replace(row, **changes)) is None


def test_unverified_names_stay_apart_from_verified_ones() -> None:
    """Alice of the link compares with nobody."""
    assert ALICE.person is None
    assert BOB.person == "bob@example.com"
