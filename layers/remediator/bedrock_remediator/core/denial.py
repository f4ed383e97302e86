"""What a denial says: who was denied which action on what, by which layer."""

import enum
import hashlib
from datetime import datetime
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.arn import BedrockResource, Principal

_IDS_BY_AWS: Final = frozenset({"Root", "IdentityCenterUser"})
"""Types of caller without a role or user whose `principalId` AWS assigns; all others may choose theirs."""

OTHER_ACCOUNT: Final = "AWSAccount"
"""The type of a caller of another account, of which the account of what was called learns no more than the account."""

_LONGEST_KEY: Final = 512


class Layer(enum.StrEnum):
    """What refused the call. The first eight are policy layers; the others are refusals no policy explains."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    BOUNDARY = "boundary"
    SESSION = "session"
    SCP = "scp"
    RCP = "rcp"
    VPC_ENDPOINT = "vpc_endpoint"
    ROLE_TRUST = "role_trust"
    MODEL_ACCESS = "model_access"
    MARKETPLACE = "marketplace"
    ACCOUNT = "account"
    API_KEY = "api_key"
    LEGACY = "legacy"
    UNKNOWN = "unknown"


class Effect(enum.StrEnum):
    """Whether the layer lacks an Allow (implicit) or holds a Deny (explicit)."""

    IMPLICIT = "implicit"
    EXPLICIT = "explicit"


class Caller(Struct, frozen=True):
    """Who made the call, as CloudTrail's `userIdentity` tells it.

    `principal` is the role or user that a policy could be attached to; None where there is none (root, an AWS
    service, an Identity Center user). `path_known` is False where the record holds a session's ARN only, which does
    not tell the role's path. `id` is the RoleId or UserId, `session` the session's name, written by the caller,
    `source_identity` who was behind the first session of a chain, which no later one can change.
    """

    type: str
    account: str
    principal: Principal | None
    path_known: bool
    id: str
    session: str | None = None
    arn: str | None = None
    source_identity: str | None = None

    @property
    def folded(self) -> bool:
        """Whether one row stands for all such callers: they choose their ids, and could have as many rows as they like.

        That is so for all that are no role or user, but those whose id AWS assigns.
        """
        return self.principal is None and self.type not in _IDS_BY_AWS

    @property
    def partition_key(self) -> str:
        """The ledger's key for it: the IAM ARN, or `account/ID/TYPE/principalId` where there is none.

        The principalId is `all` for callers that are folded, and the whole a digest where it is longer than any that
        AWS makes: DynamoDB refuses all of a batch for one key that is too long.
        """
        if self.principal:
            return self.principal.arn
        key = f"account/{self.account}/{self.type}/{'all' if self.folded else self.id}"
        if len(key) <= _LONGEST_KEY and key.isascii():
            return key
        return f"account/{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


class Denial(Struct, frozen=True):
    """One denied call.

    `action` is the IAM action (`bedrock:InvokeModel`), never the API's name. `resource` is None where the message
    names none; `model_id` is the request's `modelId`, unread and untrusted. `certain` is False where the message
    does not name its layer or ends in words that are not known: a person must decide then. `vpc_endpoint` is the
    endpoint that the call came through, `vpc_endpoint_account` whose it is; AWS writes both (docs/aws-facts.md §1).
    `authorization_id` is what GetRequestAuthorizationDetails explains the refusal by, where the message gives one.
    """

    event_id: str
    shared_event_id: str | None
    time: datetime
    account: str
    region: str
    caller: Caller
    action: str
    resource: BedrockResource | None
    model_id: str | None
    layer: Layer
    effect: Effect | None
    policy_arn: str | None
    message: str
    certain: bool
    source_ip: str | None
    user_agent: str | None
    backfill: bool = False
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None
    authorization_id: str | None = None

    @property
    def unallowed(self) -> str | None:
        """The ARN of which AWS says with certainty that no identity-based policy allows the action on it."""
        named = self.certain and self.layer is Layer.IDENTITY and self.effect is Effect.IMPLICIT
        return str(self.resource) if named and self.resource else None


class Unreadable(Struct, frozen=True):
    """A record that the rule matched and nobody can act on: recorded with its reason, never granted.

    `code` is `message_unreadable`, `message_truncated`, `identity_mismatch`, … ; `reason` a sentence.
    """

    event_id: str
    shared_event_id: str | None
    time: datetime
    account: str
    region: str
    caller: Caller
    code: str
    reason: str
    message: str
    source_ip: str | None
    user_agent: str | None
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None
