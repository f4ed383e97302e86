"""Records that must not go round and round: whatever they name, each ends in a row, or in a refusal with its reason."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core import cloudtrail, lifecycle
from bedrock_remediator.core.arn import ArnError, BedrockResource
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.grant import DiagnosisKind, State
from bedrock_remediator.core.profile import FoundationModel, Profile
from bedrock_remediator.flows.triage.investigation import Investigation
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from tests.builders import records as make
from tests.builders.aws import FakeDetails, FakeIam, FakeProfiles
from tests.builders.clocks import StoppedClock
from tests.builders.triage import US, Service

OWN = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}"
OTHER = "444455556666"
KINDS = (
    "inference-profile/us.amazon.nova-2-lite-v1:0",
    "inference-profile/a/b",
    "application-inference-profile/q7xk2m9p0abc",
    "foundation-model/amazon.nova-2-lite-v1:0",
    "foundation-model/amazon.nova-pro-v1:0",
    "prompt-router/q7xk2m9p0abc",
    "default-prompt-router/anthropic.claude:1",
    "prompt/PROMPT12345:1",
    "provisioned-model/abc123",
    "custom-model/amazon.nova-lite-v1:0/abc123",
    "custom-model-deployment/abc123",
    "imported-model/abc123",
    "async-invoke/abc123",
    "marketplace/model-endpoint/all-access",
    "project/default",
    "agent/ABC",
    "nothing-that-there-is/abc",
)
PLACES = (
    f"arn:aws:bedrock:us-east-1:{make.ACCOUNT}:",
    f"arn:aws:bedrock:us-west-2:{make.ACCOUNT}:",
    f"arn:aws:bedrock:us-east-1:{OTHER}:",
    "arn:aws:bedrock:us-east-1::",
    "arn:aws:bedrock:::",
    f"arn:aws-cn:bedrock:us-east-1:{make.ACCOUNT}:",
    "arn:aws:bedrock:us-east-1:aws:",
)
NAMES = [place + kind for place in PLACES for kind in KINDS]
STRANGE = [
    f"arn:aws:sagemaker:us-east-1:{make.ACCOUNT}:endpoint/e",
    "arn:aws:s3:::bucket",
    "arn:aws:bedrock:us-east-1::foundation-model/*",
    make.PROFILE_ID,
    make.MODEL_ID,
    "x" * 3000,
    "é",
    "",
]
DENIED = [None, *NAMES]


@pytest.fixture
def service(ledger: Ledger, clock: StoppedClock) -> Service:
    """Triage on the empty ledger."""
    return Service(ledger, clock)


def refused(operation: str, code: str = "AccessDeniedException", status: int = 403) -> ClientError:
    """AWS's refusal of a call of ours."""
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)  # type: ignore[arg-type]


class StrictProfiles(FakeProfiles):
    """Bedrock, with the rights that template.yaml gives: profiles of the own account alone, and models."""

    def profile(self, account: str, region: str, identifier: str) -> Profile | None:
        """By id or ARN; refused for what the role's policy does not name."""
        mine = tuple(f"arn:aws:bedrock:{region}:{account}:{kind}inference-profile/" for kind in ("", "application-"))
        if identifier.startswith("arn:") and not identifier.startswith(mine):
            raise refused("GetInferenceProfile")
        return super().profile(account, region, identifier)


@pytest.fixture
def strict(service: Service) -> Service:
    """Triage, where Bedrock refuses what the role may not ask."""
    service.profiles = StrictProfiles(US, models={make.MODEL_ID: ["ON_DEMAND"]})
    return service


def denial(number: int, **record: Any) -> dict[str, Any]:
    """An event of its own."""
    return make.event(make.record(**({"eventID": f"event-{number}"} | record)))


@pytest.mark.parametrize("first", range(0, len(DENIED), 12))
def test_whatever_is_denied_and_called_ends_in_a_row(strict: Service, first: int) -> None:
    """Kinds of ARN as modelId, beside every kind of resource that can be denied: none fails, none is refused."""
    called = [*NAMES, *STRANGE]
    events = [
        denial(
            number * 100 + place,
            errorMessage=make.message(resource=denied),
            requestParameters={"modelId": called[(number * 7 + place * 13) % len(called)]},
        )
        for number, denied in enumerate(DENIED[first : first + 12], first)
        for place in range(8)
    ]
    fates = strict.handle(*events)
    assert sum(fates.values()) == len(events)
    # What is beyond the bounds of one principal is counted on a row of its own.
    assert fates.keys() <= {"reported", "pending", "repeat", "beyond_bounds"}


def test_whatever_is_denied_and_called_is_diagnosed(strict: Service) -> None:
    """Every kind of ARN beside every kind: no lookup is refused to this service, and each row's key fits the ledger."""
    settings = PolicySettings(
        ledger_table="ledger",
        mode=Mode.AUTO,
        paused=False,
        strategy=Strategy.MANAGED,
        allowlist_path="/allowlist",
        extra_actions=(),
        grantable_principals=("arn:aws:iam::*:role/*",),
        default_grant_days=0,
    )
    investigation = Investigation(
        home=make.ACCOUNT, iam=FakeIam(), profiles=strict.profiles, details=FakeDetails(), policy=settings
    )
    template = cloudtrail.read(json.dumps(denial(1)))
    assert isinstance(template, Denial)
    for denied, called in itertools.product(DENIED, [*NAMES, *STRANGE, None]):
        resource = BedrockResource.parse(denied) if denied else None
        each = replace(template, resource=resource, model_id=called)
        found = investigation.investigate(each, strict.clock.now()).diagnosis
        assert len(lifecycle.sort_key(each, found).encode()) <= 900
        if found.grantable:
            assert {arn for arn in found.resources if "profile" in arn} <= {US.arn}
            assert set(found.resources) <= {*US.resources}
        else:
            assert found.code in KNOWN_ENDS, (denied, called)


KNOWN_ENDS = {
    "unsupported_resource",
    "profile_elsewhere",
    "profile_not_found",
    "model_not_found",
    "no_profile_serves_model",
    "resource_not_in_profile",
    "resource_unknown",
}


@pytest.mark.parametrize("called", [f"{OWN}:{kind}" for kind in KINDS if kind.startswith(("prompt-r", "prov", "cust"))])
def test_no_profile_is_looked_for_under_what_is_none(strict: Service, called: str) -> None:
    """A model that is denied through a router or a throughput is advice, and GetInferenceProfile is not asked."""
    event = denial(1, errorMessage=make.message(resource=make.model()), requestParameters={"modelId": called})
    assert strict.handle(event) == {"reported": 1}
    row = strict.row(f"advice#not_fixable#{make.model()}#unsupported_resource")
    assert (row.state, row.diagnosis) == (State.REPORTED, DiagnosisKind.NOT_FIXABLE)
    assert strict.profiles.asked == []


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (refused("GetInferenceProfile"), "lookup_refused"),
        (refused("ListInferenceProfiles", "ValidationError", 400), "lookup_refused"),
        (ArnError("arn:of:nothing", "the ARN of a foundation model"), "lookup_refused"),
        (ParamValidationError(report="too long"), "lookup_refused"),
    ],
)
def test_what_bedrock_refuses_to_tell_is_a_row_with_its_reason(service: Service, trouble: Exception, code: str) -> None:
    """Whether the event or the deployment is to blame: people are told which call was refused, once."""

    class Refusing(FakeProfiles):
        def profile(self, account: str, region: str, identifier: str) -> Profile | None:
            raise trouble

        def model(self, account: str, region: str, model_id: str) -> FoundationModel | None:
            raise trouble

    service.profiles = Refusing(US)
    assert service.handle(denial(1)) == {"reported": 1}
    row = service.row(f"advice#unknown#{US.arn}#{code}")
    assert (row.state, row.diagnosis, row.reason_code) == (State.REPORTED, DiagnosisKind.UNKNOWN, code)
    assert getattr(trouble, "operation_name", type(trouble).__name__) in row.reason
    assert service.handle(denial(2)) == {"repeat": 1}


@pytest.mark.parametrize("identity", [{}, {"sessionContext": None}])
def test_what_iam_refuses_to_tell_is_a_row_with_its_reason(service: Service, identity: dict[str, Any]) -> None:
    """Also where the role's path had to be looked for first."""
    service.iam = FakeIam(trouble=refused("GetRole", "AccessDenied"))
    event = denial(1, userIdentity=make.role_identity(**identity))
    assert service.handle(event) == {"reported": 1}
    pk = make.ROLE if "sessionContext" not in identity else f"arn:aws:iam::{make.ACCOUNT}:role/llm-app"
    (row,) = service.rows(pk)
    assert (row.state, row.reason_code) == (State.REPORTED, "lookup_refused")
    assert "GetRole" in row.reason


@pytest.mark.parametrize("trouble", [RetryableError("throttled"), RuntimeError("a fault of ours")])
def test_passing_trouble_is_tried_again(service: Service, trouble: Exception) -> None:
    """Throttling is no answer, and neither is a fault of this service: the message comes again, and is watched."""
    service.iam = FakeIam(trouble=trouble)
    assert service.triage().handle({"1": json.dumps(denial(1))}).failed == {"1"}


def test_a_refused_lookup_is_tried_again_with_a_later_denial(service: Service, clock: StoppedClock) -> None:
    """Once the role may read again, the next denial after an hour is judged as if it were the first."""
    healthy, service.iam = service.iam, FakeIam(trouble=refused("GetRole", "AccessDenied"))
    service.handle(denial(1))
    service.iam = healthy
    assert service.handle(denial(2)) == {"repeat": 1}
    clock.time += timedelta(minutes=61)
    assert service.handle(denial(3)) == {"pending": 1}
