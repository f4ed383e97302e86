"""A rule of the allowlist, and whether it is about a given grant.

Fields are joined by AND, the values of one field by OR. Rules are held against what AWS confirmed: the principal's
ARN and tags as IAM has them, the profile as GetInferenceProfile described it. Never against text of the event alone.
"""

import enum
import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.globs import identifier_glob, principal_glob

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAIN: Final = "main"
"""The administrators' document."""
SCOPES: Final = "_scopes"
"""The administrators' document that says what each team's may speak about."""

_APPLICATION_PROFILE: Final = ":application-inference-profile/"


class RuleEffect(enum.StrEnum):
    """What a rule says: apply it, ask a person, or never. `never` beats `ask` beats `auto`."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


class Subject(Struct, frozen=True, kw_only=True):
    """What a rule is held against: who would get access to what, and where the call came from.

    `principal` is an IAM ARN with its path, `tags` the principal's own tags. Either the profile is given or, for a
    model called directly, the model. `source_ip` is CloudTrail's, which may name an AWS service instead.
    """

    principal: str
    tags: Mapping[str, str]
    account: str
    region: str
    source_ip: str | None = None
    profile_arn: str | None = None
    profile_id: str | None = None
    model_arn: str | None = None
    model_id: str | None = None

    def is_target(self, profiles: tuple[str, ...], models: tuple[str, ...]) -> bool:
        """Whether the profile is one of these profiles or, for a direct model grant, the model one of these models.

        The id of an application profile is an opaque word, so only its ARN can name it.
        """
        if self.profile_arn is not None:
            opaque = _APPLICATION_PROFILE in self.profile_arn
            return _is_named(profiles, self.profile_arn, None if opaque else self.profile_id)
        return _is_named(models, self.model_arn, self.model_id)

    def is_principal(self, principals: tuple[str, ...]) -> bool:
        """Whether the principal is of one of these patterns."""
        for pattern in principals:  # noqa: SIM110  every rule of every decision comes through here: no generator
            if principal_glob(pattern).matches(self.principal):
                return True
        return False

    def is_within(self, networks: tuple[str, ...]) -> bool:
        """Whether the call came from one of these networks; False where no address is known."""
        address = _address(self.source_ip) if self.source_ip else None
        return address is not None and any(address in _network(block) for block in networks)


class Scope(Struct, frozen=True, kw_only=True):
    """What a team's document may speak about: its rules hold within this and nowhere else.

    No `accounts` stands for any account. No `profiles`, or no `models`, stands for none.
    """

    principals: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def covers(self, subject: Subject) -> bool:
        """Whether the team may speak about this."""
        return (
            (not self.accounts or subject.account in self.accounts)
            and subject.is_target(self.profiles, self.models)
            and subject.is_principal(self.principals)
        )


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. An empty field does not restrict it.

    `effect` is what counts, `declared` what its document says: all rules of a team's document without a scope count
    as `ask`. A rule with a `scope` holds only within that. `expires_after` is how long the grant lasts; None leaves
    that to the stack's default. `max_grants_per_day` bounds what it may apply by itself.
    """

    name: str
    effect: RuleEffect
    declared: RuleEffect
    document: str
    principals: tuple[str, ...] = ()
    principal_tags: Mapping[str, tuple[str, ...]] = {}
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    source_ips: tuple[str, ...] = ()
    expires_after: timedelta | None = None
    max_grants_per_day: int | None = None
    scope: Scope | None = None

    @property
    def label(self) -> str:
        """The name that is unique in the whole allowlist: a team's rule is prefixed with its document's name."""
        return self.name if self.document == MAIN else f"{self.document}/{self.name}"

    def matches(self, subject: Subject) -> bool:
        """Whether every field of the rule, and its document's scope, fits. The cheap fields come first."""
        return self.matches_from_anywhere(subject) and (not self.source_ips or subject.is_within(self.source_ips))

    def matches_from_anywhere(self, subject: Subject) -> bool:
        """Whether it would match if the call came from one of its `source_ips`."""
        return (
            (not self.accounts or subject.account in self.accounts)
            and (not self.regions or subject.region in self.regions)
            and (not self.principal_tags or self._has_tags(subject.tags))
            and (not (self.profiles or self.models) or subject.is_target(self.profiles, self.models))
            and (not self.principals or subject.is_principal(self.principals))
            and (self.scope is None or self.scope.covers(subject))
        )

    def _has_tags(self, tags: Mapping[str, str]) -> bool:
        return all(tags.get(key) in values for key, values in self.principal_tags.items())


def _is_named(patterns: tuple[str, ...], arn: str | None, identifier: str | None) -> bool:
    for pattern in patterns:
        text = arn if pattern.startswith("arn:") else identifier
        if text is not None and identifier_glob(pattern).matches(text):
            return True
    return False


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
