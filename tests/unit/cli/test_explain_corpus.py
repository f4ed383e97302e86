"""`explain` on a corpus of messages as people paste them: every label is right."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bedrock_remediator.core.layers import Layer
from bedrock_remediator_cli.explain.explanation import explain
from bedrock_remediator_cli.explain.refusals import heard
from bedrock_remediator_cli.explain.samples import gather
from bedrock_remediator_cli.explain.sources import Source

CORPUS: Final[list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[2] / "corpus" / "pasted.yaml").read_text(encoding="utf-8")
)
LABELS: Final = ("principal", "action", "resource", "layer", "effect", "policy_arn", "profile", "model_id")
NO_GRANT_HELPS: Final = (
    "explicit deny",
    "explicitly denies",
    "You don't have access",
    "Your account is not authorized",
    "aws-marketplace:",
    "INVALID_PAYMENT_INSTRUMENT",
    "AWS Marketplace subscription",
    "use case details",
    "marked by provider as Legacy",
    "end of its life",
    "CallWithBearerToken",
    "ApplyGuardrail",
    "unsupported countries",
    "with on-demand throughput",
    "QuarantineV",
    "no permissions boundary",
    "no session policy",
    "no service control policy",
    "no resource-based policy",
    "no VPC endpoint policy",
    "no role trust policy",
)
"""Words of docs/aws-facts.md §2 behind which no policy of the principal can put the call right."""


def explained(text: str) -> list[dict[str, Any]]:
    """What `--json` gives for a text, without AWS."""
    return [explain(refusal).fields() for refusal in heard(gather([Source("", text)]).samples)]


def arns(policy: dict[str, Any] | None) -> list[str] | None:
    """The ARNs that a policy names, in their order."""
    if policy is None:
        return None
    named = [statement["Resource"] for statement in policy["Statement"]]
    return [arn for each in named for arn in (each if isinstance(each, list) else [each])]


def test_the_corpus_is_large_and_knows_every_layer() -> None:
    """Sixty messages at least, and every word of the vocabulary among them."""
    assert len(CORPUS) >= 60
    assert {each["right"]["layer"] for each in CORPUS} == {layer.value for layer in Layer}


@pytest.mark.parametrize("case", CORPUS, ids=[each["name"] for each in CORPUS])
def test_a_message_of_the_corpus_is_explained_right(case: dict[str, Any]) -> None:
    """Every field is as the label says; what the label does not list is null."""
    (found,) = explained(case["given"])
    right = case["right"]
    assert {label: found[label] for label in LABELS} == {label: right.get(label) for label in LABELS}
    assert found["fixable_by_identity_policy"] is right["fixable"]
    assert arns(found["policy"]) == right.get("policy")
    assert found["advice"]


def test_nothing_that_no_grant_can_fix_is_called_fixable() -> None:
    """Whatever the message looks like: where AWS's words exclude a grant, neither `true` nor a policy comes out."""
    judged = 0
    for case in CORPUS:
        flat = "".join(case["given"].replace("\u2019", "'").split())
        if any("".join(words.split()) in flat for words in NO_GRANT_HELPS):
            (found,) = explained(case["given"])
            assert found["fixable_by_identity_policy"] is not True, case["name"]
            assert found["policy"] is None, case["name"]
            judged += 1
    assert judged > 30


def test_a_policy_names_one_action_s_arns_and_never_widens_one() -> None:
    """The only wildcard is the region of a model that is reached through one profile alone."""
    for case in CORPUS:
        (found,) = explained(case["given"])
        for statement in (found["policy"] or {"Statement": []})["Statement"]:
            for arn in arns({"Statement": [statement]}) or ():
                if "*" in arn:
                    assert arn.startswith("arn:")
                    assert ":bedrock:*::foundation-model/" in arn
                    assert arn.count("*") == 1
                    through = statement["Condition"]["StringEquals"]["bedrock:InferenceProfileArn"]
                    assert through == found["profile"]


def test_several_messages_in_one_text_are_told_apart() -> None:
    """Each of them is explained, in order, with what stands between them left out."""
    texts = [case["given"] for case in CORPUS if case["name"] in ("identity, implicit", "scp, explicit", "legacy")]
    found = explained("\n\nretrying\n".join(texts))
    assert [each["layer"] for each in found] == ["identity", "scp", "legacy"]
