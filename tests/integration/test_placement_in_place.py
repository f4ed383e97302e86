"""The strategy `in-place`, on moto's IAM: the vendor's guide followed in the principal's own policies."""

import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.iam_policies import InlinePolicies, ManagedPolicies, NewVersion
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, State, Written, kept_copy, kept_key
from bedrock_remediator.core.iam.evaluation import Policy, PolicyKind
from bedrock_remediator.core.policy import NotOursError, entitlement
from bedrock_remediator.core.waiting import SETTLING
from bedrock_remediator.flows.placement.contract import Owner, PlacementError
from bedrock_remediator.flows.placement.in_place import InPlacePlacement, require_only_added
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.remediation import RevocationError
from bedrock_remediator.settings import Strategy
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE, pending_grant
from tests.builders.remediation import EXTRA, SETTINGS, World, nova

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

INVOKE = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
OTHER = {"Sid": "Files", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
ARN = f"arn:aws:iam::{ACCOUNT}:policy/AppPolicy"


def statement(*resources: str, **changes: Any) -> dict[str, Any]:
    """An Allow of both invocation actions."""
    return {"Sid": "Nova", "Effect": "Allow", "Action": INVOKE, "Resource": list(resources), **changes}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


BASE = document(OTHER, statement(MODELS[0]))
REFUSED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "VerifyMac")


class Unusable:
    """A key that the function may not use."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def sign(self, message: bytes) -> bytes:
        """Refused."""
        raise self._error

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Refused."""
        raise self._error


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


@pytest.fixture
def world(iam: "IAMClient", ledger: Ledger) -> World:
    """A world in mode auto whose stack writes in place."""
    return World(iam, ledger, replace(SETTINGS, strategy=Strategy.IN_PLACE))


@pytest.fixture
def user(world: World) -> Principal:
    """A user without policies."""
    return world.user()


def attach(iam: "IAMClient", user: Principal, *documents: dict[str, Any], name: str = "AppPolicy") -> str:
    """Attach a managed policy with these versions, the last in force."""
    first, *others = documents
    arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(first))["Policy"]["Arn"]
    for other in others:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
    return arn


def versions(iam: "IAMClient", arn: str = ARN) -> dict[str, bool]:
    """The versions of a policy, and which is in force."""
    found = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    return {version["VersionId"]: version["IsDefaultVersion"] for version in found}


def unavailable(row: Grant) -> str:
    """The reason why no policy took the grant."""
    assert (row.state, row.reason_code) == (State.FAILED, "in_place_unavailable")
    assert "managed" in row.reason
    return row.reason


class TestPutting:
    """The missing ARNs go into the policy that grants the model already."""

    def test_the_guides_case_ends_as_the_guide_has_it(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """The statement that lists the model gets the profile and the other regions; the version before is kept."""
        attach(iam, user, BASE)
        row = world.grant(user)
        assert row.state is State.ACTIVE
        assert world.allows(user, row)
        files, models = world.policies(user)["AppPolicy"]["Statement"]
        assert files == OTHER
        assert models == statement(MODELS[0], PROFILE, *MODELS[1:])
        note = Written(strategy="in-place", policies=(ARN,), added=(PROFILE, *MODELS[1:]), previous_version="v1")
        assert row.written == replace(note, seal=row.written and row.written.seal)
        assert world.seals.genuine(row)
        assert versions(iam) == {"v1": False, "v2": True}

    def test_an_inline_policy_will_do(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """It has no versions; what was added is kept all the same."""
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        row = world.grant(user)
        assert row.written
        assert (row.written.policies, row.written.previous_version) == (("base",), None)
        assert world.allows(user, row)
        assert world.revoke(row)
        assert world.policies(user) == {"base": BASE}

    def test_a_managed_policy_comes_first(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Because the version before can be kept there."""
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        attach(iam, user, BASE)
        row = world.grant(user)
        assert row.written
        assert row.written.policies == (ARN,)

    def test_an_expiring_grant_gets_statements_of_its_own(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """At the end of the same document, so that nothing of the owner's ends with it."""
        attach(iam, user, BASE)
        end = NOON.replace(day=21)
        world.limit(end - NOON)
        row = world.grant(user, expires_at=end)
        assert row.state is State.ACTIVE
        assert world.policies(user)["AppPolicy"]["Statement"][:2] == BASE["Statement"]
        assert world.allows(user, row)
        assert world.revoke(row)
        assert world.policies(user) == {"AppPolicy": BASE}

    def test_what_is_there_already_needs_no_version(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Somebody was quicker: nothing is written, and nothing is ours to take."""
        full = document(statement(PROFILE, *MODELS))
        attach(iam, user, full)
        row = world.grant_asked(user)
        assert row.state is State.ACTIVE
        assert row.written
        assert (row.written.added, row.written.previous_version) == ((), None)
        assert versions(iam) == {"v1": True}
        assert world.revoke(row)
        assert world.policies(user) == {"AppPolicy": full}

    @pytest.mark.parametrize(
        "prepare",
        ["nothing", "condition_elsewhere", "other_model", "ours", "group"],
    )
    def test_without_a_policy_of_its_own_that_grants_the_model_it_fails(
        self, world: World, user: Principal, iam: "IAMClient", prepare: str
    ) -> None:
        """And says what else can be done."""
        if prepare == "condition_elsewhere":
            attach(iam, user, document(statement(MODELS[0], Action="s3:GetObject")))
        if prepare == "other_model":
            attach(iam, user, document(statement(nova(7).models[0])))
        if prepare == "ours":
            path = "/bedrock-access-remediator/"
            made = iam.create_policy(Path=path, PolicyName="user.dev.1", PolicyDocument=json.dumps(BASE))
            iam.attach_user_policy(UserName=user.name, PolicyArn=made["Policy"]["Arn"])
            name = "bedrock-access-remediator"
            iam.put_user_policy(UserName=user.name, PolicyName=name, PolicyDocument=json.dumps(BASE))
        if prepare == "group":
            iam.create_group(GroupName="ml")
            iam.add_user_to_group(GroupName="ml", UserName=user.name)
            iam.put_group_policy(GroupName="ml", PolicyName="base", PolicyDocument=json.dumps(BASE))
        assert "no policy of its own" in unavailable(world.grant(user))

    def test_others_are_not_affected(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """A policy that somebody else holds too is left as it is."""
        arn = attach(iam, user, BASE)
        iam.attach_role_policy(RoleName=world.role().name, PolicyArn=arn)
        assert "attached to others" in unavailable(world.grant(user))
        assert versions(iam) == {"v1": True}

    def test_a_boundary_is_not_widened(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Moto does not count boundaries, so IAM's answer is given here."""
        attach(iam, user, BASE)

        def bounding(parsed: Any, **_: Any) -> None:
            parsed["Policy"]["PermissionsBoundaryUsageCount"] = 1

        iam.meta.events.register("after-call.iam.GetPolicy", bounding)
        assert "boundary" in unavailable(world.grant(user))

    def test_no_version_is_deleted_to_make_room(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Five versions are somebody's history."""
        attach(iam, user, *(document(OTHER, statement(MODELS[0], Sid=f"Nova{number}")) for number in range(5)))
        assert "5 versions" in unavailable(world.grant(user))
        assert len(versions(iam)) == 5

    def test_a_full_policy_takes_no_more(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """IAM's limit on its size is kept."""
        crowd = [f"arn:aws:s3:::bucket-{number:04}/*" for number in range(200)]
        attach(iam, user, document(statement(MODELS[0]), statement(*crowd, Sid="S3", Action="s3:GetObject")))
        assert "no room" in unavailable(world.grant(user))

    def test_the_next_policy_is_tried(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """One that cannot take it does not stop one that can."""
        shared = attach(iam, user, BASE, name="A-shared")
        iam.attach_role_policy(RoleName=world.role().name, PolicyArn=shared)
        attach(iam, user, BASE)
        row = world.grant(user)
        assert row.written
        assert row.written.policies == (ARN,)

    def test_a_policy_that_is_no_longer_its_own_is_left_for_another(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """A repair finds the policy shared by now, and nothing missing in it: it stays where it is."""
        attach(iam, user, BASE)
        active = world.grant(user)
        iam.detach_user_policy(UserName=user.name, PolicyArn=ARN)
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
        world.ledger.move(active, again)
        row = world.remediate(again)
        assert row
        assert row.written
        assert row.written.policies == ("base",)
        assert world.allows(user, row)
        assert versions(iam) == {"v1": True}

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            (Policy(name="Gone", kind=PolicyKind.MANAGED, document=BASE, arn=f"{ARN}Gone"), "Gone is gone"),
            (Policy(name="gone", kind=PolicyKind.INLINE, document=BASE), "gone is gone"),
            (Policy(name="AppPolicy", kind=PolicyKind.MANAGED, document=BASE, arn=ARN), "no policy of its own"),
        ],
    )
    def test_a_policy_that_has_just_changed_is_seen_as_it_is(
        self, world: World, user: Principal, iam: "IAMClient", policy: Policy, expected: str
    ) -> None:
        """It is read again before it is written: gone, or without the model by now."""
        attach(iam, user, document(OTHER))
        row = world.row(user)
        placement = InPlacePlacement(lambda _: (policy,), ManagedPolicies(iam), InlinePolicies(iam), EXTRA, world.seals)
        with pytest.raises(PlacementError, match=expected):
            placement.apply(Owner(user, world.id(user)), row, [], lambda _: True, lambda _: None)

    def test_a_principal_that_vanishes_is_looked_at_again(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """The next delivery finds that it is gone."""
        placement = InPlacePlacement(lambda _: None, ManagedPolicies(iam), InlinePolicies(iam), EXTRA, world.seals)
        with pytest.raises(RetryableError):
            placement.apply(Owner(user, "AIDA"), pending_grant(), [], lambda _: True, lambda _: None)


RIVAL = {"Sid": "Rival", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::theirs/*"}


class Rivalled:
    """IAM, with somebody who does something right before one of the calls, by its number."""

    def __init__(self, iam: "IAMClient", before: int, act: Callable[[], object]) -> None:
        self._iam = iam
        self._before = before
        self._act = act
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._iam, name)
        if not callable(method) or name == "can_paginate":
            return method

        def call(**arguments: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) == self._before:
                self._act()
            return method(**arguments)

        return call


def placement(world: World, client: Any) -> InPlacePlacement:
    """The strategy, by a client."""
    reader = IamReader(lambda _account: client, world.clock)
    policies = ManagedPolicies(client), InlinePolicies(client)
    return InPlacePlacement(reader.own_policies, *policies, EXTRA, world.seals)


def put(world: World, client: Any, owner: Owner, row: Grant) -> Grant:
    """The row with its grant put in, however often it takes."""
    recorded: list[Written] = []
    for _ in range(3):
        try:
            written = placement(world, client).apply(owner, row, [], lambda _: True, recorded.append)
        except RetryableError:
            row = replace(row, written=recorded[-1]) if recorded else row
        else:
            return replace(row, written=written)
    raise AssertionError("it is never put in")


def take(world: World, client: Any, owner: Owner, row: Grant) -> None:
    """Take the grant out, however often it takes."""
    for _ in range(3):
        with suppress(RetryableError):
            placement(world, client).withdraw(owner, row, [], lambda _: True)
            return
    raise AssertionError("it is never taken out")


class TestRivals:
    """Somebody else changes the same policy right before one of our calls: at each of them in turn."""

    @pytest.mark.parametrize("kind", ["inline", "managed"])
    @pytest.mark.parametrize("taking", [False, True], ids=["putting", "taking"])
    def test_a_change_is_lost_right_before_the_write_alone(
        self,
        world: World,
        iam: "IAMClient",
        kind: str,
        taking: bool,  # noqa: FBT001 - which way
    ) -> None:
        """At every other call both changes are in force in the end; IAM has no condition to write on (§7.18)."""
        lost: list[str] = []
        for number in range(1, 40):
            user = world.user(f"dev{number}")
            owner, name = Owner(user, world.id(user)), f"AppPolicy{number}"
            if kind == "managed":
                attach(iam, user, BASE, name=name)
            else:
                iam.put_user_policy(UserName=user.name, PolicyName=name, PolicyDocument=json.dumps(BASE))
            row = world.row(user)
            row = put(world, iam, owner, row) if taking else row
            rival = Rivalled(iam, number, partial(self._add, world, iam, user, name))
            if taking:
                take(world, rival, owner, row)
            else:
                row = put(world, rival, owner, row)
            assert world.allows(user, row) is not taking
            if len(rival.calls) < number:
                break
            if RIVAL not in world.policies(user)[name]["Statement"]:
                lost.append(rival.calls[number - 1])
        assert number > 3
        assert lost == [self._write(kind, taking=taking)]

    def test_a_policy_that_is_attached_to_others_meanwhile_is_left(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """The grant is for its principal alone: it is counted again right before the write."""
        attach(iam, user, BASE)
        other, owner, row = world.user("other"), Owner(user, world.id(user)), world.row(user)
        quiet = Rivalled(iam, 0, lambda: None)
        place = self._place(world, quiet, owner, row)
        iam.delete_policy_version(PolicyArn=ARN, VersionId="v1")
        iam.create_policy_version(PolicyArn=ARN, PolicyDocument=json.dumps(BASE), SetAsDefault=True)
        rival = Rivalled(iam, place - 1, lambda: iam.attach_user_policy(UserName=other.name, PolicyArn=ARN))
        with pytest.raises(PlacementError, match="attached to others"):
            put(world, rival, owner, row)
        assert "create_policy_version" not in rival.calls

    @staticmethod
    def _place(world: World, client: "Rivalled", owner: Owner, row: Grant) -> int:
        put(world, client, owner, row)
        return client.calls.index("create_policy_version") + 1

    @staticmethod
    def _write(kind: str, *, taking: bool) -> str:
        if kind == "inline":
            return "put_user_policy"
        return "set_default_policy_version" if taking else "create_policy_version"

    @staticmethod
    def _add(world: World, iam: "IAMClient", user: Principal, name: str) -> None:
        """Add a statement to what the policy says at the moment."""
        after = json.dumps(document(*world.policies(user)[name]["Statement"], RIVAL))
        if name in iam.list_user_policies(UserName=user.name)["PolicyNames"]:
            iam.put_user_policy(UserName=user.name, PolicyName=name, PolicyDocument=after)
        else:
            arn = f"arn:aws:iam::{ACCOUNT}:policy/{name}"
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=after, SetAsDefault=True)


class Twice(ManagedPolicies):
    """IAM whose answers to a new version get lost once."""

    def add_version(self, arn: str, document: str) -> NewVersion:
        """As botocore does when it hears nothing."""
        super().add_version(arn, document)
        return super().add_version(arn, document)._replace(repeated=True)


class TestLostAnswers:
    """IAM makes a version each time that it is asked; none of those that nobody knew of is left behind."""

    def test_a_version_that_was_made_twice_is_there_once(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Botocore has asked again: what the first call made goes."""
        arn = attach(iam, user, BASE)
        own = Policy(name="AppPolicy", kind=PolicyKind.MANAGED, document=BASE, arn=arn)
        placement = InPlacePlacement(lambda _: (own,), Twice(iam), InlinePolicies(iam), EXTRA, world.seals)
        owner = Owner(user, world.id(user))
        placement.apply(owner, world.row(user), [], lambda _: True, lambda _: None)
        assert versions(iam) == {"v1": False, "v3": True}

    def test_the_next_delivery_clears_up_what_the_last_one_left(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """Nobody heard of any version, so the message came again."""
        arn = attach(iam, user, BASE)
        row = world.grant(user)
        again = json.dumps(world.policies(user)["AppPolicy"])
        for _ in range(2):
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=again, SetAsDefault=True)
        own = Policy(name="AppPolicy", kind=PolicyKind.MANAGED, document=json.loads(again), arn=arn)
        placement = InPlacePlacement(lambda _: (own,), ManagedPolicies(iam), InlinePolicies(iam), EXTRA, world.seals)
        owner = Owner(user, world.id(user))
        written = placement.apply(owner, row, [], lambda _: True, lambda _: None)
        assert written == row.written
        assert versions(iam) == {"v1": False, "v4": True}

    def test_a_shorter_version_that_was_made_twice_is_there_once(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """Of two grants one is taken back, by a version that neither of them knows."""
        arn = attach(iam, user, document(OTHER, statement(MODELS[0], nova(1).models[0])))
        first, second = world.grant(user), world.grant(user, nova(1))
        own = Policy(name="AppPolicy", kind=PolicyKind.MANAGED, document=world.policies(user)["AppPolicy"], arn=arn)
        placement = InPlacePlacement(lambda _: (own,), Twice(iam), InlinePolicies(iam), EXTRA, world.seals)
        placement.withdraw(Owner(user, world.id(user)), first, [second], lambda _: True)
        assert world.allows(user, second)
        assert not world.allows(user, first)
        said = [
            json.dumps(iam.get_policy_version(PolicyArn=arn, VersionId=each)["PolicyVersion"]["Document"])
            for each in versions(iam)
        ]
        assert len(set(said)) == len(said)


class TestTaking:
    """What was added is taken away, and nothing else."""

    def test_the_version_before_comes_back(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """If nothing else has changed since, and the version that was made for the grant goes."""
        attach(iam, user, BASE)
        assert world.revoke(world.grant(user))
        assert world.policies(user) == {"AppPolicy": BASE}
        assert versions(iam) == {"v1": True}

    def test_what_others_changed_since_stays(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Somebody added a statement and an ARN: both are theirs."""
        arn = attach(iam, user, BASE)
        row = world.grant(user)
        files, models = world.policies(user)["AppPolicy"]["Statement"]
        more = nova(7).models[0]
        edited = document(files, {**models, "Resource": [*models["Resource"], more]}, {**OTHER, "Sid": "More"})
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(edited), SetAsDefault=True)
        assert world.revoke(row)
        expected = document(OTHER, statement(MODELS[0], more), {**OTHER, "Sid": "More"})
        assert world.policies(user) == {"AppPolicy": expected}

    def test_what_another_grant_needs_stays(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Two profiles share models: what both need goes with the last of them."""
        attach(iam, user, BASE)
        arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/global.amazon.nova-2-lite-v1:0"
        first = world.grant(user)
        second = world.grant_asked(user, replace(nova(1), arn=arn, id=arn.rpartition("/")[2], models=MODELS[:2]))
        assert world.revoke(first)
        assert world.allows(user, second)
        assert not world.allows(user, first)
        assert world.revoke(second)
        assert world.policies(user) == {"AppPolicy": BASE}

    def test_room_is_made_with_versions_of_our_own(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """All five are used, two of them by us: ours goes, theirs stay."""
        bases = [document(OTHER, statement(MODELS[0], nova(1).models[0], Sid=f"Nova{number}")) for number in range(3)]
        attach(iam, user, *bases)
        first, second = world.grant(user), world.grant(user, nova(1))
        assert len(versions(iam)) == 5
        assert world.revoke(first)
        assert world.allows(user, second)
        assert not world.allows(user, first)
        assert {"v1", "v2", "v3"} <= versions(iam).keys()

    def test_without_room_a_person_must_help(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """All versions are somebody else's: none is deleted, and the grant is not called revoked."""
        arn = attach(iam, user, BASE)
        row = world.grant(user)
        current = world.policies(user)["AppPolicy"]
        for number in range(3):
            edited = document(*current["Statement"], {**OTHER, "Sid": f"More{number}"})
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(edited), SetAsDefault=True)
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps({**edited, "Id": "last"}), SetAsDefault=True)
        with pytest.raises(RevocationError, match="5 versions"):
            world.revoke(row)
        assert len(versions(iam)) == 5

    def test_a_policy_that_is_gone_needs_nothing_taken(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Nor one that is the principal's no more, beyond what was added."""
        arn = attach(iam, user, BASE)
        row = world.grant(user)
        iam.detach_user_policy(UserName=user.name, PolicyArn=arn)
        iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
        iam.delete_policy(PolicyArn=arn)
        world.clock.sleep(SETTLING.total_seconds())
        assert world.revoke(row)

    def test_an_emptied_inline_policy_goes(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """Its owner has taken out all but what was added: an empty policy is none."""
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        row = world.grant(user)
        rest = document(statement(PROFILE, *MODELS[1:]))
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(rest))
        assert world.revoke(row)
        assert world.policies(user) == {}

    def test_what_its_owner_has_taken_out_needs_no_taking(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """The inline policy is as it was before already: it is not written again."""
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        row = world.grant(user)
        iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=json.dumps(BASE))
        called: list[str] = []
        iam.meta.events.register("before-call.iam", lambda model, **_: called.append(model.name))
        assert world.revoke(row)
        assert "PutUserPolicy" not in called

    def test_an_emptied_managed_policy_is_a_persons(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """It is not ours to delete, and a version without statements cannot be made."""
        arn = attach(iam, user, BASE)
        row = world.grant(user)
        rest = document(statement(PROFILE, *MODELS[1:]))
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(rest), SetAsDefault=True)
        with pytest.raises(RevocationError, match="nothing would be left"):
            world.revoke(row)

    def test_a_note_takes_nothing_that_an_edit_never_adds(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """Somebody's statement or bucket stays, even if remediate itself has noted it."""
        attach(iam, user, document(OTHER, statement("arn:aws:s3:::bucket", Sid="Bucket", Action="s3:ListBucket")))
        before = world.policies(user)
        note = Written(strategy="in-place", policies=(ARN,), added=("Files", "arn:aws:s3:::bucket", "*"))
        row = world.row(user, state=State.REVOKING)
        assert world.remediate(world.put(replace(row, written=world.seals.set(row, note))))
        assert world.policies(user) == before

    def test_a_grant_that_does_not_help_is_taken_back(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """The policy is as it was, versions included."""
        attach(iam, user, BASE)
        world.block()
        row = world.grant(user)
        assert (row.state, row.written) == (State.ROLLED_BACK, None)
        assert world.policies(user) == {"AppPolicy": BASE}
        assert versions(iam) == {"v1": True}


def model_of_its_own(world: World, user: Principal) -> tuple[Grant, Written]:
    """A row, not in the ledger, and a note which says that the model in the principal's policy was added for it."""
    attach(world.iam, user, BASE)
    return world.row(user), Written(strategy="in-place", policies=(ARN,), added=(MODELS[0],))


class TestSeals:
    """What was put into somebody's policy is taken out on the word of a note that remediate made, and of no other."""

    @pytest.mark.parametrize("forged", [None, "", "not base64", "AAAA", b64encode(bytes(32)).decode()])
    def test_a_note_without_its_seal_takes_nothing(self, world: World, user: Principal, forged: str | None) -> None:
        """The row stays in revoking, and its message ends where people look."""
        row, note = model_of_its_own(world, user)
        revoking = world.put(replace(row, state=State.REVOKING, written=replace(note, seal=forged)))
        with pytest.raises(RevocationError, match="cannot be verified"):
            world.remediate(revoking)
        assert world.policies(user) == {"AppPolicy": BASE}

    def test_without_a_key_no_note_is_believed(self, world: World, user: Principal) -> None:
        """As in a stack whose strategy has become another."""
        row, note = model_of_its_own(world, user)
        revoking = world.put(replace(row, state=State.REVOKING, written=world.seals.set(row, note)))
        world.seals = Seals(None)
        with pytest.raises(RevocationError, match="cannot be verified"):
            world.remediate(revoking)
        assert world.policies(user) == {"AppPolicy": BASE}

    @pytest.mark.parametrize(
        ("of_row", "of_note"),
        [
            ({"sk": "profile#another"}, {}),
            ({"pk": f"arn:aws:iam::{ACCOUNT}:user/other"}, {}),
            ({"principal_id": "AIDAOTHER"}, {}),
            ({}, {"policies": (f"{ARN}Other",)}),
            ({}, {"added": (MODELS[1],)}),
            ({}, {"added": (MODELS[0], MODELS[1])}),
            ({}, {"previous_version": "v7"}),
        ],
    )
    def test_a_seal_is_of_its_row_and_note(
        self, world: World, user: Principal, of_row: dict[str, Any], of_note: dict[str, Any]
    ) -> None:
        """Another row's does not do, nor the same row's for something else."""
        row, note = model_of_its_own(world, user)
        seal = world.seals.set(replace(row, **of_row), replace(note, **of_note)).seal
        assert not world.seals.genuine(replace(row, written=replace(note, seal=seal)))
        assert world.seals.genuine(replace(row, written=world.seals.set(row, note)))

    def test_the_copy_that_is_kept_has_the_same_seal(self, world: World, user: Principal) -> None:
        """It is the same grant, in force while its row asks for something else."""
        row, note = model_of_its_own(world, user)
        assert world.seals.genuine(kept_copy(replace(row, written=world.seals.set(row, note))))

    def test_a_forged_note_of_another_grant_keeps_nothing_in(
        self, world: World, user: Principal, iam: "IAMClient"
    ) -> None:
        """Nor do its ARNs become this service's to take out, when a later grant ends."""
        attach(iam, user, BASE)
        row = world.grant(user)
        note = Written(strategy="in-place", policies=(ARN,), added=(PROFILE, *MODELS))
        forged = world.row(user, nova(1), state=State.ACTIVE, written=note)
        world.put(forged)
        assert world.revoke(row)
        assert world.policies(user) == {"AppPolicy": BASE}

    def test_an_applying_row_that_was_forged_takes_nothing_out(self, world: World, user: Principal) -> None:
        """No rule allows it, so it fails; what it says was written is not its to take out."""
        row, note = model_of_its_own(world, user)
        applying = world.put(replace(row, state=State.APPLYING, rule="another", written=note))
        done = world.remediate(applying)
        assert done
        assert done.state is State.FAILED
        assert world.policies(user) == {"AppPolicy": BASE}

    def test_without_a_key_nothing_is_written(self, world: World, user: Principal, iam: "IAMClient") -> None:
        """What cannot be noted could not be taken out again."""
        attach(iam, user, BASE)
        world.seals = Seals(None)
        assert "EditKey" in world.grant(user).reason
        assert world.policies(user) == {"AppPolicy": BASE}

    @pytest.mark.parametrize("error", [REFUSED, NoCredentialsError()])
    def test_a_key_that_cannot_be_used_writes_nothing(
        self, world: World, user: Principal, iam: "IAMClient", error: Exception
    ) -> None:
        """The grant fails, with the reason."""
        attach(iam, user, BASE)
        world.seals = Seals(Unusable(error))
        row = world.grant(user)
        assert (row.state, row.reason_code) == (State.FAILED, "in_place_unavailable")
        assert "KMS refused" in row.reason
        assert world.policies(user) == {"AppPolicy": BASE}

    @pytest.mark.parametrize("error", [REFUSED, NoCredentialsError()])
    def test_a_key_that_cannot_be_used_does_not_make_a_note_forged(
        self, world: World, user: Principal, iam: "IAMClient", error: Exception
    ) -> None:
        """Nothing is taken out, and no row ends as if it had been: neither one that is revoked nor one that fails."""
        attach(iam, user, BASE)
        row = world.grant(user)
        written = world.policies(user)
        again = world.put(replace(row, sk=kept_key(row.sk), state=State.APPLYING, rule="another"))
        world.seals = Seals(Unusable(error))
        with pytest.raises(RevocationError, match="KMS refused"):
            world.revoke(row)
        with pytest.raises(PlacementError, match="KMS refused"):
            world.remediate(again)
        assert world.stored(again).state is State.APPLYING
        assert world.policies(user) == written


WANTED = entitlement(pending_grant())


@pytest.mark.parametrize(
    "after",
    [
        {**document(OTHER, statement(MODELS[0])), "Id": "new"},
        document(OTHER),
        document(OTHER, statement(MODELS[0], "*")),
        document(OTHER, statement(PROFILE)),
        document(OTHER, statement(MODELS[0], Action="*")),
        document({**OTHER, "Effect": "Deny"}, statement(MODELS[0])),
        document(OTHER, statement(MODELS[0]), statement(PROFILE, Sid="RemediatorProfile", Action="*")),
        document(OTHER, statement(MODELS[0]), statement("*", Sid="RemediatorProfile")),
    ],
)
def test_an_edit_that_does_more_than_add_the_grant_is_refused(after: dict[str, Any]) -> None:
    """The last look before somebody's policy is written, whatever made the edit."""
    with pytest.raises(NotOursError):
        require_only_added(BASE, after, WANTED, EXTRA)


def test_an_edit_of_a_statement_that_cannot_be_read_is_refused() -> None:
    """What has no Resource, or is no statement, is not touched."""
    for strange in ("text", {"Effect": "Allow", "Action": "*", "NotResource": PROFILE}):
        before = document(OTHER, strange)  # type: ignore[arg-type]
        with pytest.raises(NotOursError):
            require_only_added(before, document(OTHER, statement(PROFILE)), WANTED, EXTRA)


def test_an_edit_that_adds_the_grant_is_let_through() -> None:
    """One text or a list of one is the same to IAM."""
    before = document(statement(Resource=MODELS[0]))
    require_only_added(before, document(statement(MODELS[0], PROFILE)), WANTED, EXTRA)
    require_only_added(before, before, WANTED, EXTRA)
