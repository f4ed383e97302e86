"""The story that a person reads."""

import io
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console, RenderableType

from sandbox.cases import Case, Change, changed
from sandbox.sns import Notice
from sandbox.story import case_story
from tests.builders import sandboxes as make

POLICY = make.document(make.statement(action="bedrock:InvokeModel", resource=[make.PROFILE, make.MODEL]))


def text_of(part: RenderableType) -> str:
    """What is printed."""
    page = io.StringIO()
    Console(width=200, file=page).print(part)
    return page.getvalue()


def case(**row: Any) -> Case:
    """A case with this row."""
    given = {
        "pk": make.ROLE,
        "sk": f"profile#{make.PROFILE}",
        "principal": make.ROLE,
        "region": "us-east-1",
        "state": "active",
        "diagnosis": "missing_grant",
        "decision": "auto",
        "reason_code": "rule_auto",
        "reason": "Two ARNs are missing.",
        "rule": "nova",
        "resources": [make.PROFILE, make.MODEL],
        "allowed": [make.MODEL],
        "verification": "simulated",
        "model_id": "us.amazon.nova-2-lite-v1:0",
        **row,
    }
    record = {"eventName": "Converse", "awsRegion": "us-east-1", "errorMessage": row.pop("message", "denied")}
    notice = Notice(topic="notices", subject="Bedrock access granted", message={}, attributes={})
    return Case(
        names=("sample",),
        event={"detail": record},
        row=given,
        denials=3,
        changes=(Change(name="arn:policy/p", before=None, after=POLICY),),
        notices=(notice,),
    )


def test_a_case_tells_everything() -> None:
    """Denied, found, needed, decided, written, verified, told: each has its line."""
    text = text_of(case_story(1, case()))
    for part in ("(3 times)", "Two ARNs", f"+ {make.PROFILE}", f"✓ {make.MODEL}", "'nova'", "created arn:policy/p"):
        assert part in text
    assert '"Resource": [' in text
    assert "notices ← Bedrock access granted" in text


def test_a_policy_may_be_summed_up() -> None:
    """A summed-up policy has a line a statement."""
    assert "Allow bedrock:InvokeModel on 2 ARNs" in text_of(case_story(1, case(), whole=False))


def test_what_the_caller_wrote_cannot_steer_the_terminal() -> None:
    """Control characters from an event, and markup, are shown as text."""
    text = text_of(case_story(1, case(message="\x1b[31mred\u202e [bold]x[/bold]", reason="a\x07b")))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x[/bold]" in text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"decision": "ask", "reason_code": "no_rule", "state": "pending"}, "to ask a person (no rule)"),
        ({"decision": "report", "state": "reported", "diagnosis": "leaked_key"}, "alert sent"),
        ({"verification": "inconclusive"}, "inconclusive"),
        ({"expires_at": "2026-12-23T08:00:00Z"}, "the grant ends 2026-12-23T08:00:00Z"),
    ],
)
def test_the_decision_in_words(row: dict[str, Any], words: str) -> None:
    """The decision, its reason and its end are told in words."""
    assert words in text_of(case_story(1, case(**row)))


def test_what_changed() -> None:
    """Policies that are new, gone or different are told, the others are not."""

    def held(**documents: Any) -> list[dict[str, Any]]:
        return [{"name": name, "arn": None, "document": document} for name, document in documents.items()]

    changes = changed({"a": held(same=1, gone=2, other=3)}, {"a": held(same=1, other=4, new=5), "b": []})
    assert {change.name: (change.before, change.after) for change in changes["a"]} == {
        "gone": (2, None),
        "other": (3, 4),
        "new": (None, 5),
    }
    assert changes["b"] == []


def test_a_changed_policy_shows_its_difference() -> None:
    """A policy that was changed in place is shown as what was added and taken away."""
    before = make.document(make.statement(action="bedrock:InvokeModel", resource=[make.MODEL]))
    change = Change(name="own", before=before, after=POLICY)
    text = text_of(case_story(1, structs.replace(case(), changes=(change,))))
    assert [line.split()[1:] for line in text.splitlines() if make.PROFILE in line and line.split()[1] == "+"] == [
        ["+", f'"{make.PROFILE}",', "│"]
    ]
