"""An explanation: the fields that `--json` gives, each message once, and what they come from."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator_cli.explain import proposal
from bedrock_remediator_cli.explain.pasted import MASKED
from bedrock_remediator_cli.explain.proposal import Document, Form
from bedrock_remediator_cli.explain.refusals import Refusal
from bedrock_remediator_cli.explain.target import Target, shown_masked, target
from bedrock_remediator_cli.explain.verdict import Verdict, verdict

MESSAGE: Final = "the message"
RECORD: Final = "the record"
FORM: Final = "the form of the identifiers"

_TOLD_BY_MESSAGE: Final = ("principal", "action", "resource", "layer", "effect", "policy_arn")


class Explanation(Struct, frozen=True, kw_only=True):
    """What is the matter and what to do. `sources` says of each answer where it comes from."""

    refusal: Refusal
    target: Target | None
    verdict: Verdict
    document: Document | None
    sources: dict[str, str]
    layer: str
    model_id: str | None

    def fields(self, form: Form | None = None) -> dict[str, Any]:
        """The fields of `--json`; with a form, also `snippet`, the policy written so."""
        refusal = self.refusal
        document = proposal.plain(self.document)
        fields = {
            "principal": _shown(refusal.principal),
            "action": refusal.action,
            "resource": _shown(refusal.resource),
            "layer": self.layer,
            "effect": refusal.effect.value if refusal.effect else None,
            "policy_arn": _shown(refusal.policy_arn),
            "fixable_by_identity_policy": self.verdict.fixable,
            "profile": _shown(self.target.profile) if self.target else None,
            "model_id": _shown(self.model_id),
            "advice": " ".join(self.verdict.steps),
            "policy": document,
            "sources": self.sources,
            "where": refusal.where,
        }
        if form:
            fields["snippet"] = self.snippet(form)
        return fields

    def snippet(self, form: Form) -> str | None:
        """The policy in a form to paste; None where none is proposed."""
        return proposal.written(self.document, self.refusal, form) if self.document else None


def explain(refusal: Refusal) -> Explanation:
    """Explain a refusal without asking anybody."""
    meant = target(refusal)
    judged = verdict(refusal, meant)
    document = None
    if judged.fixable is not False and not refusal.problem:
        document = proposal.offline(refusal, meant)
    told = RECORD if refusal.denial else MESSAGE
    sources = dict.fromkeys(_TOLD_BY_MESSAGE, told) | {
        "fixable_by_identity_policy": MESSAGE,
        "profile": FORM,
        "model_id": FORM,
        "policy": FORM,
    }
    return Explanation(
        refusal=refusal,
        target=meant,
        verdict=judged,
        document=document,
        sources=sources,
        layer=refusal.layer.value,
        model_id=meant.model_id if meant else None,
    )


def groups(explanations: Sequence[Explanation]) -> list[tuple[Explanation, int]]:
    """Those that say the same once, with how often, in the order in which they come first."""
    counted: dict[str, tuple[Explanation, int]] = {}
    for each in explanations:
        fields = each.fields()
        del fields["where"]
        first, count = counted.get(str(fields), (each, 0))
        counted[str(fields)] = (first, count + 1)
    return list(counted.values())


def _shown(text: str | None) -> str | None:
    """The text with a placeholder for a masked account."""
    return shown_masked(text) if text and MASKED in text else text
