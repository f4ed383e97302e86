"""One principal examined: what a call of each region's profiles would lack (`examine`), and what policies name in vain.

In vain are actions that IAM does not know (`nonexistent`) and profiles that the region does not have (`misnamed`).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.arn import Arn
from bedrock_remediator.core.diagnosis.target import nearest
from bedrock_remediator.core.iam.conditions import PROFILE_KEY
from bedrock_remediator.core.iam.evaluation import Finding as Answer
from bedrock_remediator.core.iam.evaluation import Policy, Verdict
from bedrock_remediator.core.iam.patterns import matches
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.catalogue import Catalogue
from bedrock_remediator_cli.audit.findings import Affected, Finding, Kind, Level, Member
from bedrock_remediator_cli.audit.organization import Ceiling
from bedrock_remediator_cli.audit.reach import Known, Reach, known
from bedrock_remediator_cli.audit.statements import NO_ACTIONS, allows, covers, invoked, texts

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


class _Case(Struct, frozen=True, kw_only=True):
    """What is the matter with one profile, before cases alike are put together."""

    kind: Kind
    level: Level
    policy: str | None
    affected: Affected
    subject: tuple[str, ...] = ()
    fixable: bool = False


def examine(member: Member, catalogues: Sequence[Catalogue], ceiling: Ceiling | None, now: str) -> tuple[Finding, ...]:
    """What is the matter with what a principal may invoke, in these regions.

    Args:
        member: The principal.
        catalogues: What can be invoked, in each region.
        ceiling: The organization's policies, where they could be read.
        now: The time, as `2026-11-26T09:00:00Z`.
    """
    found = list(nonexistent(member.holdings.policies))
    actions = invoked(member.holdings.policies)
    if not actions:
        return tuple(found)
    context = known(member, now)
    reach = Reach(member.holdings, context)
    working: set[tuple[str, str]] = set()
    for catalogue in catalogues:
        cases: dict[tuple[Kind, str], _Case] = {}
        for action in actions:
            survey = _Survey(reach, catalogue, action, ceiling, context)
            for case in survey.cases():
                cases.setdefault((case.kind, case.affected.profile), case)
            working |= {(catalogue.region, model) for model in survey.working}
        found += _together(cases.values(), catalogue.region)
    return (*found, *misnamed(member.holdings.policies, catalogues, working))


class _Survey:
    """One action in one region."""

    def __init__(
        self, reach: Reach, catalogue: Catalogue, action: str, ceiling: Ceiling | None, context: Known
    ) -> None:
        self._reach = reach
        self._catalogue = catalogue
        self._action = action
        self._ceiling = ceiling
        self._context = context
        self.working: set[str] = set()
        """Ids of the models that some profile, or a direct call, reaches."""

    def cases(self) -> Iterator[_Case]:
        """Every case; the models that nothing reaches come last, when that is known."""
        found: list[_Case] = []
        bare: dict[str, list[tuple[Profile, tuple[str, ...]]]] = defaultdict(list)
        for profile in self._catalogue.profiles:
            answer = self._reach.own(self._action, profile.arn, profile)
            if _open(answer):
                found += self._named(profile, answer)
            elif answer.verdict is not Verdict.DENIED and self._source_is_open(profile):
                case = self._condition(profile, self._missing(profile))
                if case:
                    found.append(case)
                else:
                    for model in profile.model_ids:
                        bare[model].append((profile, self._missing(profile)))
        reported = {case.affected.model_id for case in found}
        found += [case for model, some in sorted(bare.items()) if (case := self._bare(model, some, reported))]
        for case in found:
            certain = case.level is Level.ERROR or case.affected.model_id not in self.working
            yield case if certain else _softened(case)

    def _named(self, profile: Profile, granted: Answer) -> Iterator[_Case]:
        """A profile that the policies allow: whether they allow all that it needs."""
        answers = {arn: self._reach.ask(self._action, arn, profile) for arn in profile.resources}
        missing = tuple(arn for arn, answer in answers.items() if not _open(answer))
        stopped = self._stopped(profile, granted)
        if not missing:
            if stopped:
                yield stopped
            else:
                self.working |= profile.model_ids
            return
        level = Level.ERROR if names(granted, profile.arn) else Level.WARNING
        denied = {arn: answer for arn, answer in answers.items() if answer.verdict is Verdict.DENIED}
        bounded = {arn: answer for arn, answer in answers.items() if answer.boundary and arn in missing}
        if bounded:
            partly = any(arn not in bounded for arn in answers)
            yield self._case(Kind.BOUNDARY, level if partly else Level.NOTE, profile, bounded)
        elif denied:
            yield self._case(Kind.EXPLICIT_DENY, level, profile, denied)
        elif case := self._condition(profile, missing):
            yield case
        else:
            yield _Case(
                kind=Kind.DESTINATION_MISSING,
                level=level,
                policy=granted.policy.name if granted.policy else None,
                affected=self._affected(profile, missing),
                fixable=not stopped and not self._demanded(profile),
            )

    def _case(self, kind: Kind, level: Level, profile: Profile, stopped: dict[str, Answer]) -> _Case:
        policy = next(iter(stopped.values())).policy
        return _Case(
            kind=kind,
            level=level,
            policy=policy.name if policy else None,
            affected=self._affected(profile, tuple(stopped)),
        )

    def _condition(self, profile: Profile, missing: Sequence[str]) -> _Case | None:
        """Whether what is missing would be allowed but for a condition on region, time or profile."""
        answers = [self._reach.unconditionally(self._action, arn, profile) for arn in missing]
        void = [answer for answer in answers if _open(answer)]
        keys = sorted({key for answer in void for key in self._reach.keys(answer)})
        if not void or not keys:
            return None
        policy = void[0].policy
        # A condition on the region may be there on purpose: only the one that a profile itself never meets is a slip.
        slip = {key.lower() for key in keys} == {PROFILE_KEY} and len(void) == len(missing)
        return _Case(
            kind=Kind.CONDITION_NEVER_MET,
            level=Level.ERROR if any(names(answer, profile.arn) for answer in void) else Level.WARNING,
            policy=policy.name if policy else None,
            affected=self._affected(profile, tuple(missing)),
            subject=tuple(keys),
            fixable=slip and not self._stopped(profile, void[0]) and not self._demanded(profile),
        )

    def _bare(
        self, model: str, some: Sequence[tuple[Profile, tuple[str, ...]]], reported: Iterable[str]
    ) -> _Case | None:
        """A model that is allowed and none of whose profiles is, where it cannot be called without one."""
        if model in self.working or model in reported:
            return None
        own = next((arn for arn in some[0][0].models if arn.endswith(f"/{model}") and self._here(arn)), None)
        if own is None:
            return None
        direct = self._reach.ask(self._action, own, None)
        on_demand = self._catalogue.on_demand
        if _open(direct) and on_demand is not None and model in on_demand:
            self.working.add(model)
            return None
        chosen, missing = min(some, key=lambda each: each[0].breadth)
        granted = self._reach.own(self._action, own, chosen)
        sure = on_demand is not None and names(granted, own)
        return _Case(
            kind=Kind.NO_PROFILE,
            level=Level.ERROR if sure else Level.WARNING,
            policy=granted.policy.name if granted.policy else None,
            affected=self._affected(chosen, missing),
            fixable=not self._stopped(chosen, granted) and not self._demanded(chosen),
        )

    def _demanded(self, profile: Profile) -> bool:
        """Whether a condition stands in the way of a part of it: a grant would defeat that, or not help (a Deny)."""
        asked = (self._reach.ask(self._action, arn, profile) for arn in profile.resources)
        return any(answer.verdict is Verdict.CONDITIONAL or answer.may_deny for answer in asked)

    def _stopped(self, profile: Profile, granted: Answer) -> _Case | None:
        """What the organization's policies stop of it.

        Where they stop all of what a pattern allows, nobody may have meant it to be allowed.
        """
        if self._ceiling is None:
            return None
        stops = {
            arn: stop
            for arn in profile.resources
            if (stop := self._ceiling.stops(self._action, arn, profile, self._context))
        }
        if not stops:
            return None
        meant = len(stops) < len(profile.resources) or names(granted, profile.arn)
        sure = Level.ERROR if all(stop.certain for stop in stops.values()) else Level.WARNING
        return _Case(
            kind=Kind.ORGANIZATION,
            level=sure if meant else Level.NOTE,
            policy=next(iter(stops.values())).policy,
            affected=self._affected(profile, tuple(stops)),
        )

    def _missing(self, profile: Profile) -> tuple[str, ...]:
        return tuple(arn for arn in profile.resources if not _open(self._reach.ask(self._action, arn, profile)))

    def _source_is_open(self, profile: Profile) -> bool:
        own = [arn for arn in profile.models if self._here(arn)]
        return any(_open(self._reach.ask(self._action, arn, profile)) for arn in own)

    def _here(self, arn: str) -> bool:
        return Arn.parse(arn).region == self._catalogue.region

    def _affected(self, profile: Profile, missing: tuple[str, ...]) -> Affected:
        (model, *_) = sorted(profile.model_ids)
        others = (each.client_model_id for each in self._catalogue.serving(model) if each.arn != profile.arn)
        return Affected(
            profile=profile.arn,
            client_model_id=profile.client_model_id,
            model_id=model,
            needed=profile.resources,
            missing=tuple(sorted(missing)),
            alternatives=tuple(sorted(others)),
        )


def _open(answer: Answer) -> bool:
    """Whether it is allowed, or may be: a condition that is surely not met lets nothing pass."""
    return answer.verdict is Verdict.ALLOWED or (answer.verdict is Verdict.CONDITIONAL and not answer.unmet)


def _softened(case: _Case) -> _Case:
    """A pattern allows more than was meant: where the model is reached in another way, that is only untidy."""
    return case if case.kind is Kind.ORGANIZATION else replace(case, level=Level.NOTE)


def _together(cases: Iterable[_Case], region: str) -> Iterator[Finding]:
    """The cases that one policy is the cause of, as one finding."""
    groups: dict[tuple[object, ...], list[_Case]] = defaultdict(list)
    for case in cases:
        groups[case.kind, case.level, case.policy, case.subject, case.fixable].append(case)
    for some in groups.values():
        first = some[0]
        yield Finding(
            kind=first.kind,
            level=first.level,
            region=region,
            policy=first.policy,
            affected=tuple(case.affected for case in some),
            subject=first.subject,
            fixable=first.fixable,
        )
