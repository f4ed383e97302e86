"""Which row a denial belongs to: the sort key of what would be granted, or of the advice."""

import json

import pytest

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.opening import sort_key
from tests.builders.records import event, record

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
