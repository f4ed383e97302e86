"""What rules are held against: who would get access to what, and where the call came from.

All of it is what AWS says: the principal and its tags by IAM, the profile and its models by Bedrock, where the call
came from by CloudTrail. Nothing is taken from text that the caller wrote.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct

from bedrock_remediator.core.arn import Arn, BedrockResource
from bedrock_remediator.core.enrolment import Enrolment
from bedrock_remediator.core.profile import Profile

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GLOBAL: Final = "global"
"""What stands among destinations for a model's ARN without a region: a `global.` profile's (docs/aws-facts.md §3.4)."""

_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "127.0.0.0/8",
            "0.0.0.0/8",
            "fc00::/7",
            "fec0::/10",
            "fe80::/10",
            "::/127",
        ),
    )
)
"""Addresses that anybody may use in a network of their own. Python's `is_private` counts others among them, too."""


class Origin(Protocol):
    """Where a call came from, as its record says: a denial, or what a row keeps of one."""

    @property
    def source_ip(self) -> str | None:
        """CloudTrail's `sourceIPAddress`: an address, or the name of the AWS service that called."""
        ...

    @property
    def vpc_endpoint(self) -> str | None:
        """CloudTrail's `vpcEndpointId`, where the call came through one."""
        ...

    @property
    def vpc_endpoint_account(self) -> str | None:
        """CloudTrail's `vpcEndpointAccountId`: whose endpoint it was."""
        ...


class Reach(Struct, frozen=True):
    """What models a grant would reach (`ids`, as their ARNs have them), and where (`destinations`)."""

    ids: tuple[str, ...]
    destinations: tuple[str, ...]


class Subject(Struct, frozen=True, kw_only=True):
    """What a rule is held against.

    `principal` is an IAM ARN with its path, `tags` the principal's own tags. `models` are the ARNs of every model that
    would be granted; without a profile, the one model that was called directly. `equivalents` are the ids of the
    system-defined profiles that an application profile stands for; empty for any other call. `own_endpoint` tells that
    the call came through a VPC endpoint of an account that the service works in.
    """

    principal: str
    tags: Mapping[str, str]
    account: str
    region: str
    source_ip: str | None = None
    vpc_endpoint: str | None = None
    own_endpoint: bool = False
    profile_arn: str | None = None
    profile_id: str | None = None
    models: tuple[str, ...] = ()
    equivalents: tuple[str, ...] = ()

    @property
    def through_application_profile(self) -> bool:
        """Whether an application profile was called, whose id is an opaque word."""
        return self.profile_arn is not None and ":application-inference-profile/" in self.profile_arn

    @property
    def target(self) -> str | None:
        """What people call the thing: the id of the profile or, for a model that was called directly, of the model."""
        return self.profile_id or next(iter(self.reach.ids), None)

    @property
    def reach(self) -> Reach:
        """Which models it would reach, and where."""
        return _reach(self.models)

    def is_within(self, networks: tuple[str, ...], endpoints: tuple[str, ...]) -> bool:
        """Whether the call came from one of these networks; False where its address proves nothing.

        Behind a VPC endpoint addresses are what the owner of the VPC chose, public ones included, and a private
        address is anybody's. So such an address counts only if the endpoint is known: one of `endpoints`, or one of an
        account that the service works in.
        """
        address = _address(self.source_ip) if self.source_ip else None
        if address is None:
            return False
        borrowed = self.vpc_endpoint is not None or any(address in network for network in _PRIVATE)
        if borrowed and not (self.own_endpoint or self.vpc_endpoint in endpoints):
            return False
        return any(address in _network(block) for block in networks)


def subject(  # noqa: PLR0913 - what AWS said, from four services
    *,
    principal: str,
    tags: Mapping[str, str],
    account: str,
    region: str,
    origin: Origin,
    enrolment: Enrolment,
    target: Profile | str | None,
    system_defined: Iterable[Profile] = (),
) -> Subject:
    """What rules are held against. There is no other way to make one of AWS's answers.

    Args:
        principal: The IAM ARN, with its path.
        tags: The principal's tags, as IAM has them.
        account: Where the call was made.
        region: Where the call was made.
        origin: Where the call came from.
        enrolment: The accounts that the service works in.
        target: The profile as AWS describes it, or the ARN of the model that is called directly; None where neither
            is known.
        system_defined: The region's system-defined profiles; needed for an application profile only.
    """
    profile = target if isinstance(target, Profile) else None
    direct = (target,) if isinstance(target, str) else ()
    return Subject(
        principal=principal,
        tags=tags,
        account=account,
        region=region,
        source_ip=origin.source_ip,
        vpc_endpoint=origin.vpc_endpoint or None,
        own_endpoint=enrolment.owns(origin.vpc_endpoint_account, caller=account),
        profile_arn=profile.arn if profile else None,
        profile_id=profile.id if profile else None,
        models=profile.models if profile else direct,
        equivalents=equivalents(profile, system_defined) if profile else (),
    )


def equivalents(profile: Profile, system_defined: Iterable[Profile]) -> tuple[str, ...]:
    """The ids of the system-defined profiles that an application profile stands for.

    Those with the same models. AWS changes what a profile routes to while a copy of it keeps what it was made with, so
    where none has the same, those count that share a model in another region than the profile's own.
    """
    if profile.type != "APPLICATION":
        return ()
    own = BedrockResource.parse(profile.arn).arn.region
    elsewhere = {model for model in profile.models if Arn.parse(model).region != own}
    if not elsewhere:
        return tuple(each.id for each in system_defined if each.models == profile.models)
    candidates = [each for each in system_defined if not elsewhere.isdisjoint(each.models)]
    same = [each for each in candidates if {m for m in each.models if Arn.parse(m).region != own} == elsewhere]
    return tuple(each.id for each in same or candidates)


@lru_cache(maxsize=1024)
def _reach(models: tuple[str, ...]) -> Reach:
    found = [(model.rpartition("/")[2], model.split(":")[3] or GLOBAL) for model in models]
    return Reach(
        ids=tuple(dict.fromkeys(name for name, _ in found)),
        destinations=tuple(dict.fromkeys(region for _, region in found)),
    )


@lru_cache(maxsize=1024)
def _network(block: str) -> Network:
    return ipaddress.ip_network(block)


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    """The address, an IPv4 one written as IPv6 as what it is; None where the text is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
