from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.examination import examine
from bedrock_remediator_cli.audit.findings import Kind, Level
from bedrock_remediator_cli.audit.organization import Ceiling
from tests.builders.audits import (
    ACCOUNT,
    CATALOGUE,
    GLOBAL_NOVA,
    GLOBAL_OPUS,
    INVOKE,
    NOVA,
    NOW,
    OPUS,
    TITAN,
    US_NOVA,
    allow,
    examined,
    member,
    model,
    policy,
    profile,
)

THROUGH = "bedrock:InferenceProfileArn"


@pytest.mark.parametrize(
    "resources",
    [
        US_NOVA.resources,
        GLOBAL_NOVA.resources,
        ("*",),
        (profile("us.amazon.*"), f"arn:aws:bedrock:*::foundation-model/{NOVA}"),
        (model(TITAN),),
        ("arn:aws:s3:::bucket/*",),
    ],
    ids=["geographic", "global", "everything", "patterns", "called directly", "nothing of Bedrock's"],
)
def test_what_works_is_not_found(resources: tuple[str, ...]) -> None:
    """A principal whose calls succeed is left alone."""
    assert [each for each in examined(allow(*resources)) if each.level is not Level.NOTE] == []


def test_a_model_without_a_profile() -> None:
    """A model that only profiles serve, allowed alone: the geographic profile is what lacks, with all its ARNs."""
    (found,) = examined(allow(model(NOVA)))
    assert (found.kind, found.level, found.policy, found.fixable) == (Kind.NO_PROFILE, Level.ERROR, "app", True)
    (affected,) = found.affected
    assert (affected.profile, affected.needed) == (US_NOVA.arn, US_NOVA.resources)
    assert affected.missing == tuple(sorted({*US_NOVA.resources} - {model(NOVA)}))
    assert affected.alternatives == (GLOBAL_NOVA.id,)


def test_a_model_that_a_pattern_allows() -> None:
    """A pattern may take in more than was meant: such models may fail, and are told together."""
    (found,) = examined(allow("arn:aws:bedrock:*::foundation-model/*"))
    assert (found.kind, found.level) == (Kind.NO_PROFILE, Level.WARNING)
    assert {each.model_id for each in found.affected} == {NOVA, OPUS}


def test_models_that_may_not_be_listed() -> None:
    """Where it is not known which models need a profile, the finding is no more than a warning."""
    catalogue = replace(CATALOGUE, on_demand=None)
    (found,) = examine(member(policy(allow(model(NOVA)))), (catalogue,), None, NOW)
    assert found.level is Level.WARNING


def test_a_destination_is_missing() -> None:
    """The profile and the model of the source region are not enough."""
    (found,) = examined(allow(US_NOVA.arn, model(NOVA)))
    assert (found.kind, found.level, found.fixable) == (Kind.DESTINATION_MISSING, Level.ERROR, True)
    assert found.affected[0].missing == (model(NOVA, "us-east-2"), model(NOVA, "us-west-2"))


def test_the_model_without_region_is_missing() -> None:
    """A global profile needs the model's ARN without a region."""
    (found,) = examined(allow(GLOBAL_NOVA.arn, model(NOVA)))
    assert found.affected[0].missing == (model(NOVA, ""),)


def test_a_second_profile_by_pattern_is_untidy() -> None:
    """Where the model is reached through one profile, another that a pattern half allows is a note."""
    (found,) = examined(allow(*US_NOVA.models, profile(f"*.{NOVA}")))
    assert (found.kind, found.level, found.affected[0].profile) == (
        Kind.DESTINATION_MISSING,
        Level.NOTE,
        GLOBAL_NOVA.arn,
    )


def test_the_wrong_scope_is_granted() -> None:
    """`us.` granted where only `global.` exists: the one that exists is named."""
    for name in (f"us.{OPUS}", "us.anthropic.claude-opus-4-*"):
        (found,) = examined(allow(profile(name)))
        assert (found.kind, found.level, found.subject) == (Kind.PROFILE_NOT_FOUND, Level.ERROR, (name,))
        assert found.candidates == (GLOBAL_OPUS.id,)


@pytest.mark.parametrize(
    "wrong",
    [
        f"arn:aws:bedrock:us-east-1::inference-profile/us.{NOVA}",
        f"arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.{NOVA}",
        model(f"us.{NOVA}"),
    ],
)
def test_a_profile_by_a_wrong_arn(wrong: str) -> None:
    """Without its account, with another's, or as if it were a model: the right ARN is named."""
    (found,) = examined(allow(wrong))
    assert (found.kind, found.level, found.subject) == (Kind.PROFILE_NOT_FOUND, Level.ERROR, (wrong,))
    assert found.candidates == (US_NOVA.arn,)


def test_models_that_no_profile_has_are_left_alone() -> None:
    """A model's ARN that nothing here knows may be of another region, or retired."""
    assert examined(allow(model("vendor.retired-v1:0"), model("vendor.*"))) == ()


def test_the_wrong_scope_beside_the_right_one() -> None:
    """A profile that does not exist beside one that works is a note; one of another region is none at all."""
    found = examined(allow(profile(f"us.{OPUS}"), *GLOBAL_OPUS.resources))
    assert [(each.kind, each.level) for each in found] == [(Kind.PROFILE_NOT_FOUND, Level.NOTE)]
    assert examined(allow(profile(f"eu.{OPUS}", "eu-west-1"))) == ()


def test_a_scope_in_any_region() -> None:
    """A region of `*` may mean one that was not looked at."""
    (found,) = examined(allow(profile(f"us.{OPUS}", "*")))
    assert found.level is Level.WARNING


def test_an_action_that_does_not_exist() -> None:
    """`bedrock:Converse` grants nothing; beside InvokeModel it is only untidy."""
    (found,) = examined(allow(*US_NOVA.resources, action=["bedrock:Converse", "bedrock:ConverseStream"]))
    assert (found.kind, found.level) == (Kind.UNKNOWN_ACTION, Level.ERROR)
    assert found.subject == ("bedrock:Converse", "bedrock:ConverseStream")
    (found,) = examined(allow(*US_NOVA.resources, action=["bedrock:InvokeModel*", "bedrock:UseInferenceProfile"]))
    assert found.level is Level.NOTE


def test_own_policies_are_left_alone() -> None:
    """What this service writes may hold an action that IAM does not know."""
    arn = "arn:aws:iam::123456789012:policy/bedrock-access-remediator/role.app.1"
    own = policy(allow(*US_NOVA.resources), allow("*", action="bedrock:UseInferenceProfile"), arn=arn)
    assert examine(member(own), (CATALOGUE,), None, NOW) == ()


def test_a_condition_that_the_profile_never_meets() -> None:
    """The profile itself has no profile: one statement for both, bound to it, allows the models only."""
    bound = {"StringEquals": {THROUGH: US_NOVA.arn}}
    (found,) = examined(allow(*US_NOVA.resources, Condition=bound))
    assert (found.kind, found.level, found.subject) == (Kind.CONDITION_NEVER_MET, Level.ERROR, (THROUGH,))
    assert (found.fixable, found.affected[0].missing) == (True, (US_NOVA.arn,))
    assert examined(allow(US_NOVA.arn), allow(*US_NOVA.models, Condition=bound)) == ()


def test_a_condition_on_the_region() -> None:
    """Held to the source region, calls fail in the others; the condition may be meant, so nothing works around it."""
    (found,) = examined(allow(*US_NOVA.resources, Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}))
    assert (found.kind, found.subject, found.fixable) == (Kind.CONDITION_NEVER_MET, ("aws:RequestedRegion",), False)
    assert found.affected[0].missing == (model(NOVA, "us-east-2"), model(NOVA, "us-west-2"))


def test_a_demand_on_the_caller_is_not_worked_around() -> None:
    """A guardrail that is required is no fault; where something is missing besides, no policy is offered."""
    guarded = {"StringEquals": {"bedrock:GuardrailIdentifier": "g"}}
    assert examined(allow(*US_NOVA.resources, Condition=guarded)) == ()
    (found,) = examined(allow(US_NOVA.arn, model(NOVA), Condition=guarded))
    assert (found.kind, found.fixable) == (Kind.DESTINATION_MISSING, False)


def test_a_deny_of_a_region() -> None:
    """A policy that denies a destination region stops calls, and no grant helps."""
    denied = {"Effect": "Deny", "Action": "bedrock:*", "Resource": "*"} | {
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}}
    }
    (found, *more) = examined(allow(*US_NOVA.resources), denied)
    assert (found.kind, found.fixable, more) == (Kind.EXPLICIT_DENY, False, [])
    assert found.affected[0].missing == (model(NOVA, "us-west-2"),)


def test_who_is_denied_everything_is_left_alone() -> None:
    """Somebody who is denied the profile itself was not meant to call it."""
    assert examined(allow("*"), {"Effect": "Deny", "Action": "bedrock:*", "Resource": "*"}) == ()


def test_a_boundary_that_stops_a_part() -> None:
    """A boundary that leaves out a destination region is found; one that leaves out Bedrock altogether is a note."""
    part = policy(allow(US_NOVA.arn, model(NOVA)), name="limit")
    (found,) = examined(allow(*US_NOVA.resources), boundary=part)
    assert (found.kind, found.level, found.policy) == (Kind.BOUNDARY, Level.ERROR, "limit")
    (found,) = examined(allow(*US_NOVA.resources), boundary=policy(allow("*", action="s3:*")))
    assert (found.kind, found.level) == (Kind.BOUNDARY, Level.NOTE)


FULL = policy({"Effect": "Allow", "Action": "*", "Resource": "*"}, name="FullAWSAccess")


def _ceiling(condition: Mapping[str, object]) -> Ceiling:
    deny = {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition": condition}
    return Ceiling([[FULL], [FULL, policy(deny, name="regions")]])


def test_a_region_deny_of_the_organization() -> None:
    """A service control policy on regions stops a global profile, whose model has none; a geographic one passes."""
    us = {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2", "us-west-2"]}}
    (found,) = examined(allow(*GLOBAL_NOVA.resources), ceiling=_ceiling(us))
    assert (found.kind, found.level, found.policy) == (Kind.ORGANIZATION, Level.ERROR, "regions")
    assert found.affected[0].missing == (model(NOVA, ""),)
    assert examined(allow(*US_NOVA.resources), ceiling=_ceiling(us)) == ()


def test_a_grant_that_the_organization_stops_is_not_offered() -> None:
    """What a service control policy would stop is not put into the plan."""
    (found,) = examined(
        allow(US_NOVA.arn, model(NOVA)),
        ceiling=_ceiling({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}),
    )
    assert (found.kind, found.fixable) == (Kind.DESTINATION_MISSING, False)


def test_principals_that_the_organization_exempts() -> None:
    """A policy of the organization is asked about the principal itself; what nobody can know makes a warning."""
    exempt = {
        "StringNotEquals": {"aws:RequestedRegion": "us-east-1"},
        "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"},
    }
    assert examined(allow(*US_NOVA.resources), ceiling=_ceiling(exempt)) == ()
    unknown = {"StringNotEquals": {"aws:RequestedRegion": "us-east-1", "aws:SourceVpc": "vpc-1"}}
    (found,) = examined(allow(*US_NOVA.resources), ceiling=_ceiling(unknown))
    assert found.level is Level.WARNING


def test_only_streaming_is_allowed() -> None:
    """Each invocation action is examined where policies treat them differently."""
    (found,) = examined(allow(model(NOVA), action="bedrock:InvokeModelWithResponseStream"))
    assert found.kind is Kind.NO_PROFILE


APP = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc"
ANY_APP = APP.replace("abc", "*")
MODELS = "arn:aws:bedrock:*::foundation-model/*"
BY_APP = {"ArnLike": {THROUGH: ANY_APP}}
WITH_APP = replace(
    CATALOGUE,
    profiles=(
        *CATALOGUE.profiles,
        Profile.confirmed(APP, "abc", "APPLICATION", [model(NOVA), model(NOVA, "us-east-2")], "team-ml"),
    ),
)


@pytest.mark.parametrize(
    "statements",
    [
        [allow(ANY_APP, MODELS)],
        [allow(ANY_APP), allow(MODELS, Condition=BY_APP)],
        [allow(APP), allow(model(NOVA), model(NOVA, "us-east-2"), Condition={"StringEquals": {THROUGH: APP}})],
    ],
)
def test_application_profiles_alone_are_a_way_to_allow_a_model(statements: list[dict[str, object]]) -> None:
    """Nobody is told to grant `us.` where the model is reached by its application profile (facts 3.8)."""
    found = examine(member(policy(*statements)), (WITH_APP,), None, NOW)
    named = {each.client_model_id for finding in found if finding.level is not Level.NOTE for each in finding.affected}
    assert not any(NOVA in each for each in named)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}},
        {"StringNotEquals": {"aws:RequestedRegion": ["us-west-2", "unspecified"]}},
        {"ForAnyValue:StringLike": {"aws:RequestedRegion": "us-east-*"}},
    ],
)
def test_a_region_lock_is_no_gap_to_fill(condition: dict[str, object]) -> None:
    """It is told of, and no fix is written: it may be there on purpose (facts 3.9)."""
    found = examined(allow(US_NOVA.arn, MODELS, Condition=condition))
    (lock,) = [each for each in found if any(US_NOVA.arn == one.profile for one in each.affected)]
    assert (lock.kind, lock.subject, lock.fixable) == (Kind.CONDITION_NEVER_MET, ("aws:RequestedRegion",), False)
    assert lock.affected[0].missing == (model(NOVA, "us-west-2"),)


@pytest.mark.parametrize("action", INVOKE)
def test_one_action_alone_is_judged_by_itself(action: str) -> None:
    """A policy with bedrock:InvokeModel alone lacks destinations, and not the other action."""
    assert [each for each in examined(allow(*US_NOVA.resources, action=action)) if each.level is Level.ERROR] == []
    (found,) = examined(allow(US_NOVA.arn, model(NOVA), action=action))
    assert (found.kind, found.fixable) == (Kind.DESTINATION_MISSING, True)


def test_a_deny_that_may_apply_to_what_is_missing_is_no_gap_to_fill() -> None:
    """Whether a further policy would help hangs on what the audit cannot know."""
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": model(NOVA, "us-west-2"),
        "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    }
    (found,) = examined(allow(US_NOVA.arn, model(NOVA), model(NOVA, "us-east-2")), deny)
    assert (found.kind, found.fixable) == (Kind.DESTINATION_MISSING, False)


def test_a_variable_in_the_account_part_names_no_profile() -> None:
    """Before the fifth colon a policy variable stands for nothing (facts 4.6b)."""
    variable = "arn:aws:bedrock:*:${aws:PrincipalAccount}:inference-profile/*"
    (found,) = examined(allow(variable, model(NOVA)))
    assert (found.kind, found.affected[0].model_id) == (Kind.NO_PROFILE, NOVA)


def test_a_service_control_policy_for_other_regions_certainly_stops_the_rest() -> None:
    """An Allow of the organization's with a region that is known not to fit is no doubt."""
    lock = allow("*", action="*", Condition={"StringEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}})
    found = examined(allow(*US_NOVA.resources), ceiling=Ceiling([[policy(lock, name="regions")]]))
    (stopped,) = [each for each in found if each.kind is Kind.ORGANIZATION]
    assert (stopped.level, stopped.policy) == (Level.ERROR, "regions")
    assert stopped.affected[0].missing == (model(NOVA, "us-west-2"),)
