"""Every claim of a row is checked before it is acted on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.iam import Entity
from bedrock_remediator.core.allowlist import parse
from bedrock_remediator.core.approval import Use
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, State, Written
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind
from bedrock_remediator.core.profile import FoundationModel
from bedrock_remediator.flows.placement.contract import Owner
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.claims import ClaimError, Claims, Dependencies
from bedrock_remediator.settings import Mode
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE, ROLE, pending_grant
from tests.builders.remediation import SETTINGS, FakeAllowlist, FakeApprovals, FakeProfiles, Key, profile

ID = "AROAEXAMPLEEXAMPLE000"
MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
APPROVED = pending_grant(state=State.APPROVED, decision=Outcome.AUTO, rule="nova")


class Identities:
    """IAM with one principal, and what was asked of it."""

    def __init__(self) -> None:
        self.found: tuple[Principal, str] | None = (Principal.parse(ROLE), ID)
        self.tags: dict[str, str] = {}
        self.asked: list[str] = []
        self.trouble: Exception | None = None
        self.held = Holdings(policies=())
        self.untold: Exception | None = None

    def principal(self, _principal: Principal) -> tuple[Principal, str] | None:
        """The principal and its id."""
        self.asked.append("principal")
        if self.trouble:
            raise self.trouble
        return self.found

    def entity(self, _principal: Principal) -> Entity | None:
        """The principal with its tags."""
        found = self.principal(_principal)
        return Entity(principal=found[0], id=found[1], created_at=NOON, tags=self.tags) if found else None

    def holdings(self, _entity: Entity) -> Holdings:
        """All that it holds."""
        if self.untold:
            raise self.untold
        return self.held


class Uses:
    """Remembers one approval."""

    def __init__(self) -> None:
        self.use: Use | None = None

    def last(self, _grant: Grant, /) -> Use | None:
        """It."""
        return self.use

    def put(self, _grant: Grant, _use: Use, _before: Use | None, /) -> Any:
        """No part of checking a claim."""
        raise NotImplementedError


class Setup:
    """Claims, and all that they rest on, to be changed at will."""

    def __init__(self) -> None:
        self.identities = Identities()
        model = FoundationModel(arn=MODEL, id="amazon.nova-lite-v1:0", inference_types=frozenset({"ON_DEMAND"}))
        self.profiles = FakeProfiles(profile(PROFILE, MODELS), models={model.id: model})
        self.allowlist = FakeAllowlist()
        self.uses = Uses()
        self.approvals = FakeApprovals()
        self.seals = Seals(Key())
        self.settings = SETTINGS
        self.clock = StoppedClock(NOON + timedelta(hours=1))

    def claims(self) -> Claims:
        """With everything as it is now."""
        dependencies = Dependencies(
            home=ACCOUNT,
            identities=self.identities,
            profiles=self.profiles,
            allowlists=self.allowlist,
            approvals=self.approvals,
            uses=self.uses,
            seals=self.seals,
        )
        return Claims(dependencies, self.settings, self.clock)

    def set(self, **changes: Any) -> None:
        """Change settings."""
        self.settings = replace(self.settings, **changes)

    def rules(self, *rules: str) -> None:
        """Change the allowlist."""
        self.allowlist.allowlist = parse({"main": "version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)})

    def refusal(self, grant: Grant = APPROVED) -> ClaimError:
        """Why the row may not be applied."""
        with pytest.raises(ClaimError) as caught:
            self.claims().confirm(grant)
        return caught.value


@pytest.fixture
def setup() -> Setup:
    """One in which the row's claims hold."""
    return Setup()


def test_a_row_whose_claims_hold_may_be_applied(setup: Setup) -> None:
    """The principal is handed back as IAM knows it, and Bedrock was asked anew, not a memory."""
    assert setup.claims().confirm(APPROVED) == Owner(Principal.parse(ROLE), ID)
    assert setup.claims().hold(APPROVED)
    # The profile itself; what else there is in the region is only compared with it, and may be minutes old.
    assert setup.profiles.fresh == [True, False] * 2
    assert setup.identities.asked == ["principal", "principal"]


Change = Callable[[Setup], object]


@pytest.mark.parametrize(
    ("change", "to", "code"),
    [
        (lambda it: setattr(it.clock, "time", NOON + timedelta(hours=25)), State.LAPSED, "stale_approval"),
        (lambda it: it.set(paused=True), State.PENDING, "paused"),
        (lambda it: it.set(mode=Mode.OBSERVE), State.LAPSED, "mode_observe"),
        (lambda it: it.set(mode=Mode.APPROVE), State.PENDING, "rule_no_longer_allows"),
        (lambda it: it.set(grantable_principals=()), State.FAILED, "principal_not_grantable"),
        (
            lambda it: it.set(grantable_principals=(f"arn:aws:iam::{ACCOUNT}:role/other/*",)),
            State.FAILED,
            "principal_not_grantable",
        ),
        (lambda it: setattr(it.identities, "found", None), State.FAILED, "principal_missing"),
        (
            lambda it: setattr(it.identities, "found", (Principal.parse(ROLE), "AROAANOTHER")),
            State.FAILED,
            "principal_recreated",
        ),
        (
            lambda it: setattr(it.identities, "found", (Principal.parse(ROLE.replace("/service/", "/")), ID)),
            State.FAILED,
            "principal_recreated",
        ),
        (lambda it: it.profiles.known.clear(), State.FAILED, "profile_missing"),
        (lambda it: it.rules(), State.PENDING, "rule_no_longer_allows"),
        (
            lambda it: it.rules('{name: other, effect: auto, principals: ["arn:aws:iam::*:**"], profiles: ["*"]}'),
            State.PENDING,
            "rule_no_longer_allows",
        ),
        (
            lambda it: it.rules('{name: no, effect: never, principals: ["arn:aws:iam::*:**"]}'),
            State.FAILED,
            "rule_never",
        ),
        (
            lambda it: setattr(it.allowlist, "allowlist", parse({}, {"main": "AccessDenied"})),
            State.PENDING,
            "rule_no_longer_allows",
        ),
        (lambda it: it.set(default_grant_days=30), State.PENDING, "rule_no_longer_allows"),
        (
            lambda it: setattr(it.identities, "trouble", ClientError({"Error": {"Code": "AccessDenied"}}, "GetRole")),
            State.FAILED,
            "check_refused",
        ),
        (
            lambda it: setattr(it.identities, "trouble", NotEnrolledError("444455556666")),
            State.FAILED,
            "account_not_enrolled",
        ),
        (
            lambda it: setattr(it.identities, "trouble", RoleMissingError("444455556666", "arn:of:role")),
            State.FAILED,
            "member_role_missing",
        ),
    ],
)
def test_what_has_changed_since_stops_it(setup: Setup, change: Change, to: State, code: str) -> None:
    """The time, the settings, the principal, the profile and the rules must still be as they were."""
    change(setup)
    refusal = setup.refusal()
    assert (refusal.to, refusal.code) == (to, code)
    assert refusal.reason.endswith(".") or code == "check_refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"pk": "arn:aws:iam::123456789012:group/llm"},
        {"pk": f"arn:aws:iam::{ACCOUNT}:role/admin"},
        {"principal": None},
        {"principal": f"arn:aws:iam::{ACCOUNT}:role/admin"},
        {"principal_id": None},
        {"account": "444455556666"},
        {"sk": f"profile#{PROFILE}x"},
        {"sk": f"model#{MODEL}"},
        {"profile": None},
        {"profile": None, "sk": f"model#{MODEL}{MODEL}", "resources": (MODEL, MODEL)},
        {"region": "us-west-2"},
        {"actions": ()},
        {"actions": ("bedrock:InvokeModel", "iam:PassRole")},
        {"decision": Outcome.REPORT},
        {"profile": MODELS[0], "sk": f"profile#{MODELS[0]}"},
        {"profile": "arn:aws:s3:::bucket/x", "sk": "profile#arn:aws:s3:::bucket/x"},
    ],
)
def test_a_row_that_contradicts_itself_is_refused(setup: Setup, changes: dict[str, Any]) -> None:
    """Fields that do not go together were not written by this service."""
    refusal = setup.refusal(replace(APPROVED, **changes))
    assert (refusal.to, refusal.code) == (State.FAILED, "row_inconsistent")


@pytest.mark.parametrize(
    "resources",
    [
        (PROFILE, *MODELS, "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-v1:0"),
        (PROFILE, MODELS[0]),
        (PROFILE, *MODELS[:2], "*"),
    ],
)
def test_other_models_than_the_profiles_are_not_granted(setup: Setup, resources: tuple[str, ...]) -> None:
    """The ARNs are AWS's, whatever the row says; a person is asked about those, and sees them."""
    refusal = setup.refusal(replace(APPROVED, resources=resources, allowed=(MODELS[0], "arn:aws:gone")))
    assert (refusal.to, refusal.code) == (State.PENDING, "inputs_changed")
    assert refusal.changes == {
        "resources": tuple(sorted((PROFILE, *MODELS))),
        "allowed": (MODELS[0],),
        "model_id": "us.amazon.nova-2-lite-v1:0",
        "simulated_at": None,
    }


def test_a_profile_that_aws_knows_under_another_name_is_refused(setup: Setup) -> None:
    """The answer must be about what was asked."""
    setup.profiles.known[PROFILE] = profile(f"{PROFILE}x", MODELS)
    assert setup.refusal().code == "row_inconsistent"


def test_a_persons_grant_needs_a_genuine_approval(setup: Setup) -> None:
    """Whoever can write a row cannot approve it; as long as nobody can approve, nothing is approved."""
    row = replace(APPROVED, decision=Outcome.ASK, rule=None)
    assert setup.refusal(row).code == "approval_unverified"
    setup.approvals.genuine.add(row.key)
    setup.set(mode=Mode.APPROVE)
    assert setup.claims().confirm(row).id == ID


def test_a_prohibition_beats_a_persons_approval(setup: Setup) -> None:
    """Never means never."""
    row = replace(APPROVED, decision=Outcome.ASK, rule=None)
    setup.approvals.genuine.add(row.key)
    setup.rules('{name: no, effect: never, principals: ["arn:aws:iam::*:**"]}')
    assert setup.refusal(row).code == "rule_never"


@pytest.mark.parametrize("kind", [DiagnosisKind.CONDITIONAL_ALLOW, DiagnosisKind.WRONG_IDENTIFIER])
def test_what_only_a_person_decides_is_never_automatic(setup: Setup, kind: DiagnosisKind) -> None:
    """A row that says a rule approved it is not one that triage wrote."""
    refusal = setup.refusal(replace(APPROVED, diagnosis=kind))
    assert (refusal.to, refusal.code) == (State.PENDING, "rule_no_longer_allows")


def test_what_no_grant_can_put_right_is_not_granted(setup: Setup) -> None:
    """Whatever a row says of its approval."""
    refusal = setup.refusal(replace(APPROVED, diagnosis=DiagnosisKind.LEAKED_KEY))
    assert refusal.to is State.FAILED


NOVA = "arn:aws:bedrock:*::foundation-model/amazon.nova-2-lite-v1:0"
APPLICATION = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/q7xk2m9p0abc"
GLOBAL = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/global.amazon.nova-2-lite-v1:0"
INVOKE = "bedrock:InvokeModel*"


def holding(*statements: dict[str, Any], name: str = "base", arn: str | None = None) -> Policy:
    """A policy of these statements, a customer managed one where it has an ARN."""
    filled = [{"Effect": "Allow", "Action": INVOKE, "Resource": "*", **each} for each in statements]
    document = {"Version": "2012-10-17", "Statement": filled}
    return Policy(name=name, kind=PolicyKind.MANAGED if arn else PolicyKind.INLINE, document=document, arn=arn)


REGION_LOCK = holding({"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}})
PERHAPS_DENIED = holding({"Effect": "Deny", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}})
OTHER_PROFILE = holding(
    {"Resource": GLOBAL}, {"Resource": NOVA, "Condition": {"StringEquals": {"bedrock:InferenceProfileArn": GLOBAL}}}
)
APPLICATION_ONLY = holding({"Resource": [APPLICATION, NOVA]})
ALLOWED = holding({})
DENIED = holding({"Effect": "Deny"})
BOUNDARY = holding({"Action": "s3:*"}, name="boundary", arn=f"arn:aws:iam::{ACCOUNT}:policy/boundary")
QUARANTINE = holding({"Action": "s3:*"}, name="AWSCompromisedKeyQuarantineV2", arn="arn:aws:iam::aws:policy/Q")
OURS = holding({}, name="ours", arn=f"arn:aws:iam::{ACCOUNT}:policy/bedrock-access-remediator/ours")


def hold(setup: Setup, *policies: Policy, boundary: Policy | None = None) -> None:
    """Let the principal hold these policies, beside other profiles of the same model in its region."""
    setup.profiles.known[APPLICATION] = profile(APPLICATION, MODELS)
    setup.profiles.known[GLOBAL] = profile(GLOBAL, MODELS)
    setup.identities.held = Holdings(policies=policies, boundary=boundary)


@pytest.mark.parametrize("policy", [REGION_LOCK, PERHAPS_DENIED, OTHER_PROFILE, APPLICATION_ONLY, ALLOWED])
@pytest.mark.parametrize("state", [State.APPROVED, State.APPLYING, State.ACTIVE])
def test_what_the_policies_make_a_persons_question_is_not_granted_by_a_rule(
    setup: Setup, policy: Policy, state: State
) -> None:
    """Whoever writes a row may say that permissions were merely missing: the policies themselves tell."""
    hold(setup, policy)
    row = replace(APPROVED, state=state)
    refusal = setup.refusal(row)
    assert (refusal.to, refusal.code) == (State.PENDING, "diagnosis_changed")
    assert not setup.claims().hold(row)


def test_a_policy_about_something_else_stands_in_no_rules_way(setup: Setup) -> None:
    """Where the permissions are missing indeed, the rule grants them."""
    hold(setup, holding({"Action": "s3:*"}))
    assert setup.claims().confirm(APPROVED).id == ID


def test_an_action_that_is_not_missing_is_not_granted_along(setup: Setup) -> None:
    """The denied action is missing, and the other one under a condition: a row with both is none of triage's."""
    condition = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}
    hold(setup, holding({"Action": "bedrock:InvokeModelWithResponseStream", "Condition": condition}))
    assert setup.refusal().code == "diagnosis_changed"
    assert setup.claims().confirm(replace(APPROVED, actions=("bedrock:InvokeModel",))).id == ID


@pytest.mark.parametrize(("policies", "boundary"), [((DENIED,), None), ((), BOUNDARY), ((QUARANTINE,), None)])
def test_what_no_grant_helps_against_ends_the_row(
    setup: Setup, policies: tuple[Policy, ...], boundary: Policy | None
) -> None:
    """A Deny, a boundary, a leaked key: nobody is asked about a grant that gives nothing."""
    hold(setup, *policies, boundary=boundary)
    refusal = setup.refusal()
    assert (refusal.to, refusal.code) == (State.FAILED, "certainly_no_help")


def test_a_person_may_grant_what_the_policies_speak_against(setup: Setup) -> None:
    """That was the question, and the approval is the answer: the policies are not even read."""
    hold(setup, REGION_LOCK)
    setup.identities.untold = AssertionError("read")
    row = replace(APPROVED, decision=Outcome.ASK, rule=None)
    setup.approvals.genuine.add(row.key)
    assert setup.claims().confirm(row).id == ID


def test_policies_that_aws_does_not_show_are_a_persons_to_look_at(setup: Setup) -> None:
    """A refusal would come again, so a person is asked; passing trouble is raised."""
    setup.identities.untold = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListRolePolicies")
    refusal = setup.refusal()
    assert (refusal.to, refusal.code) == (State.PENDING, "policies_unreadable")
    setup.identities.untold = RetryableError("throttled")
    with pytest.raises(RetryableError):
        setup.claims().confirm(APPROVED)


MANAGED = Written(strategy="managed", policies=(str(OURS.arn),))
STOOD = [{"state": State.APPLYING, "written": MANAGED}, {"state": State.APPROVED, "written": MANAGED}]


def test_what_this_service_has_granted_meanwhile_stands_in_no_rules_way(setup: Setup) -> None:
    """Denials of one batch are all looked into before the first is granted, of several profiles of one model too."""
    ours = holding(*OTHER_PROFILE.document["Statement"], name="ours", arn=OURS.arn)
    hold(setup, ours)
    assert setup.claims().confirm(APPROVED).id == ID
    hold(setup, replace(ours, arn=f"arn:aws:iam::{ACCOUNT}:policy/ours"))
    assert setup.refusal().code == "diagnosis_changed"


@pytest.mark.parametrize("changes", STOOD)
def test_what_this_service_has_written_already_may_be_written_again(setup: Setup, changes: dict[str, Any]) -> None:
    """Tried once before, or in force before: only its own policies allow the call, and without them it is missing."""
    hold(setup, OURS)
    assert setup.claims().confirm(replace(APPROVED, **changes)).id == ID
    for policy in (REGION_LOCK, PERHAPS_DENIED, APPLICATION_ONLY, ALLOWED):
        hold(setup, policy, OURS)
        assert setup.refusal(replace(APPROVED, **changes)).code == "diagnosis_changed"


def test_what_was_put_in_place_is_told_by_its_seal(setup: Setup) -> None:
    """In the principal's own policy nothing else tells a grant of this service from what was there."""
    hold(setup, ALLOWED)
    note = Written(strategy="in-place", policies=("base",), added=(PROFILE,))
    row = replace(APPROVED, state=State.APPLYING, written=note)
    assert setup.refusal(row).code == "diagnosis_changed"
    assert setup.claims().confirm(replace(row, written=setup.seals.set(row, note))).id == ID
    setup.seals = Seals(Refusing())
    refusal = setup.refusal(replace(row, written=replace(note, seal="AAAA")))
    assert (refusal.to, refusal.code) == (State.FAILED, "in_place_unverified")


class Refusing(Key):
    """A key that KMS lets nobody use."""

    def verify(self, _message: bytes, _mac: bytes) -> bool:
        """Refuse."""
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "VerifyMac")


TAGGED = '{name: nova, effect: auto, principal_tags: {access: self-service}, profiles: ["*"]}'


def test_a_rule_about_tags_sees_the_tags_as_they_are(setup: Setup) -> None:
    """The row does not hold them; IAM tells them with the principal itself."""
    setup.rules(TAGGED)
    assert setup.refusal().code == "rule_no_longer_allows"
    setup.identities.tags = {"access": "self-service"}
    assert setup.claims().confirm(APPROVED).id == ID
    setup.identities.found = None
    assert setup.refusal().code == "principal_missing"


SHORT = '{name: nova, effect: auto, principals: ["arn:aws:iam::*:**"], profiles: ["*"], expires_after: 1d}'


@pytest.mark.parametrize(
    ("days", "allowed"),
    [(None, False), (timedelta(days=1), True), (timedelta(hours=5), True), (timedelta(days=2), False)],
)
def test_a_grant_ends_when_its_rule_says(setup: Setup, days: timedelta | None, allowed: bool) -> None:  # noqa: FBT001
    """Later than the rule gives, or never, is another grant; earlier is less."""
    setup.rules(SHORT)
    row = replace(APPROVED, expires_at=NOON + days if days else None)
    if allowed:
        assert setup.claims().confirm(row).id == ID
    else:
        assert setup.refusal(row).code == "rule_no_longer_allows"


def test_a_row_from_the_future_gains_no_time(setup: Setup) -> None:
    """How long a rule gives counts from now at the latest."""
    setup.rules(SHORT)
    row = replace(APPROVED, updated_at=NOON + timedelta(days=9), expires_at=NOON + timedelta(days=10))
    assert setup.refusal(row).code == "rule_no_longer_allows"


def test_what_has_ended_is_not_applied(setup: Setup) -> None:
    """A grant that would have ended before it was written is none."""
    refusal = setup.refusal(replace(APPROVED, expires_at=setup.clock.time))
    assert (refusal.to, refusal.code) == (State.LAPSED, "expired")


DIRECT = replace(APPROVED, sk=f"model#{MODEL}", profile=None, resources=(MODEL,))


def test_a_model_can_be_granted_directly(setup: Setup) -> None:
    """If a rule names models, and AWS says that it can be called without a profile."""
    setup.rules('{name: nova, effect: auto, principals: ["arn:aws:iam::*:**"], models: ["amazon.nova-lite-*"]}')
    assert setup.claims().confirm(DIRECT).id == ID


@pytest.mark.parametrize(
    ("models", "row", "code"),
    [
        ({}, DIRECT, "model_missing"),
        ({"inference_types": frozenset({"INFERENCE_PROFILE"})}, DIRECT, "model_needs_profile"),
        ({"arn": MODELS[1]}, DIRECT, "model_missing"),
        (None, replace(DIRECT, sk=f"model#{MODELS[1]}", resources=(MODELS[1],)), "row_inconsistent"),
        (None, replace(DIRECT, sk=f"model#{PROFILE}", resources=(PROFILE,)), "row_inconsistent"),
    ],
)
def test_a_direct_grant_is_about_a_model_that_allows_it(
    setup: Setup, models: dict[str, Any] | None, row: Grant, code: str
) -> None:
    """It exists in the row's region, under that ARN, and serves calls on demand."""
    known = setup.profiles.models.pop("amazon.nova-lite-v1:0")
    if models is None or models:
        setup.profiles.models[known.id] = replace(known, **(models or {}))
    assert setup.refusal(row).code == code


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:role/bedrock-access-remediator-stack/remediate",
        f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef",
    ],
)
def test_some_principals_are_never_granted_anything(setup: Setup, arn: str) -> None:
    """This service's own roles, and those that AWS owns, whatever patterns the operator gave."""
    setup.set(grantable_principals=("arn:aws:iam::*:*",))
    setup.identities.found = (Principal.parse(arn), ID)
    refusal = setup.refusal(replace(APPROVED, pk=arn, principal=arn))
    assert refusal.code == "principal_not_grantable"


def test_the_services_own_roles_are_not_even_revoked(setup: Setup) -> None:
    """Nothing was ever written to them, so nothing is to be taken from them."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/bedrock-access-remediator-stack/remediate"
    with pytest.raises(ClaimError):
        setup.claims().owner(replace(APPROVED, pk=arn, principal=arn))


def test_the_owner_of_a_row_may_be_gone(setup: Setup) -> None:
    """To take something out, it need not be the principal that the row was made for, nor exist."""
    assert setup.claims().owner(APPROVED).id == ID
    setup.identities.found = None
    assert setup.claims().owner(APPROVED) == Owner(Principal.parse(ROLE), None)


def test_a_standing_row_is_as_good_as_its_claims(setup: Setup) -> None:
    """Its age does not matter; a pause, or a claim that does not hold, does."""
    setup.clock.time = NOON + timedelta(days=90)
    assert setup.claims().hold(APPROVED)
    assert not setup.claims().hold(replace(APPROVED, resources=(PROFILE, *MODELS, MODEL)))
    setup.approvals.genuine.add(APPROVED.key)
    setup.set(paused=True)
    assert not setup.claims().hold(replace(APPROVED, decision=Outcome.ASK))


def test_passing_trouble_decides_nothing(setup: Setup) -> None:
    """It is raised, for another try."""
    setup.identities.trouble = RetryableError("throttled")
    with pytest.raises(RetryableError):
        setup.claims().confirm(APPROVED)
    with pytest.raises(RetryableError):
        setup.claims().hold(APPROVED)
