"""Somebody changes our policies or the principal: what upkeep and remediate make of it, and what stands then."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.core.grant import Outcome, State
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.settings import Mode, Strategy
from tests.builders.clocks import StoppedClock
from tests.builders.grants import MODELS, PROFILE
from tests.builders.remediation import nova, profile
from tests.builders.upkeep import POLICY, STRANGE, Upkept

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from bedrock_remediator.flows.upkeep.chores.contract import Tally


@pytest.fixture
def setup(aws: None, dynamodb: "DynamoDBClient", clock: StoppedClock) -> Upkept:
    """A world in mode auto with a rule that allows everything."""
    return Upkept(boto3.client("iam"), UpkeepLedger(dynamodb, "ledger", clock))


DRIFTS = ["detach", "delete", "strip"]


class TestPolicies:
    """Our policy is not as it was."""

    def test_what_is_as_it_was_is_left(self, setup: Upkept) -> None:
        """Whoever approved it, however many there are."""
        role = setup.world.role()
        rows = [setup.world.grant(role, nova(number)) for number in range(3)] + [setup.by_alice(role)]
        assert setup.upkeep() == {}
        assert [setup.now(row) for row in rows] == rows

    @pytest.mark.parametrize("drift", DRIFTS)
    def test_a_rules_grant_is_put_right(self, setup: Upkept, drift: str) -> None:
        """Remediation decides it again, and it stands as before; a second run finds nothing to do."""
        role = setup.world.role()
        row = setup.world.grant(role)
        getattr(setup, drift)()
        assert setup.upkeep() == {"repaired": 1}
        assert setup.upkeep(timedelta()) == {}
        setup.carry()
        again = setup.now(row)
        assert (again.state, again.version, again.reason_code) == (State.ACTIVE, 6, "policy_drifted")
        assert setup.world.allows(role, again)
        assert setup.upkeep() == {}
        assert setup.now(row) == again

    @pytest.mark.parametrize("drift", DRIFTS)
    def test_a_persons_grant_is_put_right_under_the_same_signature(self, setup: Upkept, drift: str) -> None:
        """It says the same as before: what, for whom, until when, and who approved it in which version."""
        role = setup.world.role()
        row = setup.by_alice(role, timedelta(days=30))
        getattr(setup, drift)()
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        again = setup.now(row)
        assert (again.state, again.approval, again.expires_at) == (State.ACTIVE, row.approval, row.expires_at)
        assert (again.decided_version, again.version) == (row.decided_version, row.version + 3)
        assert setup.world.allows(role, again)
        assert setup.upkeep() == {}

    def test_a_forged_row_is_not_repaired_into_a_grant(self, setup: Upkept) -> None:
        """Without a signature, `active` in the ledger gives nothing: remediation refuses it, and says so loudly."""
        role = setup.world.role()
        forged = setup.world.put(setup.world.row(role, state=State.ACTIVE, decision=Outcome.ASK, rule=None))
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        row = setup.now(forged)
        assert (row.state, row.reason_code) == (State.FAILED, "approval_unverified")
        assert setup.world.policies(role) == {}

    def test_all_grants_of_a_principal_come_back_with_the_first(self, setup: Upkept) -> None:
        """The policy is compiled from them all, and those that stand prove themselves."""
        role = setup.world.role()
        rows = [setup.by_alice(role), *(setup.world.grant(role, nova(number)) for number in range(3))]
        setup.delete()
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        assert all(setup.world.allows(role, row) for row in rows)
        assert sum(setup.now(row) != row for row in rows) == 1
        assert setup.upkeep() == {}

    def test_what_was_added_to_it_is_taken_out(self, setup: Upkept) -> None:
        """Nobody is granted anything by editing our policy, even in our own words."""
        role, other = setup.world.role(), setup.world.role("other")
        setup.world.grant(role)
        stranger = setup.world.grant(other, nova(7))
        theirs = setup.world.policies(other)["role.other.1"]
        own = setup.world.policies(role)["role.llm-app.1"]
        setup.write({**own, "Statement": [*own["Statement"], *theirs["Statement"][:2]]})
        assert setup.world.allows(role, stranger)
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        assert setup.world.policies(role)["role.llm-app.1"] == own
        assert setup.upkeep() == {}

    def test_while_a_repair_waits_what_is_left_stays(self, setup: Upkept) -> None:
        """Grants were paused in between, and another grant of the principal is taken out: the rest is not."""
        role = setup.world.role()
        row, other = setup.world.grant(role), setup.world.grant(role, nova(1))
        text = json.dumps(setup.world.policies(role)["role.llm-app.1"])
        setup.write(json.loads(text.replace(f'"{MODELS[2]}", ', "").replace(f', "{MODELS[2]}"', "")))
        assert setup.upkeep() == {"repaired": 1}
        setup.set(paused=True)
        setup.world.revoke(other)
        assert setup.world.allows(role, replace(row, resources=(PROFILE, *MODELS[:2])))
        assert not setup.world.allows(role, row)
        assert not setup.world.allows(role, other)

    def test_what_we_would_never_write_is_reported_and_left(self, setup: Upkept) -> None:
        """Once; when somebody has removed it, the grant is put right by itself."""
        role = setup.world.role()
        row = setup.world.grant(role)
        setup.write(STRANGE)
        assert setup.upkeep() == {"reported": 1}
        assert setup.upkeep() == {}
        remark = remark_of(setup.now(row))
        assert remark
        assert (remark.code, setup.now(row).state, setup.now(row).version) == ("policy_not_ours", State.ACTIVE, 3)
        assert setup.world.policies(role)["role.llm-app.1"] == STRANGE
        setup.delete()
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        assert remark_of(setup.now(row)) is None
        assert setup.world.allows(role, row)

    def test_a_remark_goes_when_it_is_not_true_any_more(self, setup: Upkept) -> None:
        """Somebody has restored the policy."""
        role = setup.world.role()
        row = setup.world.grant(role)
        own = setup.world.policies(role)["role.llm-app.1"]
        setup.write(STRANGE)
        setup.upkeep()
        setup.write(own)
        setup.set(paused=True)
        assert setup.upkeep() == {}
        setup.set(paused=False)
        assert setup.upkeep() == {"settled": 1}
        assert setup.now(row) == row

    def test_a_policy_that_others_were_given_is_reported(self, setup: Upkept) -> None:
        """They have the grants as well."""
        setup.world.role("other")
        row = setup.world.grant(setup.world.role())
        setup.iam.attach_role_policy(RoleName="other", PolicyArn=POLICY)
        assert setup.upkeep() == {"reported": 1}
        remark = remark_of(setup.now(row))
        assert remark
        assert remark.code == "policy_shared"

    def test_somebody_elses_policy_under_the_next_name_is_no_drift(self, setup: Upkept) -> None:
        """As long as nothing of ours has to go there."""
        row = setup.world.grant(setup.world.role())
        setup.iam.create_policy(
            PolicyName="role.llm-app.2", Path="/bedrock-access-remediator/", PolicyDocument=json.dumps(STRANGE)
        )
        assert setup.upkeep() == {}
        assert setup.now(row) == row

    def test_other_extra_actions_are_no_drift(self, setup: Upkept) -> None:
        """A changed parameter does not set off a wave of writes."""
        setup.world.grant(setup.world.role())
        setup.set(extra_actions=())
        assert setup.upkeep() == {}

    def test_somebody_who_undoes_it_again_and_again_is_looked_for(self, setup: Upkept) -> None:
        """Terraform's exclusive attachments, say: three repairs in a week, then people are told; then it goes on."""
        row = setup.world.grant(setup.world.role())
        done: list[Tally] = []
        for _ in range(5):
            setup.detach()
            done.append(setup.upkeep())
            setup.carry()
            if done[-1] != {"repaired": 1}:
                break
        assert done == [{"repaired": 1}] * 3 + [{"reported": 1}]
        remark = remark_of(setup.now(row))
        assert remark
        assert remark.code == "drift_recurs"
        assert setup.upkeep(timedelta(days=7)) == {"repaired": 1}

    @pytest.mark.parametrize("changes", [{"mode": Mode.OBSERVE}, {"grantable_principals": ()}])
    def test_without_the_power_it_is_reported(self, setup: Upkept, changes: dict[str, Any]) -> None:
        """And nothing is taken away either."""
        row = setup.world.grant(setup.world.role())
        setup.set(**changes)
        setup.detach()
        assert setup.upkeep() == {"reported": 1}
        assert setup.now(row).state is State.ACTIVE

    def test_while_grants_are_paused_nothing_is_put_right(self, setup: Upkept) -> None:
        """It is afterwards."""
        setup.world.grant(setup.world.role())
        setup.set(paused=True)
        setup.detach()
        assert setup.upkeep() == {}
        setup.set(paused=False)
        assert setup.upkeep() == {"repaired": 1}

    def test_inline_policies_are_put_right(self, setup: Upkept) -> None:
        """Under the strategy of that name."""
        setup.set(strategy=Strategy.INLINE)
        role = setup.world.role()
        row = setup.world.grant(role)
        assert setup.upkeep() == {}
        setup.iam.delete_role_policy(RoleName="llm-app", PolicyName="bedrock-access-remediator")
        assert setup.upkeep() == {"repaired": 1}
        setup.carry()
        assert setup.world.allows(role, row)
        setup.iam.put_role_policy(
            RoleName="llm-app", PolicyName="bedrock-access-remediator", PolicyDocument=json.dumps(STRANGE)
        )
        assert setup.upkeep() == {"reported": 1}

    def test_grants_in_place_are_put_back_one_by_one(self, setup: Upkept) -> None:
        """Each into the policy of the principal's own; what others change there is theirs."""
        setup.set(strategy=Strategy.IN_PLACE)
        role = setup.world.role()
        # Two profiles of one model would be a person's question: the policy holds the first when the second is due.
        before = base(MODELS[0], nova(1).models[0])
        setup.iam.put_role_policy(RoleName="llm-app", PolicyName="base", PolicyDocument=json.dumps(before))
        rows = [setup.world.grant(role, target) for target in (profile(PROFILE, MODELS), nova(1))]
        assert setup.upkeep() == {}
        after = setup.world.policies(role)["base"]
        setup.iam.put_role_policy(
            RoleName="llm-app",
            PolicyName="base",
            PolicyDocument=json.dumps({**after, "Statement": [*after["Statement"], *STRANGE["Statement"]]}),
        )
        assert setup.upkeep() == {}
        setup.iam.put_role_policy(RoleName="llm-app", PolicyName="base", PolicyDocument=json.dumps(before))
        assert setup.upkeep() == {"repaired": 2}
        setup.carry()
        assert all(setup.world.allows(role, row) for row in rows)
        assert setup.upkeep() == {}


OTHER = PROFILE.replace("us.amazon", "global.amazon")


def base(*resources: str) -> dict[str, Any]:
    """A policy of the principal's own, which grants models."""
    actions = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": [*resources]}]}


class TestPrincipals:
    """The principal is not who it was."""

    @pytest.mark.parametrize("paused", [True, False])
    def test_a_principal_that_is_gone_loses_its_grants(self, setup: Upkept, paused: bool) -> None:  # noqa: FBT001
        """And the policy that was left behind goes; revoking goes on while grants are paused."""
        row = setup.world.grant(setup.world.role())
        setup.set(paused=paused)
        setup.detach()
        setup.iam.delete_role(RoleName="llm-app")
        assert setup.upkeep() == {"revoked": 1}
        setup.carry()
        gone = setup.now(row)
        assert (gone.state, gone.reason_code) == (State.REVOKED, "principal_missing")
        assert setup.iam.list_policies(Scope="Local")["Policies"] == []
        assert setup.upkeep() == {}

    def test_a_successor_of_the_same_name_gets_nothing(self, setup: Upkept) -> None:
        """What was attached to it under that name is taken away."""
        row = setup.world.grant(setup.world.role())
        setup.detach()
        setup.iam.delete_role(RoleName="llm-app")
        successor = setup.world.role()
        setup.iam.attach_role_policy(RoleName="llm-app", PolicyArn=POLICY)
        assert setup.world.allows(successor, row)
        assert setup.upkeep() == {"revoked": 1}
        setup.carry()
        assert setup.now(row).reason_code == "principal_recreated"
        assert setup.world.policies(successor) == {}
