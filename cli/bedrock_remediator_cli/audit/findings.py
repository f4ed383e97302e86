"""What an audit finds: a principal that may invoke a model and will fail, and where that comes from."""

import enum
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Holdings


class Kind(enum.StrEnum):
    """What is the matter; the ids of the rules in SARIF."""

    NO_PROFILE = "no-profile"
    DESTINATION_MISSING = "destination-missing"
    PROFILE_NOT_FOUND = "profile-not-found"
    UNKNOWN_ACTION = "unknown-action"
    CONDITION_NEVER_MET = "condition-never-met"
    EXPLICIT_DENY = "explicit-deny"
    BOUNDARY = "boundary"
    ORGANIZATION = "organization"


DESCRIPTIONS: Final[Mapping[Kind, str]] = {
    Kind.NO_PROFILE: "A policy allows a model that only inference profiles serve, and no profile of it.",
    Kind.DESTINATION_MISSING: "A policy allows an inference profile, and not the model everywhere that it routes to.",
    Kind.PROFILE_NOT_FOUND: "A policy names an inference profile that does not exist in the region.",
    Kind.UNKNOWN_ACTION: "A policy allows an action that IAM does not know, and IAM ignores it.",
    Kind.CONDITION_NEVER_MET: "A condition that calls through an inference profile never meet makes an Allow void.",
    Kind.EXPLICIT_DENY: "A policy denies part of what a call through an allowed profile needs.",
    Kind.BOUNDARY: "The permissions boundary stops part of what a call through an allowed profile needs.",
    Kind.ORGANIZATION: "A service control policy stops part of what a call through an allowed profile needs.",
}


class Level(enum.StrEnum):
    """How sure it is that calls fail: certainly, perhaps, or that it is only untidy. SARIF's words."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Affected(Struct, frozen=True, kw_only=True):
    """A profile that cannot be invoked, and what a call of it lacks.

    `profile` is its ARN and `needed` every ARN that a policy must allow; `missing` those that fail. `model_id` is the
    model's id, `client_model_id` what a client passes. `alternatives` are other profiles that serve the same model.
    """

    profile: str
    client_model_id: str
    model_id: str
    needed: tuple[str, ...]
    missing: tuple[str, ...]
    alternatives: tuple[str, ...] = ()


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is the matter with what a principal may invoke.

    `policy` is the name of the policy that it comes from (that allows, denies or is ignored), where there is one.
    `subject` is what the finding is about where that is no profile: an action, a profile that does not exist, the
    condition keys that are never met. `candidates` are profiles that exist in place of one that does not. `fixable`
    says that a further policy would help.
    """

    kind: Kind
    level: Level
    region: str | None
    policy: str | None
    affected: tuple[Affected, ...] = ()
    subject: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    fixable: bool = False


class Member(Struct, frozen=True, kw_only=True):
    """A principal of the account, with those of its policies that have to do with Bedrock."""

    principal: Principal
    tags: Mapping[str, str]
    holdings: Holdings


class Audited(Struct, frozen=True, kw_only=True):
    """A principal with what was found."""

    principal: Principal
    findings: tuple[Finding, ...]
