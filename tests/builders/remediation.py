"""A small world for tests of remediation: IAM and the ledger as moto plays them, and stand-ins for what it has not."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
from msgspec.structs import replace

from bedrock_remediator.aws.iam import IamReader, Identity, Simulated
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.used_approvals import UsedApprovals
from bedrock_remediator.core.allowlist import Allowlist, parse
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Outcome, State
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.policy import entitlement
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.claims import Claims, Dependencies
from bedrock_remediator.flows.remediation.remediation import Remediation
from bedrock_remediator.flows.remediation.withdrawal import Change
from bedrock_remediator.flows.simulation import GrantSimulation
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from tests.builders.aws import FakeDetails
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE, SIGHTING, first_seen, pending_grant

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ALL_ROLES = f"arn:aws:iam::{ACCOUNT}:role/*"
ALL_USERS = f"arn:aws:iam::{ACCOUNT}:user/*"
EXTRA = ("bedrock:UseInferenceProfile",)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
RULE = """
version: 1
rules:
  - {name: nova, effect: auto, principals: ["arn:aws:iam::*:**"], models: ["*"]}
"""

SETTINGS = PolicySettings(
    ledger_table="ledger",
    mode=Mode.AUTO,
    paused=False,
    strategy=Strategy.MANAGED,
    allowlist_path="/bedrock-access-remediator/allowlist",
    extra_actions=EXTRA,
    grantable_principals=(ALL_ROLES, ALL_USERS),
    default_grant_days=0,
)


class RunningClock:
    """A clock on which waiting takes no time, and moves it on."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time
        self.waits: list[float] = []

    def now(self) -> datetime:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.waits.append(seconds)
        self.time += timedelta(seconds=seconds)


class FakeProfiles:
    """What Bedrock knows: profiles by ARN, models by id."""

    def __init__(self, *profiles: Profile, models: Mapping[str, FoundationModel] | None = None) -> None:
        self.known = {profile.arn: profile for profile in profiles}
        self.models = dict(models or {})
        self.fresh: list[bool] = []

    def profile(self, _account: str, _region: str, identifier: str, *, fresh: bool = False) -> Profile | None:
        """By its ARN."""
        self.fresh.append(fresh)
        return self.known.get(identifier)

    def profiles(
        self, _account: str, _region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """All, or those of a type."""
        self.fresh.append(fresh)
        return tuple(each for each in self.known.values() if only in (None, each.type))

    def model(self, _account: str, _region: str, model_id: str, *, fresh: bool = False) -> FoundationModel | None:
        """By its id."""
        self.fresh.append(fresh)
        return self.models.get(model_id)


class FakeAllowlist:
    """An allowlist that one can change."""

    def __init__(self, text: str = RULE) -> None:
        self.allowlist: Allowlist = parse({"main": text})

    def read(self) -> Allowlist:
        """The allowlist."""
        return self.allowlist


class FakeApprovals:
    """Knows which grants people have approved."""

    def __init__(self) -> None:
        self.genuine: set[tuple[str, str]] = set()

    def verify(self, grant: Grant, /) -> bool:
        """Whether the row is among them."""
        return grant.key in self.genuine


Overrule = Callable[[str, str], Mapping[str, Any] | None]
"""(action, resource) -> fields of the answer that something beside the principal's policies changes."""


class FakeSimulator:
    """Evaluates what moto's IAM holds, once `lag` questions are over; `overrule` plays SCPs and other surprises."""

    def __init__(self, reader: IamReader) -> None:
        self._reader = reader
        self.lag = 0
        self.overrule: Overrule = lambda _action, _resource: None
        self.failing: list[Exception] = []
        self.asked: list[tuple[str, tuple[str, ...], Mapping[str, str], int]] = []

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """What the principal's policies, and these, allow."""
        self.asked.append((principal_arn, tuple(resources), context, len(policies)))
        if self.failing:
            raise self.failing.pop(0)
        self.lag -= 1
        identity = self._reader.identity(Principal.parse(principal_arn))
        assert identity
        more = tuple(Policy(name="new", kind=PolicyKind.INLINE, document=json.loads(text)) for text in policies)
        holdings = Holdings(policies=(*identity.holdings.policies, *more), boundary=identity.holdings.boundary)
        keys = {key.lower(): (value,) for key, value in context.items()}
        return [
            self._answer(action, resource, evaluate(holdings, Request(action, resource, keys)).verdict)
            for action in actions
            for resource in resources
        ]

    def identity(self, principal: Principal) -> Identity | None:
        """The principal with its policies."""
        return self._reader.identity(principal)

    def _answer(self, action: str, resource: str, verdict: Verdict) -> Simulated:
        words = {Verdict.ALLOWED: "allowed", Verdict.DENIED: "explicitDeny"}
        decision = (
            "implicitDeny" if self.lag >= 0 and verdict is Verdict.ALLOWED else words.get(verdict, "implicitDeny")
        )
        fields = {"decision": decision, "organizations": True, "boundary": None, "missing_context": ()}
        changes = self.overrule(action, resource) or {}
        return msgspec.convert({"action": action, "resource": resource, **fields, **changes}, Simulated)


class Key:
    """A key that signs and verifies, as KMS does."""

    def sign(self, message: bytes) -> bytes:
        """The MAC."""
        return hmac.digest(b"key", message, hashlib.sha256)

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether it is the message's."""
        return hmac.compare_digest(mac, self.sign(message))


class World:
    """IAM, a ledger, and everything remediation needs, each part open to be changed."""

    def __init__(self, iam: "IAMClient", ledger: Ledger, settings: PolicySettings = SETTINGS) -> None:
        self.iam = iam
        self.ledger = ledger
        self.settings = settings
        self.clock = RunningClock()
        self.reader = IamReader(lambda _account: iam, self.clock)
        self.simulator = FakeSimulator(self.reader)
        self.profiles = FakeProfiles(profile(PROFILE, MODELS))
        self.allowlist = FakeAllowlist()
        self.approvals = FakeApprovals()
        self.seals = Seals(Key())
        self.details = FakeDetails()
        self.uses = UsedApprovals(boto3.client("dynamodb"), "used")

    def block(self, resource: str = MODELS[1]) -> None:
        """Let a service control policy stop one ARN: a destination of the profile, not what was denied."""
        stopped = {"decision": "explicitDeny", "organizations": False}
        self.simulator.overrule = lambda _action, asked: stopped if asked == resource else None

    def limit(self, length: timedelta) -> None:
        """Let the rule give grants for so long."""
        rules = tuple(replace(rule, expires_after=length) for rule in self.allowlist.allowlist.rules)
        self.allowlist.allowlist = replace(self.allowlist.allowlist, rules=rules)

    def role(self, name: str = "llm-app", path: str = "/service/", **arguments: Any) -> Principal:
        """Make a role."""
        made = self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST, **arguments)
        return Principal.parse(made["Role"]["Arn"])

    def user(self, name: str = "dev") -> Principal:
        """Make a user."""
        return Principal.parse(self.iam.create_user(UserName=name)["User"]["Arn"])

    def id(self, principal: Principal) -> str:
        """The RoleId or UserId."""
        found = self.reader.principal(principal)
        assert found
        return found[1]

    def row(self, principal: Principal, target: Profile | None = None, **changes: Any) -> Grant:
        """An approved row, not in the ledger yet, as triage makes it for the rule."""
        target = target or profile(PROFILE, MODELS)
        self.profiles.known[target.arn] = target
        fields = {
            "pk": principal.arn,
            "sk": f"profile#{target.arn}",
            "principal": principal.arn,
            "principal_id": self.id(principal),
            "state": State.APPROVED,
            "decision": Outcome.AUTO,
            "rule": "nova",
            "reason_code": "rule_auto",
            "reason": "The rule 'nova' allows this grant.",
            "sighting": replace(SIGHTING, resource=target.arn),
            "profile": target.arn,
            "model_id": target.client_model_id,
            "resources": target.resources,
            "simulated_at": self.clock.now(),
            "created_at": self.clock.now(),
            "updated_at": self.clock.now(),
        }
        return pending_grant(**{**fields, **changes})

    def put(self, row: Grant) -> Grant:
        """Write a row into the ledger, through the states that lead to its own."""
        self.ledger.open(replace(row, state=State.APPROVED, version=1), first_seen(row, fingerprint=row.sk))
        steps = {
            State.APPROVED: [],
            State.APPLYING: [State.APPLYING],
            State.ACTIVE: [State.APPLYING, State.ACTIVE],
            State.PENDING: [State.APPLYING, State.ACTIVE, State.PENDING],
            State.REVOKING: [State.APPLYING, State.ACTIVE, State.REVOKING],
        }[row.state]
        current = replace(row, state=State.APPROVED, version=1)
        for state in steps:
            after = current.moved(state, at=row.updated_at, by="test", reason="test")
            self.ledger.move(current, after)
            current = after
        return current

    def approved(self, principal: Principal, target: Profile | None = None, **changes: Any) -> Grant:
        """An approved row in the ledger."""
        return self.put(self.row(principal, target, **changes))

    def remediation(self) -> Remediation:
        """The use case, made anew: as another function's environment has it."""
        dependencies = Dependencies(
            home=ACCOUNT,
            identities=self.reader,
            profiles=self.profiles,
            allowlists=self.allowlist,
            approvals=self.approvals,
            uses=self.uses,
            seals=self.seals,
        )
        return Remediation(
            self.ledger,
            Claims(dependencies, self.settings, self.clock),
            Placements(lambda _account: self.iam, self.reader.own_policies, self.settings, self.seals),
            GrantSimulation(self.simulator, self.settings.extra_actions, self.clock),
            self.details,
            self.clock,
        )

    def remediate(self, row: Grant, settle: int = 60) -> Grant | None:
        """Deliver the message of a row's change."""
        change = Change(row.pk, row.sk, row.state, row.version)
        deadline = self.clock.now() + timedelta(minutes=4)
        return self.remediation().handle(change, settle=timedelta(seconds=settle), deadline=deadline)

    def grant(self, principal: Principal, target: Profile | None = None, **changes: Any) -> Grant:
        """Approve, remediate, and return the row."""
        done = self.remediate(self.approved(principal, target, **changes))
        assert done
        return done

    def grant_asked(self, principal: Principal, target: Profile | None = None) -> Grant:
        """The same with a person's approval: of what the principal's own policies make a question."""
        row = self.row(principal, target, decision=Outcome.ASK, rule=None)
        self.approvals.genuine.add(row.key)
        done = self.remediate(self.put(row))
        assert done
        return done

    def revoke(self, row: Grant) -> Grant | None:
        """Revoke a grant, and deliver the message of it."""
        revoking = row.moved(State.REVOKING, at=self.clock.now(), by="alice", reason="not needed")
        self.ledger.move(row, revoking)
        return self.remediate(revoking)

    def stored(self, row: Grant) -> Grant:
        """The row as it is in the ledger."""
        found = self.ledger.grant(*row.key)
        assert found
        return found

    def policies(self, principal: Principal) -> dict[str, Mapping[str, Any]]:
        """The principal's own policies, name -> document."""
        identity = self.reader.identity(principal)
        assert identity
        return {policy.name: policy.document for policy in identity.holdings.policies}

    def allows(self, principal: Principal, row: Grant) -> bool:
        """Whether the principal's policies allow all that a row is about, called as a client calls it."""
        identity = self.reader.identity(principal)
        assert identity
        return all(
            evaluate(
                identity.holdings,
                Request(
                    action,
                    resource,
                    {
                        "bedrock:inferenceprofilearn": (row.profile,) if row.profile else (),
                        "aws:currenttime": (f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",),
                    },
                ),
            ).verdict
            is Verdict.ALLOWED
            for action in row.actions
            for resource in entitlement(row).resources
        )


def profile(arn: str, models: Sequence[str]) -> Profile:
    """A profile as AWS describes it."""
    kind: ProfileType = "APPLICATION" if ":application-" in arn else "SYSTEM_DEFINED"
    return Profile.confirmed(arn, arn.rpartition("/")[2], kind, models)


def nova(number: int, regions: int = 2) -> Profile:
    """One of many profiles."""
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-{number}-v1:0"
    places = ("us-east-1", *(f"us-west-{region}" for region in range(1, regions)))
    return profile(arn, [f"arn:aws:bedrock:{place}::foundation-model/amazon.nova-{number}-v1:0" for place in places])


def wide(number: int) -> Profile:
    """An application profile with so many models that a policy holds one such profile, and not two."""
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/wide{number}"
    return profile(arn, [f"{MODELS[0].rpartition('/')[0]}/vendor.model-{number}-{each:03}-v1:0" for each in range(25)])
