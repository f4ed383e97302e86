"""People decide, over the ledger and KMS as moto plays them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.keys import ApprovalKey
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.approval import Answer, Refusal, Terms, Verb
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, State
from bedrock_remediator.core.suspicion import RiskKind
from bedrock_remediator.core.usage import Share, beyond_key
from bedrock_remediator.flows.approval.approval import Approval
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
from bedrock_remediator.flows.remediation.claims import SignedApprovals
from bedrock_remediator.notices.notice import request_id
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import ALICE, ANYTHING, BOB, answer, stepped, waiting
from tests.builders.grants import NOON, PROFILE, first_seen, seen_again
from tests.builders.remediation import FakeApprovals, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_kms import KMSClient

LATER = NOON + timedelta(hours=1)
OTHER = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-premier-v1:0"


class Interrupted:
    """A key that lets something happen between the reading of a row and the writing of the decision."""

    def __init__(self, key: ApprovalKey) -> None:
        self._key = key
        self.meanwhile: Callable[[], Any] = lambda: None

    def sign(self, message: bytes) -> bytes:
        """Sign, after that."""
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return self._key.sign(message)


@pytest.fixture
def kms(aws: None) -> "KMSClient":
    """KMS."""
    return boto3.client("kms")


@pytest.fixture
def key(kms: "KMSClient") -> ApprovalKey:
    """The stack's key."""
    made = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    return ApprovalKey(lambda: kms, made["KeyMetadata"]["Arn"])


@pytest.fixture
def signer(key: ApprovalKey) -> Interrupted:
    """It, with a hook."""
    return Interrupted(key)


@pytest.fixture
def approval(ledger: Ledger, signer: Interrupted, clock: StoppedClock) -> Approval:
    """The use case, an hour later."""
    clock.time = LATER
    return Approval(ledger, signer, ANYTHING, ("bedrock:UseInferenceProfile",), clock)


def kept(ledger: Ledger, *states: State, **changes: Any) -> Grant:
    """A row in the ledger, taken through these states by others than people."""
    row = waiting(**changes)
    ledger.open(row, first_seen(row, fingerprint=row.sk))
    for state in states:
        after = stepped(row, state)
        ledger.move(row, after)
        row = after
    return row


def ticket(row: Grant, version: int = 1) -> Ticket:
    """The ticket of one version of a row."""
    return Ticket(row.pk, row.sk, version)


def stored(ledger: Ledger, row: Grant) -> Grant:
    """The row as it is in the ledger."""
    found = ledger.grant(*row.key)
    assert found
    return found


class TestDeciding:
    """One decision, one write."""

    def test_an_approval_is_signed_and_written(self, approval: Approval, ledger: Ledger, key: ApprovalKey) -> None:
        """What the ledger holds afterwards is what remediation believes."""
        row = kept(ledger)
        result = approval.decide(ticket(row), answer(length=timedelta(days=30), reason="Fine."))
        assert isinstance(result, Decided)
        assert stored(ledger, row) == result.grant
        assert (result.grant.state, result.grant.version) == (State.APPROVED, 2)
        assert SignedApprovals(key).verify(stored(ledger, row))

    def test_a_rejection_is_not_signed(self, approval: Approval, ledger: Ledger) -> None:
        """There is nothing to prove about it."""
        row = kept(ledger)
        result = approval.decide(ticket(row), answer(Verb.REJECT))
        assert isinstance(result, Decided)
        assert (stored(ledger, row).state, stored(ledger, row).approval) == (State.REJECTED, None)

    def test_a_second_click_is_told_of_the_first(self, approval: Approval, ledger: Ledger, clock: StoppedClock) -> None:
        """Who decided, when, and what; and nothing changes."""
        row = kept(ledger)
        approval.decide(ticket(row), answer())
        clock.time += timedelta(minutes=5)
        before = stored(ledger, row)
        result = approval.decide(ticket(row), answer(Verb.REJECT, approver=BOB))
        assert result == AlreadyDecided(before, "Alice (unverified)", LATER, State.APPROVED)
        assert stored(ledger, row) == before

    def test_of_two_at_once_one_wins(self, approval: Approval, ledger: Ledger, signer: Interrupted) -> None:
        """The other is told who was first, and changes nothing."""
        row = kept(ledger)
        signer.meanwhile = lambda: approval.decide(ticket(row), answer(Verb.REJECT, approver=BOB))
        result = approval.decide(ticket(row), answer())
        assert isinstance(result, LostRace)
        assert (result.by, result.at, result.state) == ("bob@example.com", LATER, State.REJECTED)
        assert stored(ledger, row).state is State.REJECTED

    def test_a_row_that_moves_otherwise_meanwhile_is_stale(
        self, approval: Approval, ledger: Ledger, signer: Interrupted
    ) -> None:
        """It lapsed in that moment, or went away: nobody has decided."""
        row = kept(ledger)
        signer.meanwhile = lambda: ledger.move(row, stepped(row, State.LAPSED))
        assert approval.decide(ticket(row), answer()) == Stale(stepped(row, State.LAPSED))

    def test_a_row_that_goes_away_meanwhile_is_not_found(
        self, approval: Approval, ledger: Ledger, signer: Interrupted
    ) -> None:
        """Somebody has deleted it from the table."""
        row = kept(ledger)
        found = {"pk": {"S": row.pk}, "sk": {"S": row.sk}}
        signer.meanwhile = lambda: ledger._client.delete_item(TableName="ledger", Key=found)
        assert approval.decide(ticket(row), answer()) == NotFound()

    def test_a_remark_made_meanwhile_stays(self, approval: Approval, ledger: Ledger, signer: Interrupted) -> None:
        """It neither stands in the way nor is lost."""
        row = kept(ledger)
        signer.meanwhile = lambda: ledger.update(row, replace(row, reminded_at=NOON))
        assert isinstance(approval.decide(ticket(row), answer()), Decided)
        assert stored(ledger, row).reminded_at == NOON

    def test_what_is_not_there_is_not_found(self, approval: Approval) -> None:
        """A ticket for nothing."""
        assert approval.decide(Ticket("nobody", "nothing", 1), answer()) == NotFound()

    def test_what_is_not_allowed_says_why(self, approval: Approval, ledger: Ledger, clock: StoppedClock) -> None:
        """And changes nothing."""
        row = kept(ledger)
        paused = Approval(ledger, cast("ApprovalKey", None), Terms(longest=None, paused=True), (), clock)
        result = paused.decide(ticket(row), answer())
        assert isinstance(result, NotAllowed)
        assert result.why is Refusal.PAUSED
        assert stored(ledger, row) == row

    def test_without_the_key_nothing_is_approved(self, ledger: Ledger, clock: StoppedClock, kms: "KMSClient") -> None:
        """An approval that cannot be signed is not written."""
        row = kept(ledger)
        approval = Approval(ledger, ApprovalKey(lambda: kms, "alias/none"), ANYTHING, (), clock)
        with pytest.raises(kms.exceptions.NotFoundException):
            approval.decide(ticket(row), answer())
        assert stored(ledger, row) == row


class TestStaleTickets:
    """A ticket is for one version of one row."""

    def test_a_request_that_asks_again_needs_its_new_ticket(self, approval: Approval, ledger: Ledger) -> None:
        """What was shown under the old one is not what is asked now."""
        row = kept(ledger, State.APPROVED, State.PENDING)
        for version in (1, 3):
            result = approval.decide(ticket(row), answer(version=version))
            assert isinstance(result, AlreadyDecided | Stale)
        assert approval.decide(ticket(row), answer(version=3)) == Stale(row)
        assert stored(ledger, row) == row
        assert isinstance(approval.decide(ticket(row, 3), answer(version=3)), Decided)

    def test_a_row_that_was_opened_anew_is_another(self, approval: Approval, ledger: Ledger) -> None:
        """The ticket of what was there before decides nothing, whatever version is sent with it."""
        row = kept(ledger, State.LAPSED)
        first = first_seen(row, fingerprint=row.sk)
        again = waiting(version=3)
        ledger.open(again, seen_again(first, "e2"), replaces=row)
        for version in (1, 3):
            assert approval.decide(ticket(row), answer(version=version)) == Stale(again)
        assert approval.decide(ticket(row), answer(version=99)) == Stale(again)
        assert approval.revoke_all(ticket(row), ALICE) == []

    def test_what_failed_can_be_approved_again_with_the_ticket_it_began_with(
        self, approval: Approval, ledger: Ledger, key: ApprovalKey
    ) -> None:
        """Nobody is sent a link for a failure; the version that the page shows must be the row's."""
        row = kept(ledger, State.APPROVED, State.FAILED, decision=Outcome.AUTO)
        assert isinstance(approval.decide(ticket(row), answer(version=2)), Stale)
        assert isinstance(approval.decide(ticket(row), answer(version=3)), Decided)
        assert SignedApprovals(key).verify(stored(ledger, row))


class TestRevoking:
    """Taking back."""

    def test_one(self, approval: Approval, ledger: Ledger) -> None:
        """With the ticket of the request that led to it."""
        row = kept(ledger, State.APPROVED, State.APPLYING, State.ACTIVE)
        assert isinstance(approval.decide(ticket(row), answer(Verb.REVOKE, 4, reason="over")), Decided)
        assert stored(ledger, row).state is State.REVOKING

    def test_all_of_a_principals(self, approval: Approval, ledger: Ledger) -> None:
        """Every active one, and nothing else."""
        states = (State.APPROVED, State.APPLYING, State.ACTIVE)
        one = kept(ledger, *states)
        two = kept(ledger, *states, sk=f"profile#{OTHER}", profile=OTHER)
        three = kept(ledger, sk="profile#three")
        results = approval.revoke_all(ticket(one), BOB, "gone")
        assert [type(result) for result in results] == [Decided, Decided]
        assert {stored(ledger, row).state for row in (one, two)} == {State.REVOKING}
        assert stored(ledger, three) == three
        assert approval.revoke_all(Ticket("nobody", "nothing", 1), BOB) == []


class TestShowing:
    """What a person sees."""

    def test_an_open_request(self, approval: Approval, ledger: Ledger) -> None:
        """All that one needs to decide."""
        row = kept(ledger, diagnosis=DiagnosisKind.CONDITIONAL_ALLOW, grant_seconds=3600)
        view = approval.show(ticket(row))
        assert view is not None
        assert (view.grant, view.open, view.replaced) == (row, True, False)
        assert view.verbs == {Verb.APPROVE, Verb.REJECT}
        assert view.denials is not None
        assert view.denials.count == 1
        assert PROFILE in "".join(view.plan.after)
        assert [risk.kind for risk in view.risks] == [RiskKind.CONDITIONAL_ALLOW, RiskKind.FIRST_REQUEST]
        assert [each.value for each in view.lengths if each.chosen] == ["1h"]
        assert (view.standing, view.request_id) == ((), request_id(row))

    def test_what_became_of_one(self, approval: Approval, ledger: Ledger) -> None:
        """The link still tells, after the decision and after the grant."""
        row = kept(ledger)
        approval.decide(ticket(row), answer())
        approved = stored(ledger, row)
        applying = stepped(approved, State.APPLYING)
        active = stepped(applying, State.ACTIVE)
        ledger.move(approved, applying)
        ledger.move(applying, active)
        view = approval.show(ticket(row))
        assert view is not None
        assert not view.open
        assert [(step.by, step.at) for step in view.grant.history[1:2]] == [("Alice (unverified)", LATER)]
        assert view.verbs == {Verb.REVOKE, Verb.EXTEND}
        assert view.standing == (active,)
        assert view.request_id == request_id(row)

    def test_one_that_was_opened_anew(self, approval: Approval, ledger: Ledger) -> None:
        """The old ticket sees that it is over, and can do nothing."""
        row = kept(ledger, State.LAPSED)
        again = waiting(version=3)
        ledger.open(again, first_seen(row, fingerprint="f9"), replaces=row)
        view = approval.show(ticket(row))
        assert view is not None
        assert (view.open, view.replaced, view.verbs) == (False, True, frozenset())

    def test_one_that_nothing_was_counted_for(self, approval: Approval, ledger: Ledger) -> None:
        """A row without counters has no number, rather than a wrong one."""
        row = kept(ledger)
        found = {"pk": {"S": row.pk}, "sk": {"S": f"seen#{row.sk}"}}
        ledger._client.delete_item(TableName="ledger", Key=found)
        view = approval.show(ticket(row))
        assert view is not None
        assert view.denials is None

    def test_nothing(self, approval: Approval) -> None:
        """There is no such row."""
        assert approval.show(Ticket("nobody", "nothing", 1)) is None


class TestRejectingAll:
    """What one principal asks for, in one action."""

    def test_rejects_what_waits_of_that_principal(self, approval: Approval, ledger: Ledger) -> None:
        """Each by a write of its own that names who and why; what is granted, and other principals', stays."""
        asked = [kept(ledger, sk=f"profile#{number}") for number in range(3)]
        granted = kept(ledger, State.APPROVED, sk="profile#granted")
        other = kept(ledger, pk="arn:aws:iam::123456789012:role/other")
        results = approval.reject_all(ticket(asked[1]), BOB, "A stolen key.")
        assert [type(result) for result in results] == [Decided] * 3
        for row in asked:
            after = stored(ledger, row)
            assert (after.state, after.decided_by, after.decision_reason) == (State.REJECTED, BOB.name, "A stolen key.")
        assert stored(ledger, granted) == granted
        assert stored(ledger, other) == other
        assert approval.reject_all(Ticket("nobody", "nothing", 1), BOB) == []

    def test_is_what_rejecting_the_row_that_counts_them_means(
        self, approval: Approval, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        """On the page, by the API and in Slack: its reason says so, and the log has each."""
        caplog.set_level("INFO")
        asked = [kept(ledger, sk=f"profile#{number}") for number in range(3)]
        counts = kept(ledger, sk=beyond_key(Share.REQUESTS), resources=(), profile=None)
        view = approval.show(ticket(counts))
        assert view
        assert view.open
        assert view.verbs == {Verb.REJECT}
        result = approval.decide(ticket(counts), answer(Verb.REJECT))
        assert [each.__dict__["sk"] for each in caplog.records if each.message == "a decision"] == [
            row.sk for row in asked
        ]
        assert isinstance(result, Decided)
        assert result.grant.sk == counts.sk
        assert {stored(ledger, row).state for row in (*asked, counts)} == {State.REJECTED}

    def test_nobody_approves_the_row_that_counts_them(self, approval: Approval, ledger: Ledger) -> None:
        """Whatever stands in it."""
        counts = kept(ledger, sk=beyond_key(Share.REQUESTS))
        result = approval.decide(ticket(counts), answer(length=timedelta(days=1)))
        assert isinstance(result, NotAllowed)
        assert stored(ledger, counts).state is State.PENDING
        view = approval.show(ticket(counts))
        assert view
        assert view.verbs == {Verb.REJECT}

    def test_leaves_what_somebody_was_first_with(
        self, approval: Approval, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told, and the others are rejected all the same."""
        first, second = (kept(ledger, sk=f"profile#{number}") for number in range(2))
        ledger.move(first, stepped(first, State.LAPSED))
        monkeypatch.setattr(ledger, "grants", lambda _: [first, second])
        results = approval.reject_all(ticket(second), BOB)
        assert [type(result) for result in results] == [Stale, Decided]


class TestListing:
    """The API's lists and ids."""

    def test_requests_of_a_state_come_in_order(self, approval: Approval, ledger: Ledger) -> None:
        """Those that wait longest first, and no more than asked for."""
        rows = [
            kept(ledger, sk=f"profile#{number}", updated_at=NOON - timedelta(minutes=number)) for number in range(3)
        ]
        kept(ledger, State.REJECTED, sk="profile#rejected")
        assert approval.requests(State.PENDING) == (rows[::-1], None)
        first, end = approval.requests(State.PENDING, most=2)
        assert first == rows[:0:-1]
        assert approval.requests(State.PENDING, end, most=2) == (rows[:1], None)
        assert [row.sk for row in approval.requests(State.REJECTED)[0]] == ["profile#rejected"]
        assert approval.requests(State.ACTIVE) == ([], None)

    def test_a_page_goes_on_behind_what_was_decided_meanwhile(self, approval: Approval, ledger: Ledger) -> None:
        """The one that a page ended with waits no more: the next page misses none and repeats none."""
        rows = [kept(ledger, sk=f"profile#{number}") for number in range(4)]
        first, end = approval.requests(State.PENDING, most=2)
        ledger.move(first[-1], stepped(first[-1], State.REJECTED))
        second, _ = approval.requests(State.PENDING, end, most=2)
        assert sorted(row.sk for row in (*first, *second)) == [row.sk for row in rows]

    def test_an_id_is_found_whatever_became_of_its_row(
        self, approval: Approval, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A notice's id names the version it was sent for, for ever."""
        monkeypatch.setattr("bedrock_remediator.flows.current_rows._BATCH", 2)
        for number in range(5):
            kept(ledger, sk=f"profile#{number}")
        row = kept(ledger, State.APPROVED, State.APPLYING, State.ROLLED_BACK)
        for version in (1, 4):
            wanted = request_id(replace(row, version=version))
            assert approval.find(wanted) == ticket(row, version)
        assert approval.find("0" * 32) is None

    def test_a_row_that_the_index_has_and_the_table_not_is_left_out(
        self, approval: Approval, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The index lags behind."""
        row = kept(ledger)
        entries = list(ledger.due(State.PENDING))
        ledger.move(row, stepped(row, State.LAPSED))
        stale = [*entries, replace(entries[0], sk="profile#gone")]
        monkeypatch.setattr(ledger, "due", lambda _state, **_: iter(stale))
        assert approval.requests(State.PENDING) == ([], None)


class TestRemediating:
    """From the click to the policy."""

    @pytest.fixture
    def world(self, ledger: Ledger, key: ApprovalKey) -> World:
        """IAM and remediation, which believes the real key only."""
        world = World(boto3.client("iam"), ledger)
        world.approvals = cast("FakeApprovals", SignedApprovals(key))
        return world

    @pytest.fixture
    def row(self, world: World) -> Grant:
        """A request in the ledger, of a role that exists."""
        row = replace(
            world.row(world.role()), state=State.PENDING, decision=Outcome.ASK, rule=None, history=waiting().history
        )
        world.ledger.open(row, first_seen(row))
        return row

    @staticmethod
    def decided(result: Result) -> Grant:
        """The row after a decision."""
        assert isinstance(result, Decided)
        return result.grant

    def test_what_was_approved_is_applied_extended_and_revoked(
        self, approval: Approval, world: World, row: Grant, clock: StoppedClock
    ) -> None:
        """Remediation finds each decision genuine, and the policy follows."""
        world.clock.time = LATER
        approved = self.decided(approval.decide(ticket(row), answer(length=timedelta(days=1))))
        active = world.remediate(approved)
        assert active is not None
        assert (active.state, active.expires_at) == (State.ACTIVE, LATER + timedelta(days=1))
        clock.time = world.clock.time
        longer = answer(Verb.EXTEND, active.version, approver=BOB, length=timedelta(days=30))
        extended = world.remediate(self.decided(approval.decide(ticket(row), longer)))
        assert extended is not None
        assert (extended.state, extended.decided_by) == (State.ACTIVE, "bob@example.com")
        assert extended.expires_at is not None
        (document,) = self.documents(world, row)
        assert f"{extended.expires_at:%Y-%m-%dT%H:%M:%SZ}" in str(document)
        revoked = world.remediate(self.decided(approval.decide(ticket(row), answer(Verb.REVOKE, extended.version))))
        assert revoked is not None
        assert revoked.state is State.REVOKED
        assert self.documents(world, row) == []

    @pytest.mark.parametrize(
        "change",
        [
            {"expires_at": None},
            {"expires_at": LATER + timedelta(days=400)},
            {"approval": None},
            {"decided_by": "mallory@example.com"},
            {"principal_id": "AROAMALLORY"},
            {"actions": ("bedrock:InvokeModel",)},
        ],
    )
    def test_a_row_that_was_changed_afterwards_is_refused(
        self, approval: Approval, world: World, row: Grant, change: dict[str, Any]
    ) -> None:
        """Whoever can write to the ledger cannot write a policy."""
        world.clock.time = LATER
        approved = self.decided(approval.decide(ticket(row), answer(length=timedelta(days=1))))
        world.ledger.update(approved, replace(approved, **change))
        refused = world.remediate(approved)
        assert refused is not None
        assert (refused.state, refused.reason_code) == (State.FAILED, "approval_unverified")
        assert self.documents(world, row) == []

    @staticmethod
    def documents(world: World, row: Grant) -> list[Any]:
        """The role's policies."""
        return list(world.policies(Principal.parse(row.pk)).values())


def test_trouble_on_the_way_to_kms_is_passing(ledger: Ledger, clock: StoppedClock) -> None:
    """The page can be asked again, and nothing was written."""

    class Busy:
        def sign(self, message: bytes) -> bytes:
            raise RetryableError("busy")

    row = kept(ledger)
    with pytest.raises(RetryableError):
        Approval(ledger, Busy(), ANYTHING, (), clock).decide(
            ticket(row), Answer(verb=Verb.APPROVE, version=1, approver=ALICE)
        )
    assert stored(ledger, row) == row
