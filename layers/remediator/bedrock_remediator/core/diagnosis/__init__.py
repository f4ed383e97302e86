"""What a denial turns out to be, from the cheapest evidence to the dearest.

| module | evidence | calls that it takes |
| --- | --- | --- |
| `refusals` | the record alone: another layer, a leaked key, a caller that cannot be changed | none |
| `target` | which profile or model the call needs | Bedrock's description of it |
| `policies` | what the principal's policies say of the call | the principal's policies |

Each function either knows the answer, a `Diagnosis`, or leaves it to the next; `flows/triage/investigation.py` gathers
the evidence in this order and stops at the first answer. Facts: docs/aws-facts.md §2, §3 and §4.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.core.profile import Profile

if TYPE_CHECKING:
    from bedrock_remediator.core.cloudtrail import Denial

GRANTABLE: Final = frozenset(
    {DiagnosisKind.MISSING_GRANT, DiagnosisKind.CONDITIONAL_ALLOW, DiagnosisKind.WRONG_IDENTIFIER}
)
"""The kinds of which a grant can be the remedy."""

_APPLICATION: Final = ":application-inference-profile/"


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What is the matter, and what a grant would have to hold.

    `code` is the reason in one word, `reason` in a sentence for people. `profile` and `resources` are what AWS
    confirmed; `resources` is the complete sorted set of ARNs that the call needs, `allowed` those of them that are
    allowed already. `candidates` are identifiers to choose from. `evidence` is the statement that decided, as JSON.
    `grantable`: a grant could help. `ask_only`: a person must decide, whatever a rule says.
    """

    kind: DiagnosisKind
    code: str
    reason: str
    layer: Layer | None = None
    profile: Profile | None = None
    model_arn: str | None = None
    model_id: str | None = None
    resources: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    evidence: str | None = None
    grantable: bool = False
    ask_only: bool = False


def defeats_a_control(kind: DiagnosisKind, called: str | None, candidates: Sequence[str], evidence: str | None) -> bool:
    """Whether a grant would lift what somebody wrote into a policy on purpose: no text that does so is handed out.

    A condition; or that a model may be called by application profiles alone, which is how costs are charged
    (docs/aws-facts.md §3.8). `called` is the ARN of the profile that was called.
    """
    if kind is DiagnosisKind.CONDITIONAL_ALLOW:
        return True
    if kind is not DiagnosisKind.WRONG_IDENTIFIER:
        return False
    charged = bool(candidates) and all(_APPLICATION in each for each in candidates)
    return bool(evidence) or (charged and _APPLICATION not in (called or ""))


def not_fixable(denial: "Denial", code: str, reason: str) -> Diagnosis:
    """No grant of this service helps: advice for whoever can help."""
    return Diagnosis(kind=DiagnosisKind.NOT_FIXABLE, code=code, reason=reason, layer=denial.layer)
