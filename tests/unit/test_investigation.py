"""Every outcome of an investigation, and what it costs to reach it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError, RoleMissingError
from bedrock_remediator.aws.iam import SimulationRefusedError
from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.diagnosis.refusals import from_refused_lookup
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.iam.evaluation import PolicyKind
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.flows.triage.investigation import Findings, Investigation
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from tests.builders import records as make
from tests.builders.aws import FakeDetails, FakeIam, FakeProfiles, application_profile, policy, profile, statement

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
US, GLOBAL = profile(), profile("global.amazon.nova-2-lite-v1:0", ("us-east-1",))
MODEL_HERE, MODEL_WEST = make.model(), make.model("us-west-2")
SETTINGS = PolicySettings(
    ledger_table="ledger",
    mode=Mode.AUTO,
    paused=False,
    strategy=Strategy.MANAGED,
    allowlist_path="/allowlist",
    extra_actions=("bedrock:GetFoundationModel",),
    grantable_principals=("arn:aws:iam::*:role/*",),
    default_grant_days=0,
)
ONLY_PROFILES = {make.MODEL_ID: ["INFERENCE_PROFILE"]}


def investigate(
    iam: FakeIam | None = None,
    profiles: FakeProfiles | None = None,
    *,
    grantable: tuple[str, ...] = ("arn:*:iam::*:role/*", "arn:*:iam::*:user/*"),
    home: str = make.ACCOUNT,
    enrolled: tuple[str, ...] = (),
    event: dict[str, Any] | None = None,
    **record: Any,
) -> Findings:
    """Investigate one record."""
    settings = PolicySettings(
        ledger_table="ledger",
        mode=Mode.AUTO,
        paused=False,
        strategy=Strategy.MANAGED,
        allowlist_path="/allowlist",
        extra_actions=(),
        grantable_principals=grantable,
        default_grant_days=0,
        enrolled_accounts=enrolled,
    )
    investigation = Investigation(
        home=home,
        iam=iam or FakeIam(),
        profiles=profiles or FakeProfiles(US, GLOBAL),
        details=FakeDetails(),
        policy=settings,
    )
    denial = cloudtrail.read(json.dumps(make.event(make.record(**record), **(event or {}))))
    return investigation.investigate(denial, NOW)


def diagnose(*args: Any, **kwargs: Any) -> Diagnosis:
    """The diagnosis of one record."""
    return investigate(*args, **kwargs).diagnosis


def explicit(words: str, arn: str = "") -> str:
    """A message of an explicit deny."""
    return make.message(why=f"with an explicit deny in {words}{arn}")


@pytest.mark.parametrize(
    ("message", "code", "layer"),
    [
        (explicit("a service control policy"), "scp", Layer.SCP),
        (explicit("a resource control policy"), "rcp", Layer.RCP),
        (explicit("a permissions boundary"), "boundary", Layer.BOUNDARY),
        (explicit("a session policy"), "session_policy", Layer.SESSION),
        (explicit("a VPC endpoint policy"), "vpc_endpoint", Layer.VPC_ENDPOINT),
        (explicit("a resource-based policy"), "resource_policy", Layer.RESOURCE),
        (explicit("the role trust policy"), "role_trust", Layer.ROLE_TRUST),
        (explicit("an identity-based policy"), "explicit_deny", Layer.IDENTITY),
        (
            explicit("an identity-based policy", f": arn:aws:iam::{make.ACCOUNT}:policy/No"),
            "explicit_deny",
            Layer.IDENTITY,
        ),
        (make.message(why="with an explicit deny"), "explicit_deny", Layer.UNKNOWN),
        ("You don't have access to the model with the specified model ID.", "model_access", Layer.MODEL_ACCESS),
        (
            "Your AWS Marketplace subscription for this model is still being processed.",
            "marketplace",
            Layer.MARKETPLACE,
        ),
        ("Your account is not authorized to invoke this API operation.", "account", Layer.ACCOUNT),
        ("Access denied. This Model is marked by provider as Legacy.", "legacy_model", Layer.LEGACY),
        (make.message(resource="*").replace(make.ACTION, "bedrock:CallWithBearerToken"), "api_key", Layer.API_KEY),
        (make.message().replace(make.ACTION, "bedrock:ApplyGuardrail"), "other_action", Layer.IDENTITY),
    ],
)
def test_what_the_message_decides_costs_no_call(message: str, code: str, layer: Layer) -> None:
    """A denial that no identity policy can put right is advice, without a call to IAM or Bedrock."""
    iam, profiles = FakeIam(), FakeProfiles(US)
    found = diagnose(iam, profiles, errorMessage=message)
    assert (found.kind, found.code, found.layer) == (DiagnosisKind.NOT_FIXABLE, code, layer)
    assert not found.grantable
    assert iam.asked == profiles.asked == []


def test_a_quarantined_key_in_the_message_is_an_alert() -> None:
    """A deny by AWS's quarantine policy is a leaked key, told from the message alone."""
    iam = FakeIam()
    message = explicit("an identity-based policy", ": arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3.")
    found = diagnose(iam, errorMessage=message)
    assert (found.kind, found.grantable, iam.asked) == (DiagnosisKind.LEAKED_KEY, False, [])


def test_a_quarantined_principal_is_never_asked_about() -> None:
    """AWS's quarantine among the principal's policies makes any denial of it an alert."""
    quarantine = policy(
        name="AWSCompromisedKeyQuarantineV2", arn="arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"
    )
    found = diagnose(FakeIam(quarantine))
    assert (found.kind, found.grantable) == (DiagnosisKind.LEAKED_KEY, False)


def test_an_unreadable_record_is_unknown() -> None:
    """What cannot be read is recorded as unknown with its reason."""
    found = diagnose(errorMessage="?")
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.UNKNOWN, "message_unreadable", False)


def test_an_account_that_is_not_enrolled_is_not_looked_into() -> None:
    """A denial of another account costs no call."""
    iam, profiles = FakeIam(), FakeProfiles(US)
    assert diagnose(iam, profiles, home="444455556666").code == "account_not_enrolled"
    assert iam.asked == profiles.asked == []


@pytest.mark.parametrize("enrolled", [make.ACCOUNT, "*"])
def test_an_enrolled_account_is_looked_into(enrolled: str) -> None:
    """As the account that the service runs in is."""
    assert diagnose(home="444455556666", enrolled=(enrolled,)).code == diagnose().code
    assert diagnose(home="444455556666", enrolled=("777788889999",)).code == "account_not_enrolled"


def test_a_missing_role_is_said_with_its_arn() -> None:
    """Nothing is known of the principal then, and the advice says what is missing."""
    iam = FakeIam(trouble=RoleMissingError(make.ACCOUNT, "arn:of:role"))
    found = investigate(iam, home="444455556666", enrolled=("*",))
    assert (found.diagnosis.code, found.diagnosis.grantable, found.identity) == ("member_role_missing", False, None)
    assert "arn:of:role" in found.diagnosis.reason
    assert make.ACCOUNT in found.diagnosis.reason


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ({"type": "Root", "arn": f"arn:aws:iam::{make.ACCOUNT}:root", "accountId": make.ACCOUNT}, "root_user"),
        ({"type": "FederatedUser", "arn": "arn:x", "accountId": make.ACCOUNT}, "federated_user"),
        ({"type": "IdentityCenterUser"}, "identity_center_user"),
        ({"type": "AWSService"}, "aws_service"),
        ({"type": "AWSAccount"}, "other_account"),
        ({"type": "Directory"}, "caller_without_policy"),
    ],
)
def test_callers_without_a_policy_get_advice_with_what_it_would_hold(identity: dict[str, str], code: str) -> None:
    """Who cannot be given a policy is told where it goes, with the ARNs that AWS confirmed, and IAM is not asked."""
    iam = FakeIam()
    found = diagnose(iam, userIdentity=identity, errorMessage=make.message(identity.get("arn", "anonymous")))
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.NOT_FIXABLE, code, False)
    assert (found.resources, found.model_id) == (US.resources, US.id)
    assert iam.asked == []


@pytest.mark.parametrize(
    ("path", "name", "code"),
    [
        ("/aws-reserved/sso.amazonaws.com/", "AWSReservedSSO_Dev_0123456789abcdef", "permission_set"),
        ("/aws-service-role/example.amazonaws.com/", "AWSServiceRoleForExample", "service_linked_role"),
        ("/bedrock-access-remediator-stack/", "remediate", "principal_not_grantable"),
    ],
)
def test_roles_that_cannot_be_changed_get_advice(path: str, name: str, code: str) -> None:
    """Identity Center's roles, service-linked roles and this service's own are never changed."""
    arn, session = f"arn:aws:iam::{make.ACCOUNT}:role{path}{name}", f"arn:aws:sts::{make.ACCOUNT}:assumed-role/{name}/x"
    issuer = {"sessionIssuer": {"type": "Role", "arn": arn, "principalId": "AROAEXAMPLEROLE000001"}}
    identity = make.role_identity(arn=session, sessionContext=issuer)
    iam = FakeIam()
    found = diagnose(iam, userIdentity=identity, errorMessage=make.message(session))
    assert (found.code, found.grantable, found.profile, iam.asked) == (code, False, US, [])


def test_a_path_that_only_iam_knows_is_checked_too() -> None:
    """A session without its issuer may belong to a role that cannot be changed: IAM's path decides."""
    found = diagnose(
        FakeIam(path="/bedrock-access-remediator-stack/"), userIdentity=make.role_identity(sessionContext=None)
    )
    assert found.code == "principal_not_grantable"


def test_a_principal_outside_the_operators_patterns_gets_advice() -> None:
    """GrantablePrincipals bounds what may be granted to at all."""
    assert diagnose(grantable=("arn:aws:iam::*:role/llm/*",)).code == "principal_not_grantable"


def test_advice_about_a_profile_that_does_not_exist_stays_advice() -> None:
    """Where the profile cannot be confirmed, the advice comes without a set of ARNs."""
    found = diagnose(profiles=FakeProfiles(), grantable=())
    assert (found.code, found.resources) == ("principal_not_grantable", ())
    refused = make.message(resource=f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:prompt-router/x")
    assert diagnose(grantable=(), errorMessage=refused).resources == ()


def test_a_principal_that_is_gone_is_unknown() -> None:
    """A principal that was deleted, or deleted and made anew after the denied call, is granted nothing."""
    assert diagnose(FakeIam(exists=False)).code == "principal_missing"
    assert diagnose(FakeIam(created_at=datetime(2026, 11, 20, 11, tzinfo=UTC))).code == "principal_recreated"


def test_the_vendor_guides_case_is_a_missing_grant() -> None:
    """The policy allows the model but not the profile: the grant is the complete set, and says what is there."""
    found = diagnose(FakeIam(policy(statement(MODEL_HERE))))
    assert (found.kind, found.code, found.grantable, found.ask_only) == (
        DiagnosisKind.MISSING_GRANT,
        "missing_grant",
        True,
        False,
    )
    assert found.resources == US.resources
    assert found.allowed == (MODEL_HERE,)
    assert (found.profile, found.model_id) == (US, US.id)
    assert found.actions == ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
    assert found.reason == f"A call of {US.id} needs 4 ARNs in the policy, and 3 of them are missing."


def test_a_global_profile_needs_the_model_without_a_region() -> None:
    """A global profile's set has its own region's model and the region-less one, whether AWS lists them or not."""
    found = diagnose(errorMessage=make.message(resource=GLOBAL.arn))
    assert found.resources == tuple(sorted((GLOBAL.arn, MODEL_HERE, make.model(""))))


def test_an_application_profile_is_named_by_its_arn() -> None:
    """A client names an application profile by its whole ARN."""
    app = application_profile()
    found = diagnose(profiles=FakeProfiles(app), errorMessage=make.message(resource=app.arn))
    assert (found.kind, found.model_id) == (DiagnosisKind.MISSING_GRANT, app.arn)
    assert found.resources == tuple(sorted((app.arn, MODEL_HERE)))


@pytest.mark.parametrize("called", [make.PROFILE_ID, make.PROFILE])
def test_a_model_denied_in_another_region_is_the_profiles(called: str) -> None:
    """A denial on a model that the request reached through a profile is that profile's, by id or ARN."""
    found = diagnose(errorMessage=make.message(resource=MODEL_WEST), requestParameters={"modelId": called})
    assert (found.kind, found.profile, found.ask_only) == (DiagnosisKind.MISSING_GRANT, US, False)


def test_a_model_that_the_named_profile_does_not_serve_is_unknown() -> None:
    """A record whose profile does not route to the denied model contradicts itself."""
    found = diagnose(errorMessage=make.message(resource=make.model("eu-west-1")))
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.UNKNOWN, "resource_not_in_profile", False)


@pytest.mark.parametrize("parameters", [None, {"modelId": make.MODEL_ID}, {"modelId": "?*"}])
def test_a_routed_model_belongs_to_the_one_profile_held(parameters: Any) -> None:
    """Where the request does not tell, it is the profile of that model which the principal holds already."""
    iam = FakeIam(policy(statement(US.arn)))
    found = diagnose(iam, errorMessage=make.message(resource=MODEL_WEST), requestParameters=parameters)
    assert (found.kind, found.profile, found.ask_only) == (DiagnosisKind.MISSING_GRANT, US, False)
    assert found.allowed == (US.arn,)


def test_a_routed_model_with_no_profile_held_is_asked_about() -> None:
    """Where several profiles may be meant, the narrowest is proposed, the others are named, and a person decides."""
    wider = profile("am.amazon.nova-2-lite-v1:0", ("ca-central-1", "us-east-1", "us-east-2", "us-west-2"))
    profiles = FakeProfiles(GLOBAL, wider, US, application_profile())
    found = diagnose(profiles=profiles, errorMessage=make.message(resource=MODEL_HERE), requestParameters=None)
    assert (found.profile, found.ask_only, found.code) == (US, True, "profile_choice")
    assert set(found.candidates) == {US.id, wider.id, GLOBAL.id, application_profile().arn}


def test_a_model_called_directly_that_only_profiles_serve_is_asked_about() -> None:
    """The client must use the profile's id, and the grant is for the profile."""
    found = diagnose(
        profiles=FakeProfiles(US, models=ONLY_PROFILES),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters={"modelId": make.MODEL_ID},
    )
    assert (found.kind, found.profile, found.model_id) == (DiagnosisKind.MISSING_GRANT, US, US.id)
    assert found.ask_only
    assert f"The client must use {US.id} as modelId." in found.reason


def test_a_model_called_directly_whose_profile_is_granted_needs_the_profiles_id() -> None:
    """Where the profile is granted whole, nothing is missing but the right identifier in the client."""
    found = diagnose(
        FakeIam(policy(statement([US.arn, MODEL_WEST, make.model("us-east-2"), MODEL_HERE]))),
        FakeProfiles(US, models=ONLY_PROFILES),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters={"modelId": MODEL_HERE},
    )
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.WRONG_IDENTIFIER, "profile_id_needed", False)
    assert found.model_id == US.id


@pytest.mark.parametrize("called", [make.MODEL_ID, MODEL_HERE])
def test_a_model_on_demand_is_a_grant_of_its_own(called: str) -> None:
    """A model that can be called directly is granted as a model."""
    found = diagnose(
        profiles=FakeProfiles(models={make.MODEL_ID: ["ON_DEMAND"]}),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters={"modelId": called},
    )
    assert (found.kind, found.profile, found.model_arn) == (DiagnosisKind.MISSING_GRANT, None, MODEL_HERE)
    assert (found.resources, found.model_id, found.ask_only) == ((MODEL_HERE,), make.MODEL_ID, False)
    assert found.reason == f"A call of {make.MODEL_ID} needs its ARN in the policy, and it is missing."


def test_a_model_on_demand_is_uncertain_where_the_request_is_missing() -> None:
    """Without the request, a denied model on demand may have been called directly or by a profile: a person decides."""
    found = diagnose(
        profiles=FakeProfiles(US, models={make.MODEL_ID: ["ON_DEMAND", "INFERENCE_PROFILE"]}),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters=None,
    )
    assert (found.model_arn, found.ask_only, found.code) == (MODEL_HERE, True, "model_or_profile")


def test_a_message_without_resource_goes_by_the_request() -> None:
    """Where the message names no resource, the request's model is looked at, and a person decides."""
    why = make.NO_IDENTITY_POLICY
    found = diagnose(errorMessage=make.message(resource=None, why=why))
    assert (found.profile, found.ask_only, found.code) == (US, True, "profile_from_request")
    by_arn = diagnose(errorMessage=make.message(resource=None, why=why), requestParameters={"modelId": make.PROFILE})
    assert (by_arn.profile, by_arn.ask_only) == (US, True)


@pytest.mark.parametrize("model_id", [None, f"arn:aws:bedrock:us-east-1:{make.ACCOUNT}:prompt/PROMPT12345:1", "a b"])
def test_a_call_of_nothing_known_is_unknown(model_id: str | None) -> None:
    """Without a resource in message or request there is nothing to look into."""
    found = diagnose(errorMessage=make.message(resource=None), requestParameters={"modelId": model_id})
    assert (found.kind, found.code) == (DiagnosisKind.UNKNOWN, "resource_unknown")


OWN = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}"
UNSUPPORTED = {
    f"{OWN}:prompt-router/q7xk2m9p0abc": "a prompt router, which needs the action on the router itself and on every",
    f"{OWN}:default-prompt-router/anthropic.claude:1": "a prompt router",
    f"{OWN}:provisioned-model/abc123": "a model with provisioned throughput",
    f"{OWN}:custom-model/amazon.nova-lite-v1:0/abc123": "a custom model",
    f"{OWN}:custom-model-deployment/abc123": "the deployment of a custom model",
    f"{OWN}:imported-model/abc123": "an imported model",
    f"{OWN}:async-invoke/abc123": "an asynchronous invocation",
    f"{OWN}:marketplace/model-endpoint/all-access": "an endpoint of Bedrock Marketplace",
    f"{OWN}:project/default": 'a resource of the kind "project"',
    f"{OWN}:guardrail/abc123": 'a resource of the kind "guardrail"',
    OWN.replace(make.ACCOUNT, "444455556666") + ":prompt-router/abc123": "a prompt router",
}
"""What a call can name beside profiles and models (facts §3.1), and what is said of it."""
ELSEWHERE = {
    f"arn:aws:sagemaker:{make.REGION}:{make.ACCOUNT}:endpoint/abc": "an endpoint of Bedrock Marketplace",
    "arn:aws:s3:::bucket": 'a resource of the kind "s3"',
}


@pytest.mark.parametrize("resource", UNSUPPORTED)
@pytest.mark.parametrize("called", [None, make.PROFILE_ID])
def test_other_kinds_of_resource_are_not_this_services(resource: str, called: str | None) -> None:
    """What is no profile or model is not granted, whoever has it; the advice says what the call needs."""
    profiles, parameters = FakeProfiles(US), {"modelId": called or resource}
    found = diagnose(profiles=profiles, errorMessage=make.message(resource=resource), requestParameters=parameters)
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.NOT_FIXABLE, "unsupported_resource", False)
    assert UNSUPPORTED[resource] in found.reason
    assert profiles.asked == []


@pytest.mark.parametrize("called", [*UNSUPPORTED, *ELSEWHERE])
@pytest.mark.parametrize("denied", [MODEL_HERE, MODEL_WEST, US.arn, None])
def test_a_call_through_what_is_no_profile_is_never_looked_up_as_one(called: str, denied: str | None) -> None:
    """GetInferenceProfile is not asked about a router, a throughput, a deployment or another service's resource."""
    profiles = FakeProfiles(US, models={make.MODEL_ID: ["ON_DEMAND"]})
    message = make.message(resource=denied)
    found = diagnose(profiles=profiles, errorMessage=message, requestParameters={"modelId": called})
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.NOT_FIXABLE, "unsupported_resource", False)
    assert (UNSUPPORTED | ELSEWHERE)[called] in found.reason
    assert profiles.asked == []


CONTRADICTED = "record_contradicts_itself"


@pytest.mark.parametrize(
    ("called", "codes"),
    [
        (f"{OWN}:prompt/PROMPT12345:1", ("model_or_profile", "profile_choice")),
        (f"arn:aws:bedrock:{make.REGION}::foundation-model/amazon.nova-pro-v1:0", (CONTRADICTED, CONTRADICTED)),
    ],
)
def test_a_managed_prompt_or_another_model_leaves_open_how_the_denied_one_was_called(
    called: str, codes: tuple[str, str]
) -> None:
    """What the message names counts; how the model was reached is not told, so a person decides."""
    profiles = FakeProfiles(US, models={make.MODEL_ID: ["ON_DEMAND"]})
    direct = diagnose(
        profiles=profiles, errorMessage=make.message(resource=MODEL_HERE), requestParameters={"modelId": called}
    )
    assert (direct.model_arn, direct.code, direct.ask_only) == (MODEL_HERE, codes[0], True)
    routed = diagnose(errorMessage=make.message(resource=MODEL_WEST), requestParameters={"modelId": called})
    assert (routed.profile, routed.code, routed.ask_only) == (US, codes[1], True)


def test_the_profile_of_a_managed_prompt_is_granted() -> None:
    """Where a prompt's profile is denied, that profile is what is missing."""
    found = diagnose(requestParameters={"modelId": f"{OWN}:prompt/PROMPT12345:1"})
    assert (found.kind, found.profile, found.ask_only) == (DiagnosisKind.MISSING_GRANT, US, False)


def test_the_same_model_of_another_region_in_the_request_is_the_model_itself() -> None:
    """A client that names a model's ARN of another region calls the model here, which is what was denied."""
    found = diagnose(
        profiles=FakeProfiles(models={make.MODEL_ID: ["ON_DEMAND"]}),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters={"modelId": MODEL_WEST},
    )
    assert (found.model_arn, found.ask_only) == (MODEL_HERE, False)


THEIRS = US.arn.replace(make.ACCOUNT, "444455556666")
FAR = US.arn.replace("us-east-1", "us-west-2")
CHINESE = US.arn.replace("arn:aws:", "arn:aws-cn:")


@pytest.mark.parametrize("named", [THEIRS, FAR, CHINESE, US.arn.replace(make.ACCOUNT, "")])
@pytest.mark.parametrize("denied", ["the same", MODEL_HERE, MODEL_WEST, None])
def test_a_profile_of_elsewhere_is_a_mistake_with_the_right_id_beside_it(named: str, denied: str | None) -> None:
    """Another account's, region's or partition's ARN: the own profile of the same id is named, and nothing granted."""
    message = make.message(resource=named if denied == "the same" else denied)
    iam = FakeIam()
    found = diagnose(iam, FakeProfiles(US, GLOBAL), errorMessage=message, requestParameters={"modelId": named})
    assert (found.kind, found.code) == (DiagnosisKind.WRONG_IDENTIFIER, "profile_elsewhere")
    assert (found.grantable, found.candidates, found.model_id) == (False, (US.id,), US.id)
    assert named in found.reason


@pytest.mark.parametrize(
    ("named", "candidates"),
    [
        (FAR.replace("us.amazon", "eu.amazon"), (GLOBAL.id, US.id)),
        (FAR.replace(US.id, "mistral"), ()),
        (f"arn:aws:bedrock:us-west-2:{make.ACCOUNT}:application-inference-profile/q7xk2m9p0abc", ()),
        (f"arn:aws:bedrock:us-east-1:{make.ACCOUNT}:foundation-model/{make.MODEL_ID}", (GLOBAL.id, US.id)),
        (make.model().replace("arn:aws:", "arn:aws-us-gov:"), (GLOBAL.id, US.id)),
    ],
)
def test_what_exists_only_elsewhere_gets_the_nearest_that_exist_here(named: str, candidates: tuple[str, ...]) -> None:
    """Where the own account has no profile of that id there, those of the same model are named, if there are any."""
    message = make.message(resource=named)
    found = diagnose(profiles=FakeProfiles(US, GLOBAL), errorMessage=message, requestParameters={"modelId": named})
    assert (found.code, found.grantable, found.candidates) == ("profile_elsewhere", False, candidates)


def test_a_model_of_another_region_that_only_the_request_names_is_a_mistake() -> None:
    """The message alone can say that a call needs a model of another region."""
    found = diagnose(errorMessage=make.message(resource=None), requestParameters={"modelId": MODEL_WEST})
    assert (found.code, found.grantable, found.candidates) == ("profile_elsewhere", False, (GLOBAL.id, US.id))


STRANGER = {"type": "AWSAccount", "principalId": "AROAEVE:x", "accountId": "444455556666"}


@pytest.mark.parametrize("text", [make.message("AROAEVE:x"), explicit("a service control policy"), "?"])
def test_another_accounts_call_is_its_own_administrators_business(text: str) -> None:
    """Whatever the message says, nothing is looked up for a caller of another account."""
    iam, profiles = FakeIam(), FakeProfiles(US)
    message = text.replace(make.SESSION, "arn:aws:sts::444455556666:assumed-role/eve/x")
    found = diagnose(iam, profiles, userIdentity=STRANGER, errorMessage=message)
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.NOT_FIXABLE, "other_account", False)
    assert "444455556666" in found.reason
    assert iam.asked == profiles.asked == []


@pytest.mark.parametrize(
    ("called", "candidates", "model_id"),
    [
        ("eu.amazon.nova-2-lite-v1:0", (GLOBAL.id, US.id), None),
        ("us.amazon.nova-2-lit-v1:0", (US.id,), US.id),
        ("mistral", (), None),
    ],
)
def test_a_profile_that_does_not_exist_names_the_nearest(
    called: str, candidates: tuple[str, ...], model_id: str | None
) -> None:
    """An unknown profile is a wrong identifier: other scopes of the model first, else ids spelled alike."""
    arn = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{called}"
    profiles = FakeProfiles(US, GLOBAL) if "eu." in called else FakeProfiles(US)
    found = diagnose(profiles=profiles, errorMessage=make.message(resource=arn))
    assert (found.kind, found.code, found.grantable) == (DiagnosisKind.WRONG_IDENTIFIER, "profile_not_found", False)
    assert (found.candidates, found.model_id) == (candidates, model_id)


def test_a_model_that_does_not_exist_is_a_wrong_identifier() -> None:
    """A model unknown in the region, which no profile serves, is the client's mistake."""
    parameters = {"modelId": "amazon.nova-9"}
    resource = make.model(model_id="amazon.nova-9")
    found = diagnose(errorMessage=make.message(resource=resource), requestParameters=parameters)
    assert (found.kind, found.code) == (DiagnosisKind.WRONG_IDENTIFIER, "model_not_found")
    known = FakeProfiles(models={"amazon.nova-9": ["PROVISIONED"]})
    found = diagnose(profiles=known, errorMessage=make.message(resource=resource), requestParameters=parameters)
    assert (found.kind, found.code) == (DiagnosisKind.UNKNOWN, "no_profile_serves_model")


def test_another_scope_granted_shows_both_ways_out() -> None:
    """`us.` granted and `global.` called: use the granted id, or grant the called one; a person decides."""
    iam = FakeIam(policy(statement(list(US.resources))))
    found = diagnose(iam, errorMessage=make.message(resource=GLOBAL.arn))
    assert (found.kind, found.code) == (DiagnosisKind.WRONG_IDENTIFIER, "other_scope_granted")
    assert (found.grantable, found.ask_only, found.candidates) == (True, True, (US.id,))
    assert found.profile == GLOBAL
    assert US.id in found.reason
    assert GLOBAL.id in found.reason


@pytest.mark.parametrize("called", [MODEL_HERE, make.MODEL_ID])
@pytest.mark.parametrize("held", [[], [US.arn]])
@pytest.mark.parametrize("types", [["ON_DEMAND"], ["INFERENCE_PROFILE"]])
def test_a_model_that_only_the_request_names_is_a_persons_to_confirm(
    called: str, held: list[str], types: list[str]
) -> None:
    """The message names no resource (facts §2), and the caller wrote `modelId` (facts 1.6): no rule grants by it."""
    found = diagnose(
        FakeIam(policy(statement(held or "arn:aws:s3:::none"))),
        FakeProfiles(US, GLOBAL, models={make.MODEL_ID: types}),
        errorMessage=make.message(resource=None),
        requestParameters={"modelId": called},
    )
    assert (found.kind, found.grantable, found.ask_only) == (DiagnosisKind.MISSING_GRANT, True, True)
    assert found.code == ("profile_choice" if types == ["INFERENCE_PROFILE"] and not held else "profile_from_request")
    assert (found.model_arn == MODEL_HERE) is (types == ["ON_DEMAND"])


def test_another_model_in_the_request_does_not_tell_how_the_denied_one_was_reached() -> None:
    """An id of a model is no profile that is missing, whether it comes as an ARN or bare."""
    known = FakeProfiles(US, GLOBAL, models={make.MODEL_ID: ["INFERENCE_PROFILE"], "amazon.other-v1:0": ["ON_DEMAND"]})
    bare, whole = (
        diagnose(
            profiles=known,
            errorMessage=make.message(resource=MODEL_HERE),
            requestParameters={"modelId": called},
        )
        for called in ("amazon.other-v1:0", make.model(model_id="amazon.other-v1:0"))
    )
    assert (bare.profile, bare.candidates) == (whole.profile, whole.candidates) == (US, (US.id, GLOBAL.id))
    assert (bare.code, bare.ask_only) == (whole.code, whole.ask_only) == (CONTRADICTED, True)
    assert "does not say which" in bare.reason


APP_ARN = f"{OWN}:application-inference-profile/q7xk2m9p0abc"


@pytest.mark.parametrize(
    "called",
    [
        GLOBAL.id,
        GLOBAL.arn,
        APP_ARN,
        THEIRS,
        FAR,
        "amazon.nova-pro-v1:0",
        make.model(model_id=make.PROFILE_ID),
        f"{OWN}:application-inference-profile/{US.id}",
        "us.none-such",
    ],
)
def test_a_request_that_names_another_than_the_denied_profile_is_a_persons_to_look_at(called: str) -> None:
    """A call of a profile is denied on that profile, or on a model of it (facts §3.4): no rule grants another."""
    found = diagnose(FakeIam(), FakeProfiles(US, GLOBAL), requestParameters={"modelId": called})
    assert (found.kind, found.profile) == (DiagnosisKind.MISSING_GRANT, US)
    assert (found.grantable, found.ask_only, found.code) == (True, True, CONTRADICTED)
    assert f'the message denies {US.arn}, but the request names "{called}".' in found.reason


@pytest.mark.parametrize(
    "called",
    [
        US.id,
        US.arn,
        make.MODEL_ID,
        MODEL_HERE,
        f"{OWN}:prompt/PROMPT12345:1",
        "HIDDEN_DUE_TO_SECURITY_REASONS",
        "***",
        US.arn.replace(make.ACCOUNT, "************"),
        "",
        None,
    ],
)
def test_a_request_that_names_the_denied_profile_or_nothing_does_not_contradict(called: str | None) -> None:
    """An id and its ARN are the same, so is a model of the profile (facts §1.6); a prompt may be of any profile."""
    found = diagnose(FakeIam(), FakeProfiles(US, GLOBAL), requestParameters={"modelId": called})
    assert (found.profile, found.ask_only, found.code) == (US, False, "missing_grant")


@pytest.mark.parametrize("denied", [MODEL_HERE, MODEL_WEST])
@pytest.mark.parametrize(
    ("called", "contradicts"),
    [
        (US.id, False),
        (US.arn, False),
        (make.MODEL_ID, False),
        (MODEL_HERE, False),
        (MODEL_WEST, False),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", False),
        ("amazon.other-v1:0", True),
        (make.model(model_id="amazon.other-v1:0"), True),
        (make.model(model_id=US.id), True),
        (MODEL_HERE.replace("arn:aws:", "arn:aws-cn:"), True),
        (MODEL_HERE.replace("::", f":{make.ACCOUNT}:"), True),
    ],
)
def test_a_denied_model_is_of_the_profile_or_the_model_that_the_request_names(
    denied: str, called: str, *, contradicts: bool
) -> None:
    """A call of a profile may be denied on any model that it routes to (facts §3.4), and on no other."""
    found = diagnose(
        FakeIam(policy(statement(US.arn))),
        FakeProfiles(US, models={**ONLY_PROFILES, "amazon.other-v1:0": ["ON_DEMAND"]}),
        errorMessage=make.message(resource=denied),
        requestParameters={"modelId": called},
    )
    assert (found.profile, found.ask_only) == (US, contradicts)
    assert found.code == (CONTRADICTED if contradicts else "missing_grant")


def test_another_model_of_the_same_profile_does_not_contradict() -> None:
    """A profile may route to several models: whichever of them the request names, the profile is the same."""
    both = replace(US, models=(*US.models, make.model(model_id="amazon.other-v1:0")))
    found = diagnose(
        FakeIam(policy(statement(both.arn))),
        FakeProfiles(both, models={**ONLY_PROFILES, "amazon.other-v1:0": ["INFERENCE_PROFILE"]}),
        errorMessage=make.message(resource=MODEL_WEST),
        requestParameters={"modelId": "amazon.other-v1:0"},
    )
    assert (found.profile, found.ask_only, found.code) == (both, False, "missing_grant")


def test_what_else_speaks_against_the_grant_is_told_beside_the_contradiction() -> None:
    """A condition keeps its own code, and the sentence still says both names."""
    found = diagnose(
        FakeIam(policy(statement("*", Condition={"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}))),
        requestParameters={"modelId": GLOBAL.id},
    )
    assert (found.code, found.ask_only) == ("condition_not_met", True)
    assert f'but the request names "{GLOBAL.id}"' in found.reason


INVOKE = "bedrock:InvokeModel"
GUARDED = {"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}
BOUND_US = {"Condition": {"StringEquals": {"bedrock:InferenceProfileArn": US.arn}}}


APP = application_profile()
ANY_APP = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:application-inference-profile/*"
MODELS = "arn:aws:bedrock:*::foundation-model/*"
NOVA = make.model("*")
BY_APP = {"ArnLike": {"bedrock:InferenceProfileArn": ANY_APP}}


def summary(found: Diagnosis) -> tuple[DiagnosisKind, str, bool, bool]:
    """What is the matter, and what follows from it."""
    return found.kind, found.code, found.grantable, found.ask_only


MISSING = (DiagnosisKind.MISSING_GRANT, "missing_grant", True, False)
OTHER = (DiagnosisKind.WRONG_IDENTIFIER, "other_scope_granted", True, True)
CONDITION = (DiagnosisKind.CONDITIONAL_ALLOW, "condition_not_met", True, True)
REGION = (DiagnosisKind.CONDITIONAL_ALLOW, "region_not_allowed", True, True)
ENDED = (DiagnosisKind.CONDITIONAL_ALLOW, "access_ended", True, True)
MAY_DENY = (DiagnosisKind.CONDITIONAL_ALLOW, "deny_may_apply", True, True)


@pytest.mark.parametrize(
    "statements",
    [
        [statement([ANY_APP, MODELS])],
        [statement(ANY_APP), statement(MODELS, Condition=BY_APP)],
        [
            statement(APP.arn),
            statement(MODEL_HERE, Condition={"StringEquals": {"bedrock:InferenceProfileArn": APP.arn}}),
        ],
        [statement("*", NotResource="arn:aws:bedrock:*:*:inference-profile/*") | {"Resource": None}],
    ],
)
def test_a_model_held_by_an_application_profile_alone(statements: list[dict[str, Any]]) -> None:
    """The client that falls back to `us.` is the fault (facts 3.8): what it should call is named."""
    held = [{key: value for key, value in each.items() if value is not None} for each in statements]
    app = replace(APP, name="team-ml")
    found = diagnose(FakeIam(policy(*held)), FakeProfiles(US, GLOBAL, app))
    assert summary(found) == OTHER
    assert (found.candidates, found.profile) == ((app.arn,), US)
    assert f"{app.arn} (team-ml)" in found.reason


def test_an_application_profile_held_by_a_tag() -> None:
    """Whether the tag fits cannot be seen: the profile is named as one that may be granted."""
    tagged = statement(ANY_APP, Condition={"StringEquals": {"aws:ResourceTag/team": "ml"}})
    found = diagnose(FakeIam(policy(tagged, statement(MODELS, Condition=BY_APP))), FakeProfiles(US, APP))
    assert summary(found) == OTHER
    assert found.candidates == (APP.arn,)
    assert f"may be granted {APP.arn}, under a condition" in found.reason
    assert "application-inference-profile" in (found.evidence or "")


def test_a_condition_on_the_kind_of_profile_asks_even_where_none_is_held() -> None:
    """Nobody has made the application profile yet: the rule that it takes one stands all the same."""
    found = diagnose(FakeIam(policy(statement("*", Condition=BY_APP))), FakeProfiles(US))
    assert summary(found) == CONDITION
    assert "bedrock:InferenceProfileArn" in found.reason


def test_one_statement_for_profile_and_models() -> None:
    """Whether the profile itself has the key is not told: the application profile is one that may be granted."""
    found = diagnose(FakeIam(policy(statement("*", Condition=BY_APP))), FakeProfiles(US, APP))
    assert summary(found) == OTHER
    assert found.candidates == (APP.arn,)


def test_an_application_profile_called_and_the_system_defined_held() -> None:
    """The other way round, the held id is named too."""
    found = diagnose(
        FakeIam(policy(statement(list(US.resources)))),
        FakeProfiles(US, APP),
        errorMessage=make.message(resource=APP.arn),
        requestParameters={"modelId": APP.arn},
    )
    assert summary(found) == OTHER
    assert (found.candidates, found.model_id) == ((US.id,), APP.arn)


def test_a_model_called_directly_and_held_by_a_profile() -> None:
    """A client that names the model itself passes the profile by as well."""
    found = diagnose(
        FakeIam(policy(statement([ANY_APP, MODELS], Condition=BY_APP), statement(ANY_APP))),
        FakeProfiles(US, APP, models={make.MODEL_ID: ["ON_DEMAND"]}),
        errorMessage=make.message(resource=MODEL_HERE),
        requestParameters={"modelId": make.MODEL_ID},
    )
    assert (summary(found), found.candidates) == (OTHER, (APP.arn,))


def test_many_application_profiles_are_not_all_listed() -> None:
    """An account can have a thousand of one model: a few are named, and the rest is counted."""
    apps = [application_profile(f"app{number:03}") for number in range(30)]
    found = diagnose(FakeIam(policy(statement([ANY_APP, MODELS]))), FakeProfiles(US, *apps))
    assert len(found.candidates) == 20
    assert "and 24 more" in found.reason


@pytest.mark.parametrize("held", [[US.arn, MODEL_HERE], [US.arn], [US.arn, MODEL_HERE, MODEL_WEST]])
def test_a_profile_held_in_part_is_not_held(held: list[str]) -> None:
    """`us.` with the model in one region fails whenever routing goes elsewhere: nobody is told to use it."""
    found = diagnose(FakeIam(policy(statement(held))), errorMessage=make.message(resource=GLOBAL.arn))
    assert summary(found) == MISSING
    assert US.id not in found.reason


@pytest.mark.parametrize("granted", [list(US.resources), "arn:aws:bedrock:*:*:inference-profile/us.*"])
def test_only_the_denied_action_tells_whether_a_profile_is_held(granted: Any) -> None:
    """Most public policies have one of the two alone."""
    alone = statement(granted, Action=make.ACTION), statement(NOVA, Action=make.ACTION, **BOUND_US)
    iam = FakeIam(policy(*alone))
    assert summary(diagnose(iam, errorMessage=make.message(resource=GLOBAL.arn))) == OTHER
    other = make.message(resource=GLOBAL.arn).replace(make.ACTION, INVOKE)
    assert summary(diagnose(iam, eventName="Converse", errorMessage=other)) == MISSING


BY_US = {"ArnLike": {"bedrock:InferenceProfileArn": US.arn.replace("us.", "us.*")}}
NOT_BY_US = {"ArnNotLike": BY_US["ArnLike"]}
NOT_BY_APP = {"ArnNotLike": BY_APP["ArnLike"]}
DENY = (DiagnosisKind.NOT_FIXABLE, "explicit_deny", False, False)
LIMIT = (DiagnosisKind.NOT_FIXABLE, "boundary", False, False)


@pytest.mark.parametrize(
    ("own", "boundary", "expected"),
    [
        ([statement("*", Effect="Deny", Condition=NOT_BY_US)], None, MAY_DENY),
        ([statement("*"), statement("*", Effect="Deny", Condition=NOT_BY_US)], None, MAY_DENY),
        ([statement("*", Effect="Deny", Condition=NOT_BY_APP)], None, DENY),
        ([], [statement("*", Condition=BY_US)], MISSING),
        ([], [statement("*", Condition=BY_APP)], LIMIT),
        ([], [statement("*"), statement("*", Effect="Deny", Condition=NOT_BY_US)], MAY_DENY),
    ],
)
def test_a_condition_on_the_profile_may_or_may_not_see_the_profile_itself(
    own: list[Any], boundary: list[Any] | None, expected: tuple[DiagnosisKind, str, bool, bool]
) -> None:
    """Whether the profile itself has bedrock:InferenceProfileArn is not told (§3.5): nothing is certain by it."""
    limit = policy(*boundary, name="boundary") if boundary else None
    assert summary(diagnose(FakeIam(policy(*own), boundary=limit), FakeProfiles(US))) == expected


@pytest.mark.parametrize(
    ("held", "actions"),
    [
        ([statement(list(US.resources), Action=INVOKE)], "denied"),
        ([statement(ANY_APP, Action=INVOKE), statement(MODELS, Action=INVOKE, Condition=BY_APP)], "denied"),
        ([statement([US.arn, MODEL_HERE], Action=INVOKE)], "both"),
        ([], "both"),
    ],
)
def test_an_action_held_by_another_profile_is_not_granted_along(held: list[dict[str, Any]], actions: str) -> None:
    """Its own denial would be a person's to decide (facts 3.8), so a denial of the other action does not grant it."""
    found = diagnose(
        FakeIam(policy(*held)), FakeProfiles(US, GLOBAL, APP), errorMessage=make.message(resource=GLOBAL.arn)
    )
    assert summary(found) == MISSING
    assert found.actions == ((INVOKE, make.ACTION) if actions == "both" else (make.ACTION,))


def test_a_call_that_its_action_allows_is_allowed() -> None:
    """That the other action is not allowed says nothing about the denied one."""
    found = diagnose(FakeIam(policy(statement(list(US.resources), Action=make.ACTION))))
    assert found.kind is DiagnosisKind.ALREADY_ALLOWED


@pytest.mark.parametrize(
    ("other", "actions"),
    [
        ([], "both"),
        ([statement(US.arn, Action=INVOKE)], "both"),
        ([statement(list(US.resources), Action=INVOKE)], "denied"),
        ([statement(MODEL_WEST, Effect="Deny", Action=INVOKE)], "denied"),
        ([statement(MODEL_WEST, Action=INVOKE, Condition=GUARDED)], "denied"),
        ([statement(MODEL_WEST, Effect="Deny", Action=INVOKE, Condition=GUARDED)], "denied"),
    ],
)
def test_the_other_action_comes_along_only_if_nothing_speaks_against_it(other: list[Any], actions: str) -> None:
    """It is granted along if it is missing too, and no Deny and no condition is about it."""
    found = diagnose(FakeIam(policy(*other)))
    assert summary(found) == MISSING
    assert found.actions == ((INVOKE, make.ACTION) if actions == "both" else (make.ACTION,))


def test_an_action_beyond_the_boundary_stays_out() -> None:
    """A boundary without the other action takes that action out of the grant, and no more."""
    found = diagnose(FakeIam(boundary=policy(statement("*", Action=make.ACTION), name="boundary")))
    assert (summary(found), found.actions) == (MISSING, (make.ACTION,))


HERE = ["us-east-1", "us-east-2", "us-west-2"]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:RequestedRegion": HERE}},
        {"StringLike": {"aws:RequestedRegion": "us-*"}},
        {"StringEqualsIgnoreCase": {"AWS:requestedRegion": [each.upper() for each in HERE]}},
        {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "unspecified"]}},
        {"StringNotLike": {"aws:RequestedRegion": "unsp*"}},
        {"ForAnyValue:StringEquals": {"aws:RequestedRegion": HERE}},
        {"ForAllValues:StringLike": {"aws:RequestedRegion": ["us-*", "ca-*"]}},
        {"StringEquals": {"aws:RequestedRegion": HERE, "aws:SourceVpce": "vpce-1"}},
    ],
)
def test_a_region_lock_is_not_granted_past(condition: dict[str, Any]) -> None:
    """A global profile routes out of the regions that the principal's Allow is for (facts 3.9): a person decides."""
    found = diagnose(
        FakeIam(policy(statement("*", Condition=condition), name="residency")),
        FakeProfiles(GLOBAL),
        errorMessage=make.message(resource=make.model("")),
        requestParameters={"modelId": GLOBAL.id},
    )
    assert summary(found) == REGION
    assert "residency" in found.reason
    assert "egion" in (found.evidence or "")


def test_a_region_lock_names_the_profile_that_keeps_to_it() -> None:
    """What stays within the regions is held already: that is what to call."""
    lock = statement("*", Condition={"StringEquals": {"aws:RequestedRegion": HERE}})
    found = diagnose(FakeIam(policy(lock)), errorMessage=make.message(resource=GLOBAL.arn))
    assert (summary(found), found.candidates) == (REGION, (US.id,))
    assert "every region that a global profile may route to" in found.reason
    assert US.id in found.reason


def test_a_region_lock_that_a_geographic_profile_leaves() -> None:
    """One destination outside is enough."""
    lock = statement("*", Condition={"StringEquals": {"aws:RequestedRegion": HERE[:2]}})
    found = diagnose(FakeIam(policy(lock)))
    assert summary(found) == REGION
    assert "us-west-2" in found.reason
    assert set(found.allowed) == {US.arn, MODEL_HERE, make.model("us-east-2")}


def test_a_region_lock_about_another_model_is_none() -> None:
    """It must be an Allow that would have let this call pass."""
    lock = statement(make.model("*", "meta.llama"), Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})
    assert summary(diagnose(FakeIam(policy(lock)))) == MISSING


def test_a_deny_outside_of_regions_is_a_deny() -> None:
    """The region is known, so the Deny is certain, and is reported."""
    deny = statement("*", Effect="Deny", Condition={"StringNotEquals": {"aws:RequestedRegion": HERE}})
    found = diagnose(FakeIam(policy(deny)), errorMessage=make.message(resource=GLOBAL.arn))
    assert (found.kind, found.code) == (DiagnosisKind.NOT_FIXABLE, "explicit_deny")
    assert summary(diagnose(FakeIam(policy(deny)))) == MISSING


def test_an_allow_that_somebody_let_end() -> None:
    """Its end was decided by whoever wrote it; that of our own grants is no decision against the next."""
    ended = {"DateLessThan": {"aws:CurrentTime": "2026-11-01T00:00:00Z"}}
    assert summary(diagnose(FakeIam(policy(statement("*", Condition=ended))))) == ENDED
    own = statement(US.arn, Condition=ended, Sid="ProfileUntil20261101T000000Z")
    assert summary(diagnose(FakeIam(policy(own)))) == MISSING


def test_a_statement_for_another_profile_is_about_another_profile() -> None:
    """AWS's samples bind the models to one profile: that says nothing about the next."""
    bound = statement(MODELS, Condition={"StringEquals": {"bedrock:InferenceProfileArn": f"{US.arn}1"}})
    assert summary(diagnose(FakeIam(policy(bound)))) == MISSING


@pytest.mark.parametrize(
    "condition",
    [
        {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        {"StringNotEqualsIfExists": {"aws:SourceVpce": "vpce-1"}},
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        {"StringNotEquals": {"bedrock:GuardrailIdentifier": "gr-1"}},
        {"Null": {"bedrock:GuardrailIdentifier": "true"}},
    ],
)
@pytest.mark.parametrize("where", ["own", "group", "boundary"])
def test_a_deny_that_may_apply_to_what_is_missing(condition: dict[str, Any], where: str) -> None:
    """Whether a grant helps depends on it, wherever it stands: a person decides, with the Deny shown."""
    deny = policy(statement(MODEL_WEST, Effect="Deny", Condition=condition), name="perimeter")
    allow = policy(statement(MODEL_HERE))
    if where == "boundary":
        limit = policy(statement("*"), *deny.document["Statement"], name="perimeter")
        iam = FakeIam(allow, boundary=limit)
    else:
        iam = FakeIam(allow, replace(deny, kind=PolicyKind.GROUP) if where == "group" else deny)
    found = diagnose(iam, FakeProfiles(US))
    assert summary(found) == MAY_DENY
    assert "perimeter" in found.reason
    assert next(iter(next(iter(condition.values())))) in found.reason
    assert '"Deny"' in (found.evidence or "")


VERBS = (("An explicit deny", "forbids"), ("A Deny", "may forbid"))


@pytest.mark.parametrize("condition", [None, {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}])
@pytest.mark.parametrize(
    ("kind", "held_as"),
    [
        (None, "the permissions boundary"),
        (PolicyKind.INLINE, "an inline policy of the principal"),
        (PolicyKind.MANAGED, "a managed policy of the principal"),
        (PolicyKind.AWS_MANAGED, "an AWS managed policy of the principal"),
        (PolicyKind.GROUP, "a policy of one of the principal's groups"),
    ],
)
def test_the_sentence_says_what_kind_of_policy_denies(
    kind: PolicyKind | None, held_as: str, condition: dict[str, Any] | None
) -> None:
    """Who reads it knows where to look: in the boundary, in a group, or among the principal's own policies."""
    extra = {"Condition": condition} if condition else {}
    denying = policy(statement("*"), statement("*", Effect="Deny", **extra), name="perimeter")
    iam = FakeIam(boundary=denying) if kind is None else FakeIam(replace(denying, kind=kind))
    found = diagnose(iam, FakeProfiles(US))
    sure, unsure = (f"{start} in perimeter, {held_as}, {verb} {make.ACTION} here" for start, verb in VERBS)
    assert found.reason.startswith(unsure if condition else sure)


def test_a_deny_that_may_apply_to_what_is_allowed() -> None:
    """The same where the policies allow the call."""
    deny = statement("*", Effect="Deny", Condition={"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}})
    found = diagnose(FakeIam(policy(statement("*"), deny)), FakeProfiles(US))
    assert summary(found) == MAY_DENY
    elsewhere = statement("arn:aws:s3:::*", Effect="Deny", Condition=deny["Condition"])
    assert diagnose(FakeIam(policy(statement("*"), elsewhere))).kind is DiagnosisKind.ALREADY_ALLOWED


def test_a_deny_that_may_apply_beside_another_profile() -> None:
    """The Deny is what is told of first, and what is held beside it."""
    deny = statement(GLOBAL.arn, Effect="Deny", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})
    iam = FakeIam(policy(statement(list(US.resources)), deny))
    found = diagnose(iam, errorMessage=make.message(resource=GLOBAL.arn))
    assert (summary(found), found.candidates) == (MAY_DENY, (US.id,))


def test_a_variable_in_the_account_part_allows_nothing() -> None:
    """`${aws:PrincipalAccount}` before the fifth colon stands for nothing (facts 4.6b): the profile is missing."""
    variable = "arn:aws:bedrock:*:${aws:PrincipalAccount}:inference-profile/*"
    found = diagnose(FakeIam(policy(statement([variable, MODELS]))))
    assert summary(found) == MISSING
    assert set(found.allowed) == set(US.models)


def test_an_allow_under_a_condition_is_never_widened_alone() -> None:
    """An Allow that requires a guardrail is shown as evidence, and only a person may grant beside it."""
    condition = {"StringEquals": {"bedrock:GuardrailIdentifier": "arn:aws:bedrock:us-east-1:111122223333:guardrail/g"}}
    found = diagnose(FakeIam(policy(statement("*", Condition=condition))))
    assert (found.kind, found.code) == (DiagnosisKind.CONDITIONAL_ALLOW, "condition_not_met")
    assert (found.grantable, found.ask_only) == (True, True)
    assert "guardrail" in (found.evidence or "")


def test_what_is_allowed_already_is_reported() -> None:
    """A call that the policies allow was stopped by something else, or the denial is old."""
    found = diagnose(FakeIam(policy(statement(list(US.resources)))))
    assert (found.kind, found.grantable) == (DiagnosisKind.ALREADY_ALLOWED, False)
    assert found.allowed == US.resources


def test_one_missing_arn_is_told_as_one() -> None:
    """The sentence is read by people."""
    found = diagnose(FakeIam(policy(statement(list(US.resources[1:])))))
    assert found.reason == f"A call of {US.id} needs 4 ARNs in the policy, and one of them is missing."


def test_an_explicit_deny_among_the_policies_is_not_fixable() -> None:
    """A Deny on any of the ARNs wins over any grant, whatever the message says."""
    deny = statement(MODEL_WEST, Effect="Deny")
    found = diagnose(FakeIam(policy(deny, name="guard")))
    assert (found.kind, found.code, found.layer) == (DiagnosisKind.NOT_FIXABLE, "explicit_deny", Layer.IDENTITY)
    assert "guard" in found.reason
    assert "Deny" in (found.evidence or "")


def test_a_boundary_that_does_not_allow_it_is_not_fixable() -> None:
    """A permissions boundary bounds every grant."""
    boundary = policy(statement(MODEL_HERE), name="boundary")
    found = diagnose(FakeIam(boundary=boundary))
    assert (found.kind, found.code, found.layer) == (DiagnosisKind.NOT_FIXABLE, "boundary", Layer.BOUNDARY)


def test_an_action_denied_on_purpose_stays_out_of_the_grant() -> None:
    """Where the other action is denied on purpose, only the denied call's own is needed."""
    deny = statement("*", Effect="Deny", Action="bedrock:InvokeModel")
    found = diagnose(FakeIam(policy(deny)))
    assert (found.kind, found.actions) == (DiagnosisKind.MISSING_GRANT, (make.ACTION,))


def test_an_action_that_the_boundary_stops_stays_out_of_the_grant() -> None:
    """It would not work, whatever is granted; what was denied decides about the grant."""
    boundary = policy(statement("*", Action=[make.ACTION]), name="boundary")
    found = diagnose(FakeIam(boundary=boundary))
    assert (found.kind, found.actions) == (DiagnosisKind.MISSING_GRANT, (make.ACTION,))


def test_a_denial_that_names_no_layer_is_asked_about() -> None:
    """The older form does not say that an identity policy is at fault, so a person decides."""
    found = diagnose(errorMessage=make.message(why=""))
    assert (found.grantable, found.ask_only, found.code) == (True, True, "layer_unknown")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, f"profile#{US.arn}"),
        (
            {"errorMessage": make.message(resource=MODEL_HERE), "requestParameters": {"modelId": make.MODEL_ID}},
            f"model#{MODEL_HERE}",
        ),
        ({"errorMessage": make.message(resource=MODEL_WEST), "requestParameters": None}, None),
        (
            {"errorMessage": make.message(resource=None), "requestParameters": {"modelId": f"{US.arn}{'x' * 1000}"}},
            None,
        ),
        (
            {"errorMessage": make.message(why="with an explicit deny in a service control policy")},
            f"advice#not_fixable#{US.arn}#scp",
        ),
        ({"errorMessage": make.message(resource=None), "requestParameters": None}, None),
    ],
)
def test_the_row_of_a_denial_is_guessed_without_a_call(record: dict[str, Any], expected: str | None) -> None:
    """To be read together with the counter; no guess where AWS must be asked, or where there is no such key."""
    iam, profiles = FakeIam(), FakeProfiles()
    investigation = Investigation(home=make.ACCOUNT, iam=iam, profiles=profiles, details=FakeDetails(), policy=SETTINGS)
    denial = cloudtrail.read(json.dumps(make.event(make.record(**record))))
    assert investigation.expected_row(denial) == expected
    assert iam.asked == profiles.asked == []


class TestWouldHelp:
    """Asking the simulator before anything is written."""

    @staticmethod
    def ask(answers: Any = "allowed", **changes: Any) -> Diagnosis | None:
        """What becomes of a missing grant."""
        iam = FakeIam(answers=answers, **changes)
        profiles = FakeProfiles(US)
        found = investigate(iam, profiles)
        assert found.identity is not None
        investigation = Investigation(
            home=make.ACCOUNT, iam=iam, profiles=profiles, details=FakeDetails(), policy=SETTINGS
        )
        denial = cloudtrail.read(json.dumps(make.event(make.record())))
        assert isinstance(denial, Denial)
        return investigation.would_help(denial, found, NOW)

    @pytest.mark.parametrize("answers", ["allowed", "implicitDeny", "explicitDeny"])
    def test_what_may_help_stays_a_grant(self, answers: str) -> None:
        """So does what the simulator denies and the policies, as they were read, do not."""
        found = self.ask(answers)
        assert found is not None
        assert (found.kind, found.grantable) == (DiagnosisKind.MISSING_GRANT, True)
        assert found.actions == INVOKE_ACTIONS

    def test_what_certainly_does_not_help_becomes_advice(self) -> None:
        """A destination that an SCP stops, and not what was denied: advice, and nobody is asked."""
        found = self.ask(stopped=lambda _, arn: "us-west-2" in arn)
        assert found is not None
        assert (found.kind, found.code, found.grantable) == (DiagnosisKind.NOT_FIXABLE, "certainly_no_help", False)
        assert found.layer is Layer.SCP

    def test_what_stops_the_other_action_takes_it_out(self) -> None:
        """The grant is of the action that was denied, and says why not of the other one."""
        found = self.ask(stopped=lambda action, _: action == "bedrock:InvokeModel")
        assert found is not None
        assert (found.grantable, found.actions) == (True, ("bedrock:InvokeModelWithResponseStream",))
        assert "bedrock:InvokeModel is left out" in found.reason

    @pytest.mark.parametrize("trouble", [RetryableError("busy"), SimulationRefusedError("no such ARN")])
    def test_no_answer_is_no_answer(self, trouble: Exception) -> None:
        """A simulator that cannot be asked proves nothing."""
        assert self.ask(trouble) is None


def test_what_aws_refuses_to_tell_is_the_finding() -> None:
    """Where a question is refused, the reason says which, and nothing is granted."""
    found = from_refused_lookup("AWS refused GetRole to this service (AccessDenied)")
    assert (found.code, found.grantable) == ("lookup_refused", False)
    assert found.reason.startswith("AWS refused GetRole to this service (AccessDenied), so nothing")


NOT_APPS = {"Effect": "Deny", "Action": "bedrock:*", "NotResource": [ANY_APP, "arn:aws:bedrock:*::foundation-model/*"]}


@pytest.mark.parametrize(
    ("deny", "told"),
    [
        (NOT_APPS, f"is allowed as {APP.arn}: use that"),
        (statement(NOVA, Effect="Deny", Condition=NOT_BY_APP), f"is allowed as {APP.arn}: use that"),
        (statement("*", Effect="Deny", Condition=NOT_BY_APP), f"may be allowed as {APP.arn}, which cannot be checked"),
    ],
)
def test_a_deny_of_all_but_application_profiles_names_the_one_that_is_held(deny: Any, told: str) -> None:
    """The way out is the application profile; whether a condition sees the profile itself is not told (facts §3.5)."""
    found = diagnose(FakeIam(policy(statement("*"), deny)), FakeProfiles(US, GLOBAL, APP))
    assert (summary(found), found.candidates) == (DENY, (APP.arn,))
    assert f"a deny wins over any grant. The same model {told}" in found.reason


def test_a_deny_of_everything_names_no_other_profile() -> None:
    """Where the Deny is of every profile of the model, there is no way out to name."""
    found = diagnose(FakeIam(policy(statement("*"), statement("*", Effect="Deny"))), FakeProfiles(US, GLOBAL, APP))
    assert (summary(found), found.candidates) == (DENY, ())
    assert found.reason.endswith("a deny wins over any grant.")
