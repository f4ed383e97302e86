"""What the page of a request says, for each way that it can stand."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.approval import Verb
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, Remark, State, Verification
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.notices.notice import Denials, Plan
from bedrock_remediator.notices.web import wording
from bedrock_remediator.notices.web.facts import Fact, Value
from bedrock_remediator.notices.web.page import Page, page
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import MODELS, NOON, PROFILE
from tests.builders.notices import granted, leaked_key, requested, wrong_prefix
from tests.builders.shown import LATER, shown, written

MODEL = MODELS[0]
DIRECT: dict[str, Any] = {"sk": f"model#{MODEL}", "profile": None, "resources": (MODEL,), "model_id": "amazon.nova-2"}


def of(grant: Grant, **changes: Any) -> Page:
    """The page of a row."""
    return page(shown(grant, **changes))


def said(facts: tuple[Fact, ...], label: str) -> str:
    """What a page says under a label, all values on a line; nothing where there is no such label."""
    values = [value for fact in facts if fact.label == label for value in fact.values]
    return " | ".join(map(line, values))


def line(value: Value) -> str:
    """One value as it is read."""
    at = f" {value.at.words}" if value.at else ""
    return f"{value.before}{value.text}{at}{f' ({value.remark})' if value.remark else ''}"


class TestFacts:
    """Who, what, where, how often."""

    def test_the_principal_its_arn_and_its_account_are_told(self) -> None:
        """The name in words, the ARN whole."""
        assert said(of(requested()).facts, "Who") == (
            "role llm-app | arn:aws:iam::123456789012:role/service/llm-app | account 123456789012"
        )

    def test_a_row_without_principal_has_its_account_only(self) -> None:
        """And whom it is about as far as it is known."""
        assert said(of(requested(principal=None)).facts, "Who").endswith("account 123456789012")

    def test_what_was_called_is_told_where_aws_confirmed_it(self) -> None:
        """Through a profile or directly; an identifier that only the caller wrote is left to the caller's words."""
        assert said(of(requested()).facts, "Calls") == "us.amazon.nova-2-lite-v1:0 | through its inference profile"
        assert said(of(requested(**DIRECT)).facts, "Calls").endswith("directly, without an inference profile")
        assert said(of(requested(resources=())).facts, "Calls") == ""

    def test_where_it_is_routed_is_told_where_that_is_elsewhere(self) -> None:
        """A call of a model in its own region goes nowhere else."""
        assert said(of(requested()).facts, "In") == "us-east-1 | routed to us-east-1, us-east-2, us-west-2"
        assert said(of(requested(**DIRECT)).facts, "In") == "us-east-1"
        anywhere = (PROFILE, MODEL, "arn:aws:bedrock:::foundation-model/amazon.nova-2-lite-v1:0")
        assert "any commercial region" in said(of(requested(resources=anywhere)).facts, "In")

    @pytest.mark.parametrize(
        ("denials", "words"),
        [
            (None, "once 2026-11-20 12:00 UTC"),
            (Denials(count=1, first_at=NOON, last_at=NOON), "once 2026-11-20 12:00 UTC"),
            (
                Denials(count=1500, first_at=NOON, last_at=LATER),
                "1,500 times | first 2026-11-20 12:00 UTC | last 2026-11-20 14:00 UTC",
            ),
        ],
    )
    def test_how_often_is_told(self, denials: Denials | None, words: str) -> None:
        """Once with its time, more with the first and the last."""
        assert said(of(requested(), denials=denials).facts, "Denied") == words

    def test_where_from_is_told_as_far_as_it_is_known(self) -> None:
        """The address as AWS saw it, and the first word of what the client calls itself."""
        assert said(of(requested()).facts, "From") == "198.51.100.7 | Boto3/1.44.5 (as the client calls itself)"
        silent = replace(requested().sighting, source_ip=None, user_agent=None)
        assert said(of(requested(sighting=silent)).facts, "From") == ""
        blank = replace(requested().sighting, source_ip=None, user_agent="   ")
        assert said(of(requested(sighting=blank)).facts, "From") == ""

    def test_what_refused_it_is_told(self) -> None:
        """The layer, whether for want of an Allow or by a Deny, and the policy if it was named."""
        assert said(of(requested()).facts, "Refused by") == "identity policies (no Allow)"
        denied = requested(layer=Layer.SCP, effect=Effect.EXPLICIT, denying_policy="arn:aws:organizations::1:policy/p")
        assert said(of(denied).facts, "Refused by") == (
            "a service control policy (explicit Deny) | arn:aws:organizations::1:policy/p"
        )


class TestGranted:
    """What exactly is granted."""

    def test_every_arn_and_action_is_told(self) -> None:
        """Those allowed already are marked, and the extra actions are there too."""
        facts = of(requested(allowed=(MODEL,))).granted
        assert said(facts, "Profile") == PROFILE
        assert said(facts, "Models").count("foundation-model") == 3
        assert said(facts, "Models").count("(allowed already)") == 1
        assert "bedrock:UseInferenceProfile (use the profile)" in said(facts, "Actions")
        assert "through this profile" in said(facts, "Only")

    def test_a_direct_grant_is_told_apart(self) -> None:
        """One model, no profile, and nothing that holds it to one."""
        facts = of(requested(**DIRECT)).granted
        assert said(facts, "Profile") == ""
        assert said(facts, "Model") == MODEL
        assert said(facts, "Only") == "this model, called directly"

    def test_what_stands_tells_its_end_and_where_it_is_written(self) -> None:
        """And what the simulator said."""
        facts = of(granted()).granted
        assert said(facts, "Ends") == "by itself 2026-12-20 12:00 UTC"
        assert said(facts, "Verified").startswith("simulated")
        assert said(facts, "Written to").endswith("role.llm-app.1")
        unsure = of(granted(expires_at=None, verification=Verification.INCONCLUSIVE)).granted
        assert said(unsure, "Ends") == "not by itself"
        assert said(unsure, "Verified").startswith("inconclusive")

    def test_what_failed_tells_how_long_it_would_have_lasted(self) -> None:
        """From when it is granted."""
        failed = granted(state=State.FAILED, expires_at=None, grant_seconds=3600, written=None)
        assert said(of(failed).granted, "Ends") == "1 hour after it is granted, by itself"

    def test_nothing_is_promised_where_nothing_is_granted(self) -> None:
        """A key that leaked gets no policy."""
        got = of(leaked_key())
        assert (got.granted, got.policy, got.snippets, got.sum) == ((), (), (), "")

    def test_approving_is_summed_up(self) -> None:
        """In a sentence beside the button."""
        assert of(requested()).sum == (
            "Approving adds the profile and the 3 models that it routes to, only through this profile."
        )
        assert "the 1 model that" in of(requested(resources=(PROFILE, MODEL))).sum
        assert of(requested(**DIRECT)).sum == "Approving lets it call this one model directly."


class TestOpen:
    """A request that waits."""

    def test_the_question_stands_first(self) -> None:
        """With how often it was asked, and why it was refused, in a sentence each."""
        got = of(requested())
        assert got.title == "Let role llm-app call us.amazon.nova-2-lite-v1:0?"
        assert got.brief == (
            "Denied 37 times in us-east-1, the last time 2 hours ago. "
            "Its policies do not allow all that this call needs."
        )
        assert got.lapses
        assert got.lapses.distance == "in 2 days"

    def test_once_is_once(self) -> None:
        """With or without a counter."""
        assert of(requested(), denials=None).brief.startswith("Denied once in us-east-1, 2 hours ago.")

    def test_what_to_look_at_before_deciding_depends_on_why_one_is_asked(self) -> None:
        """Each reason has its own; an ordinary request has none."""
        assert of(requested()).checks == ()
        paused = of(requested(reason_code="paused"))
        assert "Find out why" in paused.checks[0]
        assert paused.next_steps == ()

    def test_both_ways_out_of_a_wrong_prefix_are_shown(self) -> None:
        """What is granted already, and where the other one routes to."""
        ways = of(wrong_prefix()).ways
        assert ways
        assert ways.granted == ("global.amazon.nova-2-lite-v1:0",)
        assert ways.routes == "us-east-1, us-east-2, us-west-2"
        assert of(wrong_prefix(candidates=())).ways is None

    def test_a_condition_is_not_to_be_pasted_away(self) -> None:
        """The statement is shown, the snippets are not, and the button warns."""
        got = of(requested(diagnosis=DiagnosisKind.CONDITIONAL_ALLOW, evidence='{"Effect":"Allow"}'))
        assert (got.conditional, got.snippets) == (True, ())
        assert '"Effect": "Allow"' in got.statement

    def test_where_grants_go_into_the_principals_own_policy_the_page_says_so(self) -> None:
        """What is shown then is not what will be written, but what it amounts to."""
        assert "own policy that grants the model already" in of(requested(), strategy="in-place").policy_of


class TestOutcome:
    """What became of a request."""

    @pytest.mark.parametrize("state", State)
    def test_every_state_has_its_words(self, state: State) -> None:
        """In its pill, and below the headline."""
        got = of(granted(state=state), open=False)
        assert got.pill == wording.PILLS[state]
        assert got.outcome or state is State.PENDING
        assert got.in_motion is (state in {State.APPROVED, State.APPLYING, State.REVOKING})
        assert "llm-app" in written(shown(granted(state=state), open=False))

    def test_what_happened_is_told_step_by_step(self) -> None:
        """People's names stand out; the functions' do not."""
        row = stepped(waiting(), State.APPROVED, by="Ali\u202ece (unverified)")
        steps = of(stepped(row, State.APPLYING)).steps
        assert [(step.what, step.person) for step in steps] == [
            ("Asked for", False),
            ("Approved", True),
            ("IAM is changed", False),
        ]
        assert steps[1].by == "Ali\\u202ece (unverified)"

    def test_what_was_found_while_a_grant_stood_is_told(self) -> None:
        """A later denial, and what upkeep saw; a remark about an earlier version is past."""
        remark = Remark(version=3, at=NOON, code="policy_detached", reason="Somebody detached the policy.")
        found = granted(blocked_by="scp", remark=remark)
        assert of(found).since == (
            "Somebody detached the policy.",
            "A call was denied again although the grant stands (scp), so the grant is not enough.",
        )
        assert "Found since" in written(shown(found))
        assert of(granted(version=4, remark=remark)).since == ()

    def test_what_to_do_next_is_told_when_it_is_over(self) -> None:
        """Not while it moves."""
        assert of(granted()).next_steps
        assert of(stepped(waiting(), State.APPROVED)).next_steps == ()

    def test_a_request_that_was_opened_anew_is_over(self) -> None:
        """The page does not take the new one for what became of the old."""
        got = of(requested(), open=False, replaced=True, verbs=frozenset())
        assert (got.pill, got.superseded, got.relation) == ("Over", True, wording.ASKED)
        assert got.title.startswith("Over: role llm-app")
        assert "earlier request" in written(shown(requested(), open=False, replaced=True, verbs=frozenset()))

    def test_a_single_grant_needs_no_list(self) -> None:
        """Several are listed with their ends, to be taken back together."""
        other = granted(sk="profile#other", expires_at=None)
        assert of(granted()).standing == ()
        assert [each.ends is None for each in of(granted(), standing=(granted(), other)).standing] == [False, True]

    def test_a_row_of_an_unknown_principal_has_a_page_too(self) -> None:
        """With what is known of it."""
        row = requested(pk="account/123456789012/AWSAccount/x", principal=None, state=State.REPORTED)
        got = of(row, plan=Plan())
        assert (got.kind, got.name) == ("", "caller of type AWSAccount")
        assert "caller of type AWSAccount" in written(shown(row, plan=Plan()))


class TestForm:
    """What can be pressed."""

    @pytest.mark.parametrize(
        ("verbs", "buttons"),
        [
            ({Verb.APPROVE, Verb.REJECT}, ["approve", "reject"]),
            ({Verb.APPROVE}, ["approve"]),
            ({Verb.REVOKE, Verb.EXTEND}, ["extend", "revoke"]),
            ({Verb.REVOKE}, ["revoke"]),
            (set(), []),
        ],
    )
    def test_there_is_a_button_for_what_may_be_done_and_no_other(self, verbs: set[Verb], buttons: list[str]) -> None:
        """Whatever the state would be good for."""
        source = written(shown(requested(), verbs=frozenset(verbs)))
        assert [verb for verb in ("approve", "reject", "extend", "revoke") if f'value="{verb}"' in source] == buttons
        assert ("How long" in source or "Another end" in source) is bool(verbs & {Verb.APPROVE, Verb.EXTEND})

    def test_who_is_signed_in_types_no_name(self) -> None:
        """The name is at the top of the page instead."""
        from bedrock_remediator.flows.approval.forms import Form  # noqa: PLC0415 - only here

        source = written(shown(requested()), form=Form(csrf="s", asks_name=False), visitor="bob@example.com")
        assert 'name="name"' not in source
        assert "Signed in as <bdi>bob@example.com</bdi>" in source

    def test_a_link_for_reading_says_so(self) -> None:
        """In the form's place."""
        source = written(shown(requested(), verbs=frozenset()), notice="This link only shows.")
        assert "This link only shows." in source
        assert "<form" not in source


def test_history_of_a_row_may_be_empty() -> None:
    """A row from before there was one."""
    assert of(granted(history=())).steps == ()
    assert of(granted(history=(Event(at=NOON - timedelta(1), state=State.PENDING, by="triage", reason=""),))).steps
