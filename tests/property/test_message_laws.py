"""Laws of the message grammar."""

from hypothesis import given
from hypothesis import strategies as st

from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.message import Message, read

WORDS = ["identity-based policy", "session policy", "service control policy", "permissions boundary"]
names = st.text("abcXYZ019=,.@_+-", min_size=1, max_size=64)


@given(st.text(max_size=1200))
def test_reading_never_raises(text: str) -> None:
    """Whatever the text, reading it gives a value."""
    read(text)


@given(names, st.sampled_from(WORDS), st.booleans())
def test_a_session_name_is_never_mistaken_for_the_reason(session: str, words: str, explicit: bool) -> None:  # noqa: FBT001
    """Whatever a caller calls its session, the layer read is the one that AWS wrote."""
    principal = f"arn:aws:sts::111122223333:assumed-role/app/{session}"
    why = (
        f"with an explicit deny in a {words}"
        if explicit
        else f"because no {words} allows the bedrock:InvokeModel action"
    )
    message = read(
        f"User: {principal} is not authorized to perform: bedrock:InvokeModel on resource: "
        f"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0 {why}"
    )
    assert isinstance(message, Message)
    assert message.principal == principal
    assert message.refusal.effect is (Effect.EXPLICIT if explicit else Effect.IMPLICIT)
    assert message.refusal.layer is not Layer.UNKNOWN


@given(st.integers(0, 300))
def test_a_cut_message_never_gains_an_allowable_layer(at: int) -> None:
    """Every prefix of an SCP denial is an SCP denial, uncertain, or unread: never an identity policy's lack."""
    text = (
        "User: arn:aws:iam::111122223333:user/dev is not authorized to perform: bedrock:InvokeModel on resource: "
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0 "
        "with an explicit deny in a service control policy"
    )
    message = read(text[:at])
    assert not isinstance(message, Message) or message.refusal.layer is Layer.SCP or not message.refusal.certain
