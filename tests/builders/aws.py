"""Stand-ins for what AWS knows of principals and profiles, for tests of the flows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bedrock_remediator.aws.iam import Identity, Simulated
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.authorization_details import Evaluation
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType
from tests.builders import records as make

BORN = datetime(2026, 1, 1, tzinfo=UTC)


def statement(resources: str | Sequence[str], **changes: Any) -> dict[str, Any]:
    """An Allow of both invocation actions."""
    actions = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    return {"Effect": "Allow", "Action": actions, "Resource": resources} | changes


def policy(*statements: Mapping[str, Any], name: str = "base", arn: str | None = None) -> Policy:
    """A policy of the principal."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return Policy(name=name, kind=PolicyKind.MANAGED if arn else PolicyKind.INLINE, document=document, arn=arn)


def profile(
    profile_id: str = make.PROFILE_ID, regions: Sequence[str] = ("us-east-1", "us-east-2", "us-west-2")
) -> Profile:
    """A system-defined profile of Nova 2 Lite."""
    arn = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{profile_id}"
    return Profile.confirmed(arn, profile_id, "SYSTEM_DEFINED", [make.model(region) for region in regions])


def application_profile(name: str = "q7xk2m9p0abc") -> Profile:
    """An application profile of Nova 2 Lite in one region."""
    arn = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:application-inference-profile/{name}"
    return Profile.confirmed(arn, name, "APPLICATION", [make.model()])


class FakeIam:
    """Principals with their policies; what was asked is in `asked`."""

    def __init__(self, *policies: Policy, boundary: Policy | None = None, **changes: Any) -> None:
        self.holdings = Holdings(policies=policies, boundary=boundary)
        self.exists = changes.get("exists", True)
        self.created_at = changes.get("created_at", BORN)
        self.answers: Any = changes.get("answers", "allowed")
        self.stopped: Callable[[str, str], bool] = changes.get("stopped", lambda _action, _arn: False)
        self.tags: dict[str, str] = changes.get("tags", {})
        self.path = changes.get("path")
        self.trouble: Exception | None = changes.get("trouble")
        self.asked: list[str] = []

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path."""
        self.asked.append("principal")
        self._may_fail()
        return (self._true(principal), "AROAEXAMPLEROLE000001") if self.exists else None

    def identity(self, principal: Principal) -> Identity | None:
        """The principal with its policies."""
        self.asked.append("identity")
        self._may_fail()
        if not self.exists:
            return None
        return Identity(
            principal=self._true(principal),
            id="AROAEXAMPLEROLE000001",
            created_at=self.created_at,
            tags=self.tags,
            holdings=self.holdings,
        )

    def _may_fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """The same answer for all but what the organization stops."""
        self.asked.append("simulate")
        if isinstance(self.answers, Exception):
            raise self.answers
        return [
            Simulated(
                action=action,
                resource=resource,
                decision="explicitDeny" if self.stopped(action, resource) else self.answers,
                organizations=not any(self.stopped(action, each) for each in resources),
                boundary=None,
                missing_context=(),
            )
            for action in actions
            for resource in resources
        ]

    def _true(self, principal: Principal) -> Principal:
        if self.path is None:
            return principal
        return Principal(principal.partition, principal.account, principal.kind, self.path, principal.name)


class FakeDetails:
    """What IAM recorded: nothing, unless a test says so."""

    def __init__(self, *evaluations: Evaluation) -> None:
        self.found = evaluations
        self.asked: list[tuple[str, str, str]] = []

    def evaluations(self, account: str, region: str, authorization_id: str) -> tuple[Evaluation, ...]:
        """What there is, whoever asks."""
        self.asked.append((account, region, authorization_id))
        return self.found


class FakeProfiles:
    """The profiles and models of the region; what was asked is in `asked`."""

    def __init__(self, *profiles: Profile, models: Mapping[str, Sequence[str]] | None = None) -> None:
        self.all = profiles
        self.models = models or {}
        self.asked: list[str] = []

    def profile(self, account: str, region: str, identifier: str) -> Profile | None:
        """By id or ARN."""
        self.asked.append("profile")
        return next((item for item in self.all if identifier in (item.id, item.arn)), None)

    def profiles(
        self, account: str, region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """All, or those of a type."""
        self.asked.append("profiles")
        return tuple(profile for profile in self.all if only in (None, profile.type))

    def model(self, account: str, region: str, model_id: str) -> FoundationModel | None:
        """By id."""
        self.asked.append("model")
        if model_id not in self.models:
            return None
        types = frozenset(self.models[model_id])
        return FoundationModel(arn=make.model(region, model_id), id=model_id, inference_types=types)
