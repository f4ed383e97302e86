import json
from typing import Any

import pytest

from bedrock_remediator.core.grant import Event, Grant, State
from bedrock_remediator.notices.message import LARGEST, message, structured
from bedrock_remediator.notices.notice import Plan
from bedrock_remediator.notices.snippets import Snippets
from tests.builders.grants import MODELS, NOON, PROFILE
from tests.builders.notices import ALL, SIGHTING, advice, conditional, granted, notice_of, permission_set, requested


def content(grant: Grant, **changes: Any) -> dict[str, Any]:
    """What a program reads."""
    read: dict[str, Any] = json.loads(structured(notice_of(grant, **changes)))
    return read


def test_a_program_finds_the_request_and_what_it_would_grant() -> None:
    """The row's key and version, the facts, the policy, the snippets and the steps are fields."""
    read = content(requested(grant_seconds=3600))
    assert read["event"] == "requested"
    assert read["request"] == {"pk": requested().pk, "sk": requested().sk, "version": 1}
    assert len(read["request_id"]) == 32
    assert read["principal"] == requested().principal
    assert read["resources"] == sorted((PROFILE, *MODELS))
    assert read["condition"] == {"bedrock:InferenceProfileArn": PROFILE}
    assert content(requested(), strategy="in-place")["condition"] is None
    assert content(advice("scp"))["condition"] is None
    assert "bedrock:InvokeModel" in read["actions"]
    assert read["denials"] == {"count": 37, "first_at": "2026-11-19T12:00:00Z", "last_at": "2026-11-20T12:00:00Z"}
    assert read["policy"]["before"] == []
    assert read["policy"]["after"][0]["Version"] == "2012-10-17"
    assert content(requested(), denials=0)["denials"] is None
    assert set(read["snippets"]) == {"json", "terraform", "cloudformation"}
    assert read["next_steps"]
    assert read["commands"]
    assert read["left_out"] == []


@pytest.mark.parametrize("event", ALL)
def test_every_kind_has_the_same_fields(event: str) -> None:
    """A reader of one kind can read all: what a kind has not is null or empty, never absent."""
    assert content(ALL[event]()).keys() == content(requested()).keys()
    assert content(ALL[event]())["event"] == event


def test_the_last_step_is_a_field() -> None:
    """Who did it and why, once there was a step after the first."""
    assert content(requested())["last_step"] is None
    steps = (
        Event(at=NOON, state=State.PENDING, by="triage", reason="no rule"),
        Event(at=NOON, state=State.REJECTED, by="ana", reason="no"),
    )
    step = content(requested(state=State.REJECTED, history=steps))["last_step"]
    assert step == {"state": "rejected", "at": "2026-11-20T12:00:00Z", "by": "ana", "reason": "no"}


def test_the_statement_is_given_as_json_if_it_is() -> None:
    """A statement that decided is an object; text that is none, or is too long, stays visible text."""
    assert content(conditional())["statement"]["Effect"] == "Allow"
    assert content(conditional(evidence="{no json\n"))["statement"] == "{no json\\n"
    assert content(conditional(evidence='"' + "x" * 9000 + '"'))["statement"].endswith("(9002 characters in all)")
    assert content(requested())["statement"] is None


def test_what_the_caller_sent_has_a_field_of_its_own() -> None:
    """The caller's words are under `as_sent_by_the_caller` and nowhere else."""
    row = requested(sighting=SIGHTING)
    read = content(row)
    assert read["as_sent_by_the_caller"] == {
        "session": SIGHTING.session,
        "user_agent": SIGHTING.user_agent,
        "message": SIGHTING.message,
    }
    del read["as_sent_by_the_caller"]
    assert "web-1" not in json.dumps(read)


def test_a_model_id_that_nobody_confirmed_is_the_callers_word() -> None:
    """Without resources that AWS confirmed, the identifier is shown as the caller's."""
    read = content(advice("resource_unknown", model_id="us.evil"))
    assert (read["model_id"], read["as_sent_by_the_caller"]["model_id"]) == (None, "us.evil")


def test_markup_is_not_written_as_markup() -> None:
    """A receiver that prints the JSON as it came prints no tag and no mention."""
    hostile = requested(sighting=SIGHTING.__class__(event_id="e", time=NOON, user_agent="<!channel> <b>&amp;"))
    raw = structured(notice_of(hostile))
    assert not set("<>&") & set(raw)
    assert json.loads(raw)["as_sent_by_the_caller"]["user_agent"] == "<!channel> <b>&amp;"


def test_a_message_has_a_text_for_each_protocol() -> None:
    """People get the mail, all others the same JSON."""
    texts = message(notice_of(requested()))
    assert set(texts) == {"default", "email", "https", "sqs", "lambda"}
    assert texts["default"] == texts["https"] == texts["sqs"] == texts["lambda"] != texts["email"]
    assert texts["email"].startswith("BEDROCK ACCESS REQUESTED\n")


@pytest.mark.parametrize(
    ("size", "left_out"),
    [
        (1_000, []),
        (60_000, ["policy", "snippets"]),
    ],
)
def test_a_message_that_is_too_large_leaves_things_out(size: int, left_out: list[str]) -> None:
    """The largest parts go first, and the reader is told."""
    long = Snippets(json="x" * size, terraform="", cloudformation="")
    made = notice_of(requested()).plan
    texts = message(notice_of(requested(), plan=Plan(before=(), after=made.after, own=made.own, snippets=long)))
    assert json.loads(texts["default"])["left_out"] == left_out
    assert len(json.dumps(texts)) <= LARGEST


def test_even_a_row_of_the_largest_size_makes_a_message() -> None:
    """DynamoDB holds 400 KB an item; the message of such a row still fits, without its lists."""
    huge = requested(resources=tuple(f"{arn}{'x' * 250}{place}" for place in range(400) for arn in MODELS[:2]))
    huge = granted(resources=huge.resources, candidates=huge.resources, reason='"\\' * 50_000, rule='"' * 50_000)
    texts = message(notice_of(huge))
    assert len(json.dumps(texts)) <= LARGEST
    assert json.loads(texts["sqs"])["request_id"]


def test_the_last_step_keeps_nothing_without_bounds() -> None:
    """A row full of what JSON has to escape twice still makes a message that fits, its JSON whole."""
    worst = '"\\"a' * 3_000
    row = granted(
        pk=worst,
        sk=worst,
        principal=worst,
        profile=worst,
        account=worst,
        region=worst,
        reason=worst,
        denying_policy=worst,
        model_id=worst,
        evidence=worst,
        sighting=SIGHTING.__class__(event_id=worst, time=NOON, message=worst, user_agent=worst, source_ip=worst),
        resources=tuple(f"{place}{worst}" for place in range(60)),
    )
    texts = message(notice_of(row, plan=notice_of(requested()).plan))
    assert len(json.dumps(texts)) <= LARGEST
    assert "resources" in json.loads(texts["default"])["left_out"]


def test_a_permission_sets_snippet_joins_the_documents() -> None:
    """A set has one inline policy, so two documents come together in it."""
    snippets = notice_of(permission_set()).plan.snippets
    assert snippets is not None
    assert len(json.loads(snippets.json)["Statement"]) == 3
