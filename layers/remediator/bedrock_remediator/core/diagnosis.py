"""What a denial turns out to be, from the cheapest evidence to the dearest."""

from msgspec import Struct

from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.profile import Profile


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What is the matter, and what a grant would have to hold.

    `code` is the reason in one word, `reason` in a sentence for people. `profile` and `resources` are what AWS
    confirmed; `resources` is the complete sorted set of ARNs that the call needs, `allowed` those of them that are
    allowed already. `candidates` are identifiers to choose from. `evidence` is the statement that decided, as JSON.
    """

    kind: DiagnosisKind
    code: str
    reason: str
    profile: Profile | None = None
    model_arn: str | None = None
    model_id: str | None = None
    resources: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    evidence: str | None = None
    grantable: bool = False
    ask_only: bool = False
    """`grantable`: a grant could help. `ask_only`: a person must decide, whatever a rule says."""
