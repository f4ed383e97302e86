"""From an approved row to a policy that works, and back: on moto's IAM and DynamoDB, under the strategy `managed`."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Outcome, State, Verification, Written, kept_key
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.profile import FoundationModel
from bedrock_remediator.core.waiting import MOST_TRIES
from bedrock_remediator.flows.remediation.remediation import RevocationError
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE, first_seen
from tests.builders.remediation import World, nova, profile

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

BASE = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
DENIED_BY_SCP = {"decision": "explicitDeny", "organizations": False}


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


@pytest.fixture
def world(iam: "IAMClient", ledger: Ledger) -> World:
    """A world in mode auto with a rule that allows everything."""
    return World(iam, ledger)


class TestGranting:
    """An approved row is put into force."""

    def test_a_grant_ends_up_active_and_works(self, world: World) -> None:
        """The principal may invoke the profile and its models through it, in all regions, and nothing else changed."""
        role = world.role()
        row = world.grant(role)
        assert row == world.stored(row)
        assert (row.state, row.version, row.verification) == (State.ACTIVE, 3, Verification.SIMULATED)
        assert (row.reason_code, row.reason) == ("rule_auto", "The rule 'nova' allows this grant.")
        assert row.applied_at == world.clock.now()
        assert row.cool_down_until is None
        assert [event.state for event in row.history] == [State.APPLYING, State.ACTIVE]
        assert world.allows(role, row)
        assert list(world.policies(role)) == ["role.llm-app.1"]

    def test_a_models_direct_grant_works(self, world: World) -> None:
        """A model that serves on demand is granted without a profile."""
        role = world.role()
        model = FoundationModel(arn=MODELS[0], id="amazon.nova-2-lite-v1:0", inference_types=frozenset({"ON_DEMAND"}))
        world.profiles.models[model.id] = model
        row = world.grant(role, sk=f"model#{model.arn}", profile=None, resources=(model.arn,))
        assert row.state is State.ACTIVE
        assert world.allows(role, row)

    def test_a_persons_grant_works_in_mode_approve(self, world: World) -> None:
        """If the approval is genuine."""
        user = world.user()
        row = world.row(user, decision=Outcome.ASK, rule=None)
        world.approvals.genuine.add(row.key)
        assert world.grant(user, decision=Outcome.ASK, rule=None).state is State.ACTIVE
        assert list(world.policies(user)) == ["user.dev.1"]

    def test_grants_of_one_principal_stand_side_by_side(self, world: World) -> None:
        """Each new one keeps the others."""
        role = world.role()
        rows = [world.grant(role, nova(number)) for number in range(6)]
        assert all(world.allows(role, row) for row in rows)
        assert list(world.policies(role)) == ["role.llm-app.1"]

    def test_a_message_about_the_past_changes_nothing(self, world: World, iam: "IAMClient") -> None:
        """A second delivery, or a message that another change has overtaken, finds nothing to do."""
        role = world.role()
        row = world.approved(role)
        assert world.remediate(row)
        before = world.stored(row)
        assert world.remediate(row) is None
        assert world.stored(row) == before
        assert world.remediate(replace(row, sk="profile#gone")) is None

    def test_what_the_forecast_rules_out_is_not_written(self, world: World) -> None:
        """A row that was not simulated a moment ago is simulated before the first write."""
        role = world.role()
        world.block()
        row = world.grant(role, simulated_at=None)
        assert (row.state, row.reason_code) == (State.FAILED, "certainly_no_help")
        assert (row.layer, row.effect) == (Layer.SCP, Effect.EXPLICIT)
        assert row.cool_down_until == NOON + timedelta(hours=24)
        assert world.policies(role) == {}
        assert [policies for *_, policies in world.simulator.asked] == [1, 1]

    @pytest.mark.parametrize(("age", "questions"), [(9, [0, 0, 0]), (11, [1, 1, 1, 0])])
    def test_a_fresh_forecast_is_not_repeated(self, world: World, age: int, questions: list[int]) -> None:
        """Triage's forecast holds for ten minutes; after one of its own, only whether IAM has settled is open."""
        row = world.grant(world.role(), simulated_at=NOON - timedelta(minutes=age))
        assert (row.state, row.verification) == (State.ACTIVE, Verification.SIMULATED)
        assert [policies for *_, policies in world.simulator.asked] == questions

    def test_a_claim_that_does_not_hold_asks_again(self, world: World) -> None:
        """What a person then sees is what AWS says now, and nothing was written."""
        role = world.role()
        wanted = world.row(role, resources=(PROFILE, *MODELS[:2]), expires_at=NOON + timedelta(days=1))
        row = world.remediate(world.put(wanted))
        assert row
        assert (row.state, row.reason_code, row.decision) == (State.PENDING, "inputs_changed", Outcome.ASK)
        assert row.resources == tuple(sorted((PROFILE, *MODELS)))
        assert (row.rule, row.expires_at, row.simulated_at, row.cool_down_until) == (None, None, None, None)
        assert world.stored(row) == row
        assert world.policies(role) == {}

    def test_an_expiring_grant_ends_in_the_policy_too(self, world: World) -> None:
        """Even if the service is gone by then."""
        world.limit(timedelta(days=1))
        role = world.role()
        row = world.grant(role, expires_at=NOON + timedelta(hours=24))
        assert row.state is State.ACTIVE
        assert world.allows(role, row)
        world.clock.time = NOON + timedelta(hours=25)
        assert not world.allows(role, row)


class TestVerifying:
    """After the write, IAM is asked whether it helped."""

    def test_iam_that_settles_late_is_waited_for(self, world: World) -> None:
        """An implicit deny right after the write is no verdict."""
        world.simulator.lag = 7
        row = world.grant(world.role())
        assert (row.state, row.verification) == (State.ACTIVE, Verification.SIMULATED)
        assert sum(world.clock.waits) > 2

    def test_what_stays_open_is_active_and_says_so(self, world: World) -> None:
        """Time is up, and nothing is proved either way: the grant stays."""
        world.simulator.lag = 1000
        role = world.role()
        row = world.grant(role)
        assert (row.state, row.verification) == (State.ACTIVE, Verification.INCONCLUSIVE)
        assert world.allows(role, row)

    def test_errors_of_the_simulator_take_nothing_away(self, world: World) -> None:
        """A simulator that does not answer is not a grant that does not help."""
        world.simulator.failing = [RetryableError("throttled")] * 100
        row = world.grant(world.role())
        assert (row.state, row.verification) == (State.ACTIVE, Verification.INCONCLUSIVE)

    @pytest.mark.parametrize(
        ("layer", "effect"),
        [(Layer.SCP, Effect.EXPLICIT), (Layer.BOUNDARY, Effect.IMPLICIT), (Layer.IDENTITY, Effect.EXPLICIT)],
    )
    def test_what_certainly_does_not_help_is_taken_back(
        self, world: World, iam: "IAMClient", layer: Layer, effect: Effect
    ) -> None:
        """The reason is kept, other grants stay, and the cool-down begins."""
        role = world.role()
        kept = world.grant(role, nova(1))
        stop(world, iam, role, layer)
        before = world.policies(role)
        # A person's: what the principal's own policies stop, no rule even writes.
        asked = world.row(role, cool_downs=2, decision=Outcome.ASK, rule=None)
        world.approvals.genuine.add(asked.key)
        row = world.remediate(world.put(asked))
        assert row
        assert (row.state, row.reason_code, row.layer, row.effect) == (
            State.ROLLED_BACK,
            "did_not_help",
            layer,
            effect,
        )
        assert MODELS[1] in row.reason
        assert row.cool_down_until == world.clock.now() + timedelta(days=4)
        assert (row.written, row.verification, row.applied_at) == (None, None, None)
        assert world.policies(role) == before
        assert world.stored(kept).state is State.ACTIVE

    @pytest.mark.parametrize(
        "answer", [DENIED_BY_SCP, {"decision": "implicitDeny", "boundary": False}, {"decision": "explicitDeny"}]
    )
    def test_a_refusal_that_is_not_believed_takes_nothing_back(self, world: World, answer: dict[str, Any]) -> None:
        """Stopped is what AWS says lacks but an identity policy, by a policy that as we read it does no such thing."""
        world.simulator.overrule = lambda _action, _resource: answer
        role = world.role()
        row = world.grant(role, simulated_at=None)
        assert (row.state, row.verification) == (State.ACTIVE, Verification.INCONCLUSIVE)
        assert "the policy simulator says that" in row.history[-1].reason
        assert world.allows(role, row)
        assert world.clock.waits == [2.0]

    def test_what_stops_the_other_action_takes_nothing_back(self, world: World) -> None:
        """InvokeModel was denied, and works now."""
        world.simulator.overrule = lambda action, _: DENIED_BY_SCP if action.endswith("Stream") else None
        row = world.grant(world.role(), simulated_at=None)
        assert (row.state, row.verification) == (State.ACTIVE, Verification.SIMULATED)

    def test_the_first_grant_taken_back_leaves_no_policy(self, world: World, iam: "IAMClient") -> None:
        """Neither attached nor left behind."""
        role = world.role()
        world.block()
        assert world.grant(role).state is State.ROLLED_BACK
        assert world.policies(role) == {}
        assert iam.list_policies(Scope="Local")["Policies"] == []


def stop(world: World, iam: "IAMClient", role: Principal, layer: Layer) -> None:
    """Let a layer stop a destination of the profile."""
    nothing = {"Effect": "Deny", "Action": "bedrock:*", "Resource": MODELS[1]}
    if layer is Layer.SCP:
        world.block()
    elif layer is Layer.IDENTITY:
        document = json.dumps({"Version": "2012-10-17", "Statement": [nothing]})
        iam.put_role_policy(RoleName=role.name, PolicyName="theirs", PolicyDocument=document)
    else:
        others = {"Effect": "Allow", "Action": "*", "NotResource": MODELS[1]}
        document = json.dumps({"Version": "2012-10-17", "Statement": [others]})
        arn = iam.create_policy(PolicyName="limit", PolicyDocument=document)["Policy"]["Arn"]
        iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=arn)
        bounded = {"decision": "implicitDeny", "boundary": False}
        world.simulator.overrule = lambda _, resource: bounded if resource == MODELS[1] else None


class TestRevoking:
    """A revoked grant is taken out, and nothing else."""

    def test_one_of_several_leaves_the_others(self, world: World) -> None:
        """The policy is compiled without it."""
        role = world.role()
        kept, gone = world.grant(role, nova(1)), world.grant(role, nova(2))
        row = world.revoke(gone)
        assert row
        assert (row.state, row.cool_down_until) == (State.REVOKED, None)
        assert world.allows(role, kept)
        assert not world.allows(role, gone)

    def test_the_last_removes_the_policy(self, world: World, iam: "IAMClient") -> None:
        """Detached and deleted with all its versions; what is not ours stays."""
        role = world.role()
        iam.put_role_policy(RoleName=role.name, PolicyName="base", PolicyDocument=BASE)
        first, second = world.grant(role, nova(1)), world.grant(role, nova(2))
        world.revoke(first)
        world.revoke(second)
        assert list(world.policies(role)) == ["base"]
        assert iam.list_policies(Scope="Local")["Policies"] == []

    def test_it_goes_on_while_grants_are_paused(self, world: World) -> None:
        """Pausing stops what is given, not what is taken."""
        role = world.role()
        kept, gone = world.grant(role, nova(1)), world.grant(role, nova(2))
        world.settings = replace(world.settings, paused=True)
        row = world.revoke(gone)
        assert row
        assert row.state is State.REVOKED
        assert world.allows(role, kept)

    def test_a_principal_that_is_gone_needs_nothing_taken(self, world: World, iam: "IAMClient") -> None:
        """Its policy, detached by whoever deleted it, is removed."""
        role = world.role()
        row = world.grant(role)
        assert row.written
        iam.detach_role_policy(RoleName=role.name, PolicyArn=row.written.policies[0])
        iam.delete_role(RoleName=role.name)
        done = world.revoke(row)
        assert done
        assert done.state is State.REVOKED
        assert iam.list_policies(Scope="Local")["Policies"] == []

    def test_what_cannot_be_taken_out_is_not_called_revoked(self, world: World, iam: "IAMClient") -> None:
        """Somebody has edited our policy: the row stays in revoking, and the message ends where people look."""
        role = world.role()
        row = world.grant(role)
        assert row.written
        edited = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"}]}'
        iam.create_policy_version(PolicyArn=row.written.policies[0], PolicyDocument=edited, SetAsDefault=True)
        with pytest.raises(RevocationError, match="edited"):
            world.revoke(row)
        assert world.stored(row).state is State.REVOKING

    @pytest.mark.parametrize("trouble", [NotEnrolledError(ACCOUNT), RoleMissingError(ACCOUNT, "arn:of:role")])
    def test_an_account_out_of_reach_is_not_called_revoked(
        self, world: World, monkeypatch: pytest.MonkeyPatch, trouble: Exception
    ) -> None:
        """What stands there cannot be seen from here: the row stays in revoking, and the message says why."""
        row = world.grant(world.role())

        def refuse(_: object) -> NoReturn:
            raise trouble

        monkeypatch.setattr(world.reader, "principal", refuse)
        with pytest.raises(RevocationError, match=str(trouble)):
            world.revoke(row)
        assert world.stored(row).state is State.REVOKING

    def test_a_row_of_an_unknown_strategy_is_left_alone(self, world: World) -> None:
        """Nothing is guessed about where a grant is."""
        role = world.role()
        row = world.put(world.row(role, state=State.REVOKING, written=Written(strategy="magic", policies=("x",))))
        with pytest.raises(RevocationError, match="magic"):
            world.remediate(row)

    def test_the_stacks_own_roles_are_left_alone(self, world: World) -> None:
        """A row about one of them was not written by this service."""
        role = world.role("remediate", "/bedrock-access-remediator-stack/")
        row = world.put(world.row(role, state=State.REVOKING))
        with pytest.raises(RevocationError):
            world.remediate(row)


class TestMeanwhile:
    """A grant in force that is looked at anew stays until that is decided, whatever else happens to its principal."""

    def test_a_grant_that_is_being_extended_stays(self, world: World) -> None:
        """Its approval waits in the queue behind another grant of the principal: a genuine one counts."""
        role = world.role()
        active = world.grant(role, nova(1))
        world.ledger.move(active, active.moved(State.APPROVED, at=world.clock.now(), by="alice", reason="extended"))
        world.grant(role, nova(2))
        assert world.allows(role, active)

    def test_the_old_grant_stays_while_a_person_looks_at_the_new_models(self, world: World) -> None:
        """Of what AWS routes to now, the models that were granted; the new ones wait for the person."""
        role = world.role()
        active = world.grant(role, nova(1, regions=2))
        world.profiles.known[active.profile or ""] = more = nova(1, regions=3)
        asked = active.moved(State.PENDING, at=world.clock.now(), by="upkeep", reason="models changed")
        asked = replace(asked, resources=more.resources, written=None)
        world.ledger.keep(active, asked)
        world.grant(role, nova(2))
        assert world.allows(role, active)
        assert not world.allows(role, asked)

    def test_a_pending_row_gives_nothing(self, world: World) -> None:
        """What was granted under it before, and is not kept as a row of its own, goes."""
        role = world.role()
        active = world.grant(role, nova(1))
        world.ledger.move(active, active.moved(State.PENDING, at=NOON, by="upkeep", reason="models changed"))
        world.grant(role, nova(2))
        assert not world.allows(role, active)

    def test_a_request_that_was_never_granted_is_no_part_of_it(self, world: World) -> None:
        """Approved, but not its turn yet."""
        role = world.role()
        waiting = world.approved(role, nova(1))
        world.grant(role, nova(2))
        assert not world.allows(role, waiting)

    def test_a_repair_that_asks_again_keeps_its_end(self, world: World) -> None:
        """What it gave is kept as a row of its own, and ends when it would have."""
        world.limit(timedelta(days=1))
        role, end = world.role(), NOON + timedelta(hours=24)
        active = world.grant(role, nova(1), expires_at=end)
        again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
        world.ledger.move(active, again)
        world.settings = replace(world.settings, paused=True)
        row = world.remediate(again)
        assert row
        assert (row.state, row.reason_code, row.expires_at, row.written) == (State.PENDING, "paused", None, None)
        kept = world.ledger.grant(row.pk, kept_key(row.sk))
        assert kept
        assert (kept.state, kept.expires_at, kept.written) == (State.ACTIVE, end, active.written)
        world.settings = replace(world.settings, paused=False)
        world.grant(role, nova(2), expires_at=end)
        assert world.allows(role, active)


class TestMistrust:
    """A row in the ledger is a claim; writing one gives nobody anything."""

    def test_a_forged_standing_row_is_not_compiled_in(self, world: World) -> None:
        """Another grant of the principal is applied, and the row that merely says `active` is left out."""
        role = world.role()
        claude = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-v1:0"
        forged = world.row(role, nova(1), state=State.ACTIVE)
        forged = world.put(replace(forged, resources=tuple(sorted((*forged.resources, claude)))))
        row = world.grant(role, nova(2))
        assert row.state is State.ACTIVE
        assert world.allows(role, row)
        assert not world.allows(role, forged)

    def test_a_standing_grant_cannot_be_stretched(self, world: World) -> None:
        """An expiry that somebody moves in the ledger does not move in the policy."""
        world.limit(timedelta(days=1))
        role, soon = world.role(), NOON + timedelta(hours=24)
        row = world.grant(role, nova(1), expires_at=soon)
        world.ledger.update(row, replace(row, expires_at=None))
        world.grant(role, nova(2), expires_at=soon)
        world.clock.time = NOON + timedelta(days=2)
        assert not world.allows(role, row)

    def test_a_standing_grant_whose_rule_is_gone_stays(self, world: World) -> None:
        """What is in force already needs no new decision."""
        role = world.role()
        row = world.grant(role, nova(1))
        other = world.row(role, nova(2), decision=Outcome.ASK, rule=None)
        world.approvals.genuine.add(other.key)
        world.allowlist.allowlist = replace(world.allowlist.allowlist, rules=())
        done = world.remediate(world.put(other))
        assert done
        assert done.state is State.ACTIVE
        assert world.allows(role, row)

    def test_a_genuine_grant_that_was_lost_comes_back(self, world: World, iam: "IAMClient") -> None:
        """Its claims hold, so the next compilation has it again."""
        role = world.role()
        lost = world.grant(role, nova(1))
        assert lost.written
        iam.detach_role_policy(RoleName=role.name, PolicyArn=lost.written.policies[0])
        iam.delete_policy(PolicyArn=lost.written.policies[0])
        world.grant(role, nova(2))
        assert world.allows(role, lost)

    def test_a_recreated_principal_inherits_nothing(self, world: World, iam: "IAMClient") -> None:
        """Rows of the one before it are not part of its policy, though they still say `active`."""
        role = world.role()
        before = world.grant(role, nova(1))
        assert before.written
        iam.detach_role_policy(RoleName=role.name, PolicyArn=before.written.policies[0])
        iam.delete_role(RoleName=role.name)
        role = world.role()
        row = world.grant(role, nova(2))
        assert row.state is State.ACTIVE
        assert world.allows(role, row)
        assert not world.allows(role, before)

    def test_a_forged_row_that_is_being_applied_is_checked_again(self, world: World) -> None:
        """Who writes `applying` skips nothing."""
        role = world.role()
        forged = world.put(
            world.row(
                role, state=State.APPLYING, decision=Outcome.ASK, written=Written(strategy="managed", policies=())
            )
        )
        row = world.remediate(forged)
        assert row
        assert (row.state, row.reason_code) == (State.FAILED, "approval_unverified")
        assert world.policies(role) == {}

    def test_a_forged_row_of_the_stacks_own_role_fails(self, world: World) -> None:
        """Also where it claims to be half done."""
        role = world.role("remediate", "/bedrock-access-remediator-stack/")
        forged = world.put(world.row(role, state=State.APPLYING, written=Written(strategy="managed", policies=())))
        row = world.remediate(forged)
        assert row
        assert (row.state, row.reason_code) == (State.FAILED, "principal_not_grantable")
        assert world.policies(role) == {}


class TestGivingUp:
    """What stops a grant half-way leaves nothing behind."""

    def test_a_pause_takes_back_what_was_being_applied(self, world: World) -> None:
        """A first delivery wrote the policy and died; the second finds grants paused."""
        role = world.role()
        row = world.approved(role)
        world.simulator.failing = [KeyboardInterrupt()]  # type: ignore[list-item]  # a death, not an error
        with pytest.raises(KeyboardInterrupt):
            world.remediate(row)
        assert world.allows(role, row)
        world.settings = replace(world.settings, paused=True)
        done = world.remediate(row)
        assert done
        assert (done.state, done.reason_code) == (State.FAILED, "paused")
        assert world.policies(role) == {}

    def test_a_repair_that_fails_takes_out_what_was_in_force(self, world: World) -> None:
        """The grant was active, its profile is gone: it fails, and is in no policy any more."""
        role = world.role()
        active = world.grant(role)
        again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
        world.ledger.move(active, again)
        world.profiles.known.clear()
        row = world.remediate(again)
        assert row
        assert (row.state, row.reason_code, row.written) == (State.FAILED, "profile_missing", None)
        assert world.policies(role) == {}

    def test_a_row_given_up_meanwhile_is_taken_out(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody fails the row while the policy is written: nobody else would ever take the grant out."""
        role = world.role()
        row = world.approved(role)

        def give_up(_action: str, _resource: str) -> None:
            current = world.stored(row)
            if current.state is State.APPLYING:
                world.ledger.move(
                    current, current.moved(State.FAILED, at=world.clock.now(), by="upkeep", reason="too long")
                )

        world.simulator.overrule = give_up
        assert world.remediate(row) is None
        assert world.policies(role) == {}
        assert world.stored(row).written is None

    @pytest.mark.parametrize("ending", [State.FAILED, State.ROLLED_BACK])
    def test_who_dies_after_being_overtaken_leaves_it_to_the_next_delivery(self, world: World, ending: State) -> None:
        """The row was ended while the policy was written, and nothing else would lead to the policy any more."""
        role = world.role()
        row = world.approved(role)

        def end(_action: str, _resource: str) -> NoReturn:
            current = world.stored(row)
            world.ledger.move(current, current.moved(ending, at=world.clock.now(), by="somebody", reason="too long"))
            raise KeyboardInterrupt  # a death, not an error

        world.simulator.overrule = end
        with pytest.raises(KeyboardInterrupt):
            world.remediate(row)
        assert world.allows(role, row)
        ended = world.stored(row)
        assert world.remediate(row) is None
        assert world.policies(role) == {}
        assert world.stored(row) == replace(ended, written=None)

    def test_a_late_delivery_leaves_the_others(self, world: World) -> None:
        """It takes out what no row stands for, and nothing else."""
        role = world.role()
        other, row = world.grant(role, nova(1)), world.approved(role)
        world.block()
        world.remediate(row)
        assert world.stored(row).state is State.ROLLED_BACK
        assert world.remediate(row) is None
        assert world.allows(role, other)
        assert not world.allows(role, row)

    def test_a_late_delivery_about_the_stacks_own_role_does_nothing(self, world: World) -> None:
        """Nothing was ever written to it, whatever the row says."""
        role = world.role(path="/bedrock-access-remediator-stack/")
        row = world.approved(role)
        applying = row.moved(State.APPLYING, at=NOON, by="test", reason="test")
        world.ledger.move(row, applying)
        world.ledger.move(applying, applying.moved(State.FAILED, at=NOON, by="test", reason="test"))
        assert world.remediate(row) is None

    @pytest.mark.parametrize("state", [State.APPLYING, State.APPROVED])
    def test_what_was_tried_in_vain_for_hours_is_taken_out(self, world: World, state: State) -> None:
        """Upkeep has driven it once more than it is tried: it fails, and nothing of it is left."""
        role = world.role()
        if state is State.APPLYING:
            row = world.approved(role)
            world.simulator.failing = [KeyboardInterrupt()]  # type: ignore[list-item]  # a death, not an error
            with pytest.raises(KeyboardInterrupt):
                world.remediate(row)
            row = world.stored(row)
        else:
            active = world.grant(role)
            row = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
            world.ledger.move(active, row)
        driven = replace(row, attempt=MOST_TRIES + 1, driven_at=world.clock.now())
        world.ledger.update(row, driven)
        assert world.allows(role, row)
        world.clock.sleep(3600)
        done = world.remediate(driven)
        assert done
        assert (done.state, done.reason_code, done.written) == (State.FAILED, "not_applied", None)
        assert done.cool_down_until == world.clock.now() + timedelta(hours=24)
        assert world.policies(role) == {}

    def test_a_row_finished_by_another_delivery_stays(self, world: World) -> None:
        """Two deliveries at once: the second to finish takes nothing out."""
        role = world.role()
        row = world.approved(role)

        def finish(_action: str, _resource: str) -> None:
            world.simulator.overrule = lambda _action, _resource: None
            assert world.remediate(row)
            world.clock.sleep(1)

        world.simulator.overrule = finish
        assert world.remediate(row) is None
        assert world.stored(row).state is State.ACTIVE
        assert world.allows(role, row)


def put_failed(world: World, row: Grant) -> Grant:
    """A row that failed before, approved again by a person."""
    world.ledger.open(row, first_seen(row))
    steps = [
        row.moved(State.APPLYING, at=NOON, by="test", reason="test"),
        row.moved(State.APPLYING, at=NOON, by="test", reason="test").moved(
            State.FAILED, at=NOON, by="test", reason="test"
        ),
    ]
    world.ledger.move(row, steps[0])
    world.ledger.move(steps[0], steps[1])
    again = steps[1].moved(State.APPROVED, at=NOON, by="alice", reason="try again")
    world.ledger.move(steps[1], again)
    return again


def test_a_failed_grant_can_be_approved_again(world: World) -> None:
    """It begins from the start."""
    role = world.role()
    row = world.remediate(put_failed(world, world.row(role)))
    assert row
    assert row.state is State.ACTIVE
    assert world.allows(role, row)


def test_an_application_profile_is_granted_as_it_lists(world: World) -> None:
    """Its own ARN and the models it lists, nothing inferred."""
    role = world.role()
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/q7xk2m9p0abc"
    row = world.grant(role, profile(arn, MODELS[:1]))
    assert (row.state, row.resources) == (State.ACTIVE, (arn, MODELS[0]))
    assert world.allows(role, row)


def test_a_global_profile_is_granted_with_the_model_without_region(world: World) -> None:
    """IAM asks for it under the region `unspecified`."""
    role = world.role()
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/global.amazon.nova-2-lite-v1:0"
    row = world.grant(role, profile(arn, MODELS[:1]))
    assert MODELS[0].replace("us-east-1", "") in row.resources
    assert world.allows(role, row)
    assert {context["aws:RequestedRegion"] for _, _, context, _ in world.simulator.asked} == {
        "us-east-1",
        "unspecified",
    }
