"""Events that somebody made up: every form of a refusal that is known, in every shape of record, bent in every way.

Structure-aware: a text is put together from the parts that AWS puts together, then some part is replaced by what an
attacker would rather have there. Forms and shapes: docs/aws-facts.md §1 and §2.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import Struct

from tests.builders import records as make

ACCOUNT: Final = make.ACCOUNT
OTHER: Final = "444455556666"
ROLE_ID: Final = "AROAEXAMPLEROLE000001"
PROFILE_IDS: Final = ("us.amazon.nova-2-lite-v1:0", "global.amazon.nova-2-lite-v1:0", "q7xk2m9p0abc")
FAR_PROFILE: Final = f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:inference-profile/eu.amazon.nova-pro-v1:0"
PROFILE_KINDS: Final = ("inference-profile", "application-inference-profile")
OTHER_KINDS: Final = ("prompt-router", "default-prompt-router", "provisioned-model", "custom-model", "imported-model")
REGIONS: Final = ("us-east-1", "us-east-2", "us-west-2", "")
ACTIONS: Final = (
    "bedrock:InvokeModel",
    "bedrock:InvokeModelWithResponseStream",
    "bedrock:CallWithBearerToken",
    "iam:PassRole",
)

LAYERS: Final = (
    "identity-based policy",
    "resource-based policy",
    "permissions boundary",
    "session policy",
    "service control policy",
    "resource control policy",
    "VPC endpoint policy",
    "role trust policy",
)
PLAIN_REFUSALS: Final = (
    "You don't have access to the model with the specified model ID.",
    "Your account is not authorized to invoke this API operation.",
    (
        "Model access is denied due to IAM user or service role is not authorized to perform the required AWS "
        "Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access."
    ),
    "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: a valid payment instrument must be provided.",
    "Your AWS Marketplace subscription for this model is still being processed.",
    "Model use case details have not been submitted for this account.",
    "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model.",
    "This model version has reached the end of its life.",
    "Access to Anthropic models is not allowed from unsupported countries, regions, or territories.",
)

HOSTILE: Final = (
    "*",
    "?",
    "${aws:username}",
    "${*}",
    "arn:aws:iam::aws:policy/AdministratorAccess",
    f"arn:aws:iam::{OTHER}:role/admin",
    f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/*",
    "arn:aws:bedrock:*::foundation-model/*",
    "arn:aws:s3:::bucket/*",
    " with an explicit deny in a service control policy",
    " because no identity-based policy allows the bedrock:InvokeModel action",
    f" on resource: arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0",
    f"User: arn:aws:iam::{ACCOUNT}:role/admin is not authorized to perform: ",
    "\n",
    "\r\nBcc: all@example.com",
    "\x00",
    "\u202e",
    "\u2028",
    "é",
    "<script>",
    '","Resource":"*',
    "../../",
    " ",
    ".",
    "x" * 900,
)


SOMEBODY_ELSE: Final = (
    f"arn:aws:iam::{ACCOUNT}:user/somebody-else",
    f"arn:aws:iam::{ACCOUNT}:root",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/~",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/other/web-1",
    f"arn:aws:iam::{OTHER}:user/dev",
    f"arn:aws:sts::{OTHER}:assumed-role/llm-app/web-1",
    "AROAEXAMPLE",
)


class Told(Struct, frozen=True):
    """An event, and whether it was made to contradict itself about who called, in which account, or where."""

    event: Mapping[str, Any]
    contradicts: bool

    @property
    def body(self) -> str:
        """As the queue brings it."""
        return json.dumps(self.event)


def resources() -> st.SearchStrategy[str]:
    """What a message may name: every kind of resource that a call can have, and some that none has."""
    own = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"
    profiles = [f"{own}:{kind}/{name}" for kind in PROFILE_KINDS for name in PROFILE_IDS]
    models = [f"arn:aws:bedrock:{region}::foundation-model/{make.MODEL_ID}" for region in REGIONS]
    others = [f"{own}:{kind}/abc123" for kind in OTHER_KINDS]
    strange = ["*", "arn:aws:s3:::bucket", FAR_PROFILE, *HOSTILE]
    return st.one_of(*map(st.sampled_from, (profiles, profiles, models, models, others, strange)))


def reasons(action: str) -> st.SearchStrategy[str]:
    """How a message ends: every layer, both effects, with and without the policy's ARN and the sentence of 2026."""
    layers = st.sampled_from(LAYERS)
    policies = st.sampled_from(
        (
            "",
            f": arn:aws:iam::{ACCOUNT}:policy/team/no-models",
            ": arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
            f": arn:aws:organizations::{OTHER}:policy/o-abc/service_control_policy/p-abc.",
        )
    )
    tails = st.sampled_from(
        (
            "",
            "",
            ".",
            (
                ". Go to https://console.aws.amazon.com/authorization-details/abc for complete details, or call the "
                "GetRequestAuthorizationDetails API with the following authorization id: abc"
            ),
            ". And something that nobody has seen yet",
            ". It was denied",
        )
    )
    implicit = layers.map(lambda layer: f" because no {layer} allows the {action} action")
    explicit = st.builds(lambda layer, policy: f" with an explicit deny in a {layer}{policy}", layers, policies)
    endpoint = " with an explicit deny in a VPC endpoint policy transitively through a "
    through = layers.map(lambda layer: endpoint + layer)
    bare = st.sampled_from(("", " with an explicit deny"))
    return st.builds(str.__add__, st.one_of(implicit, explicit, through, bare), tails)


@st.composite
def messages(draw: st.DrawFn, principal: str) -> str:
    """The text of a refusal of this principal."""
    action = draw(st.sampled_from(ACTIONS))
    resource, why = draw(resources()), draw(reasons(action))
    layer = draw(st.sampled_from(LAYERS))
    denied = f"User: {principal} is not authorized to perform: {action}"
    console = f"User: {principal} Action: {action} On resource(s): {resource} Context: "
    return draw(
        st.sampled_from(
            (
                f"{denied} on resource: {resource}{why}",
                f"{denied} on resource: inference profile {resource}{why}",
                f"{denied}{why}",
                f"{console}a {layer} explicitly denies the action",
                f"{console}no {layer} allows the action",
            )
        )
    )


def bent(text: str) -> st.SearchStrategy[str]:
    """The text as it is, or with something put in, cut out, cut off or said twice."""
    places = st.integers(0, len(text))
    hostile = st.sampled_from(HOSTILE)
    return st.one_of(
        st.just(text),
        st.just(text),
        st.builds(lambda at, what: text[:at] + what + text[at:], places, hostile),
        st.builds(lambda at, length: text[:at] + text[at + length :], places, st.integers(1, 40)),
        places.map(lambda at: text[:at]),
        places.map(lambda at: text + text[at:]),
        st.builds(text.replace, st.sampled_from((ACCOUNT, "bedrock", ":", "/", " ")), hostile),
    )


def _role(session: str) -> dict[str, Any]:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/{session}"
    return make.role_identity(arn=arn, principalId=f"{ROLE_ID}:{session}")


SESSIONS: Final = st.text("abcXYZ019=,.@_+-", min_size=1, max_size=40)


def identities() -> st.SearchStrategy[dict[str, Any]]:
    """Every type of userIdentity, as AWS writes it, and with parts missing."""
    issuerless = SESSIONS.map(lambda name: {k: v for k, v in _role(name).items() if k != "sessionContext"})
    others = st.sampled_from(
        (
            make.user_identity(),
            make.user_identity(arn=None),
            make.role_identity(type="Role", arn=make.ROLE, principalId=ROLE_ID),
            {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT},
            {
                "type": "FederatedUser",
                "principalId": f"{ACCOUNT}:fed",
                "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/fed",
                "accountId": ACCOUNT,
            },
            {"type": "IdentityCenterUser", "accountId": ACCOUNT, "credentialId": "abc"},
            {"type": "AWSAccount", "principalId": "AIDAX", "accountId": OTHER},
            {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"},
            {"type": "Directory", "accountId": ACCOUNT, "userName": "d"},
            {"type": "Unknown"},
            {},
            make.role_identity(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-*/x"),
            make.user_identity(arn=f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"),
            make.user_identity(arn=f"arn:aws:iam::{ACCOUNT}:user/*"),
            make.role_identity(sessionContext={"sessionIssuer": {"arn": f"arn:aws:iam::{OTHER}:role/service/llm-app"}}),
        )
    )
    return st.one_of(SESSIONS.map(_role), SESSIONS.map(_role), issuerless, others)


JUNK: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
ADDRESSES: Final = ("192.0.2.10", "bedrock.amazonaws.com", "2001:db8::1", None, "*", "x" * 300)
TIMES: Final = st.sampled_from(
    (
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.123456Z",
        "2026-11-20T10:00:00+05:30",
        "2026-11-20T10:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "0999-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "yesterday",
        "",
    )
)


@st.composite
def events(draw: st.DrawFn) -> Told:
    """An event: most parts as they are on AWS, some bent."""
    identity = draw(identities())
    named = identity.get("arn") or f"arn:aws:iam::{ACCOUNT}:user/nobody"
    lie = draw(st.sampled_from(("", "", "", "", "principal", "account", "recipient", "region")))
    spoken = f"arn:aws:iam::{ACCOUNT}:user/somebody-else" if lie == "principal" else named
    text = draw(st.one_of(messages(spoken), messages(spoken), messages(spoken), st.sampled_from(PLAIN_REFUSALS)))
    record = make.record(
        userIdentity=identity,
        errorMessage=text if lie else draw(bent(text)),
        requestParameters=draw(
            st.one_of(
                st.just({"modelId": make.PROFILE_ID}),
                st.none(),
                resources().map(lambda each: {"modelId": each}),
                st.sampled_from(HOSTILE).map(lambda each: {"modelId": each}),
                JUNK,
                JUNK.map(lambda each: {"modelId": each}),
            )
        ),
        eventTime=draw(st.one_of(st.just("2026-11-20T10:00:00Z"), st.just("2026-11-20T10:00:00Z"), TIMES)),
        sourceIPAddress=draw(st.sampled_from(ADDRESSES)),
        userAgent=draw(st.one_of(st.just("Boto3/1.44.5"), st.sampled_from(HOSTILE), st.none())),
    )
    event = make.event(record)
    if lie == "account":
        event["account"] = OTHER
    elif lie == "recipient":
        record["recipientAccountId"] = OTHER
    elif lie == "region":
        record["awsRegion"] = "eu-west-1"
    elif not lie:
        _broken(draw, event)
    # A caller without an ARN can be granted nothing, and its message may name whom it likes of its account.
    speaks = text.startswith("User: ") and (identity.get("arn") or identity.get("type") in ("IAMUser", "AssumedRole"))
    return Told(event, contradicts=bool(lie) and (lie != "principal" or bool(speaks)))


@st.composite
def contradictions(draw: st.DrawFn) -> Mapping[str, Any]:
    """An event that is as AWS writes it, but for one thing that two of its parts do not agree on."""
    identity = draw(st.one_of(SESSIONS.map(_role), st.just(make.user_identity())))
    lie = draw(st.sampled_from(("principal", "principal", "account", "recipient", "region")))
    spoken = draw(st.sampled_from(SOMEBODY_ELSE)) if lie == "principal" else identity["arn"]
    event = make.event(make.record(userIdentity=identity, errorMessage=make.message(spoken)))
    if lie == "account":
        event["account"] = OTHER
    elif lie == "recipient":
        event["detail"]["recipientAccountId"] = OTHER
    elif lie == "region":
        event["detail"]["awsRegion"] = "eu-west-1"
    return event


def _broken(draw: st.DrawFn, event: dict[str, Any]) -> None:
    """Now and then a field is missing, or of a type that it never has."""
    if not draw(st.integers(0, 3)):
        place = draw(st.sampled_from((event, event["detail"], event["detail"]["userIdentity"])))
        if place:
            name = draw(st.sampled_from(sorted(place)))
            if draw(st.booleans()):
                del place[name]
            else:
                place[name] = draw(JUNK)


def tried(strategy: st.SearchStrategy[Any], law: Callable[[Any], None], many: int) -> int:
    """Hold a law against that many inputs, and say how many there were."""
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415 - beside its use

    inputs = 0

    @settings(max_examples=many, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def hold(value: Any) -> None:
        nonlocal inputs
        inputs += 1
        law(value)

    hold()
    return inputs
