"""The page of a request, through approve's real handler: it shows, it decides once, and it is clear about the rest."""

import re
from datetime import timedelta
from typing import Any

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import ConflictError, DecisionLedger, Ledger
from bedrock_remediator.core.approval import Answer, Approver, Verb
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.results import Decided, NotFound, Stale
from bedrock_remediator.flows.links.links import Ticket
from tests.builders.approve import ORIGIN, ApproveStack, Page
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import BOB, stepped, waiting
from tests.builders.grants import NOON, PROFILE, first_seen, seen_again
from tests.builders.notices import SIGHTING

LATER = NOON + timedelta(hours=2)
OTHER = PROFILE.replace("nova-2-lite", "nova-pro")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock) -> ApproveStack:
    """The function, two hours after noon."""
    clock.time = LATER
    return ApproveStack(monkeypatch, clock, ledger)


@pytest.fixture
def row(ledger: Ledger) -> Grant:
    """A request that waits, seen twice."""
    return opened(ledger, waiting(sighting=SIGHTING))


def opened(ledger: Ledger, row: Grant) -> Grant:
    """A row of the ledger whose denial was seen twice."""
    seen = first_seen(row, fingerprint=row.sk)
    ledger.open(row, seen)
    ledger.count(seen, seen_again(seen, "e2"))
    return row


def active(**changes: Any) -> Grant:
    """A grant that a person made and remediation has applied."""
    return stepped(waiting(**changes), State.APPROVED, State.APPLYING, State.ACTIVE)


class TestShowing:
    """GET shows, and changes nothing."""

    def test_the_page_tells_who_asks_for_what_where_and_how_often(self, stack: ApproveStack, row: Grant) -> None:
        """The question, the principal, the account, the regions, the count and both times are on it."""
        page = stack.get(stack.link(row))
        assert page.status == 200
        assert page.title == "Let role llm-app call us.amazon.nova-2-lite-v1:0?"
        for said in (
            "123456789012",
            "us-east-1, us-east-2, us-west-2",
            "Denied 2 times in us-east-1, the last time 1 hour ago.",
            "2026-11-20 12:00 UTC",
            "2026-11-20 13:00 UTC",
            "lapses in 2 days",
            "No rule of the allowlist names this principal and profile.",
        ):
            assert said in page.text

    def test_the_page_tells_exactly_what_would_be_granted(self, stack: ApproveStack, row: Grant) -> None:
        """Every ARN, every action and the condition, and the policy line by line."""
        page = stack.get(stack.link(row))
        for arn in row.resources:
            assert arn in page.source.replace("</span><wbr><bdi>", "")
        for action in (*row.actions, "bedrock:UseInferenceProfile"):
            assert action in page.text
        assert page.source.count("<ins>") > 10
        assert "bedrock:InferenceProfileArn" in page.text
        assert "aws_iam_policy" in page.text
        assert "AWS::IAM::ManagedPolicy" in page.text

    def test_the_page_has_it_to_paste_as_well(self, stack: ApproveStack, row: Grant) -> None:
        """As Terraform, CloudFormation and JSON, each with every ARN: no grant of this service is needed then."""
        page = stack.get(stack.link(row))
        found = dict(re.findall(r"(?s)<summary>(\w+)</summary><pre[^>]*>(.*?)</pre>", page.source))
        assert list(found) == ["Terraform", "CloudFormation", "JSON"]
        for snippet in found.values():
            assert all(arn in snippet for arn in row.resources)

    @pytest.mark.parametrize(
        ("others", "said"),
        [
            ([], "This is the first time that this principal was denied such a call."),
            ([{"source_ip": "203.0.113.9"}], "from an address that no other denied call"),
            ([{"user_agent": "Mozilla/5.0"}], "by another kind of client"),
            ([{}, {}], "several different models or profiles"),
        ],
    )
    def test_each_kind_of_unusual_request_is_pointed_out(
        self, stack: ApproveStack, row: Grant, others: list[dict[str, str]], said: str
    ) -> None:
        """Before the facts, whether or not there is anything else."""
        for number, changes in enumerate(others):
            name = PROFILE.replace("nova-2-lite", f"nova-{number}")
            stack.put(waiting(sk=f"profile#{name}", profile=name, sighting=replace(SIGHTING, **changes)))
        page = stack.get(stack.link(row))
        assert said in page.text
        assert page.text.index("Look twice") < page.text.index(said) < page.text.index("What was denied")

    def test_showing_changes_nothing(self, stack: ApproveStack, row: Grant) -> None:
        """Mail and chat clients fetch every link: the ledger is the same after a hundred of them."""
        before = stack.client.scan(TableName="ledger")["Items"]
        for _ in range(5):
            stack.get(stack.link(row))
        assert stack.client.scan(TableName="ledger")["Items"] == before

    def test_the_page_cannot_run_leak_or_be_framed(self, stack: ApproveStack, row: Grant) -> None:
        """No script, nothing from elsewhere, no referrer, no frame, no cache."""
        page = stack.get(stack.link(row))
        policy = page.headers["content-security-policy"].split("; ")
        assert not page.has_script
        assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} < set(policy)
        assert [each for each in policy if each.startswith("style-src")] == [
            each for each in policy if each.startswith("style-src 'sha256-")
        ]
        assert not any("unsafe" in each or "script-src" in each for each in policy)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-frame-options"] == "DENY"

    def test_lengths_stop_at_the_maximum(
        self, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock, row: Grant
    ) -> None:
        """With a maximum of a week neither thirty days nor no end is offered, and neither is taken."""
        stack = ApproveStack(monkeypatch, clock, ledger, MAX_GRANT_DAYS="7")
        page = stack.get(stack.link(row))
        assert 'value="7d"' in page.source
        assert 'value="30d"' not in page.source
        assert 'value="none"' not in page.source
        assert stack.decide(stack.link(row), length="30d").status == 403
        assert stack.row(row).state is State.PENDING

    def test_a_wrong_prefix_has_two_ways_out(self, stack: ApproveStack, ledger: Ledger) -> None:
        """Change the client to the id that is granted, or grant this one too."""
        row = opened(
            ledger,
            waiting(diagnosis=DiagnosisKind.WRONG_IDENTIFIER, candidates=("global.amazon.nova-2-lite-v1:0",)),
        )
        page = stack.get(stack.link(row))
        assert "Two ways out" in page.text
        assert "global.amazon.nova-2-lite-v1:0 as modelId instead of us.amazon.nova-2-lite-v1:0" in page.text
        assert page.buttons == {"approve", "reject"}

    def test_what_is_unusual_stands_above(self, stack: ApproveStack, row: Grant, ledger: Ledger) -> None:
        """Another address than the principal's other denials is pointed out before the facts."""
        other = waiting(sk=f"profile#{OTHER}", profile=OTHER, sighting=SIGHTING)
        stack.put(other)
        stack.put(waiting(sighting=type(SIGHTING)(event_id="e", time=NOON, source_ip="203.0.113.1")))
        page = stack.get(stack.link(row))
        assert page.text.index("Look twice") < page.text.index("What was denied")

    def test_a_condition_is_shown_before_it_is_lifted(self, stack: ApproveStack, ledger: Ledger) -> None:
        """The statement is on the page, there is nothing to paste, and the button says that it is against advice."""
        evidence = '{"Effect": "Allow", "Condition": {"StringEquals": {"bedrock:GuardrailIdentifier": "g"}}}'
        row = opened(ledger, waiting(diagnosis=DiagnosisKind.CONDITIONAL_ALLOW, evidence=evidence))
        page = stack.get(stack.link(row))
        assert "bedrock:GuardrailIdentifier" in page.text
        assert "Approve all the same" in page.text
        assert "aws_iam_policy" not in page.text


class TestDeciding:
    """POST decides, once."""

    def test_approving_writes_the_decision_and_goes_back_to_the_page(self, stack: ApproveStack, row: Grant) -> None:
        """The browser is sent to the same link, which tells who approved it, why and until when."""
        path = stack.link(row)
        answer = stack.decide(path, name="Alice Ngo", reason="For the pilot.")
        assert (answer.status, answer.headers["location"]) == (303, path)
        after = stack.row(row)
        assert (after.state, after.version, after.decided_by) == (State.APPROVED, 2, "Alice Ngo (unverified)")
        assert after.expires_at == LATER + timedelta(days=30)
        assert after.approval
        page = stack.get(path)
        assert "Approved, about to be applied" in page.text
        assert "by Alice Ngo (unverified)" in page.text
        assert "For the pilot." in page.text
        assert page.buttons == set()

    def test_rejecting_keeps_the_reason(self, stack: ApproveStack, row: Grant) -> None:
        """Nothing is granted, and the page says who rejected it and why."""
        path = stack.link(row)
        assert stack.decide(path, "reject", reason="Use the other account.").status == 303
        assert stack.row(row).state is State.REJECTED
        page = stack.get(path)
        assert "Rejected by Alice (unverified)" in page.text
        assert "Use the other account." in page.text

    def test_a_double_click_decides_once(self, stack: ApproveStack, row: Grant) -> None:
        """The second of the same form says that it was decided already, by whom and when, and changes nothing."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Alice", "length": "1d", "decision": "approve"}
        assert stack.post(path, form).status == 303
        after = stack.row(row)
        again = stack.post(path, form)
        assert (again.status, again.title) == (409, "This has been decided already")
        assert "Approved by Alice (unverified), 2026-11-20 14:00 UTC" in again.text
        assert stack.row(row) == after

    def test_who_is_second_is_told_who_was_first(self, stack: ApproveStack, row: Grant) -> None:
        """Two people have the page open: the second one's decision counts for nothing, and the page says so."""
        path = stack.link(row)
        forms = [{"csrf": stack.get(path).csrf, "name": name} for name in ("Alice", "Bob")]
        stack.post(path, forms[0] | {"decision": "reject"})
        second = stack.post(path, forms[1] | {"decision": "approve", "length": "1h"})
        assert second.status == 409
        assert "Rejected by Alice (unverified)" in second.text
        assert "Your decision changed nothing" in second.text
        assert stack.row(row).state is State.REJECTED

    def test_a_lost_race_is_told_apart(self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody decides between our reading of the row and our writing: the page names them."""
        path = stack.link(row)
        stack.get(path)
        signing = Approval._take

        def first_bob(use_case: Approval, seen: Grant, answer: Answer) -> Any:
            monkeypatch.setattr(Approval, "_take", signing)
            signing(use_case, seen, Answer(verb=Verb.REJECT, version=1, approver=BOB))
            return signing(use_case, seen, answer)

        monkeypatch.setattr(Approval, "_take", first_bob)
        page = stack.decide(path)
        assert (page.status, page.title) == (409, "Somebody was faster")
        assert "Rejected by bob@example.com" in page.text

    def test_a_name_is_needed(self, stack: ApproveStack, row: Grant) -> None:
        """Without one nothing is decided; the page comes again with what was typed and chosen."""
        page = stack.decide(stack.link(row), name=" ", reason="Since <b>you</b> ask", length="1d")
        assert page.status == 400
        assert "A decision needs a name." in page.text
        assert "Since &lt;b&gt;you&lt;/b&gt; ask</textarea>" in page.source
        assert 'value="1d" checked' in page.source
        assert stack.row(row).state is State.PENDING

    @pytest.mark.parametrize(
        "fields", [{"decision": "delete"}, {"decision": ""}, {"length": ""}, {"length": "99999d"}, {"length": "1y"}]
    )
    def test_a_decision_that_is_none_changes_nothing(
        self, stack: ApproveStack, row: Grant, fields: dict[str, str]
    ) -> None:
        """An unknown button, no button, no length and a length that is none are each asked for again."""
        page = stack.decide(stack.link(row), **{"decision": "approve"} | fields)
        assert page.status == 400
        assert "Nothing was changed yet" in page.text
        assert stack.row(row).state is State.PENDING

    def test_nobody_approves_what_they_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, stack: ApproveStack, ledger: Ledger
    ) -> None:
        """An approver who is the person of the denied session is refused."""
        row = opened(ledger, waiting(sighting=SIGHTING))
        monkeypatch.setattr(Approver, "by_link", lambda _name: Approver.by_oidc("web-1"))
        page = stack.decide(stack.link(row))
        assert page.status == 403
        assert "Nobody may approve access for themselves." in page.text
        assert stack.row(row).state is State.PENDING

    def test_nothing_is_approved_during_a_pause(
        self, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock, row: Grant
    ) -> None:
        """The request stays open, and may be rejected."""
        stack = ApproveStack(monkeypatch, clock, ledger, PAUSED="true")
        page = stack.decide(stack.link(row))
        assert page.status == 403
        assert "paused" in page.text
        assert stack.row(row).state is State.PENDING
        assert stack.decide(stack.link(row), "reject").status == 303

    def test_a_lapsed_request_cannot_be_approved(self, stack: ApproveStack, row: Grant, ledger: Ledger) -> None:
        """It lapsed while the page was open: the page is out of date, and says so."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Alice", "length": "1d", "decision": "approve"}
        ledger.move(row, stepped(row, State.LAPSED, by="upkeep"))
        page = stack.post(path, form)
        assert (page.status, page.title) == (409, "The request has changed since you opened the page")
        assert stack.row(row).state is State.LAPSED
        assert "Lapsed" in stack.get(path).text

    def test_what_failed_may_be_approved_again(self, stack: ApproveStack) -> None:
        """By the link that is made for that; the one of the request does no more than ask for it."""
        row = stack.put(stepped(waiting(), State.APPROVED, State.FAILED))
        old, path = stack.link(row, version=1), stack.link(row)
        assert stack.get(old).buttons == {"new_link"}
        assert stack.decide(old).status == 403
        assert stack.row(row).state is State.FAILED
        assert stack.get(path).buttons == {"approve"}
        assert stack.decide(path).status == 303
        assert stack.row(row).state is State.APPROVED


class TestTakingBack:
    """An active grant is taken back by the link it was asked for with."""

    def test_a_grant_is_taken_back(self, stack: ApproveStack) -> None:
        """The row goes to revoking, and the page says so."""
        row = stack.put(active())
        path = stack.link(row, version=1)
        assert stack.get(path).buttons == {"revoke", "new_link"}
        assert stack.get(stack.link(row)).buttons == {"revoke", "extend"}
        assert stack.decide(path, "revoke", reason="Project over.").status == 303
        assert (stack.row(row).state, stack.row(row).decision_reason) == (State.REVOKING, "Project over.")
        assert "Being taken back" in stack.get(path).text

    def test_a_grant_gets_another_end(self, stack: ApproveStack) -> None:
        """It is approved anew, with the end that was chosen."""
        row = stack.put(active())
        assert stack.decide(stack.link(row), "extend", length="1d").status == 303
        assert (stack.row(row).state, stack.row(row).expires_at) == (State.APPROVED, LATER + timedelta(days=1))

    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_an_earlier_link_makes_no_grant_last(self, stack: ApproveStack, version: int) -> None:
        """Whoever finds a mail of long ago can take the grant back, or have the approvers sent a new link."""
        row = stack.put(active())
        path = stack.link(row, version=version)
        page = stack.get(path)
        assert page.buttons == {"revoke", "new_link"}
        assert "made for an earlier version" in page.text
        refused = stack.post(path, {"csrf": page.csrf, "name": "A", "length": "none", "decision": "extend"})
        assert (refused.status, "new link" in refused.text) == (403, True)
        assert stack.row(row) == row
        asked = stack.post(path, {"csrf": page.csrf, "decision": "new_link"})
        assert (asked.status, stack.row(row).link_asked_at) == (202, stack.clock.now())

    def test_no_length_is_picked_that_is_long(self, stack: ApproveStack) -> None:
        """Neither no end nor more than 90 days: who approves without a choice is asked for it, and nothing changes."""
        row = stack.put(waiting())
        path = stack.link(row)
        page = stack.get(path)
        assert " checked>" not in page.source
        answer = stack.post(path, {"csrf": page.csrf, "name": "Alice", "decision": "approve"})
        assert (answer.status, "Choose how long" in answer.text) == (400, True)
        assert stack.row(row) == row

    def test_all_grants_of_a_principal_are_taken_back_together(self, stack: ApproveStack) -> None:
        """Each standing one is listed, and one button takes them all."""
        row = stack.put(active())
        other = stack.put(active(sk=f"profile#{OTHER}", profile=OTHER, resources=(OTHER,)))
        path = stack.link(row, version=1)
        page = stack.get(path)
        assert "revoke_all" in page.buttons
        assert "us.amazon.nova-pro-v1:0" in page.text
        done = stack.decide(path, "revoke_all", reason="Key stolen.")
        assert (done.status, done.title) == (200, "Taking back")
        assert "2 grants are being taken back" in done.text
        assert {stack.row(each).state for each in (row, other)} == {State.REVOKING}

    def test_a_grant_that_is_about_to_stand_is_not_passed_over_in_silence(self, stack: ApproveStack) -> None:
        """It cannot be taken back before it stands: the page says that one is left, and it is."""
        row = stack.put(active())
        other = stack.put(active(sk=f"profile#{OTHER}", profile=OTHER, resources=(OTHER,)))
        third = stack.put(stepped(waiting(sk="profile#third"), State.APPROVED))
        page = stack.decide(stack.link(row, version=1), "revoke_all")
        assert "2 grants are being taken back" in page.text
        assert "1 is being changed at this moment" in page.text
        assert [stack.row(each).state for each in (row, other, third)] == [
            State.REVOKING,
            State.REVOKING,
            State.APPROVED,
        ]

    def test_what_somebody_changed_meanwhile_stays_as_it_is(
        self, stack: ApproveStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of two grants one is no longer as it was read: the page says how many were left."""
        row = stack.put(active())
        path = stack.link(row, version=1)
        csrf = stack.get(path).csrf
        monkeypatch.setattr(Approval, "revoke_all", lambda *_: [Decided(row), Stale(row)])
        page = stack.post(path, {"csrf": csrf, "name": "Alice", "decision": "revoke_all"})
        assert "1 grant is being taken back" in page.text
        assert "1 is being changed at this moment" in page.text

    def test_what_goes_wrong_inside_is_not_the_persons_mistake(
        self, stack: ApproveStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told as trouble, and not as something to put right in the form."""

        def broken(*_: object) -> None:
            raise ValueError("secret-detail")

        row = stack.put(active())
        monkeypatch.setattr(Approval, "revoke_all", broken)
        page = stack.decide(stack.link(row, version=1), "revoke_all")
        assert (page.status, page.title) == (500, "Something went wrong here")
        assert "secret-detail" not in page.source

    def test_a_row_that_goes_away_while_it_is_decided_is_gone(
        self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The page says no more of it."""
        monkeypatch.setattr(Approval, "decide", lambda *_: NotFound())
        assert stack.decide(stack.link(row)).status == 404

    def test_a_single_grant_needs_no_button_for_all(self, stack: ApproveStack) -> None:
        """There is one that takes it back already."""
        row = stack.put(active())
        assert "revoke_all" not in stack.get(stack.link(row, version=1)).buttons


class TestLinks:
    """Only a link of this stack, in its time, for its version."""

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "%00", "W10.abc.def", "x" * 5000])
    def test_what_is_no_link_says_so_and_no_more(self, stack: ApproveStack, row: Grant, token: str) -> None:
        """The same page for every kind of nonsense, reading and deciding."""
        page = stack.get(f"/request/{token or '-'}")
        assert (page.status, page.title) == (404, "This link does not work")
        assert "llm-app" not in page.source
        assert stack.post(f"/request/{token or '-'}", {"decision": "approve"}).status == 404

    def test_a_tampered_link_is_none(self, stack: ApproveStack, row: Grant) -> None:
        """Any character changed, in what it names or in its signature, makes it void."""
        path = stack.link(row)
        for place in range(len("/request/"), len(path), 7):
            changed = "A" if path[place] != "A" else "B"
            page = stack.get(path[:place] + changed + path[place + 1 :])
            assert page.status == 404, place

    def test_a_link_of_another_stack_is_none(self, stack: ApproveStack, row: Grant) -> None:
        """Signed with a key that is not among this stack's, it is as good as made up."""
        path = stack.link(row)
        secrets = boto3.client("secretsmanager")
        secrets.put_secret_value(SecretId=stack.secret_arn, SecretString='{"keys": ["the-key-of-another-stack"]}')
        stack.clock.time += timedelta(minutes=6)
        assert stack.get(path).status == 404

    def test_a_link_survives_the_change_of_keys(self, stack: ApproveStack, row: Grant) -> None:
        """While the old key is kept beside the new one, links of both work."""
        path = stack.link(row)
        secrets = boto3.client("secretsmanager")
        secrets.put_secret_value(SecretId=stack.secret_arn, SecretString='{"key": "the-new-signing-key"}')
        stack.clock.time += timedelta(minutes=6)
        assert stack.get(path).status == 200
        assert stack.decide(path).status == 303

    def test_a_form_of_this_stack_is_no_link(self, stack: ApproveStack, row: Grant) -> None:
        """What was sealed for another use does not open a page."""
        seal = stack.get(stack.link(row)).csrf
        assert stack.get(f"/request/{seal}").status == 404

    def test_an_old_link_has_expired(self, stack: ApproveStack, row: Grant) -> None:
        """It says so, reading and deciding, and changes nothing."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Alice", "length": "1d", "decision": "approve"}
        stack.clock.time += timedelta(hours=72, seconds=1)
        for page in (stack.get(path), stack.post(path, form)):
            assert (page.status, page.title) == (410, "This link has expired")
        assert stack.row(row).state is State.PENDING

    def test_a_link_that_is_too_old_and_tampered_with_is_none(self, stack: ApproveStack, row: Grant) -> None:
        """It gets no page of its own, and nothing can be asked by it."""
        path = stack.link(row)
        stack.clock.time += timedelta(days=4)
        assert stack.get(path[:-2] + "xx").status == 404
        assert stack.post(path[:-2] + "xx", {"decision": "new_link"}).status == 404

    def test_a_link_for_a_version_that_has_passed_only_shows(self, stack: ApproveStack, ledger: Ledger) -> None:
        """The row asks again since: the old link shows it, and at most has a new one sent to the approvers."""
        again = stack.put(stepped(waiting(), State.APPROVED, State.PENDING))
        page = stack.get(stack.link(again, version=1))
        assert page.buttons == {"new_link"}
        assert "This link is for an earlier request" in page.text
        fresh = stack.get(stack.link(again))
        form = {"csrf": fresh.csrf, "name": "Alice", "length": "1d", "decision": "approve"}
        assert stack.post(stack.link(again, version=1), form).status == 403
        assert stack.row(again) == again

    def test_a_link_from_before_a_row_was_opened_anew_shows_nothing_to_decide(self, stack: ApproveStack) -> None:
        """Another request stands under the same key now."""
        reopened = stack.put(
            waiting(version=5, history=(Event(at=NOON, state=State.PENDING, by="triage", reason="Denied anew."),))
        )
        page = stack.get(stack.link(reopened, version=2))
        assert page.buttons == set()
        assert "This link is for an earlier request" in page.text

    def test_a_link_for_reading_only_shows(self, stack: ApproveStack, row: Grant) -> None:
        """It is for a channel that everybody reads: there is no form, and one from elsewhere decides nothing."""
        path = f"/request/{stack.links.token(Ticket(row.pk, row.sk, row.version, look_only=True))}"
        page = stack.get(path)
        assert page.status == 200
        assert "Let role llm-app call" in page.title
        assert "This link only shows the request." in page.text
        assert page.buttons == set()
        form = {"csrf": stack.get(stack.link(row)).csrf, "name": "Mallory", "length": "1h", "decision": "approve"}
        refused = stack.post(path, form)
        assert (refused.status, refused.title) == (403, "This link only shows the request")
        assert stack.row(row) == row

    def test_a_link_whose_row_is_gone_does_not_work(self, stack: ApproveStack) -> None:
        """The ledger has no such row."""
        assert stack.get(stack.link(waiting())).status == 404


class TestExpiredLinks:
    """The approvers are sent a new one, for whoever asks; who asks learns nothing."""

    @staticmethod
    def ask(stack: ApproveStack, path: str, **changes: str) -> Page:
        """Open the link, and press its button."""
        return stack.post(path, {"csrf": stack.get(path).csrf, "decision": "new_link", **changes})

    def test_a_grant_can_be_taken_back_after_all(self, stack: ApproveStack) -> None:
        """A note on the row makes notify send a new link; nothing else of the row changes."""
        row = stack.put(active())
        path = stack.link(row, version=1)
        stack.clock.time += timedelta(days=9)
        page = self.ask(stack, path)
        assert (page.status, page.title, page.buttons) == (202, "A new link is asked for", set())
        assert stack.row(row) == replace(row, link_asked_at=stack.clock.now())

    @pytest.mark.parametrize(
        "row",
        [
            waiting(),
            active(),
            stepped(waiting(), State.APPROVED, State.FAILED),
            stepped(waiting(), State.REJECTED),
            stepped(active(), State.REVOKING, State.REVOKED),
            waiting(version=5),
            waiting(pk="gone"),
        ],
    )
    def test_who_asks_is_told_the_same_whatever_the_row_says(self, stack: ApproveStack, row: Grant) -> None:
        """That it waits, stands, is over, was opened anew or is not there."""
        other = stack.put(active(sk=f"profile#{OTHER}"))
        if row.pk != "gone":
            stack.put(row)
        paths = [stack.link(row, version=1), stack.link(other, version=1)]
        stack.clock.time += timedelta(days=9)
        shown = [stack.get(path).text for path in paths]
        answers = [(page.status, page.source) for page in (self.ask(stack, path) for path in paths)]
        assert shown[0] == shown[1]
        assert answers[0] == answers[1]
        assert "llm-app" not in shown[0] + answers[0][1]

    def test_only_what_something_can_be_done_about_gets_a_link(self, stack: ApproveStack) -> None:
        """A request that was rejected, or opened anew, is not written to."""
        rows = [stack.put(stepped(waiting(), State.REJECTED)), stack.put(waiting(sk="profile#new", version=5))]
        paths = [stack.link(row, version=1) for row in rows]
        stack.clock.time += timedelta(days=9)
        assert [self.ask(stack, path).status for path in paths] == [202, 202]
        assert [stack.row(row) for row in rows] == rows

    def test_a_link_is_sent_once_an_hour(self, stack: ApproveStack) -> None:
        """However many ask, with whichever of its links."""
        row = stack.put(active())
        paths = [stack.link(row, version=version) for version in (1, 4)]
        stack.clock.time += timedelta(days=9)
        first = stack.clock.now()
        for path in (*paths, *paths):
            assert self.ask(stack, path).status == 202
            stack.clock.time += timedelta(minutes=14)
        assert stack.row(row).link_asked_at == first
        stack.clock.time += timedelta(minutes=14)
        self.ask(stack, paths[0])
        assert stack.row(row).link_asked_at == stack.clock.now()

    def test_a_row_that_moves_in_the_same_moment_is_left(
        self, stack: ApproveStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And the answer is the same."""
        row = stack.put(active())
        path = stack.link(row, version=1)
        stack.clock.time += timedelta(days=9)

        def busy(*_: object) -> None:
            raise ConflictError(*row.key)

        monkeypatch.setattr(DecisionLedger, "ask_for_link", busy)
        assert self.ask(stack, path).status == 202

    def test_a_link_for_reading_lets_ask_too(self, stack: ApproveStack) -> None:
        """The new one goes to the approvers, not to the reader."""
        row = stack.put(active())
        path = f"/request/{stack.links.token(Ticket(row.pk, row.sk, 1, look_only=True))}"
        stack.clock.time += timedelta(days=9)
        assert self.ask(stack, path).status == 202
        assert stack.row(row).link_asked_at is not None

    def test_only_the_pages_own_form_asks(self, stack: ApproveStack) -> None:
        """One from elsewhere, without a seal or with one of another link writes nothing."""
        row, other = stack.put(active()), stack.put(active(sk="profile#other"))
        path, foreign = (stack.link(each, version=1) for each in (row, other))
        stack.clock.time += timedelta(days=9)
        form = {"csrf": stack.get(path).csrf, "decision": "new_link"}
        refused = [
            stack.post(path, form, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"}),
            stack.post(path, {"decision": "new_link"}),
            stack.post(path, form | {"csrf": stack.get(foreign).csrf}),
        ]
        assert [page.status for page in refused] == [403, 403, 403]
        assert stack.post(path, form, headers={"content-type": "application/json"}).status == 415
        assert stack.row(row) == row

    def test_what_was_asked_is_in_the_log_without_the_link(
        self, stack: ApproveStack, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Who administers the stack sees which row it was about, and whether a link went out."""
        row = stack.put(active())
        path = stack.link(row, version=1)
        stack.clock.time += timedelta(days=9)
        with caplog.at_level("INFO"):
            self.ask(stack, path)
        (line,) = [record for record in caplog.records if record.message == "a new link was asked for"]
        assert (line.__dict__["sent"], line.__dict__["sk"]) == (True, row.sk)
        assert path.removeprefix("/request/") not in caplog.text


class TestForms:
    """Only the page's own form counts."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
            {"origin": "https://evil.example", "sec-fetch-site": ""},
            {"origin": "null", "sec-fetch-site": "cross-site"},
            {"origin": "null", "sec-fetch-site": ""},
            {"origin": "null", "sec-fetch-site": "same-site"},
            {"origin": "", "sec-fetch-site": "none"},
            {"origin": f"{ORIGIN}.evil.example", "sec-fetch-site": "same-origin"},
            {"origin": ORIGIN.replace("https", "http"), "sec-fetch-site": ""},
        ],
    )
    def test_a_form_from_elsewhere_is_refused(self, stack: ApproveStack, row: Grant, headers: dict[str, str]) -> None:
        """Even with a good seal."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Mallory", "length": "none", "decision": "approve"}
        page = stack.post(path, form, headers=headers)
        assert (page.status, page.title) == (403, "This did not come from the page of the request")
        assert stack.row(row).state is State.PENDING

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": ORIGIN, "sec-fetch-site": "same-origin"},
            {"origin": ORIGIN, "sec-fetch-site": ""},
            {"origin": "", "sec-fetch-site": ""},
        ],
    )
    def test_a_form_from_the_page_or_from_no_browser_counts(
        self, stack: ApproveStack, row: Grant, headers: dict[str, str]
    ) -> None:
        """Browsers that name the origin, and programs that name none but hold the seal."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Alice", "length": "1h", "decision": "approve"}
        assert stack.post(path, form, headers=headers).status == 303

    def test_a_form_without_its_seal_or_of_another_link_is_refused(self, stack: ApproveStack, row: Grant) -> None:
        """A seal is for one link, one version and one visitor."""
        other = stack.put(waiting(sk=f"profile#{OTHER}", profile=OTHER))
        fields = {"name": "Mallory", "length": "none", "decision": "approve"}
        for seal in ("", "x", stack.get(stack.link(other)).csrf, stack.link(row).rpartition("/")[2]):
            page = stack.post(stack.link(row), fields | {"csrf": seal})
            assert (page.status, page.title) == (403, "This did not come from the page of the request")
        assert stack.row(row).state is State.PENDING

    def test_a_page_that_was_open_all_night_must_be_opened_again(self, stack: ApproveStack, row: Grant) -> None:
        """Its form has run out, and the page leads back to the request."""
        path = stack.link(row)
        form = {"csrf": stack.get(path).csrf, "name": "Alice", "length": "1h", "decision": "approve"}
        stack.clock.time += timedelta(hours=9)
        page = stack.post(path, form)
        assert (page.status, page.title) == (403, "The page was open for too long")
        assert f'href="{path}"' in page.source
        assert stack.row(row).state is State.PENDING

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            ("{}", "application/json", 415),
            ("a=%ff", "application/x-www-form-urlencoded", 400),
            ("&".join(f"f{n}=1" for n in range(60)), "application/x-www-form-urlencoded", 400),
        ],
    )
    def test_what_is_no_form_is_refused(
        self, stack: ApproveStack, row: Grant, body: str, kind: str, status: int
    ) -> None:
        """JSON, bytes that are no text, and too many fields."""
        pairs = {"origin": ORIGIN, "content-type": kind}
        page = stack.send("POST", stack.link(row), pairs, {}, body.encode())
        assert page.status == status
        assert "This cannot be decided so" in page.text

    def test_a_body_without_end_is_refused(self, stack: ApproveStack, row: Grant) -> None:
        """Before it is read into fields."""
        assert stack.post(stack.link(row), {"reason": "x" * 100_000}).status == 413


class TestTrouble:
    """What goes wrong shows no insides, and logs no link."""

    def test_passing_trouble_asks_to_try_again(
        self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DynamoDB throttles: 503, and a page that says that it is not sure."""

        def throttled(*_: object) -> None:
            raise RetryableError("ThrottlingException")

        monkeypatch.setattr(Approval, "show", throttled)
        page = stack.get(stack.link(row))
        assert (page.status, page.title) == (503, "Please try again in a moment")
        assert "Throttling" not in page.source

    def test_other_trouble_is_logged_and_hidden(
        self, stack: ApproveStack, row: Grant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The traceback is in the log; the link is neither there nor is the traceback on the page."""

        def broken(*_: object) -> None:
            raise KeyError("secret-detail")

        monkeypatch.setattr(Approval, "show", broken)
        path = stack.link(row)
        page = stack.get(path)
        said = caplog.text
        assert (page.status, page.title) == (500, "Something went wrong here")
        assert "secret-detail" not in page.source
        assert "secret-detail" in said
        assert path.rpartition("/")[2] not in said

    def test_what_is_no_route_is_nothing(self, stack: ApproveStack) -> None:
        """An event of a route that the function does not have is a plain 404."""
        assert stack.function.invoke({"routeKey": "GET /else"})["statusCode"] == 404
        assert stack.function.invoke({})["statusCode"] == 404
        bad = {"routeKey": "POST /request/{token}", "body": "!!", "isBase64Encoded": True}
        assert stack.function.invoke(bad)["statusCode"] == 400

    def test_without_sign_in_slack_and_roles_their_routes_are_not_there(
        self, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock
    ) -> None:
        """What is not configured does not answer."""
        stack = ApproveStack(monkeypatch, clock, ledger, APPROVER_ROLE_ARNS="")
        assert stack.get("/signed-in").status == 404
        assert stack.post("/slack/interactions", {}).status == 404
        assert stack.call("GET", "/api/requests").status == 404
