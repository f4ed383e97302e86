"""Reading documents: what is taken, what is refused, and in which line."""

import json

import pytest

from bedrock_remediator.core.allowlist.documents import read_json
from bedrock_remediator.core.allowlist.nodes import DEEPEST, LONGEST, DocumentError, Node
from bedrock_remediator.core.allowlist.yaml import read_yaml


def test_yaml_values_know_their_line() -> None:
    """A value of a mapping carries its key's line and an item of a list its own."""
    text = 'a: 1\nb:\n  - x\n  - "1"\nc: {d: true}\n'
    assert read_yaml(text) == Node(
        {
            "a": Node(1, 1),
            "b": Node((Node("x", 3), Node("1", 4)), 2),
            "c": Node({"d": Node(value=True, line=5)}, 5),
        },
        1,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("---", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("30d", "30d"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("12", 12),
        ("-12", -12),
        ("012", 12.0),
        ("1.5", 1.5),
        ("'12'", "12"),
        ('"true"', "true"),
        ("9" * 5000, float("inf")),
    ],
)
def test_words_without_quotes(text: str, value: object) -> None:
    """Only words that everybody reads as a number, a truth value or nothing are that; all else is text."""
    found = read_yaml(text).value
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "the document is empty", None),
        ("# nothing\n", "the document is empty", None),
        ("a: 1\nb: 2\na: 3\n", "the key 'a' is given twice", 3),
        ("a: &x [1]\nb: *x\n", "anchors (&) and aliases (*)", 1),
        ("a: 1\nb: *x\n", "anchors (&) and aliases (*)", 2),
        ("&x a: 1\n", "a key must be plain text", 1),
        ("a: !!python/object:os.system {}\n", "tags (!) are not allowed", 1),
        ("a: ! x\n", "tags (!) are not allowed", 1),
        ("!!str a: 1\n", "a key must be plain text", 1),
        ("? [a]\n: 1\n", "a key must be plain text", 1),
        ("a: 1\n---\nb: 2\n", "there is a second document", 2),
        ("a:\n\t- x\n", "this is not YAML", 2),
        ("a: [*]\n", "put a pattern that begins with * in quotes", 1),
        ("a: [1\n", "this is not YAML", 2),
        ("a: \x00\n", "it holds a character that is not allowed", None),
        ("a: \ud800\n", "it holds a character that is not allowed", None),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested too deeply", 1),
        ("[" * 100_000, "nested too deeply", 1),
        ("a: " * 10, "this is not YAML", 1),
        ("x" * (LONGEST + 1), f"longer than {LONGEST}", None),
    ],
)
def test_what_yaml_is_refused(text: str, message: str, line: int | None) -> None:
    """What could hide something from a reader of the document, and what is broken, is refused with its line."""
    with pytest.raises(DocumentError) as caught:
        read_yaml(text)
    assert message in caught.value.message
    assert caught.value.line == line


def test_json_is_read_without_lines() -> None:
    """JSON gives the same values as YAML, without lines."""
    document = {"a": [1, 1.5, None, True, "x"], "b": {"c": []}}
    text = json.dumps(document, indent="\t")
    values = (Node(1), Node(1.5), Node(None), Node(value=True), Node("x"))
    assert read_json(text) == Node({"a": Node(values), "b": Node({"c": Node(())})})


def test_json_read_as_yaml() -> None:
    """YAML's reader takes JSON that is indented with tabs, and tells the lines."""
    assert read_yaml('{\n\t"a": [\n\t\t"x"\n\t]\n}') == Node({"a": Node((Node("x", 3),), 2)}, 1)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "[1]",
        '{"a": 1, "a": 2}',
        '{"a": 1',
        '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
        '{"a":' * 100_000,
        '{"a": "' + "x" * LONGEST + '"}',
    ],
)
def test_what_is_left_to_yaml(text: str) -> None:
    """Whatever is not JSON, or is JSON with something wrong about it, is YAML's to read or to refuse."""
    assert read_json(text) is None
