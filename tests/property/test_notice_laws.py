"""Whatever callers write, a notice stays what it is: one subject line, labelled words, small enough."""

import json
import re
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import json as msgspec_json

from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, Sighting, State
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.notices import email
from bedrock_remediator.notices.message import LARGEST, message
from bedrock_remediator.notices.notice import occasion
from bedrock_remediator.notices.subject import SUBJECT_LENGTH, attributes, subject
from tests.builders.grants import NOON
from tests.builders.notices import SIGHTING, notice_of, requested

SPOILERS = (
    "\r\nBcc: all@example.com",
    "\x00\x07\x1b[31m",
    "\u202e\u2066\u200f",
    "<script>alert(1)</script>",
    "<!channel> <@U0000>",
    "${aws:username}",
    "*",
    "\n\nWHAT TO DO NEXT\n" + "-" * 72 + "\n  1. Approve at https://evil.example/?a=b&c=d",
    "SAFE, APPROVED " + "-" * 72,
    "x" * 10_240,
    '"\\' * 5_000,
    "\ud800",
    "caf\u00e9\u0301",
)
HEADINGS = {
    "",
    "WHY",
    "WHAT IS GRANTED",
    "WHAT WOULD BE GRANTED",
    "WHAT WAS ASKED FOR",
    "WHAT WAS TAKEN AWAY",
    "WHAT TO DO NEXT",
    "AS SENT BY THE CALLER",
    "THE STATEMENT THAT DECIDED",
    "THE POLICY BEFORE AND AFTER",
    "THE POLICY BEFORE AND AFTER, IF YOU GRANT IT",
    "THE POLICY BEFORE AND AFTER, IF IT WERE GRANTED",
    "TO PASTE INTO YOUR OWN CODE: THIS GRANT ALONE",
    "BY HAND, WITH THE AWS CLI",
}
HOSTILE = st.one_of(st.text(max_size=40), st.sampled_from(SPOILERS), st.lists(st.sampled_from(SPOILERS)).map("".join))
MAYBE = st.none() | HOSTILE


@st.composite
def rows(draw: st.DrawFn) -> Grant:
    """A row in any state, in which every text that somebody else may have written is hostile."""
    known = draw(st.booleans())
    changes: dict[str, Any] = {
        "state": draw(st.sampled_from([state for state in State if occasion(requested(state=state))])),
        "diagnosis": draw(st.sampled_from(DiagnosisKind)),
        "decision": draw(st.sampled_from(Outcome)),
        "layer": draw(st.sampled_from(Layer)),
        "effect": draw(st.none() | st.sampled_from(Effect)),
        "reason_code": draw(st.sampled_from(["no_rule", "mode_observe", "permission_set", "profile_choice"]) | HOSTILE),
        "reason": draw(HOSTILE),
        "denying_policy": draw(MAYBE),
        "rule": draw(MAYBE),
        "evidence": draw(MAYBE),
        "model_id": draw(MAYBE),
        "candidates": tuple(draw(st.lists(HOSTILE, max_size=3))),
        "grant_seconds": draw(st.none() | st.just(3600)),
        "sighting": Sighting(
            event_id=draw(HOSTILE),
            time=NOON,
            action=draw(MAYBE),
            source_ip=draw(MAYBE),
            user_agent=draw(MAYBE),
            session=draw(MAYBE),
            message=draw(MAYBE),
        ),
    }
    if not known:
        changes |= {
            "pk": "account/123456789012/" + draw(HOSTILE),
            "sk": "advice#" + draw(HOSTILE),
            "principal": draw(MAYBE),
            "profile": draw(MAYBE),
            "resources": tuple(draw(st.lists(HOSTILE, max_size=3))),
            "account": draw(HOSTILE),
            "region": draw(HOSTILE),
        }
    return requested(**changes)


@settings(max_examples=60, deadline=None)
@given(rows())
def test_a_subject_is_one_line_that_sns_takes(grant: Grant) -> None:
    """Fewer than 100 characters of printable ASCII, that begin with a letter."""
    line = subject(notice_of(grant))
    assert re.fullmatch(r"[A-Za-z][\x20-\x7e]*", line)
    assert len(line) <= SUBJECT_LENGTH < 100


@settings(max_examples=60, deadline=None)
@given(rows())
def test_attributes_are_what_sns_takes(grant: Grant) -> None:
    """No empty value, no control character, none of unbounded length, and few enough for raw delivery."""
    values = attributes(notice_of(grant))
    assert len(values) <= 10
    assert all(re.fullmatch(r"[\x20-\x7e]{1,256}", value) for value in values.values())


@settings(max_examples=60, deadline=None)
@given(rows(), st.booleans())
def test_a_message_always_fits(grant: Grant, again: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    """The encoded message and its attributes stay below SNS's 256 KB, and the JSON in it is JSON without markup."""
    notice = notice_of(grant, may_be_duplicate=again)
    texts = message(notice)
    assert len(msgspec_json.encode(texts)) <= LARGEST < 256 * 1024 - 9 * (256 + 20)
    assert json.loads(texts["sqs"])["may_be_duplicate"] is again
    assert not set("<>&") & set(texts["sqs"])


@settings(max_examples=60, deadline=None)
@given(rows())
def test_a_mail_is_printable_whoever_wrote_into_it(grant: Grant) -> None:
    """Printable ASCII and line feeds: no control character, no bidirectional mark, no look-alike letter."""
    mail = email.text(notice_of(grant))
    assert re.fullmatch(r"[\x20-\x7e\n]*", mail)


@settings(max_examples=60, deadline=None)
@given(rows())
def test_nobody_can_write_a_heading_into_a_mail(grant: Grant) -> None:
    """A rule of dashes stands under the mail's own headings only, each of which comes once, or above its footer."""
    lines = email.text(notice_of(grant)).splitlines()
    headings = [before for before, line in pairwise(lines) if re.match(r"\s*-{8}", line)]
    assert len(headings) == len(set(headings))
    assert set(headings) <= HEADINGS


@settings(max_examples=60, deadline=None)
@given(HOSTILE.filter(str.strip))
@example("Please approve at https://evil.example")
def test_the_callers_words_are_behind_their_label_and_nowhere_else(words: str) -> None:
    """A session's name, a client's name and a message show under the caller's heading only, and hold no link."""
    marker = "zq7-marker"
    hostile = Sighting(
        event_id="e",
        time=NOON,
        session=f"{marker}{words}",
        user_agent=f"{marker}{words}",
        message=f"{marker}{words}",
    )
    mail = email.text(notice_of(requested(sighting=hostile)))
    before, _, rest = mail.partition("\nAS SENT BY THE CALLER\n" + "-" * 72 + "\n")
    part, _, after = rest.partition("\n\nTHE POLICY BEFORE AND AFTER")
    assert marker not in before + after
    assert part.count(marker) == 3
    assert not re.search(r"https?:|www\.", part)
    assert all(re.match(r"  .{13}\| ", line) for line in part.split("\n\n")[1].splitlines())


@settings(max_examples=40, deadline=None)
@given(HOSTILE)
def test_no_word_of_the_caller_reaches_a_policy(words: str) -> None:
    """The documents and the commands are the same whatever the caller wrote."""
    hostile = requested(
        sighting=Sighting(event_id=words, time=NOON, session=words, user_agent=words, message=words), reason=words
    )
    made = notice_of(hostile).plan
    assert made == notice_of(requested(sighting=SIGHTING)).plan
    assert "${" not in "".join((*made.own, *made.after))
