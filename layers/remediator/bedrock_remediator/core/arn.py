"""Amazon Resource Names: of IAM principals, and of the Bedrock resources that a call can name.

Text that came from outside becomes one of these values or an `ArnError`. A value holds no wildcard and no policy
variable (`*`, `?`, `${`), so nothing built from it can widen a policy.
"""

import re
from functools import lru_cache
from typing import Literal, Self

from msgspec import Struct

PrincipalKind = Literal["role", "user"]

_ARN = re.compile(r"arn:([a-z0-9-]{1,32}):([a-z0-9-]{1,63}):([a-z0-9-]{0,32}):([0-9]{12}|aws)?:([\x21-\x7e]{1,2048})")
_SYNTAX = re.compile(r"[*?]|\$\{")
_IAM_PRINCIPAL = re.compile(r"(role|user)(/(?:[\x21-\x7e]*/)?)([A-Za-z0-9+=,.@_-]{1,64})")
_ASSUMED_ROLE = re.compile(r"assumed-role/([A-Za-z0-9+=,.@_-]{1,64})/([A-Za-z0-9+=,.@_-]{1,64})")
_LONGEST_PATH = 512
_LINKED = "AWSServiceRoleFor"
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,255}")


class ArnError(ValueError):
    """The text is not an ARN of the kind asked for; `text` is what was given."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(f"not {expected}: {text[:200]!r}")
        self.text = text
        self.expected = expected


class Arn(Struct, frozen=True):
    """An ARN in its six parts; `region` and `account` are empty where the resource has none."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one whole ARN.

        Raises:
            ArnError: It is not an ARN, or it holds a wildcard or a policy variable.
        """
        found = _ARN.fullmatch(text)
        if not found or _SYNTAX.search(text):
            raise ArnError(text, "an ARN")
        partition, service, region, account, resource = found.groups(default="")
        return cls(partition, service, region, account, resource)

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


class Principal(Struct, frozen=True):
    """An IAM role or user: what a policy can be attached to."""

    partition: str
    account: str
    kind: PrincipalKind
    path: str
    name: str

    @staticmethod
    def parse(text: str) -> "Principal":
        """Read an IAM role's or user's ARN, path included.

        Raises:
            ArnError: It is another kind of ARN, or none.
        """
        return _principal(text)

    @property
    def arn(self) -> str:
        """The IAM ARN with its path."""
        return f"arn:{self.partition}:iam::{self.account}:{self.kind}{self.path}{self.name}"

    @property
    def service_owned(self) -> bool:
        """Whether AWS forbids changing it: a service-linked role, or Identity Center's (docs/aws-facts.md §4)."""
        return self.identity_center or self.path.startswith("/aws-service-role/") or self.name.startswith(_LINKED)

    @property
    def identity_center(self) -> bool:
        """Whether it is the role of an Identity Center permission set."""
        return self.path.startswith("/aws-reserved/") or self.name.startswith("AWSReservedSSO_")


class AssumedRole(Struct, frozen=True):
    """An STS session of a role. The ARN does not tell the role's path."""

    partition: str
    account: str
    role: str
    session: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `arn:P:sts::A:assumed-role/ROLE/SESSION`.

        Raises:
            ArnError: It is another kind of ARN, or none.
        """
        arn = Arn.parse(text)
        found = _ASSUMED_ROLE.fullmatch(arn.resource)
        if arn.service != "sts" or arn.region or not arn.account.isdigit() or not found:
            raise ArnError(text, "the ARN of an assumed role's session")
        return cls(arn.partition, arn.account, found[1], found[2])


class BedrockResource(Struct, frozen=True):
    """A resource that a Bedrock call can name.

    `kind` is the word before the slash (`inference-profile`, `application-inference-profile`, `foundation-model`,
    `prompt-router`, …) and `id` all that follows it.
    """

    arn: Arn
    kind: str
    id: str

    @staticmethod
    def parse(text: str) -> "BedrockResource":
        """Read a Bedrock ARN.

        Raises:
            ArnError: It is another service's ARN, or none, or its identifier has characters no identifier has.
        """
        return _bedrock_resource(text)

    @property
    def is_profile(self) -> bool:
        """Whether it is an inference profile, system-defined or application."""
        return self.kind in ("inference-profile", "application-inference-profile")

    @property
    def is_model(self) -> bool:
        """Whether it is a foundation model."""
        return self.kind == "foundation-model"

    def __str__(self) -> str:
        return str(self.arn)


# The same few roles, profiles and models come again and again: remembering them makes a repeat cheap to read.
@lru_cache(maxsize=1024)
def _principal(text: str) -> Principal:
    arn = Arn.parse(text)
    found = _IAM_PRINCIPAL.fullmatch(arn.resource)
    if arn.service != "iam" or arn.region or not arn.account.isdigit() or not found:
        raise ArnError(text, "the ARN of an IAM role or user")
    kind, path, name = found.groups()
    if len(path) > _LONGEST_PATH:
        raise ArnError(text, "the ARN of an IAM role or user, whose path has 512 characters at most")
    return Principal(arn.partition, arn.account, "role" if kind == "role" else "user", path, name)


@lru_cache(maxsize=1024)
def _bedrock_resource(text: str) -> BedrockResource:
    arn = Arn.parse(text)
    kind, slash, name = arn.resource.partition("/")
    if arn.service != "bedrock" or not slash or not _MODEL_ID.fullmatch(name.replace("/", "-")):
        raise ArnError(text, "the ARN of a Bedrock resource")
    return BedrockResource(arn, kind, name)


def is_model_id(text: str) -> bool:
    """Whether the text can be the identifier of a model or an inference profile (and is no ARN)."""
    return bool(_MODEL_ID.fullmatch(text)) and not text.startswith("arn:")
