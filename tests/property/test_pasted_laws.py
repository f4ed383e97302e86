"""Laws of pasted text: what a terminal or a chat does to a message does not change what it says."""

import json
from collections.abc import Callable
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.layers import PHRASES
from bedrock_remediator.core.message import Message, read
from bedrock_remediator_cli.explain.explanation import explain
from bedrock_remediator_cli.explain.pasted import find
from bedrock_remediator_cli.explain.refusals import refusals
from bedrock_remediator_cli.explain.samples import Sample

ACCOUNT: Final = "111122223333"
names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789+=,.@_-", min_size=1, max_size=30)
layers = st.sampled_from(list(PHRASES))
actions = st.sampled_from(("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:ApplyGuardrail"))
model_ids = st.sampled_from(("amazon.nova-2-lite-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0", "zai.glm-4.6"))


@st.composite
def messages(draw: st.DrawFn) -> str:
    """A denial that names its layer, as AWS writes it."""
    who = f"arn:aws:sts::{ACCOUNT}:assumed-role/{draw(names)}/{draw(names)}"
    action = draw(actions)
    what = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{draw(model_ids)}"
    why = draw(st.sampled_from((f"because no {{}} allows the {action} action", "with an explicit deny in a {}")))
    return f"User: {who} is not authorized to perform: {action} on resource: {what} {why.format(draw(layers))}"


def wrapped(text: str, width: int) -> list[str]:
    """The text as a terminal of that width breaks it: in the middle of words too."""
    return [text[place : place + width] for place in range(0, len(text), width)]


FRAMES: Final[dict[str, Callable[[list[str]], str]]] = {
    "terminal": "\n".join,
    "box": lambda lines: "\n".join(("╭──╮", *(f"│ {line:<200} │" for line in lines), "╰──╯")),
    "mail": lambda lines: "\n".join(f"> {line}" for line in lines),
    "compose": lambda lines: "\n".join(f"web-1  | {line}" for line in lines),
    "json": lambda lines: json.dumps(json.dumps({"Message": "\n".join(lines)})),
    "windows": "\r\n".join,
}


@settings(max_examples=60)
@given(messages(), st.integers(24, 160), st.sampled_from(sorted(FRAMES)))
def test_a_frame_does_not_change_what_a_message_says(text: str, width: int, frame: str) -> None:
    """Wrapped at any width, boxed, quoted or put into JSON twice, it is read as it was written."""
    (found,) = find(FRAMES[frame](wrapped(text, width)))
    said, plainly = read(found.text, whole=True), read(text)
    assert isinstance(said, Message)
    assert said == plainly


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    """Whatever it is, it is explained or said to be none, and no policy comes of what was not read."""
    for refusal in refusals(Sample(where="", text=text)):
        explained = explain(refusal).fields()
        assert explained["fixable_by_identity_policy"] is not True or explained["layer"] == "identity"


@settings(max_examples=40)
@given(messages(), st.integers(20, 200))
def test_a_cut_message_is_never_fixable(text: str, kept: int) -> None:
    """A message that lacks its end is read without certainty, or not at all."""
    for refusal in refusals(Sample(where="", text=text[: min(kept, len(text) - 8)])):
        assert explain(refusal).verdict.fixable is not True
