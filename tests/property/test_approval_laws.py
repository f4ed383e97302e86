"""Laws of decisions, their signatures, and links."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.aws.ledger.expressions import changed_names
from bedrock_remediator.aws.ledger.items import grant_item, read_grant
from bedrock_remediator.aws.ledger.write import DECISION_ATTRIBUTES
from bedrock_remediator.core.approval import Approver, Verb, decide, possible
from bedrock_remediator.core.durations import allowed, form_value, offered, parse_length
from bedrock_remediator.core.grant import Grant, State, Via
from bedrock_remediator.core.signing import signable
from bedrock_remediator.flows.links.links import LinkError, Links, Ticket
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import ANYTHING, FakeKeys, answer, stepped, waiting
from tests.builders.grants import MODELS, NOON

QUICK = settings(max_examples=60, deadline=None)
LENGTHS = st.none() | st.integers(1, 5_256_000).map(lambda minutes: timedelta(minutes=minutes))
TEXTS = st.text(max_size=40)
APPROVED = decide(waiting(), answer(length=timedelta(days=1)), ANYTHING, NOON)
LINKS = Links(FakeKeys(), "https://example.com", timedelta(hours=1), StoppedClock(NOON))

SIGNED_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "pk": TEXTS,
    "sk": TEXTS,
    "decided_version": st.integers(0, 9),
    "principal_id": TEXTS,
    "actions": st.lists(TEXTS, max_size=3).map(tuple),
    "resources": st.lists(st.sampled_from(MODELS) | TEXTS, max_size=4, unique=True).map(tuple),
    "profile": st.none() | TEXTS,
    "expires_at": st.none() | st.integers(1, 10**6).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    "decided_by": TEXTS,
    "decided_via": st.sampled_from(Via),
    "decided_at": st.integers(0, 10**6).map(lambda seconds: NOON + timedelta(seconds=seconds)),
}


@st.composite
def tampered(draw: st.DrawFn) -> tuple[str, Any]:
    """A field that is signed, and another value for it."""
    name = draw(st.sampled_from(sorted(SIGNED_FIELDS)))
    was = getattr(APPROVED, name)
    value = draw(SIGNED_FIELDS[name].filter(lambda value: _set(value) != _set(was)))
    return name, value


def _set(value: Any) -> Any:
    return frozenset(value) if isinstance(value, tuple) else value


@given(tampered())
@QUICK
def test_a_signature_is_void_when_anything_that_was_signed_changes(change: tuple[str, Any]) -> None:
    """No field of the statement can be changed without changing what is signed."""
    name, value = change
    assert signable(msgspec.structs.replace(APPROVED, **{name: value})) != signable(APPROVED)


@given(st.permutations(APPROVED.resources), st.integers(0, 9), TEXTS)
@QUICK
def test_a_signature_holds_whatever_else_becomes_of_the_row(order: list[str], attempt: int, remark: str) -> None:
    """The order of the ARNs, remarks, and the states that follow do not touch it."""
    row = msgspec.structs.replace(APPROVED, resources=tuple(order), attempt=attempt, blocked_by=remark)
    assert signable(stepped(row, State.APPLYING, State.ACTIVE)) == signable(APPROVED)
    assert signable(read_grant(grant_item(row))) == signable(APPROVED)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Grant, Grant]:
    """A row in which a person can do something, before and after it was done."""
    state = draw(st.sampled_from([State.PENDING, State.FAILED, State.ACTIVE]))
    row = waiting(state=state, rule=draw(st.none() | st.just("nova")), cool_down_until=draw(st.none() | st.just(NOON)))
    verb = draw(st.sampled_from(sorted(possible(row))))
    approver = draw(st.text().map(lambda typed: Approver.by_link(f"x{typed}")))
    taken = answer(verb, reason=draw(st.none() | st.text()), length=draw(LENGTHS), approver=approver)
    return row, decide(row, taken, ANYTHING, NOON)


@given(decisions())
@QUICK
def test_a_decision_changes_nothing_but_what_a_decision_is_made_of(rows: tuple[Grant, Grant]) -> None:
    """So approve needs no right to write anything else, and the ledger gives every decision back as it was."""
    before, after = rows
    assert set(changed_names(grant_item(before), grant_item(after))) <= DECISION_ATTRIBUTES
    assert read_grant(grant_item(after)) == after
    assert after.version == before.version + 1 == after.decided_version
    assert after.step(after.version) == after.history[-1]


@given(LENGTHS, LENGTHS)
@QUICK
def test_what_is_offered_can_be_chosen(own: timedelta | None, longest: timedelta | None) -> None:
    """Nothing longer than the maximum is offered, one of 90 days at most is picked, and a form's value reads back."""
    choices = offered(waiting(grant_seconds=int(own.total_seconds()) if own else None), longest)
    assert choices != ()
    assert len({choice.value for choice in choices}) == len(choices)
    picked = [choice.length for choice in choices if choice.chosen]
    rather = own if allowed(own, longest) else longest
    assert picked == ([rather] if rather is not None and rather <= timedelta(days=90) else [])
    for choice in choices:
        assert allowed(choice.length, longest)
        assert parse_length(choice.value) == choice.length
        assert form_value(choice.length) == choice.value


@given(TEXTS, TEXTS, st.integers(1, 10**9), st.booleans())
@QUICK
def test_a_link_leads_back_to_its_row(pk: str, sk: str, version: int, look_only: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever its key is."""
    ticket = Ticket(pk, sk, version, look_only)
    assert LINKS.read(LINKS.token(ticket)) == ticket


@given(st.integers(0, 500), st.characters(codec="ascii"))
@QUICK
def test_a_link_with_one_character_changed_leads_nowhere(place: int, character: str) -> None:
    """Every character counts, but for the bits that base64 leaves over at an end, and `+` for `-`."""
    token = LINKS.token(Ticket("principal", "profile", 1))
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    if changed.translate(str.maketrans("+/", "-_")) != token and not _ends_a_part(token, place):
        with pytest.raises(LinkError):
            LINKS.read(changed)


def _ends_a_part(token: str, place: int) -> bool:
    return token[place + 1 : place + 2] in ("", ".")


@given(st.sampled_from(Verb), st.sampled_from(State))
@QUICK
def test_every_verb_has_its_states(verb: Verb, state: State) -> None:
    """Nothing is possible in a state that remediation is at work in, or that has ended for good."""
    busy_or_over = state not in (State.PENDING, State.FAILED, State.ACTIVE)
    assert not (busy_or_over and verb in possible(waiting(state=state)))
