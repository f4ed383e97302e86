"""The one table of layers: every member has an entry, and none is fixable but a missing Allow of an identity policy."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.arn import BedrockResource, Principal
from bedrock_remediator.core.cloudtrail import Caller, Denial
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.diagnosis.policies import OtherProfiles, from_holdings
from bedrock_remediator.core.diagnosis.refusals import from_message
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.iam.evaluation import Evaluator, Holdings, Request
from bedrock_remediator.core.layers import LAYERS, PHRASES, REFUSALS, Effect, Layer, by_layer
from bedrock_remediator.core.message import Message, Unread, read
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from tests.builders import records as make
from tests.builders.aws import profile


def denial(layer: Layer, effect: Effect | None) -> Denial:
    """A denial by the layer, whose message is as sure as can be."""
    principal = Principal.parse(make.ROLE)
    caller = Caller("AssumedRole", make.ACCOUNT, principal, path_known=True, id="AROAEXAMPLEROLE000001")
    return Denial(
        event_id="1",
        shared_event_id=None,
        time=datetime(2026, 11, 20, 10, tzinfo=UTC),
        account=make.ACCOUNT,
        region=make.REGION,
        caller=caller,
        action=make.ACTION,
        resource=BedrockResource.parse(make.PROFILE),
        model_id=make.PROFILE_ID,
        layer=layer,
        effect=effect,
        policy_arn=None,
        message="",
        certain=True,
        source_ip=None,
        user_agent=None,
    )


def diagnosed(denied: Denial) -> Diagnosis:
    """What becomes of it, where the principal holds nothing."""
    target = Target(profile=profile())
    nobody = Evaluator(Holdings(policies=(), boundary=None))
    findings = {
        (action, arn): nobody.evaluate(Request(action, arn, {}))
        for action in INVOKE_ACTIONS
        for arn in target.resources
    }
    return from_message(denied) or from_holdings(denied, target, findings, OtherProfiles())


@pytest.mark.parametrize("layer", Layer)
@pytest.mark.parametrize("effect", [*Effect, None])
def test_only_a_missing_allow_of_an_identity_policy_can_be_granted_without_asking(
    layer: Layer, effect: Effect | None
) -> None:
    """Every other layer, and every explicit deny, ends in advice; what names no layer is a person's to judge."""
    diagnosis = diagnosed(denial(layer, effect))
    automatic = diagnosis.grantable and not diagnosis.ask_only
    assert automatic is (layer is Layer.IDENTITY and effect is Effect.IMPLICIT)
    if layer not in (Layer.IDENTITY, Layer.UNKNOWN):
        assert not diagnosis.grantable
        assert diagnosis.code == LAYERS[layer].code


@pytest.mark.parametrize("layer", Layer)
def test_every_layer_has_an_entry_that_is_closed_unless_it_says_otherwise(layer: Layer) -> None:
    """Each has a name and steps for people; only the identity layer is fixable, only an unnamed one is open."""
    entry = LAYERS[layer]
    assert entry.name
    assert all(entry.steps)
    assert entry.steps
    assert entry.fixable is {Layer.IDENTITY: True, Layer.UNKNOWN: None}.get(layer, False)


@pytest.mark.parametrize("layer", Layer)
def test_a_layer_without_an_entry_stops_at_import(layer: Layer) -> None:
    """Whoever adds a member and forgets its entry is told which, before anything runs."""
    others = [entry for each, entry in LAYERS.items() if each is not layer]
    with pytest.raises(TypeError, match=f"0 entries for the layer {layer.name}"):
        by_layer(others)
    with pytest.raises(TypeError, match=f"2 entries for the layer {layer.name}"):
        by_layer([*LAYERS.values(), LAYERS[layer]])


def test_a_closed_layer_has_a_code_and_advice() -> None:
    """An entry that is not fixable and says nothing to people is a mistake."""
    entries = [replace(entry, code="") if entry.layer is Layer.SCP else entry for entry in LAYERS.values()]
    with pytest.raises(TypeError, match="SCP is not fixable"):
        by_layer(entries)


def test_no_words_belong_to_two_layers() -> None:
    """A phrase or the words of a refusal tell one layer from the others."""
    assert len(PHRASES) == len(set(PHRASES.values()))
    words = [each for each, _ in REFUSALS]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    "why",
    [
        "because no quantum policy allows the bedrock:InvokeModel action",
        "with an explicit deny in a quantum policy",
        "because no network control policy allows the bedrock:InvokeModel action",
    ],
)
def test_a_layer_that_nobody_knows_is_not_read(why: str) -> None:
    """A phrase that the table lacks makes no denial, so it is never granted."""
    text = f"User: {make.SESSION} is not authorized to perform: bedrock:InvokeModel on resource: {make.PROFILE} {why}"
    assert isinstance(read(text), Unread)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        (
            (
                "claude-opus is not available for this account. You can explore other available models on Amazon "
                "Bedrock. For additional access options, contact AWS Sales"
            ),
            Layer.ACCOUNT,
        ),
        ("Your account is currently being verified. Verification normally takes less than 2 hours.", Layer.ACCOUNT),
        ("Access to this model is not available for channel program accounts.", Layer.ACCOUNT),
        ("Model access is denied due to INVALID_PAYMENT_INSTRUMENT", Layer.MARKETPLACE),
        (
            (
                "Model access is denied due to IAM user or service role is not authorized to perform the required AWS "
                "Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe)"
            ),
            Layer.MARKETPLACE,
        ),
        ("Access denied. This Model is marked by provider as Legacy", Layer.LEGACY),
        ("Model use case details have not been submitted for this account.", Layer.MODEL_ACCESS),
    ],
)
def test_refusals_that_no_policy_explains_are_known_by_their_words(text: str, layer: Layer) -> None:
    """Such a refusal is read whatever surrounds its words, and is nothing that a policy can put right (facts §2)."""
    message = read(text)
    assert isinstance(message, Message)
    assert message.refusal.layer is layer
    assert LAYERS[layer].fixable is False
