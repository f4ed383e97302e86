"""The policy before and after, line by line."""

import json
from typing import Any

from bedrock_remediator.notices.web.difference import Fate, difference

MODEL = "arn:aws:bedrock:us-east-1::foundation-model/m"


def policy(*statements: Any) -> str:
    """A policy's text, as it is compiled."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def allow(sid: str, *resources: str) -> dict[str, Any]:
    """An Allow of both invocation actions."""
    actions = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": list(resources)}


def lines(before: tuple[str, ...], after: tuple[str, ...], fate: Fate) -> list[str]:
    """The lines of one fate, without their indents."""
    return [line.text.strip() for each in difference(before, after) for line in each.lines if line.fate is fate]


def test_a_new_policy_is_all_added() -> None:
    """Every line of it."""
    (document,) = difference((), (policy(allow("A", MODEL)),))
    assert {line.fate for line in document.lines} == {Fate.ADDED}
    assert document.summary == f"{len(document.lines)} lines added"


def test_an_added_resource_is_one_line() -> None:
    """The comma that the line before it gets is no change."""
    before, after = policy(allow("A", MODEL)), policy(allow("A", MODEL, MODEL + "2"))
    assert lines((before,), (after,), Fate.ADDED) == [f'"{MODEL}2"']
    assert lines((before,), (after,), Fate.REMOVED) == []


def test_what_goes_and_what_comes_is_told_apart() -> None:
    """A changed line is one that goes and one that comes."""
    (document,) = difference((policy(allow("A", MODEL)),), (policy(allow("B", MODEL)),))
    assert document.summary == "1 line added, 1 line removed"


def test_long_runs_of_what_stays_are_left_out() -> None:
    """Around a change a few lines stay, so that its place can be told."""
    many = [allow(f"S{number}", MODEL) for number in range(20)]
    (document,) = difference((policy(*many),), (policy(*many, allow("New", MODEL)),))
    skipped = [line.text for line in document.lines if line.fate is Fate.SKIPPED]
    assert len(skipped) == 1
    assert skipped[0].endswith(" lines as before")
    assert len(document.lines) < 25


def test_only_documents_that_change_are_shown() -> None:
    """Of two policies the second changes: it is the one, by its number."""
    first, second = policy(allow("A", MODEL)), policy(allow("B", MODEL))
    (document,) = difference((first, second), (first, policy(allow("C", MODEL))))
    assert document.title == "Policy 2 of 2"
    assert difference((first,), (first,)) == ()


def test_a_policy_that_goes_is_all_removed() -> None:
    """The principal's last grant is taken away."""
    (document,) = difference((policy(allow("A", MODEL)),), ())
    assert {line.fate for line in document.lines} == {Fate.REMOVED}


def test_lists_stand_on_a_line_where_they_fit_and_resources_never_do() -> None:
    """Actions are read at a glance; ARNs are compared one by one."""
    added = lines((), (policy(allow("A", MODEL, MODEL + "2") | {"Condition": {}, "NotAction": []}),), Fate.ADDED)
    assert '"Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],' in added
    assert f'"{MODEL}",' in added
    assert '"Condition": {},' in added
    assert '"NotAction": []' in added


def test_what_is_laid_out_is_the_same_policy() -> None:
    """Nothing is lost or made up on the way to the page."""
    text = policy(allow("A", MODEL, MODEL + "2"), allow("B", "x" * 200))
    assert json.loads("".join(lines((), (text,), Fate.ADDED))) == json.loads(text)
