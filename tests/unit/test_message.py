"""Every form of refusal in docs/aws-facts.md §2, and what is made of each."""

import pytest

from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.message import Message, Refusal, Unread, read

SESSION = "arn:aws:sts::111122223333:assumed-role/llm-app/web@1=a,b.c+d-e"
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
ACTION = "bedrock:InvokeModelWithResponseStream"
DENIED = f"User: {SESSION} is not authorized to perform: {ACTION} on resource: {PROFILE}"
DETAILS = (
    ". Go to https://us-east-1.console.aws.amazon.com/iam/authorization-details/0a1b-2c for complete details, "
    "or call the GetRequestAuthorizationDetails API with the following authorization id: 0a1b-2c"
)
LAYERS = {
    "identity-based policy": ("an", Layer.IDENTITY),
    "resource-based policy": ("a", Layer.RESOURCE),
    "permissions boundary": ("a", Layer.BOUNDARY),
    "session policy": ("a", Layer.SESSION),
    "service control policy": ("a", Layer.SCP),
    "resource control policy": ("a", Layer.RCP),
    "VPC endpoint policy": ("a", Layer.VPC_ENDPOINT),
    "role trust policy": ("the", Layer.ROLE_TRUST),
}


def parsed(text: str) -> Refusal:
    """What the message says was refused; it must be readable."""
    message = read(text)
    assert isinstance(message, Message), message
    return message.refusal


@pytest.mark.parametrize("words", LAYERS)
@pytest.mark.parametrize("tail", ["", ".", DETAILS, DETAILS + "."])
def test_implicit_denials_name_their_layer(words: str, tail: str) -> None:
    """A denial for want of an Allow gives the layer, whatever AWS appends."""
    message = read(f"{DENIED} because no {words} allows the {ACTION} action{tail}")
    assert message == Message(
        SESSION,
        Refusal(
            action=ACTION,
            resource=PROFILE,
            layer=LAYERS[words][1],
            effect=Effect.IMPLICIT,
            policy_arn=None,
            certain=True,
        ),
    )


@pytest.mark.parametrize("words", LAYERS)
@pytest.mark.parametrize("policy", [None, "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"])
@pytest.mark.parametrize("tail", ["", ".", DETAILS])
def test_explicit_denials_name_their_layer_and_policy(words: str, policy: str | None, tail: str) -> None:
    """A denial by a Deny gives the layer and the policy's ARN, without the full stop that is glued to it."""
    article, layer = LAYERS[words]
    named = f": {policy}" if policy else ""
    message = parsed(f"{DENIED} with an explicit deny in {article} {words}{named}{tail}")
    assert (message.layer, message.effect, message.policy_arn) == (layer, Effect.EXPLICIT, policy)
    assert message.resource == PROFILE
    assert message.certain


def test_the_first_layer_of_a_transitive_deny_is_reported() -> None:
    """Where a deny came through another layer, the first one named is the one to report."""
    text = f"{DENIED} with an explicit deny in a VPC endpoint policy transitively through a service control policy"
    assert parsed(text).layer is Layer.VPC_ENDPOINT


@pytest.mark.parametrize("tail", ["", "."])
def test_a_bare_denial_is_read_without_certainty(tail: str) -> None:
    """The older form ends after the resource: it names no layer, so a person must decide."""
    message = parsed(DENIED + tail)
    assert (message.layer, message.effect, message.certain) == (Layer.UNKNOWN, None, False)
    assert message.resource == PROFILE


def test_a_deny_without_a_layer_is_explicit() -> None:
    """`with an explicit deny` alone names no layer, but it is a deny."""
    message = parsed(f"{DENIED} with an explicit deny")
    assert (message.layer, message.effect, message.certain) == (Layer.UNKNOWN, Effect.EXPLICIT, False)


def test_a_denial_without_a_resource_is_read() -> None:
    """A form without `on resource:` gives principal, action and layer, and no resource."""
    message = parsed(
        f"User: {SESSION} is not authorized to perform: {ACTION} "
        f"because no identity-based policy allows the {ACTION} action"
    )
    assert (message.resource, message.layer, message.certain) == (None, Layer.IDENTITY, True)


@pytest.mark.parametrize("word", ["inference-profile", "inference profile", "resource"])
def test_a_type_word_before_the_resource_is_skipped(word: str) -> None:
    """A type word before the resource's name is not taken for the resource."""
    text = DENIED.replace("resource: ", f"resource: {word} ") + f" because no session policy allows the {ACTION} action"
    assert parsed(text).resource == PROFILE


def test_an_api_keys_own_right_is_its_own_layer() -> None:
    """A denied bedrock:CallWithBearerToken is about the API key, whatever layer the words name."""
    text = (
        f"User: {SESSION} is not authorized to perform: bedrock:CallWithBearerToken on resource: * because no "
        "identity-based policy allows the bedrock:CallWithBearerToken action"
    )
    assert parsed(text).layer is Layer.API_KEY


def test_an_action_that_contradicts_itself_is_not_certain() -> None:
    """A message that names two different actions is for a person to look at."""
    text = f"{DENIED} because no identity-based policy allows the bedrock:InvokeModel action"
    assert not parsed(text).certain


def test_a_sentence_nobody_knows_makes_it_uncertain() -> None:
    """A new sentence at the end leaves the message readable, for a person to decide."""
    text = f"{DENIED} because no identity-based policy allows the {ACTION} action. Contact your administrator."
    assert not parsed(text).certain


def test_an_unknown_sentence_about_a_deny_is_unreadable() -> None:
    """A new sentence that speaks of a deny may turn the meaning round, so the message is not read at all."""
    text = f"{DENIED} because no identity-based policy allows the {ACTION} action. It is also denied elsewhere."
    assert read(text) == Unread(
        "message_unreadable", "The error message ends in a sentence about a deny that is not known."
    )


@pytest.mark.parametrize(
    ("context", "layer", "effect", "certain"),
    [
        (" Context: a service control policy explicitly denies the action", Layer.SCP, Effect.EXPLICIT, True),
        (" Context: no identity-based policy allows the action", Layer.IDENTITY, Effect.IMPLICIT, True),
        (f" Context: no permissions boundary allows the {ACTION} action.", Layer.BOUNDARY, Effect.IMPLICIT, True),
        ("", Layer.UNKNOWN, None, False),
    ],
)
def test_the_consoles_layout_is_read(context: str, layer: Layer, effect: Effect | None, certain: bool) -> None:  # noqa: FBT001 - a parameter
    """The console's layout says the same in other words."""
    message = read(f"User: {SESSION}\nAction: {ACTION}\nOn resource(s): {PROFILE}{context}")
    assert message == Message(
        SESSION,
        Refusal(action=ACTION, resource=PROFILE, layer=layer, effect=effect, policy_arn=None, certain=certain),
    )


MARKETPLACE_ACTIONS = (
    "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace "
    "actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model."
)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("You don't have access to the model with the specified model ID.", Layer.MODEL_ACCESS),
        ("You don\u2019t have access to the model with the specified model ID.", Layer.MODEL_ACCESS),
        ("Model use case details have not been submitted for this account.", Layer.MODEL_ACCESS),
        ("Your account is not authorized to invoke this API operation.", Layer.ACCOUNT),
        ("Access to Anthropic models is not allowed from unsupported countries.", Layer.ACCOUNT),
        (MARKETPLACE_ACTIONS, Layer.MARKETPLACE),
        ("Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment is needed.", Layer.MARKETPLACE),
        ("Your AWS Marketplace subscription for this model is still being processed.", Layer.MARKETPLACE),
        ("Access denied. This Model is marked by provider as Legacy and you have not used it.", Layer.LEGACY),
        ("This model version has reached the end of its life.", Layer.LEGACY),
    ],
)
def test_refusals_that_no_policy_explains(text: str, layer: Layer) -> None:
    """A refusal by model access, Marketplace, account or age is told from a denial by IAM."""
    message = parsed(text)
    assert (message.layer, message.effect, message.action) == (layer, None, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "message_missing"),
        ("   ", "message_missing"),
        ("Something else entirely", "message_unreadable"),
        (f"{DENIED} because no new-fangled policy allows the {ACTION} action", "message_unreadable"),
        (f"x{DENIED}", "message_unreadable"),
        (f"User: {SESSION}\nAction: {ACTION}", "message_unreadable"),
        (DENIED.replace(SESSION, "two words"), "message_unreadable"),
        (f"{DENIED} because no identity-based policy allows the {ACTION} action".ljust(1024, "."), "message_truncated"),
        ("é" * 511, "message_truncated"),
    ],
)
def test_what_fits_no_form_is_unread_with_its_reason(text: str | None, code: str) -> None:
    """A text that is missing, cut off or of no known form is not guessed at."""
    message = read(text)
    assert isinstance(message, Unread)
    assert message.code == code


@pytest.mark.parametrize(
    ("named", "read_as"),
    [
        ("0a1b2c", "0a1b2c"),
        ("0a1b2c.", "0a1b2c"),
        ("a" * 256, "a" * 256),
        ("a" * 257, None),
        ("0A1B", None),
        ("0a1b/../x", None),
        ("0a1b&x=y", None),
        ("${x}", None),
    ],
)
def test_an_authorization_id_is_kept_in_the_form_that_aws_gives_it(named: str, read_as: str | None) -> None:
    """Lower-case letters and digits, 256 at most; anything else is still read, and is no id (facts §2.3)."""
    text = f"{DENIED} because no identity-based policy allows the {ACTION} action{DETAILS.replace('0a1b-2c', named)}"
    refusal = parsed(text)
    assert (refusal.authorization_id, refusal.certain) == (read_as, True)
