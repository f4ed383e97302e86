"""Which row a denial belongs to: the sort key of what would be granted, or of the advice."""

import json

import pytest

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.lifecycle import fingerprint, grant_keys, sort_key
from bedrock_remediator.core.profile import Profile
from tests.builders.aws import application_profile, profile
from tests.builders.records import MODEL_ID, event, message, model, record

ADVICE = Diagnosis(kind=DiagnosisKind.NOT_FIXABLE, code="model_access", reason="No access to the model.")


def key(model_id: str) -> str:
    """The key of the advice about a model that nothing but the request names."""
    detail = record(
        errorMessage="You don't have access to the model with the specified model ID.",
        requestParameters={"modelId": model_id},
    )
    return sort_key(cloudtrail.read(json.dumps(event(detail))), ADVICE)


def test_advice_names_what_was_called() -> None:
    """The key of a piece of advice holds its kind, the resource and the code, for a person to read."""
    assert key("amazon.nova-pro-v1:0") == "advice#not_fixable#amazon.nova-pro-v1:0#model_access"


@pytest.mark.parametrize("model_id", ["a" * 601, "modèle"])
def test_what_is_long_or_strange_becomes_a_digest(model_id: str) -> None:
    """A resource that DynamoDB's key could not hold, or that is not ASCII, stands in the key as a digest of it."""
    _, kind, digest, code = key(model_id).split("#")
    assert (kind, len(digest), code) == ("not_fixable", 64, "model_access")
    assert digest.isalnum()


def test_two_long_resources_are_two_rows() -> None:
    """Resources that differ after the part that would fit have keys of their own."""
    assert key("a" * 601) != key("a" * 602)


STRANGER = {"type": "AWSAccount", "accountId": "444455556666"}


@pytest.mark.parametrize(
    "text", ["?", "x" * 2000, message("AROAEVE:x"), message("AROAEVE:x", why="with an explicit deny")]
)
def test_nothing_that_a_stranger_chooses_makes_another_row(text: str) -> None:
    """Neither its ids nor its session, nor what it calls, is part of the counter's key or the row's."""
    denials = [
        cloudtrail.read(json.dumps(event(record(**given))).replace("AROAEVE", f"AROAEVE{number}"))
        for number, called in enumerate((MODEL_ID, "junk"))
        for given in (
            {
                "userIdentity": STRANGER | {"principalId": f"AROAEVE:{number}"},
                "errorMessage": text.replace("inference-profile/us.amazon", f"inference-profile/{number}.amazon"),
                "requestParameters": {"modelId": called},
            },
        )
    ]
    assert len({fingerprint(denial) for denial in denials}) == 1
    assert {sort_key(denial, ADVICE) for denial in denials} == {"advice#not_fixable#-#model_access"}


@pytest.mark.parametrize(
    ("called", "candidates", "keys"),
    [
        (profile(), (), (f"profile#{profile().arn}",)),
        (application_profile(), (), (f"profile#{application_profile().arn}",)),
        (
            application_profile(),
            (profile().id, application_profile().arn),
            (f"profile#{profile().arn}", f"profile#{application_profile().arn}"),
        ),
        (None, (), ()),
    ],
)
def test_the_keys_of_the_grants_that_a_call_can_be_about(
    called: Profile | None, candidates: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    """The profile's that was called; where the record does not say which, those of all that serve the model."""
    diagnosis = Diagnosis(
        kind=DiagnosisKind.ALREADY_ALLOWED, code="already_allowed", reason="", profile=called, candidates=candidates
    )
    assert grant_keys(diagnosis) == keys


def test_the_key_of_a_model_that_was_called_directly() -> None:
    """It has a grant of its own."""
    diagnosis = Diagnosis(kind=DiagnosisKind.ALREADY_ALLOWED, code="already_allowed", reason="", model_arn=model())
    assert grant_keys(diagnosis) == (f"model#{model()}",)
