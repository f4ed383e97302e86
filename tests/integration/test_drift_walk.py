"""Upkeep's walk from principal to principal, and the policies that no row accounts for."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.iam_policies import ManagedPolicies
from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.flows.upkeep.chores.deadlines import Failures, Stuck
from bedrock_remediator.flows.upkeep.chores.orphans import Orphans
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, NOON
from tests.builders.remediation import nova
from tests.builders.upkeep import LATER, POLICY, STRANGE, Upkept

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MEMBER = "444455556666"


@pytest.fixture
def setup(aws: None, dynamodb: "DynamoDBClient", clock: StoppedClock) -> Upkept:
    """A world in mode auto with a rule that allows everything."""
    return Upkept(boto3.client("iam"), UpkeepLedger(dynamodb, "ledger", clock))


class TestWalk:
    """From principal to principal."""

    def grants(self, setup: Upkept, names: Sequence[str]) -> list[Grant]:
        """A grant each, all of whose policies are detached then."""
        rows = [setup.world.grant(setup.world.role(name)) for name in names]
        for name in names:
            arn = POLICY.replace("llm-app", name)
            setup.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        return rows

    def test_some_each_run_and_all_in_the_end(self, setup: Upkept) -> None:
        """It goes on where it ended, and then from the beginning."""
        rows = self.grants(setup, "abcde")
        assert [setup.upkeep(most=2)["repaired"] for _ in range(3)] == [2, 2, 1]
        assert {setup.now(row).state for row in rows} == {State.APPROVED}
        assert setup.ledger.place("drift")
        assert setup.upkeep(most=2) == {}

    def test_it_ends_in_time(self, setup: Upkept) -> None:
        """What is left is for the next run."""
        self.grants(setup, "abc")
        looks = iter([True, True, False])
        assert setup.upkeep(has_time=lambda: next(looks)) == {"repaired": 2}
        assert setup.upkeep(most=1) == {"repaired": 1}

    def test_a_principal_that_makes_trouble_holds_up_no_other(
        self, setup: Upkept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is counted; one whose account the service has no way into is no failure."""
        self.grants(setup, "abcd")
        find = setup.world.reader.principal
        trouble = {"a": RuntimeError("what is this?"), "b": NotEnrolledError("999999999999")}
        trouble["d"] = RoleMissingError("999999999999", "arn:of:role")

        def principal(asked: Principal) -> tuple[Principal, str] | None:
            if asked.name in trouble:
                raise trouble[asked.name]
            return find(asked)

        monkeypatch.setattr(setup.world.reader, "principal", principal)
        assert setup.upkeep() == {"failed": 1, "not_enrolled": 1, "repaired": 1, "role_missing": 1}

    def test_an_account_that_does_not_answer_holds_up_no_other(
        self, setup: Upkept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its other principals are passed by without being asked for, and it is a failure that the round tells of."""
        self.grants(setup, "abc")
        for name in ("x", "y"):
            row = setup.world.row(setup.world.role(name))
            pk = f"arn:aws:iam::{MEMBER}:role/{name}"
            setup.put(replace(row, pk=pk, principal=pk, account=MEMBER, state=State.ACTIVE))
        find = setup.world.reader.principal
        asked: list[str] = []

        def principal(wanted: Principal) -> tuple[Principal, str] | None:
            asked.append(wanted.name)
            if wanted.account == MEMBER:
                raise RetryableError("busy")
            return find(wanted)

        monkeypatch.setattr(setup.world.reader, "principal", principal)
        assert setup.upkeep() == {"failed": 1, "repaired": 3}
        assert sorted(asked) == ["a", "b", "c", "x"]

    def test_when_aws_does_not_answer_it_ends(self, setup: Upkept, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next run tries again."""
        self.grants(setup, "a")

        def busy(_asked: Principal) -> None:
            raise RetryableError("busy")

        monkeypatch.setattr(setup.world.reader, "principal", busy)
        with pytest.raises(RetryableError):
            setup.upkeep()

    def test_what_was_just_written_is_left_for_later(self, setup: Upkept) -> None:
        """IAM may not show it yet."""
        self.grants(setup, "a")
        assert setup.upkeep(timedelta(minutes=9)) == {"unsettled": 1}
        assert setup.upkeep(timedelta(minutes=1)) == {"repaired": 1}

    def test_what_is_written_meanwhile_is_not_judged(self, setup: Upkept, monkeypatch: pytest.MonkeyPatch) -> None:
        """Remediation was at work between the look at the ledger and the look at IAM."""
        role = setup.world.role()
        setup.world.grant(role)
        setup.world.clock.time += LATER
        find = setup.world.reader.principal
        late = setup.world.row(role, nova(1))

        def principal(asked: Principal) -> tuple[Principal, str] | None:
            monkeypatch.setattr(setup.world.reader, "principal", find)
            setup.world.remediate(setup.world.put(late))
            return find(asked)

        monkeypatch.setattr(setup.world.reader, "principal", principal)
        assert setup.upkeep() == {"overtaken": 1}

    def test_an_empty_ledger_takes_nothing_away(self, setup: Upkept, dynamodb: "DynamoDBClient") -> None:
        """Policies without rows are reported, and stay."""
        role = setup.world.role()
        row = setup.world.grant(role)
        for found in dynamodb.scan(TableName="ledger")["Items"]:
            dynamodb.delete_item(TableName="ledger", Key={"pk": found["pk"], "sk": found["sk"]})
        assert setup.upkeep() == {}
        assert setup.world.allows(role, row)


class TestOrphans:
    """Policies under our path that no row accounts for."""

    def orphans(self, setup: Upkept, table: str = "ledger") -> Orphans:
        """The chore."""
        return Orphans(setup.ledger, self.policies(setup), table, Enrolment(ACCOUNT, self.enrolled))

    def policies(self, setup: Upkept) -> Callable[[str], ManagedPolicies]:
        """IAM by account: that of the tests, and members with trouble of their own."""
        self.asked: list[str] = []

        def policies(account: str) -> ManagedPolicies:
            self.asked.append(account)
            if account in self.trouble:
                raise self.trouble[account]
            return ManagedPolicies(setup.iam)

        return policies

    enrolled: tuple[str, ...] = ()
    trouble: Mapping[str, Exception] = {}

    def test_a_policy_with_a_row_is_accounted_for(self, setup: Upkept) -> None:
        """Also while the row is on its way."""
        row = setup.world.grant(setup.world.role())
        assert self.orphans(setup).run(lambda: True) == {"found": 0}
        setup.ledger.move(row, row.moved(State.REVOKING, at=NOON, by="alice", reason="enough"))
        assert self.orphans(setup).found(lambda: True) == []

    def test_a_policy_without_one_is_found_and_left(self, setup: Upkept, dynamodb: "DynamoDBClient") -> None:
        """The ledger was lost, or restored from before."""
        role = setup.world.role()
        row = setup.world.grant(role)
        dynamodb.delete_item(TableName="ledger", Key={"pk": {"S": row.pk}, "sk": {"S": row.sk}})
        assert self.orphans(setup).found(lambda: True) == [POLICY]
        assert self.orphans(setup).run(lambda: True) == {"found": 1}
        assert self.orphans(setup).found(lambda: False) == []
        assert self.asked == []
        assert setup.world.allows(role, row)

    def test_a_row_that_is_about_no_principal_accounts_for_nothing(self, setup: Upkept) -> None:
        """Nothing of this service is such a row; the walk passes it by, and says so."""
        setup.put(setup.world.row(setup.world.role(), pk="account/123456789012/Root/x", state=State.ACTIVE))
        assert self.orphans(setup).found(lambda: True) == []
        assert setup.upkeep() == {"failed": 1}

    def test_member_accounts_are_looked_at_too(self, setup: Upkept) -> None:
        """Those that are named, and those with grants; one that cannot be looked at holds up no other."""
        setup.world.grant(setup.world.role())
        setup.put(setup.world.row(setup.world.role("b"), pk="arn:aws:iam::999900001111:role/x", state=State.ACTIVE))
        self.enrolled = ("444455556666", "777788889999", "888800001111", "*")
        self.trouble = {
            "444455556666": RoleMissingError("444455556666", "arn:of:role"),
            "777788889999": RetryableError("busy"),
        }
        found = self.orphans(setup).found(lambda: True)
        assert self.asked == [ACCOUNT, "444455556666", "777788889999", "888800001111", "999900001111"]
        assert found == []

    def test_what_is_not_ours_is_not_looked_at(self, setup: Upkept) -> None:
        """Another deployment's, or somebody's own under our path."""
        setup.world.grant(setup.world.role())
        for name in ("mine", "role.other.1"):
            setup.iam.create_policy(
                PolicyName=name, Path="/bedrock-access-remediator/", PolicyDocument=json.dumps(STRANGE)
            )
        assert self.orphans(setup).found(lambda: True) == []
        assert self.orphans(setup, "another").found(lambda: True) == []


class TestTriedAgain:
    """What upkeep sends to remediate again."""

    def test_a_grant_that_remediate_left_half_done_is_finished(self, setup: Upkept) -> None:
        """Its message was lost while it was being applied."""
        role = setup.world.role()
        row = setup.world.put(setup.world.row(role, state=State.APPLYING))
        setup.world.clock.time += LATER
        assert Stuck(setup.ledger, setup.world.clock).run(lambda: True) == {"redriven": 1}
        setup.carry()
        assert setup.now(row).state is State.ACTIVE
        assert setup.world.allows(role, row)

    def test_a_persons_grant_that_failed_in_passing_comes_through_under_the_same_signature(self, setup: Upkept) -> None:
        """Somebody has made room meanwhile."""
        role = setup.world.role()
        row = setup.by_alice(role)
        again = row.moved(State.APPROVED, at=setup.world.clock.now(), by="upkeep", reason="drift")
        setup.ledger.move(row, again)
        failed = again.moved(State.FAILED, at=setup.world.clock.now(), by="remediate", reason="no room")
        setup.ledger.move(again, replace(failed, reason_code="limit_exceeded", written=None))
        setup.world.clock.time += LATER
        assert Failures(setup.ledger, setup.world.clock, granting=True).run(lambda: True) == {"retried": 1}
        setup.carry()
        done = setup.now(row)
        assert (done.state, done.reason_code, done.approval) == (State.ACTIVE, "tried_again", row.approval)
