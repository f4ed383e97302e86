"""A world that upkeep looks after: moto's IAM and ledger, people who approve, and somebody who meddles."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.core.approval import Answer, Approver, Terms, Verb, decide
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Outcome, State, kept_key
from bedrock_remediator.core.signing import signable, signed
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.claims import SignedApprovals
from bedrock_remediator.flows.upkeep.chores.comparison import Comparison
from bedrock_remediator.flows.upkeep.chores.contract import Tally
from bedrock_remediator.flows.upkeep.chores.drift import Drift
from tests.builders.grants import ACCOUNT, MODELS, PROFILE, ROLE
from tests.builders.remediation import Key, World, profile

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

POLICY: Final = f"arn:aws:iam::{ACCOUNT}:policy/bedrock-access-remediator/role.llm-app.1"
LATER: Final = timedelta(hours=1)
STRANGE: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
_WAY: Final = (State.APPROVED, State.APPLYING, State.REVOKING)


class Upkept:
    """A world with a principal, and upkeep over it."""

    def __init__(self, iam: "IAMClient", ledger: UpkeepLedger) -> None:
        self.world = World(iam, ledger)
        self.world.approvals = SignedApprovals(Key())  # type: ignore[assignment]  # instead of the one that knows all
        self.iam = iam
        self.ledger = ledger

    def set(self, **changes: Any) -> None:
        """Change the stack's parameters."""
        self.world.settings = replace(self.world.settings, **changes)

    def upkeep(self, after: timedelta = LATER, most: int = 100, has_time: Callable[[], bool] = lambda: True) -> Tally:
        """Look for drift, some time later."""
        world = self.world
        world.clock.time += after
        placements = Placements(lambda _: world.iam, world.reader.own_policies, world.settings, Seals(None))
        comparison = Comparison(world.reader, world.profiles, placements, world.settings, world.clock)
        chore = Drift(self.ledger, comparison, world.clock, paused=world.settings.paused, most=most)
        tally = chore.run(has_time)
        return Tally({what: times for what, times in tally.items() if what != "principals"})

    def carry(self) -> None:
        """Do what the pipe and remediate do, until nothing moves."""
        while rows := [entry for state in _WAY for entry in self.ledger.due(state)]:
            for entry in rows:
                row = self.ledger.grant(entry.pk, entry.sk)
                assert row
                self.world.remediate(row)

    def by_alice(self, principal: Principal, length: timedelta | None = None) -> Grant:
        """A grant that a person approved, in force."""
        world = self.world
        approved = world.approved(principal, decision=Outcome.ASK, rule=None, reason_code="no_rule")
        pending = approved.moved(State.PENDING, at=world.clock.now(), by="test", reason="ask")
        self.ledger.move(approved, pending)
        return self.approve(pending, length)

    def approve(self, pending: Grant, length: timedelta | None = None) -> Grant:
        """Alice approves, and remediate applies it."""
        return self._decide(pending, Verb.APPROVE, length)

    def extend(self, active: Grant, length: timedelta | None = None) -> Grant:
        """Alice gives it another end, and remediate applies that."""
        return self._decide(active, Verb.EXTEND, length)

    def _decide(self, before: Grant, verb: Verb, length: timedelta | None) -> Grant:
        alice = Approver.by_oidc("alice@example.com")
        answer = Answer(verb=verb, version=before.version, approver=alice, length=length)
        row = decide(before, answer, Terms(longest=None), self.world.clock.now())
        row = signed(row, Key().sign(signable(row)))
        self.ledger.decide(before, row)
        self.carry()
        return self.world.stored(row)

    def now(self, row: Grant) -> Grant:
        """The row as it is."""
        return self.world.stored(row)

    def kept(self, row: Grant) -> Grant | None:
        """What is kept for it."""
        return self.ledger.grant(row.pk, kept_key(row.sk))

    def route(self, regions: int) -> None:
        """AWS routes Nova's profile to so many regions."""
        models = [f"arn:aws:bedrock:us-west-{number}::foundation-model/amazon.nova-2-lite-v1:0" for number in range(9)]
        self.world.profiles.known[PROFILE] = profile(PROFILE, [*MODELS, *models[3:]][:regions])

    def write(self, document: Any) -> None:
        """Somebody edits the policy of the role."""
        self.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=json.dumps(document), SetAsDefault=True)

    def detach(self) -> None:
        """Somebody takes it from the role."""
        self.iam.detach_role_policy(RoleName="llm-app", PolicyArn=POLICY)

    def delete(self) -> None:
        """Somebody deletes it."""
        self.detach()
        for version in self.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]:
            if not version["IsDefaultVersion"]:
                self.iam.delete_policy_version(PolicyArn=POLICY, VersionId=version["VersionId"])
        self.iam.delete_policy(PolicyArn=POLICY)

    def strip(self) -> None:
        """Somebody takes statements out of it."""
        document = self.world.policies(Principal.parse(ROLE))["role.llm-app.1"]
        self.write({**document, "Statement": document["Statement"][:1]})

    def put(self, row: Grant) -> None:
        """Put a row into the ledger as it is."""
        self.ledger._client.put_item(TableName="ledger", Item=grant_item(row))
