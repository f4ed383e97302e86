"""What AWS answers to those who look at the account and the stack: details in pages, past events, the stack itself."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from sandbox.stack import Sandbox
from sandbox.world import World
from tests.builders.sandboxes import document, own_session, started, statement, world

WORLD: World = world(
    roles=[{"name": f"role-{number}", "inline": {"own": document(statement())}} for number in range(3)],
    groups=[{"name": "ml", "managed": {"Models": document(statement())}}],
    users=[{"name": "dana", "groups": ["ml"], "boundary": document(statement())}],
)


@pytest.fixture
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An account with a small stack."""
    queue = {"Type": "AWS::SQS::Queue", "Properties": {}}
    folder = tmp_path_factory.mktemp("stack")
    with started(folder, {"Queue": queue}, world=WORLD) as sandbox:
        yield sandbox


def test_account_details_come_in_pages(sandbox: Sandbox) -> None:
    """Each kind that is asked for, in pages by marker; policies are read back as documents."""
    iam = own_session().client("iam")
    names: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = iam.get_account_authorization_details(Filter=["Role", "User"], MaxItems=2, **more)
        names += [role["RoleName"] for role in page["RoleDetailList"]]
        names += [user["UserName"] for user in page["UserDetailList"]]
        if not page["IsTruncated"]:
            break
        more = {"Marker": page["Marker"]}
    assert names == ["role-0", "role-1", "role-2", "dana"]
    (user,) = page["UserDetailList"]
    assert user["GroupList"] == ["ml"]
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith("user.dana")
    policies = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])["Policies"]
    assert {each["PolicyName"] for each in policies} == {"Models", "user.dana"}
    assert policies[0]["PolicyVersionList"][0]["Document"]["Version"] == "2012-10-17"  # type: ignore[index]
    assert iam.get_account_summary()["SummaryMap"]["Roles"] == 3


def test_past_events_are_looked_up(sandbox: Sandbox) -> None:
    """By one attribute, within a period, the newest first, in pages, in their region."""
    for number, region in enumerate(["us-east-1"] * 3 + ["eu-west-1"]):
        time = f"2026-11-2{number}T10:00:00Z"
        sandbox.trail.records.append(
            {"eventID": str(number), "eventName": "Converse", "eventTime": time, "awsRegion": region}
        )
    trail = own_session().client("cloudtrail")
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "Converse"}]
    first = trail.lookup_events(LookupAttributes=by_name, MaxResults=2)
    rest = trail.lookup_events(LookupAttributes=by_name, MaxResults=2, NextToken=first["NextToken"])
    assert [each["EventId"] for each in (*first["Events"], *rest["Events"])] == ["2", "1", "0"]
    assert json.loads(rest["Events"][0]["CloudTrailEvent"])["eventID"] == "0"
    assert "NextToken" not in rest
    since = trail.lookup_events(StartTime="2026-11-21T00:00:00Z", EndTime="2026-11-21T23:00:00Z")
    assert [each["EventId"] for each in since["Events"]] == ["1"]
    with pytest.raises(ClientError, match="one attribute"):
        trail.lookup_events(LookupAttributes=by_name * 2)


def test_the_stack_is_described(sandbox: Sandbox) -> None:
    """By its name only, with its parameters; its resources by theirs."""
    formation = own_session().client("cloudformation")
    (stack,) = formation.describe_stacks(StackName="bedrock-access-remediator")["Stacks"]
    assert {each["ParameterKey"] for each in stack["Parameters"]} >= {"AllowlistPath"}
    detail = formation.describe_stack_resource(StackName="bedrock-access-remediator", LogicalResourceId="Queue")
    assert detail["StackResourceDetail"]["PhysicalResourceId"] == sandbox.stack.ref("Queue")
    for name, resource in (("other", "Queue"), ("bedrock-access-remediator", "Nothing")):
        with pytest.raises(ClientError, match="does not exist"):
            formation.describe_stack_resource(StackName=name, LogicalResourceId=resource)
