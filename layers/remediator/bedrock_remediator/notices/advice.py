"""What to do next: the steps a person takes, for each way a denial can turn out.

The most specific text wins: a reason code, then the diagnosis, then the layer that refused. A code that nobody has
written a text for gets its diagnosis's or its layer's, so a new code never leaves a reader without advice.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from bedrock_remediator.core.arn import Arn, ArnError, Principal
from bedrock_remediator.core.diagnosis import defeats_a_control
from bedrock_remediator.core.grant import ASKED, DiagnosisKind, Grant, State, Verification
from bedrock_remediator.core.layers import LAYERS, Effect, Layer
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices.remedies import BY_CODE, BY_DIAGNOSIS, Steps

_SSO_ROLE = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{16}")
_NAMED: Final = 6


def next_steps(grant: Grant) -> Steps:
    """What a person should do about the grant in its state, as sentences in order."""
    if grant.state is State.ACTIVE and remark_of(grant):
        return _DRIFTED
    if finished := _FINISHED.get(grant.state):
        return finished(grant)
    if grant.diagnosis is DiagnosisKind.LEAKED_KEY:
        return _leaked_key(grant)
    if grant.state is State.REPORTED:
        return _reported(grant)
    return _for_code(grant) + _to_decide(grant)


def before_deciding(grant: Grant) -> Steps:
    """What a person should look at before deciding on a request, by the reason that it was asked for."""
    return _for_code(grant)


def permission_set(grant: Grant) -> str | None:
    """The Identity Center permission set that the principal's role was made from, or None."""
    principal = principal_of(grant)
    if principal is None or not principal.identity_center:
        return None
    found = _SSO_ROLE.fullmatch(principal.name)
    return found[1] if found else principal.name


def principal_of(grant: Grant) -> Principal | None:
    """The role or user of the row, or None where it has none."""
    try:
        return Principal.parse(grant.principal) if grant.principal else None
    except ArnError:
        return None


def destinations(grant: Grant) -> str:
    """The regions that the grant's models lie in, for a sentence; empty where no model is known."""
    return ", ".join(sorted({_region(arn) for arn in grant.models}))


def _region(arn: str) -> str:
    try:
        return Arn.parse(arn).region or "any commercial region"
    except ArnError:
        return "unknown"


def _for_code(grant: Grant) -> Steps:
    """The text for the reason code, its blanks filled in."""
    blanks = {
        "model_id": grant.model_id or "the identifier of the inference profile",
        "account": grant.account,
        "region": grant.region,
        "permission_set": permission_set(grant) or "the permission set",
        "candidates": ", ".join(grant.candidates[:_NAMED]) or "unknown",
    }
    return tuple(step.format_map(blanks) for step in BY_CODE.get(grant.reason_code, ()))


def _to_decide(grant: Grant) -> Steps:
    """For a request that waits for a person."""
    if grant.diagnosis is DiagnosisKind.CONDITIONAL_ALLOW:
        return _conditional(grant)
    if grant.diagnosis is DiagnosisKind.WRONG_IDENTIFIER:
        return _both_ways_out(grant)
    return (
        (
            f"Decide whether {_named(grant)} is meant to call {_called(grant)}. If in doubt, ask its owner; the "
            "caller's own words at the end are no proof of anything."
        ),
        (
            "To grant or refuse it: open the page that this request links to. To grant it without this service: put "
            "the snippet below into the code that manages the principal, or run the commands below."
        ),
        "Left alone, the request lapses. Repeats are counted and not announced again.",
    )


_CONDITIONAL: Final = (
    (
        "Look at the statement below: it decides about the call under a condition that this call did not meet, or that "
        "cannot be checked from here. Somebody put that condition there on purpose."
    ),
    (
        "The usual fix is in the client: send what the condition asks for (a guardrail's identifier and version, say), "
        "or call from where it asks to be called from (a VPC endpoint)."
    ),
    (
        "A grant would allow the call without that condition. No rule ever makes it, and no commands to make it are "
        "given here."
    ),
)


def _conditional(grant: Grant) -> Steps:
    """What to do about a condition, by what it is on; a rule or the mode may have a code of its own for the request."""
    code = grant.cause.code if grant.cause else grant.reason_code
    return _BY_CONDITION.get(code, _CONDITIONAL)


_NO_COMMANDS: Final = "No rule ever makes such a grant, and no commands to make it are given here."

_BY_CONDITION: Final[Mapping[str, Steps]] = {
    "region_not_allowed": (
        (
            "Look at the statement below: it allows such calls in certain regions only, and this call can go to "
            "another. Somebody wrote that down on purpose, usually because of where data may be processed."
        ),
        (
            "The usual fix is in the client: pass a profile that stays within those regions (a geographic one in place "
            "of a global one). If the regions are too few, whoever owns the policy adds to them there."
        ),
        f"A grant would allow the call past that condition. {_NO_COMMANDS}",
    ),
    "access_ended": (
        (
            "Look at the statement below: it allows the call for a time only. Ask whoever wrote it whether the access "
            "should go on, and until when."
        ),
        f"If it should, its owner sets another end in the policy, or you grant it here, with an end. {_NO_COMMANDS}",
    ),
    "deny_may_apply": (
        (
            "Look at the statement below: it forbids the call in certain circumstances (from elsewhere than certain "
            "networks, without MFA, without a guardrail). Whether they are given cannot be seen from here."
        ),
        (
            "Ask the owner of the client how it calls. Where the statement applies, meet what it asks for: no grant "
            "wins over a Deny, and the call stays denied."
        ),
        f"Where it does not apply, a grant helps and leaves the Deny in force. {_NO_COMMANDS}",
    ),
}


def _both_ways_out(grant: Grant) -> Steps:
    """Another profile of the same model is granted already: change the client, or grant what it called."""
    held = " or ".join(grant.candidates[:_NAMED]) or "the identifier that is granted already"
    if defeats_a_control(grant.diagnosis, grant.profile, grant.candidates, grant.evidence):
        return (
            (
                f"Change the client: let it pass modelId {held}, which {_named(grant)} may call. Nothing needs to be "
                "granted then."
            ),
            (
                f"Its policies allow this model through certain profiles only, usually so that costs are charged to "
                f"a team or that data stays where it may be. A grant of {_called(grant)} would pass that by. "
                f"{_NO_COMMANDS}"
            ),
        )
    return (
        (
            f"Either change the client: let it pass modelId {held}, which {_named(grant)} may call already. Nothing "
            "needs to be granted then. Mind that another prefix routes to other regions."
        ),
        (
            f"Or grant {_called(grant)} too, if the regions it routes to ({destinations(grant)}) are acceptable for "
            "the data: put the snippet below into the code that manages the principal, or run the commands below."
        ),
    )


def _reported(grant: Grant) -> Steps:
    two_ways = grant.diagnosis in (DiagnosisKind.CONDITIONAL_ALLOW, DiagnosisKind.WRONG_IDENTIFIER)
    if grant.reason_code == "mode_observe" and two_ways:
        return _to_decide(grant) + _for_code(grant)
    return _for_code(grant) or BY_DIAGNOSIS.get(grant.diagnosis) or _without_text(grant)


def _without_text(grant: Grant) -> Steps:
    """For a reason code that has no text of its own."""
    match grant.diagnosis:
        case DiagnosisKind.WRONG_IDENTIFIER:
            return _wrong_identifier(grant)
        case DiagnosisKind.CONDITIONAL_ALLOW:
            return _conditional(grant)
        case DiagnosisKind.MISSING_GRANT:
            return ("Nothing was changed. Whoever owns the principal can add the policy below to it.",)
    if grant.principal is None and grant.layer is Layer.IDENTITY and grant.effect is not Effect.EXPLICIT:
        return _NO_PRINCIPAL
    return (*_policy_to_look_at(grant), *LAYERS[grant.layer].steps)


_NO_PRINCIPAL: Final = (
    (
        "The caller is no IAM role or user of this account, so there is nothing here to attach a policy to. Let the "
        "workload call with an IAM role of its own; its first denial then opens a request."
    ),
)


def _wrong_identifier(grant: Grant) -> Steps:
    if not grant.candidates:
        return (
            (
                f"Let the client pass an identifier that exists in {grant.region}: aws bedrock list-inference-profiles "
                f"--region {grant.region} shows them."
            ),
        )
    return (
        (
            f"Change the client: let it pass one of these as modelId in {grant.region}: "
            f"{', '.join(grant.candidates[:_NAMED])}."
        ),
        (
            "If that is denied too, the next denial is looked at anew. Nothing needs to be granted for an identifier "
            "that does not exist."
        ),
    )


def _policy_to_look_at(grant: Grant) -> Steps:
    return (f"The policy to look at: {grant.denying_policy}",) if grant.denying_policy else ()


def _leaked_key(grant: Grant) -> Steps:
    return (
        (
            "Treat the credentials as stolen until proven otherwise: AWS found an access key of "
            f"{_named(grant)} in public and blocked it. The call may be somebody trying the key."
        ),
        "Make the access keys inactive, then find out from CloudTrail what they were used for, in every region.",
        (
            "Replace the keys where they are used, remove what the thief left behind (users, roles, keys, instances), "
            "and answer the case that AWS Support has opened."
        ),
        (
            "Only after that, remove the blocking policy. This service will not touch it, and nobody is asked to "
            "approve anything."
        ),
    )


_DRIFTED: Final = (
    "Do what the finding above says. Calls that rely on the grant may be denied until then.",
    (
        "Nothing needs to be approved again: once nothing stands in the way, the next rounds of upkeep put the policy "
        "right by themselves. To give the grant up, revoke it."
    ),
)


def verified(grant: Grant) -> str:
    """What is known of whether a grant in force works and, where that is open, what left it open."""
    if grant.verification is Verification.SIMULATED:
        return "simulated: IAM's policy simulator allows the call"
    asked = (each.reason.removeprefix(ASKED) for each in reversed(grant.history) if each.reason.startswith(ASKED))
    return "inconclusive: " + next(asked, "IAM's policy simulator gave no clear answer.")


def _granted(grant: Grant) -> Steps:
    called = f"Call again, with modelId {grant.model_id}." if grant.model_id else "Call again."
    certainty = (
        "IAM's policy simulator says that it is allowed now. The simulator does not know all that a real call is "
        "subject to, its network for one; should the call be denied again, you are told."
        if grant.verification is Verification.SIMULATED
        else "Whether it works could not be confirmed: IAM's simulator gave no clear answer. Should the call be "
        "denied again, you are told."
    )
    owner = (
        "If Terraform or CloudFormation manages the principal, put the snippet below into its code, so that the code "
        "tells the whole story and the next deployment takes nothing away."
    )
    return called, certainty, owner


def _failed(grant: Grant) -> Steps:
    if grant.reason_code == "certainly_no_help":
        return (*_policy_to_look_at(grant), *LAYERS[grant.layer].steps)
    return _for_code(grant) or (_FAILED,)


_FAILED: Final = (
    "Nothing was granted, for the reason above. Remove the cause and approve the request again, or put the snippet "
    "below into the code that manages the principal."
)


def _rolled_back(grant: Grant) -> Steps:
    return (
        "The grant was taken back, because it certainly does not help: something else refuses the call.",
        *_policy_to_look_at(grant),
        *LAYERS[grant.layer].steps,
    )


def _rejected(grant: Grant) -> Steps:
    if grant.reason_code == "rule_never":
        return _for_code(grant)
    return (
        (
            "Nothing was granted. Whoever owns the caller should stop it from calling, or talk to the person who "
            "rejected the request."
        ),
    )


def _lapsed(grant: Grant) -> Steps:
    return _for_code(grant) or (
        "Nobody decided in time, and nothing was granted. The next denial of the same call opens a new request.",
    )


def _revoked(grant: Grant) -> Steps:
    return (
        (
            "Calls that rely on the grant fail from now on. If the snippet of the grant was put into Terraform or "
            "CloudFormation, take it out there too."
        ),
        f"If {_named(grant)} still needs the access, its next denial opens a new request.",
    )


_FINISHED: Final[Mapping[State, Callable[[Grant], Steps]]] = {
    State.ACTIVE: _granted,
    State.FAILED: _failed,
    State.ROLLED_BACK: _rolled_back,
    State.REJECTED: _rejected,
    State.LAPSED: _lapsed,
    State.REVOKED: _revoked,
}


def _named(grant: Grant) -> str:
    principal = principal_of(grant)
    return f"{principal.kind} {principal.name}" if principal else "the caller"


def _called(grant: Grant) -> str:
    return grant.model_id or grant.profile or "the model"
