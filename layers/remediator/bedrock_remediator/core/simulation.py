"""Would a grant help, and does it: what to ask of IAM's policy simulator, and what its answers prove.

The simulator weighs identity and group policies, the permissions boundary, and service control policies with their
conditions. A key that it is not given counts as absent, and those of service control policies are never reported as
missing (docs/aws-facts.md §4.5). So a refusal often says no more than that a real call has what nobody here can give:
a network, a guardrail. What AWS's own message says of the call that was denied is the better evidence: if it says that
no identity-based policy allows the action, then nothing else stopped this action on this resource.

| the simulator's answer about the denied action | it proves that no grant can help                          |
| ---------------------------------------------- | --------------------------------------------------------- |
| allowed, for every ARN                         | no: it helps, as far as can be known                      |
| stopped by the organization                    | if it lets the very pair pass that AWS's message was about, |
|                                                | and not a model of that region that does not exist         |
| stopped by the boundary                        | if the boundary, as we read it, certainly stops it         |
| an explicit Deny                               | if the policies, as we read them, certainly deny it; where |
|                                                | they are not at hand, if no condition key was missing and  |
|                                                | it lets the pair of the message pass                       |
| implicit deny without either; no answer        | no: IAM may not have settled                              |

A policy that stops a model that does not exist is about all models. AWS's own example of a required guardrail is such
a policy (docs/aws-facts.md §4.13), and the call that was denied may have named the guardrail.

"Allowed" never proves that a call works: session policies and VPC endpoint policies are not asked.

Only the action that was denied decides about the grant. What certainly stops another action takes it out of the grant.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.iam.evaluation import Finding
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.request_context import UNSPECIFIED_REGION, requested_region


class Helpfulness(enum.StrEnum):
    """What the simulator's answers prove."""

    HELPS = "helps"
    CERTAINLY_NOT = "certainly_not"
    INCONCLUSIVE = "inconclusive"


class Invocation(Struct, frozen=True, kw_only=True):
    """What a grant shall make possible.

    `profile` is the inference profile that the call goes through, None for a model called directly; `resources` every
    ARN that it needs; `actions` those of the grant, and `action` the one that was denied, None where that is not known.
    `unallowed` is the ARN of which AWS's message says with certainty that no identity-based policy allows the action
    on it; None where it says anything else.
    """

    profile: str | None
    resources: tuple[str, ...]
    actions: tuple[str, ...]
    action: str | None = None
    unallowed: str | None = None

    @property
    def deciding(self) -> tuple[str, ...]:
        """The actions that decide about the grant: the denied one, or all where it is not known."""
        return (self.action,) if self.action in self.actions else self.actions

    @property
    def denied(self) -> tuple[str, str] | None:
        """The action and the resource that AWS's message was about, if that message is evidence."""
        return (self.action, self.unallowed) if self.action in self.actions and self.unallowed else None


class Question(NamedTuple):
    """One call of the simulator: ARNs of one region, which is what `aws:RequestedRegion` is for them."""

    region: str
    resources: tuple[str, ...]


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


OwnEvaluation = Callable[[str, str], Finding | None]
"""(action, resource) -> what our own evaluation of the principal's policies and boundary says; None if not at hand."""


class Judgement(Struct, frozen=True, kw_only=True):
    """What the answers prove, and why.

    `reason` can stand after a colon: it begins in lower case and ends with a full stop. `layer` and `effect` say what
    stops the call, where the answers prove that something does; where a refusal was not believed, `layer` says whose.
    `actions` are those of the grant that nothing certainly stops. `passing` is whether the answers may be others in a
    moment, without anybody's doing; `answered` whether there were any.
    """

    helpfulness: Helpfulness
    reason: str
    layer: Layer | None = None
    effect: Effect | None = None
    actions: tuple[str, ...] = ()
    passing: bool = False
    answered: bool = True


_MODEL: Final = ":foundation-model/"

_STOPPERS: Final = {
    Layer.SCP: "a service control policy of the organization",
    Layer.BOUNDARY: "the principal's permissions boundary",
    Layer.IDENTITY: "an explicit Deny in a policy of the principal",
}


def questions(call: Invocation) -> list[Question]:
    """What to ask: one question a region, since `aws:RequestedRegion` holds for a whole question.

    The region of the pair that AWS's message was about comes first: its answer tells what the others are worth. The
    model without a region comes last, by itself: it is not confirmed that the simulator takes it.

    Raises:
        ArnError: A resource is not an ARN.
    """
    regions: dict[str, list[str]] = {}
    for resource in sorted(call.resources):
        regions.setdefault(requested_region(resource), []).append(resource)
    asked = [Question(region, tuple(arns)) for region, arns in regions.items()]
    return sorted(
        asked, key=lambda each: (call.unallowed not in each.resources, each.region == UNSPECIFIED_REGION, each.region)
    )


def stopper(answer: Answer) -> Layer | None:
    """The layer by which the simulator says that something stops the call; None where nothing but a grant is lacking.

    Of several it is the one that can be looked into least.
    """
    if answer.decision == "allowed":
        return None
    if answer.organizations is False:
        return Layer.SCP
    if answer.boundary is False:
        return Layer.BOUNDARY
    return Layer.IDENTITY if answer.decision == "explicitDeny" else None


def judge(call: Invocation, answers: Iterable[Answer], own: OwnEvaluation, *, unanswerable: bool = False) -> Judgement:
    """Say what the simulator's answers prove. One certain refusal outweighs all else.

    Args:
        call: What the grant shall make possible.
        answers: Those that were given; some may be missing, and those about other ARNs may be among them.
        own: Our own evaluation; asked only where the simulator says that the boundary or a Deny stops something.
        unanswerable: Whether the simulator will never answer one of the questions.
    """
    known = {(answer.action, answer.resource): answer for answer in answers}
    proofs = {action: _proof(call, action, known, own) for action in call.actions}
    stopped = {action: proof for action, proof in proofs.items() if proof}
    proof = next((stopped[action] for action in call.deciding if action in stopped), None)
    if proof:
        return proof
    left = tuple(action for action in call.actions if action not in stopped)
    asked = [(action, resource) for action in call.deciding for resource in call.resources]
    refused = [known[pair] for pair in asked if pair in known and known[pair].decision != "allowed"]
    unanswered = any(pair not in known for pair in asked) or not asked
    disbelieved = next((answer for answer in refused if stopper(answer)), None)
    if disbelieved:
        return _doubt(_disbelief(call, disbelieved, known), left, layer=stopper(disbelieved))
    if refused:
        return _doubt(_still_open(refused[0]), left, passing=True)
    if unanswered:
        doubt = _doubt("the policy simulator gave no answer.", left, passing=not unanswerable)
        return replace(doubt, answered=bool(known))
    return Judgement(helpfulness=Helpfulness.HELPS, reason="the policy simulator allows all of it.", actions=left)


_Known = Mapping[tuple[str, str], Answer]


def _proof(call: Invocation, action: str, known: _Known, own: OwnEvaluation) -> Judgement | None:
    """The proof that no grant can make an action work; None if there is none."""
    for resource in call.resources:
        answer = known.get((action, resource))
        layer = _certainly(call, answer, known, own) if answer else None
        if answer and layer:
            return Judgement(
                helpfulness=Helpfulness.CERTAINLY_NOT,
                reason=f"{_STOPPERS[layer]} stops {action} on {resource}.",
                layer=layer,
                effect=Effect.EXPLICIT if answer.decision == "explicitDeny" else Effect.IMPLICIT,
            )
    return None


def _certainly(call: Invocation, answer: Answer, known: _Known, own: OwnEvaluation) -> Layer | None:
    """The layer that certainly stops what the answer is about, if the answer proves that."""
    layer = stopper(answer)
    if layer is None or (
        layer is Layer.SCP and _let_pass(call, known, layer) and not _stops_all_models(call, answer, known)
    ):
        return layer
    if layer is Layer.SCP and answer.boundary is not False:
        return None
    finding = own(answer.action, answer.resource)
    if finding is not None:
        return (Layer.BOUNDARY if finding.boundary else Layer.IDENTITY) if finding.final else None
    believed = layer is Layer.IDENTITY and not answer.missing_context and not _stops_denied(call, known, layer)
    return layer if believed else None


def _let_pass(call: Invocation, known: _Known, layer: Layer) -> bool:
    """Whether the simulator says that the layer lets the pair pass which AWS's message was about."""
    denied = known.get(call.denied) if call.denied else None
    return denied is not None and stopper(denied) is not layer


def comparison(call: Invocation, answers: Mapping[tuple[str, str], Answer]) -> tuple[tuple[str, ...], str] | None:
    """The actions and the model that tell whether an SCP is about the grant's models or about all: one that is none.

    It is of the region in which AWS's message says that the identity policies alone stop the call, so no lock on
    regions stops it. None where no model is stopped, where one of that region passes, and where it was asked before.
    """
    if not call.denied or not _let_pass(call, answers, Layer.SCP):
        return None
    there = _no_such_model(call.denied[1])
    actions = []
    for action in call.actions:
        models = [each for each in answers.values() if each.action == action and _MODEL in each.resource]
        passes = any(_no_such_model(each.resource) == there for each in models if stopper(each) is not Layer.SCP)
        if (action, there) not in answers and not passes and any(stopper(each) is Layer.SCP for each in models):
            actions.append(action)
    return (tuple(actions), there) if actions else None


def _no_such_model(arn: str) -> str:
    """A model that does not exist, in the partition and region of the ARN."""
    partition, _, region = arn.split(":")[1:4]
    return f"arn:{partition}:bedrock:{region}:{_MODEL}none.no-such-model-v1:0"


def _stops_all_models(call: Invocation, answer: Answer, known: _Known) -> bool:
    """Whether the organization stops a model that does not exist, as it stops this one."""
    other = known.get((answer.action, _no_such_model(call.denied[1]))) if call.denied else None
    return _MODEL in answer.resource and other is not None and stopper(other) is Layer.SCP


def _stops_denied(call: Invocation, known: _Known, layer: Layer) -> Answer | None:
    """The simulator's answer that the layer stops that pair, although AWS's message says otherwise."""
    denied = known.get(call.denied) if call.denied else None
    return denied if denied is not None and stopper(denied) is layer else None


def _disbelief(call: Invocation, answer: Answer, known: _Known) -> str:
    """Why a refusal is not believed."""
    layer = stopper(answer)
    assert layer is not None  # noqa: S101 - of those that are stopped
    what = f"the policy simulator says that {_STOPPERS[layer]} stops {answer.action} on {answer.resource}"
    if denied := _stops_denied(call, known, layer):
        return (
            f"{what}, but AWS refused {denied.action} on {denied.resource} for no other reason than that no "
            "identity-based policy allows it. So the answer hangs on a condition key that only a real call has (its "
            "network, a guardrail)."
        )
    if layer is Layer.SCP and _stops_all_models(call, answer, known):
        return (
            f"{what}, and every other model as well. Either no model may be called here, or only with what a real call "
            "has (a guardrail, its network) or models of a list."
        )
    if layer is Layer.SCP:
        return f"{what}, which it cannot know: it is given no more than a part of what a real call has."
    if answer.missing_context:
        return f"{what}, which depends on {', '.join(answer.missing_context)}."
    return f"{what}, and as far as that policy can be read here, it hangs on what only a real call has."


def _still_open(answer: Answer) -> str:
    what = f"{answer.action} on {answer.resource}"
    if answer.missing_context:
        return f"whether {what} is allowed depends on {', '.join(answer.missing_context)}."
    return f"the policy simulator does not allow {what} yet."


def _doubt(reason: str, actions: tuple[str, ...], *, layer: Layer | None = None, passing: bool = False) -> Judgement:
    return Judgement(helpfulness=Helpfulness.INCONCLUSIVE, reason=reason, layer=layer, actions=actions, passing=passing)
