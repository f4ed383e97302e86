"""What policies name that does not exist: actions that IAM does not know, profiles that the region does not have."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from bedrock_remediator.core.diagnosis.target import nearest
from bedrock_remediator.core.evaluation import Finding as Answer
from bedrock_remediator.core.evaluation import Policy
from bedrock_remediator.core.patterns import matches
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.catalogue import Catalogue
from bedrock_remediator_cli.audit.findings import Finding, Kind, Level
from bedrock_remediator_cli.audit.statements import NO_ACTIONS, allows, covers, texts

_OWN_PATH: Final = ":policy/bedrock-access-remediator/"
_OWN_NAME: Final = "bedrock-access-remediator"
_PROFILE = re.compile(r"arn:[^:]*:bedrock:([^:]*):[^:]*:inference-profile/([^/]+)")
_MODEL = re.compile(r"arn:[^:]*:bedrock:([^:]*):[^:]*:foundation-model/([^/]+)")


def names(answer: Answer, resource: str) -> bool:
    """Whether the statement that decided names the resource itself, and not by a pattern."""
    return answer.statement is not None and resource in texts(answer.statement, "Resource")


def nonexistent(policies: Iterable[Policy]) -> Iterator[Finding]:
    """The actions that policies allow and IAM does not know; this service's own policies may hold some."""
    for policy in policies:
        if policy.name == _OWN_NAME or _OWN_PATH in (policy.arn or ""):
            continue
        void = {action for statement in allows(policy) for action in texts(statement, "Action") if _void(action)}
        if not void:
            continue
        served = all(_served(policy, action) for action in void)
        yield Finding(
            kind=Kind.UNKNOWN_ACTION,
            level=Level.NOTE if served else Level.ERROR,
            region=None,
            policy=policy.name,
            subject=tuple(sorted(void)),
        )


def _void(action: str) -> bool:
    return action.lower() in NO_ACTIONS


def _served(policy: Policy, action: str) -> bool:
    """Whether the policy also allows what the action stands for."""
    real = NO_ACTIONS[action.lower()]
    wanted = (real,) if real else INVOKE_ACTIONS
    return any(covers(statement, each) for statement in allows(policy) for each in wanted)


def misnamed(
    policies: Iterable[Policy], catalogues: Sequence[Catalogue], working: set[tuple[str, str]]
) -> Iterator[Finding]:
    """The ARNs of profiles that are in none of the regions they name, where there are profiles that they may mean.

    `working` are the (region, model id) that the principal reaches by some other way.
    """
    for policy in policies:
        for pattern in dict.fromkeys(_resources(policy)):
            found = _PROFILE.fullmatch(pattern) or _MODEL.fullmatch(pattern)
            if not found or "${" in pattern:
                continue
            meant = [each for each in catalogues if matches(found[1], each.region)]
            if any(matches(pattern, arn) for each in meant for profile in each.profiles for arn in profile.resources):
                continue
            for catalogue in meant:
                candidates = _candidates(found, catalogue)
                if candidates:
                    yield _misnamed(policy, found, catalogue, candidates, working)


def _resources(policy: Policy) -> Iterator[str]:
    for statement in allows(policy):
        if any(covers(statement, action) for action in INVOKE_ACTIONS):
            yield from texts(statement, "Resource")


def _candidates(found: re.Match[str], catalogue: Catalogue) -> tuple[Profile, ...]:
    """Profiles that the ARN may have meant: of the same id, of the same model, or else alike in spelling."""
    name = found[2]
    same = tuple(profile for profile in catalogue.profiles if profile.id == name)
    if same or found.re is _MODEL:
        return same
    if "*" not in name and "?" not in name:
        close = nearest(name, catalogue.profiles)
        return tuple(profile for each in close for profile in catalogue.profiles if profile.client_model_id == each)
    model = name.partition(".")[2]
    if not model.strip("*?."):
        return ()
    return tuple(
        profile
        for profile in catalogue.profiles
        if profile.type == "SYSTEM_DEFINED" and any(matches(model, each) for each in profile.model_ids)
    )


def _misnamed(
    policy: Policy,
    found: re.Match[str],
    catalogue: Catalogue,
    candidates: tuple[Profile, ...],
    working: set[tuple[str, str]],
) -> Finding:
    reached = any((catalogue.region, model) in working for profile in candidates for model in profile.model_ids)
    # A region of `*` may mean one that was not looked at.
    sure = "*" not in found[1] and "?" not in found[1]
    # Where the id is right, something else of the ARN is wrong: its account, or its kind.
    whole = any(profile.id == found[2] for profile in candidates)
    return Finding(
        kind=Kind.PROFILE_NOT_FOUND,
        level=Level.NOTE if reached else Level.ERROR if sure else Level.WARNING,
        region=catalogue.region,
        policy=policy.name,
        subject=(found[0] if whole else found[2],),
        candidates=tuple(profile.arn if whole else profile.client_model_id for profile in candidates),
    )
