"""Reading IAM's answers that moto does not give: simulation, AWS managed policies, pages, refusals."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import IamReader, Simulated, SimulationRefusedError
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Policy, PolicyKind
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ROLE = Principal.parse(f"arn:aws:iam::{ACCOUNT}:role/llm-app")
AWS_MANAGED = "arn:aws:iam::aws:policy/AmazonBedrockLimitedAccess"
INVOKE = "bedrock:InvokeModel"
EMPTY = '{"Version": "2012-10-17", "Statement": []}'


@pytest.fixture
def client(aws: None) -> "IAMClient":
    """A client that answers only what it is told to."""
    return boto3.client("iam")


@pytest.fixture
def stubber(client: "IAMClient") -> Iterator[Stubber]:
    """What tells it."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def reader(client: "IAMClient", clock: StoppedClock) -> IamReader:
    """A reader over that client."""
    return IamReader(lambda _: client, clock)


CONTEXT = {"bedrock:InferenceProfileArn": PROFILE, "aws:CurrentTime": "2026-11-20T12:00:00Z"}


def simulate(reader: IamReader) -> list[Simulated]:
    """Ask about one profile."""
    return reader.simulate(ROLE.arn, [INVOKE], [PROFILE], CONTEXT, [EMPTY])


def answer(results: list[dict[str, Any]], **page: Any) -> dict[str, Any]:
    """What SimulatePrincipalPolicy answers."""
    return {"EvaluationResults": results, "IsTruncated": False, **page}


class TestSimulation:
    """What becomes of the simulator's answers."""

    def test_asks_what_it_is_told_to(self, reader: IamReader, stubber: Stubber) -> None:
        """Everything goes into one call: principal, actions, resources, keys with their types, documents to come."""
        stubber.add_response(
            "simulate_principal_policy",
            answer([]),
            {
                "PolicySourceArn": ROLE.arn,
                "ActionNames": [INVOKE],
                "ResourceArns": [PROFILE],
                "ContextEntries": [
                    {
                        "ContextKeyName": "bedrock:InferenceProfileArn",
                        "ContextKeyValues": [PROFILE],
                        "ContextKeyType": "string",
                    },
                    {
                        "ContextKeyName": "aws:CurrentTime",
                        "ContextKeyValues": ["2026-11-20T12:00:00Z"],
                        "ContextKeyType": "date",
                    },
                ],
                "PolicyInputList": [EMPTY],
                "MaxItems": 1000,
            },
        )
        assert simulate(reader) == []

    def test_leaves_out_what_is_empty(self, reader: IamReader, stubber: Stubber) -> None:
        """No conditions and no documents are no parameters."""
        stubber.add_response(
            "simulate_principal_policy",
            answer([]),
            {"PolicySourceArn": ROLE.arn, "ActionNames": [INVOKE], "ResourceArns": [PROFILE], "MaxItems": 1000},
        )
        reader.simulate(ROLE.arn, [INVOKE], [PROFILE], {})

    def test_reads_one_entry_a_resource(self, reader: IamReader, stubber: Stubber) -> None:
        """The older shape: an entry of its own for each action on each resource."""
        entry = {"EvalActionName": INVOKE, "EvalDecision": "implicitDeny", "EvalResourceName": PROFILE}
        details = {
            "MissingContextValues": ["aws:SourceVpce", "aws:MultiFactorAuthPresent"],
            "OrganizationsDecisionDetail": {"AllowedByOrganizations": False},
            "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": True},
        }
        stubber.add_response(
            "simulate_principal_policy",
            answer([{**entry, "EvalDecision": "allowed"}, {**entry, **details, "EvalResourceName": MODELS[0]}]),
        )
        assert simulate(reader) == [
            Simulated(
                action=INVOKE,
                resource=PROFILE,
                decision="allowed",
                organizations=None,
                boundary=None,
                missing_context=(),
            ),
            Simulated(
                action=INVOKE,
                resource=MODELS[0],
                decision="implicitDeny",
                organizations=False,
                boundary=True,
                missing_context=("aws:MultiFactorAuthPresent", "aws:SourceVpce"),
            ),
        ]

    def test_reads_one_entry_an_action(self, reader: IamReader, stubber: Stubber) -> None:
        """Today's shape: the entry's own resource is a template, and the decisions are those of its resources."""
        entry = {
            "EvalActionName": INVOKE,
            "EvalDecision": "explicitDeny",
            "EvalResourceName": "arn:${Partition}:bedrock:${Region}::foundation-model/${ResourceId}",
            "OrganizationsDecisionDetail": {"AllowedByOrganizations": True},
            "ResourceSpecificResults": [
                {"EvalResourceName": PROFILE, "EvalResourceDecision": "allowed"},
                {
                    "EvalResourceName": MODELS[0],
                    "EvalResourceDecision": "explicitDeny",
                    "MissingContextValues": ["aws:SourceVpce"],
                    "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False},
                },
            ],
        }
        stubber.add_response("simulate_principal_policy", answer([entry]))
        assert simulate(reader) == [
            Simulated(
                action=INVOKE,
                resource=PROFILE,
                decision="allowed",
                organizations=True,
                boundary=None,
                missing_context=(),
            ),
            Simulated(
                action=INVOKE,
                resource=MODELS[0],
                decision="explicitDeny",
                organizations=True,
                boundary=False,
                missing_context=("aws:SourceVpce",),
            ),
        ]

    def test_reads_every_page(self, reader: IamReader, stubber: Stubber) -> None:
        """An answer on the second page counts as much as one on the first, and the same one twice is one."""
        entry = {"EvalActionName": INVOKE, "EvalDecision": "allowed", "EvalResourceName": PROFILE}
        stubber.add_response("simulate_principal_policy", answer([entry], IsTruncated=True, Marker="more"))
        stubber.add_response("simulate_principal_policy", answer([entry, {**entry, "EvalDecision": "implicitDeny"}]))
        assert [simulated.decision for simulated in simulate(reader)] == ["allowed", "implicitDeny"]

    @pytest.mark.parametrize("code", ["InvalidInput", "PolicyEvaluation", "NoSuchEntity"])
    def test_that_iam_refuses_proves_nothing(self, reader: IamReader, stubber: Stubber, code: str) -> None:
        """An ARN that the simulator does not take is told apart from a decision."""
        stubber.add_client_error("simulate_principal_policy", code, http_status_code=400)
        with pytest.raises(SimulationRefusedError):
            simulate(reader)

    def test_is_left_to_the_queue_when_throttled(self, reader: IamReader, stubber: Stubber) -> None:
        """Throttling passes."""
        stubber.add_client_error("simulate_principal_policy", "Throttling", http_status_code=400)
        with pytest.raises(RetryableError):
            simulate(reader)

    def test_without_the_right_to_is_an_error(self, reader: IamReader, stubber: Stubber) -> None:
        """A service that may not simulate is deployed wrongly, and that is not hidden."""
        stubber.add_client_error("simulate_principal_policy", "AccessDenied", http_status_code=403)
        with pytest.raises(ClientError):
            simulate(reader)


def hold(stubber: Stubber, *arns: str, boundary: str | None = None, marker: str | None = None) -> None:
    """Let a role have no inline policy, and these attached."""
    role = {"Path": "/", "RoleName": "llm-app", "RoleId": "AROAEXAMPLEEXAMPLE000", "Arn": ROLE.arn, "CreateDate": NOON}
    bounded = {"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}} if boundary else {}
    stubber.add_response("get_role", {"Role": {**role, **bounded}})
    stubber.add_response("list_role_policies", {"PolicyNames": [], "IsTruncated": False})
    for number, arn in enumerate(arns, 1):
        page = {"IsTruncated": True, "Marker": marker} if marker and number < len(arns) else {"IsTruncated": False}
        stubber.add_response(
            "list_attached_role_policies",
            {"AttachedPolicies": [{"PolicyArn": arn, "PolicyName": arn.rpartition("/")[2]}], **page},
        )
        if page["IsTruncated"]:
            publish(stubber, arn)
    if not arns:
        stubber.add_response("list_attached_role_policies", {"AttachedPolicies": [], "IsTruncated": False})


def publish(stubber: Stubber, arn: str) -> None:
    """Let a managed policy be read, with both of the calls it takes."""
    policy = {"PolicyId": "ANPAEXAMPLEEXAMPLE000", "DefaultVersionId": "v3"}
    stubber.add_response("get_policy", {"Policy": policy}, {"PolicyArn": arn})
    stubber.add_response(
        "get_policy_version", {"PolicyVersion": {"Document": EMPTY}}, {"PolicyArn": arn, "VersionId": "v3"}
    )


def policies(reader: IamReader) -> tuple[Policy, ...]:
    """What the role holds."""
    identity = reader.identity(ROLE)
    assert identity
    return identity.holdings.policies


def test_an_aws_managed_policy_is_remembered_for_an_hour(
    reader: IamReader, stubber: Stubber, clock: StoppedClock
) -> None:
    """AWS's own policies are the same for everybody and change seldom: a second principal's costs no call."""
    hold(stubber, AWS_MANAGED)
    publish(stubber, AWS_MANAGED)
    assert policies(reader)[0].kind is PolicyKind.AWS_MANAGED
    hold(stubber, AWS_MANAGED)
    assert policies(reader)[0].arn == AWS_MANAGED
    clock.time += timedelta(hours=1)
    hold(stubber, AWS_MANAGED)
    stubber.add_response("get_policy", {"Policy": {"PolicyId": "ANPAEXAMPLEEXAMPLE000", "DefaultVersionId": "v3"}})
    assert policies(reader)[0].name == "AmazonBedrockLimitedAccess"


def test_a_boundary_whose_policy_is_gone_allows_nothing(reader: IamReader, stubber: Stubber) -> None:
    """A boundary that cannot be read must not look like no boundary."""
    arn = f"arn:aws:iam::{ACCOUNT}:policy/gone"
    hold(stubber, boundary=arn)
    stubber.add_client_error("get_policy", "NoSuchEntity", http_status_code=404)
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.boundary
    assert identity.holdings.boundary.document["Statement"] == []


def test_a_policy_that_goes_between_two_calls_is_left_out(reader: IamReader, stubber: Stubber) -> None:
    """Between asking for the version and asking for its text a policy may be deleted."""
    arn = f"arn:aws:iam::{ACCOUNT}:policy/going"
    hold(stubber, arn)
    stubber.add_response("get_policy", {"Policy": {"PolicyId": "ANPA0000000000000000", "DefaultVersionId": "v1"}})
    stubber.add_client_error("get_policy_version", "NoSuchEntity", http_status_code=404)
    assert policies(reader) == ()


def test_every_page_of_attached_policies_is_read(reader: IamReader, stubber: Stubber) -> None:
    """A Deny on the second page counts."""
    other = f"arn:aws:iam::{ACCOUNT}:policy/second"
    hold(stubber, AWS_MANAGED, other, marker="more")
    stubber.add_response("get_policy", {"Policy": {"PolicyId": "ANPA0000000000000000", "DefaultVersionId": "v1"}})
    stubber.add_response("get_policy_version", {"PolicyVersion": {"Document": EMPTY}})
    assert [policy.arn for policy in policies(reader)] == [AWS_MANAGED, other]


def test_throttling_is_left_to_the_queue(reader: IamReader, stubber: Stubber) -> None:
    """A principal that could not be read is not a principal that does not exist."""
    for read in (reader.identity, reader.principal):
        stubber.add_client_error("get_role", "Throttling", http_status_code=400)
        with pytest.raises(RetryableError):
            read(ROLE)


def test_a_policy_that_may_not_be_read_is_an_error(reader: IamReader, stubber: Stubber) -> None:
    """What the principal holds is known whole or not at all."""
    hold(stubber, AWS_MANAGED)
    stubber.add_client_error("get_policy", "AccessDenied", http_status_code=403)
    with pytest.raises(ClientError):
        reader.identity(ROLE)
