"""The strategy `managed`, on moto's IAM."""

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.policy import compile_policies, entitlement
from bedrock_remediator.core.waiting import SETTLING
from bedrock_remediator.flows.remediation.remediation import RevocationError
from bedrock_remediator.settings import Strategy
from tests.builders.grants import ACCOUNT, MODELS, pending_grant
from tests.builders.remediation import World, nova, profile, wide

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

PATH = "/bedrock-access-remediator/"
NAME = "role.llm-app.1"
ARN = f"arn:aws:iam::{ACCOUNT}:policy{PATH}{NAME}"
TAG: Any = {"Key": "managed-by", "Value": "bedrock-access-remediator"}
FOREIGN = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
(OURS,) = compile_policies([entitlement(pending_grant())], ("bedrock:GetFoundationModel",))


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


@pytest.fixture
def world(iam: "IAMClient", ledger: Ledger) -> World:
    """A world in mode auto."""
    return World(iam, ledger)


@pytest.fixture
def role(world: World) -> Principal:
    """A role."""
    return world.role()


def refuse(iam: "IAMClient", operation: str, code: str) -> None:
    """Let IAM refuse an operation."""

    def error(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "words of AWS."}}, operation)

    iam.meta.events.register(f"before-call.iam.{operation}", error)


def hide_attachments(iam: "IAMClient") -> None:
    """Let IAM not know yet what is attached to a role."""
    iam.meta.events.register(
        "after-call.iam.ListAttachedRolePolicies", lambda parsed, **_: parsed.update(AttachedPolicies=[])
    )


def calls(iam: "IAMClient") -> list[str]:
    """The operations called from now on."""
    called: list[str] = []
    iam.meta.events.register("before-call.iam", lambda model, **_: called.append(model.name))
    return called


def failed(row: Grant, code: str) -> None:
    """Make sure that the row failed with this reason, in a sentence for a person."""
    assert (row.state, row.reason_code) == (State.FAILED, code)
    assert row.reason.endswith(".")
    assert row.cool_down_until


class TestWriting:
    """Policies of our own are made, changed and removed."""

    def test_a_first_grant_takes_three_calls_to_iam(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Is there one; make it; attach it; the principal and its policies were read once, to check the claims."""
        row = world.approved(role)
        called = calls(iam)
        world.simulator.failing = [RuntimeError("not asked of moto")]
        with pytest.raises(RuntimeError):
            world.remediate(row)
        read = ["GetRole", "ListRolePolicies", "ListAttachedRolePolicies"]
        assert called == [*read, "GetPolicy", "CreatePolicy", "AttachRolePolicy"]

    def test_it_says_what_it_is(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Its tags name the service, the ledger and the principal's own id."""
        world.grant(role)
        policy = iam.get_policy(PolicyArn=ARN)["Policy"]
        assert {tag["Key"]: tag["Value"] for tag in policy["Tags"]} == {
            "managed-by": "bedrock-access-remediator",
            "ledger": "ledger",
            "principal-id": world.id(role),
        }
        assert "llm-app" in policy["Description"]

    def test_the_same_document_is_not_written_again(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """A repair that finds nothing to repair leaves the versions as they are."""
        active = world.grant(role)
        again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
        world.ledger.move(active, again)
        called = calls(iam)
        row = world.remediate(again)
        assert row
        assert row.state is State.ACTIVE
        assert all(name.startswith(("Get", "List")) for name in called)

    def test_a_detached_policy_is_attached_again(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Drift is repaired without a new version."""
        active = world.grant(role)
        iam.detach_role_policy(RoleName=role.name, PolicyArn=ARN)
        again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
        world.ledger.move(active, again)
        world.remediate(again)
        assert world.allows(role, active)
        assert len(iam.list_policy_versions(PolicyArn=ARN)["Versions"]) == 1

    def test_only_five_versions_are_kept(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """The oldest that is not in force makes room."""
        rows = [world.grant(role, nova(number)) for number in range(7)]
        assert all(row.state is State.ACTIVE for row in rows)
        versions = iam.list_policy_versions(PolicyArn=ARN)["Versions"]
        assert sorted(version["VersionId"] for version in versions) == ["v3", "v4", "v5", "v6", "v7"]

    def test_what_does_not_fit_goes_into_a_second_policy(self, world: World, role: Principal) -> None:
        """And out of it again when there is room."""
        first, second = world.grant(role, wide(1)), world.grant(role, wide(2))
        assert second.written
        assert second.written.policies == (ARN, ARN.replace(".1", ".2"))
        assert world.allows(role, first)
        assert world.allows(role, second)
        world.revoke(first)
        assert list(world.policies(role)) == [NAME]
        assert world.allows(role, second)

    def test_a_policy_left_without_its_attachment_is_removed(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """The numbers have no gaps, so what is too many is found, attached or not."""
        first, second = world.grant(role, wide(1)), world.grant(role, wide(2))
        iam.detach_role_policy(RoleName=role.name, PolicyArn=ARN.replace(".1", ".2"))
        world.revoke(second)
        assert [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]] == [NAME]
        assert world.allows(role, first)

    def test_a_grant_too_large_for_any_policy_fails(self, world: World, role: Principal) -> None:
        """And says what to do."""
        models = [f"{MODELS[0].rpartition('/')[0]}/vendor.model-{each:03}-v1:0" for each in range(90)]
        row = world.grant(role, profile(wide(1).arn, models))
        failed(row, "policy_too_large")
        assert world.policies(role) == {}


class TestOthers:
    """What is not ours is left as it is."""

    @pytest.mark.parametrize(
        ("document", "tags"),
        [
            (OURS, []),
            (OURS, [{"Key": "managed-by", "Value": "terraform"}]),
            (OURS, [TAG, {"Key": "ledger", "Value": "another-stack"}]),
            (FOREIGN, [TAG]),
        ],
    )
    def test_a_policy_that_is_not_ours_is_not_adopted(
        self, world: World, role: Principal, iam: "IAMClient", document: str, tags: list[Any]
    ) -> None:
        """It must have our tag, of this deployment, and a document that we could have written."""
        iam.create_policy(Path=PATH, PolicyName=NAME, PolicyDocument=document, Tags=tags)
        failed(world.grant(role), "policy_not_ours")
        assert iam.get_policy(PolicyArn=ARN)["Policy"]["DefaultVersionId"] == "v1"
        assert world.policies(role) == {}

    def test_a_policy_of_ours_is_adopted(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Whatever extra actions it was written with, and for whomever; what it granted is not granted on."""
        (document,) = compile_policies([entitlement(world.row(role, nova(1)))], ("bedrock:GetFoundationModel",))
        iam.create_policy(
            Path=PATH, PolicyName=NAME, PolicyDocument=document, Tags=[TAG, {"Key": "principal-id", "Value": "AROAOLD"}]
        )
        row = world.grant(role, nova(2))
        assert row.state is State.ACTIVE
        assert world.allows(role, row)
        assert not world.allows(role, world.row(role, nova(1)))
        tags = {tag["Key"]: tag["Value"] for tag in iam.get_policy(PolicyArn=ARN)["Policy"]["Tags"]}
        assert tags["principal-id"] == world.id(role)

    def test_a_name_taken_under_another_path_is_not_ours(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Names are unique in an account, whatever the path."""
        iam.create_policy(Path="/team/", PolicyName=NAME, PolicyDocument=OURS, Tags=[TAG])
        refuse(iam, "CreatePolicy", "EntityAlreadyExists")
        failed(world.grant(role), "policy_name_taken")

    def test_a_lost_answer_is_not_a_name_that_is_taken(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """IAM made the policy, the answer was lost, and botocore asked again: it is there, and ours."""
        lost: list[bool] = []

        def already_made(params: Any, **_: Any) -> None:
            if not lost:
                lost.append(True)
                iam.create_policy(Path=PATH, PolicyName=NAME, PolicyDocument=OURS, Tags=[TAG])
                raise ClientError({"Error": {"Code": "EntityAlreadyExists"}}, "CreatePolicy")

        iam.meta.events.register("before-call.iam.CreatePolicy", already_made)
        row = world.grant(role)
        assert row.state is State.ACTIVE
        assert world.allows(role, row)

    def test_a_foreign_policy_in_the_place_of_a_second_stops_the_second_only(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """Grants that fit into the first go on; the one that does not fails, and the first stays as it was."""
        iam.create_policy(Path=PATH, PolicyName="role.llm-app.2", PolicyDocument=FOREIGN)
        first = world.grant(role, wide(1))
        assert first.state is State.ACTIVE
        failed(world.grant(role, wide(2)), "policy_not_ours")
        assert world.allows(role, first)
        done = world.revoke(first)
        assert done
        assert done.state is State.REVOKED
        assert [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]] == ["role.llm-app.2"]

    def test_nobody_else_gets_the_grant(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Somebody has attached our policy to another role: it is not widened, and that role is named."""
        world.grant(role, nova(1))
        other = world.role("batch")
        iam.attach_role_policy(RoleName=other.name, PolicyArn=ARN)
        row = world.grant(role, nova(2))
        failed(row, "policy_shared")
        assert "batch" in row.reason
        assert not world.allows(other, row)

    def test_a_boundary_is_not_widened(
        self, world: World, role: Principal, iam: "IAMClient", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Our policy bounds somebody: moto does not count boundaries, so IAM's answer is given here."""
        world.grant(role, nova(1))

        def bounding(parsed: Any, **_: Any) -> None:
            if "Policy" in parsed:
                parsed["Policy"]["PermissionsBoundaryUsageCount"] = 1

        iam.meta.events.register("after-call.iam.GetPolicy", bounding)
        failed(world.grant(role, nova(2)), "policy_shared")

    def test_a_policy_that_others_hold_too_is_detached_but_not_deleted(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """The principal loses the grant; what somebody gave to another is theirs to take."""
        row = world.grant(role)
        iam.attach_role_policy(RoleName=world.role("other").name, PolicyArn=ARN)
        refuse(iam, "DeletePolicy", "DeleteConflict")
        done = world.revoke(row)
        assert done
        assert done.state is State.REVOKED
        assert world.policies(role) == {}

    def test_a_policy_deleted_meanwhile_needs_no_more(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Somebody is quicker at removing it: that is as good, once IAM has had time to settle."""
        row = world.grant(role)
        other = boto3.Session().client("iam")

        def quicker(**_: Any) -> None:
            other.detach_role_policy(RoleName=role.name, PolicyArn=ARN)
            other.delete_policy(PolicyArn=ARN)

        iam.meta.events.register("before-call.iam.DetachRolePolicy", quicker, unique_id="once")
        with pytest.raises(RetryableError):
            world.revoke(row)
        iam.meta.events.unregister("before-call.iam.DetachRolePolicy", unique_id="once")
        world.clock.sleep(SETTLING.total_seconds())
        done = world.remediate(world.stored(row))
        assert done
        assert done.state is State.REVOKED

    def test_a_policy_that_the_principal_holds_still_is_not_called_revoked(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """IAM knows of no attachment to take away, and does not delete the policy because of it."""
        row = world.grant(role)
        refuse(iam, "DetachRolePolicy", "NoSuchEntity")
        hide_attachments(iam)
        refuse(iam, "DeletePolicy", "DeleteConflict")
        with pytest.raises(RetryableError, match="does not delete it yet"):
            world.revoke(row)
        assert world.stored(row).state is State.REVOKING

    def test_iam_that_knows_nothing_of_a_new_policy_is_asked_later(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """Though every read says that it is not there: until IAM has settled that proves nothing."""
        row = world.grant(role)
        for operation in ("GetPolicy", "ListPolicyVersions"):
            refuse(iam, operation, "NoSuchEntity")
        hide_attachments(iam)
        with pytest.raises(RetryableError, match="knows nothing yet"):
            world.revoke(row)
        assert world.stored(row).state is State.REVOKING
        world.clock.sleep(SETTLING.total_seconds())
        world.iam = boto3.client("iam")
        done = world.remediate(world.stored(row))
        assert done
        assert done.state is State.REVOKED
        assert world.iam.list_policies(Scope="Local")["Policies"] == []

    def test_iam_that_knows_nothing_of_a_new_policy_rolls_nothing_back(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """The row is not called rolled back while what was written a moment ago cannot be found."""
        row = world.approved(role)
        by_scp = {"decision": "explicitDeny", "organizations": False}
        world.simulator.overrule = lambda _, asked: by_scp if asked == MODELS[1] else {"decision": "allowed"}
        for operation in ("GetPolicy", "ListPolicyVersions"):
            refuse(iam, operation, "NoSuchEntity")
        hide_attachments(iam)
        with pytest.raises(RetryableError, match="knows nothing yet"):
            world.remediate(row)
        assert world.stored(row).state is State.APPLYING

    def test_a_policy_gone_by_hand_needs_no_more(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """Once IAM has settled, and two reads agree."""
        row = world.grant(role)
        iam.detach_role_policy(RoleName=role.name, PolicyArn=ARN)
        iam.delete_policy(PolicyArn=ARN)
        world.clock.sleep(SETTLING.total_seconds())
        done = world.revoke(row)
        assert done
        assert done.state is State.REVOKED

    def test_a_conflict_with_nobody_passes(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """IAM has not noticed yet that the policy is detached."""
        row = world.grant(role)
        refuse(iam, "DeletePolicy", "DeleteConflict")
        with pytest.raises(RetryableError, match="does not delete it yet"):
            world.revoke(row)

    def test_a_count_that_lags_stops_nothing(self, world: World, role: Principal, iam: "IAMClient") -> None:
        """IAM's count of attachments may be late; whom the policy is attached to decides."""
        world.grant(role, nova(1))

        def late(parsed: Any, **_: Any) -> None:
            if "Policy" in parsed:
                parsed["Policy"]["AttachmentCount"] = 2

        iam.meta.events.register("after-call.iam.GetPolicy", late)
        assert world.grant(role, nova(2)).state is State.ACTIVE


class TestTrouble:
    """What AWS refuses for good ends the row; what may pass does not."""

    @pytest.mark.parametrize(
        ("refused", "expected"),
        [
            (("CreatePolicy", "LimitExceeded"), "limit_exceeded"),
            (("AttachRolePolicy", "LimitExceeded"), "limit_exceeded"),
            (("AttachRolePolicy", "AccessDenied"), "write_denied"),
            (("AttachRolePolicy", "UnmodifiableEntity"), "principal_unmodifiable"),
            (("CreatePolicy", "MalformedPolicyDocument"), "policy_rejected"),
            (("CreatePolicy", "InvalidInput"), "iam_refused"),
            (("GetPolicy", "AccessDenied"), "write_denied"),
        ],
    )
    def test_a_refusal_ends_the_row_and_leaves_nothing(
        self, world: World, role: Principal, iam: "IAMClient", refused: tuple[str, str], expected: str
    ) -> None:
        """With AWS's words and what to do; a policy that could not be attached is removed again."""
        refuse(iam, *refused)
        row = world.grant(role)
        failed(row, expected)
        assert "words of AWS" in row.reason
        assert row.written is None
        assert iam.list_policies(Scope="Local")["Policies"] == []

    @pytest.mark.parametrize("code", ["Throttling", "ServiceFailure", "ConcurrentModification", "NoSuchEntity"])
    def test_passing_trouble_is_tried_again(self, world: World, role: Principal, iam: "IAMClient", code: str) -> None:
        """The row stays in applying, and the next delivery of the same message carries on."""
        row = world.approved(role)
        error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "AttachRolePolicy")  # type: ignore[typeddict-item]
        troubles = [error]

        def trouble(**_: Any) -> None:
            if troubles:
                raise troubles.pop()

        iam.meta.events.register("before-call.iam.AttachRolePolicy", trouble)
        with pytest.raises(RetryableError):
            world.remediate(row)
        assert world.stored(row).state is State.APPLYING
        done = world.remediate(row)
        assert done
        assert done.state is State.ACTIVE

    def test_a_rollback_that_is_refused_is_not_called_one(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """The row stays in applying while IAM still has the grant; the message ends where people look."""
        row = world.approved(role)
        world.block()
        refuse(iam, "DetachRolePolicy", "AccessDenied")
        with pytest.raises(Exception, match="write_denied"):
            world.remediate(row)
        assert world.stored(row).state is State.APPLYING

    def test_a_policy_that_may_not_be_deleted_is_not_called_revoked(
        self, world: World, role: Principal, iam: "IAMClient"
    ) -> None:
        """It is detached, and still there: a person must look."""
        row = world.grant(role)
        refuse(iam, "DeletePolicy", "AccessDenied")
        with pytest.raises(RevocationError):
            world.revoke(row)

    def test_a_document_that_breaks_our_own_rules_is_never_written(
        self, world: World, role: Principal, iam: "IAMClient", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last look before the write: a compiler that went wrong is stopped here."""
        module = "bedrock_remediator.flows.placement.managed.compile_policies"
        monkeypatch.setattr(module, lambda *_: (OURS.replace("us-west-2::", "*::"),))
        failed(world.grant(role, nova(1)), "document_refused")
        assert iam.list_policies(Scope="Local")["Policies"] == []


def test_a_grant_stays_under_its_strategy(world: World, role: Principal) -> None:
    """A stack whose strategy has changed since still finds what it wrote."""
    row = world.grant(role)
    world.settings = replace(world.settings, strategy=Strategy.INLINE)
    other = world.grant(role, nova(1))
    assert set(world.policies(role)) == {NAME, "bedrock-access-remediator"}
    world.revoke(row)
    assert set(world.policies(role)) == {"bedrock-access-remediator"}
    assert world.allows(role, other)
