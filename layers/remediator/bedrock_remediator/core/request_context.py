"""The condition keys of a principal's call, as far as they are known to anybody but AWS.

Our own evaluation and IAM's simulator are told the same (docs/aws-facts.md §4.5: the simulator fills in nothing by
itself), but for two things. What is true of one call and not of the principal's next one (its address, its session)
is told the simulator alone, which is held to what AWS said of that call; our evaluation counts it as not known. And our
evaluation knows which keys are certainly absent, which the simulator cannot be told: for it, what is not given is
absent.
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.arn import Arn, Principal

UNSPECIFIED_REGION: Final = "unspecified"
"""What `aws:RequestedRegion` holds for a resource whose ARN has no region: the model of a `global.` profile."""

Keys = Mapping[str, tuple[str, ...]]
"""Condition key, in lower case -> its values; () for one that is known to be absent."""

_TYPES: Final = {
    "aws:CurrentTime": "date",
    "aws:EpochTime": "numeric",
    "aws:SourceIp": "ip",
    "aws:SecureTransport": "boolean",
}


def key_type(name: str) -> str:
    """The ContextKeyType of a condition key, as the simulator wants it."""
    return _TYPES.get(name, "string")


def requested_region(resource: str) -> str:
    """What `aws:RequestedRegion` is in a call of a resource.

    Raises:
        ArnError: It is not an ARN.
    """
    return Arn.parse(resource).region or UNSPECIFIED_REGION


def keys_of_resource(profile: str | None, resource: str) -> dict[str, tuple[str, ...]]:
    """The keys that depend on the resource: a model is called through the profile, the profile itself is not."""
    routed = (profile,) if profile and resource != profile else ()
    return {"bedrock:inferenceprofilearn": routed, "aws:requestedregion": (requested_region(resource),)}


class RequestContext(Struct, frozen=True, kw_only=True):
    """What is known of the calls of a principal.

    `principal_id` is its RoleId or UserId, `session` the name of its session and `source_ip` its address in the call
    that was denied; `vpc_endpoint` the VPC endpoint that this call came through. `tags` are the principal's.
    """

    principal: Principal
    now: datetime
    principal_id: str | None = None
    session: str | None = None
    source_ip: str | None = None
    vpc_endpoint: str | None = None
    tags: Mapping[str, str] = {}

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What is certain for every call, whatever its resource: for our own evaluation."""
        keys: dict[str, tuple[str, ...]] = {} if self._is_user else {"aws:username": ()}
        return keys | {name.lower(): (value,) for name, value in self._certain().items()}

    def entries(self, profile: str | None, region: str) -> dict[str, str]:
        """The simulator's context entries: key -> value. They hold for a whole question, so for one region.

        Args:
            profile: The ARN of the inference profile that the call goes through; None for a model called directly.
            region: What `aws:RequestedRegion` is.
        """
        entries = {**self._certain(), "aws:RequestedRegion": region}
        if profile:
            entries["bedrock:InferenceProfileArn"] = profile
        if self.principal_id and self.session and not self._is_user:
            entries["aws:userid"] = f"{self.principal_id}:{self.session}"
        if self.source_ip and not self.vpc_endpoint and _is_public(self.source_ip):
            entries["aws:SourceIp"] = self.source_ip
        return entries | {f"aws:PrincipalTag/{key}": value for key, value in sorted(self.tags.items())}

    @property
    def _is_user(self) -> bool:
        return self.principal.kind == "user"

    def _certain(self) -> dict[str, str]:
        certain = {
            "aws:PrincipalArn": self.principal.arn,
            "aws:PrincipalAccount": self.principal.account,
            "aws:PrincipalType": "User" if self._is_user else "AssumedRole",
            "aws:CurrentTime": f"{self.now:%Y-%m-%dT%H:%M:%SZ}",
            "aws:EpochTime": str(int(self.now.timestamp())),
            "aws:SecureTransport": "true",
        }
        if self._is_user:
            certain["aws:username"] = self.principal.name
            if self.principal_id:
                certain["aws:userid"] = self.principal_id
        return certain


def _is_public(address: str) -> bool:
    """Whether it is an address of the internet, and not a service's name or an address within a network."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
