"""Would a grant help, and does it: what to ask of IAM's policy simulator, and what its answers prove.

The simulator knows identity and group policies and the permissions boundary; of service control policies perhaps only
those that have no conditions, since AWS says so in two ways (docs/aws-facts.md §4). So "allowed" never proves that a
call works, and of the refusals only some prove that no grant can help:

| answer                                                                      | meaning                           |
| --------------------------------------------------------------------------- | --------------------------------- |
| allowed, for every question                                                 | it helps, as far as can be known  |
| explicit deny, or stopped by the organization or by the boundary            | it certainly does not help        |
| one of these, but a condition's value was missing                           | nothing: a negated operator looks |
|                                                                             | like a deny without its key       |
| implicit deny without either; no answer                                     | nothing: IAM may not have settled |
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from bedrock_remediator.core.arn import Arn
from bedrock_remediator.core.denial import Effect, Layer

UNSPECIFIED_REGION: Final = "unspecified"
"""What `aws:RequestedRegion` holds for a resource whose ARN has no region: the model of a `global.` profile."""

_REQUESTED_REGION: Final = "aws:RequestedRegion"


class Helpfulness(enum.StrEnum):
    """What the simulator's answers prove."""

    HELPS = "helps"
    CERTAINLY_NOT = "certainly_not"
    INCONCLUSIVE = "inconclusive"


class Question(NamedTuple):
    """One call of the simulator.

    `context` are the context entries (condition key -> value), which hold for the whole call. `region` is what
    `aws:RequestedRegion` is among them; None where ARNs of several regions are asked about at once, without that key.
    """

    region: str | None
    resources: tuple[str, ...]
    context: Mapping[str, str]

    def by_region(self) -> list["Question"]:
        """The same, one question for each region."""
        return [
            Question(region, tuple(arns), {**self.context, _REQUESTED_REGION: region})
            for region, arns in _by_region(self.resources).items()
        ]


class Answer(Protocol):
    """What the simulator says of one action on one resource.

    `decision` is `allowed`, `explicitDeny` or `implicitDeny`. `organizations` and `boundary` say whether that layer
    allows it, None where it was not consulted. `missing_context` are the condition keys it lacked.
    """

    @property
    def action(self) -> str:
        """The IAM action."""
        ...

    @property
    def resource(self) -> str:
        """The ARN."""
        ...

    @property
    def decision(self) -> str:
        """Allowed or not."""
        ...

    @property
    def organizations(self) -> bool | None:
        """Whether the service control policies allow it."""
        ...

    @property
    def boundary(self) -> bool | None:
        """Whether the permissions boundary allows it."""
        ...

    @property
    def missing_context(self) -> tuple[str, ...]:
        """The condition keys it lacked."""
        ...


class Judgement(Struct, frozen=True, kw_only=True):
    """What the answers prove, and why.

    `reason` can stand after a colon: it begins in lower case and ends with a full stop. `layer` and `effect` say what
    stops the call, where the answers prove that something does.
    """

    helpfulness: Helpfulness
    reason: str
    layer: Layer | None = None
    effect: Effect | None = None


def questions(profile: str | None, resources: Iterable[str]) -> list[Question]:
    """What to ask about a grant: all ARNs that have a region at once, and the one without by itself.

    That one because it is not confirmed that the simulator takes it (docs/aws-facts.md §4.5). Of several regions,
    `holds_for_each_region` tells whether the answers do, or the question must be asked `by_region`.

    Args:
        profile: The ARN of the inference profile that the call goes through; None for a model called directly.
        resources: The ARNs that the call needs.

    Raises:
        ArnError: A resource is not an ARN.
    """
    through = {"bedrock:InferenceProfileArn": profile} if profile else {}
    regions = _by_region(resources)
    unspecified = regions.pop(UNSPECIFIED_REGION, [])
    asked = Question(None, tuple(arn for arns in regions.values() for arn in arns), through)
    everywhere = [asked] if len(regions) > 1 else asked.by_region()
    return everywhere + Question(None, tuple(unspecified), through).by_region()


def holds_for_each_region(answers: Iterable[Answer]) -> bool:
    """Whether answers that were given without a region hold for every region.

    They do where no policy asks for it: it would be among the keys that were missing. A certain refusal is better
    asked again with it than believed: under a negated operator a missing key looks like a deny.
    """
    return not any(
        _refusal(answer) or any(key.lower() == _REQUESTED_REGION.lower() for key in answer.missing_context)
        for answer in answers
    )


def _by_region(resources: Iterable[str]) -> dict[str, list[str]]:
    """Region -> ARNs, both sorted."""
    regions: dict[str, list[str]] = {}
    for resource in sorted(resources):
        regions.setdefault(Arn.parse(resource).region or UNSPECIFIED_REGION, []).append(resource)
    return dict(sorted(regions.items()))


def judge(answers: Sequence[Answer], *, unanswered: int = 0) -> Judgement:
    """Say what the simulator's answers prove. One certain refusal outweighs all else.

    Args:
        answers: The answers to every question together.
        unanswered: How many questions the simulator could not answer.
    """
    for answer in answers:
        refusal = _refusal(answer)
        if refusal:
            return refusal
    open_questions = [answer for answer in answers if answer.decision != "allowed"]
    if open_questions:
        return _inconclusive(_doubt(open_questions[0]))
    if unanswered or not answers:
        return _inconclusive("the policy simulator gave no answer.")
    return Judgement(helpfulness=Helpfulness.HELPS, reason="the policy simulator allows all of it.")


def _refusal(answer: Answer) -> Judgement | None:
    """The proof that no grant can help, if the answer is one."""
    if answer.decision == "allowed" or answer.missing_context:
        return None
    explicit = answer.decision == "explicitDeny"
    if answer.organizations is False:
        layer, stopper = Layer.SCP, "a service control policy of the organization"
    elif answer.boundary is False:
        layer, stopper = Layer.BOUNDARY, "the principal's permissions boundary"
    elif explicit:
        layer, stopper = Layer.IDENTITY, "an explicit Deny in a policy of the principal"
    else:
        return None
    return Judgement(
        helpfulness=Helpfulness.CERTAINLY_NOT,
        reason=f"{stopper} stops {answer.action} on {answer.resource}.",
        layer=layer,
        effect=Effect.EXPLICIT if explicit else Effect.IMPLICIT,
    )


def _doubt(answer: Answer) -> str:
    what = f"{answer.action} on {answer.resource}"
    if answer.missing_context:
        return f"whether {what} is allowed depends on {', '.join(answer.missing_context)}."
    return f"the policy simulator does not allow {what} yet."


def _inconclusive(reason: str) -> Judgement:
    return Judgement(helpfulness=Helpfulness.INCONCLUSIVE, reason=reason)
