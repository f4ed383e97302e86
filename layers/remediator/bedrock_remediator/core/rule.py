"""A rule of the allowlist, and whether it is about a given grant.

Fields are joined by AND, the values of one field by OR. What a grant would reach is often more than one thing: the
models of a profile, the regions that it routes to. A rule that opens a door must fit all of it, a rule that asks or
forbids fits if any of it does.
"""

import enum
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.globs import identifier_glob, principal_glob
from bedrock_remediator.core.subject import Subject

__all__ = ["MAIN", "SCOPES", "Rule", "RuleEffect", "Scope", "Subject"]

MAIN: Final = "main"
"""The administrators' document."""
SCOPES: Final = "_scopes"
"""The administrators' document that says what each team's may speak about."""

_ORIGIN_FIELDS: Final = frozenset({"source_vpces", "source_ips"})


class RuleEffect(enum.StrEnum):
    """What a rule says: apply it, ask a person, or never. `never` beats `ask` beats `auto`."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


class Scope(Struct, frozen=True, kw_only=True):
    """What a team's document may speak about: its rules hold within this and nowhere else.

    An empty field does not restrict it.
    """

    principals: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()

    def failed_by(self, subject: Subject, *, every: bool) -> str | None:
        """The first field that does not fit, as `Rule.failed_by` tells it."""
        if self.accounts and subject.account not in self.accounts:
            return "accounts"
        if field := _failed_by_target(self, subject, every=every):
            return field
        return None if _is_principal(self.principals, subject.principal) else "principals"

    def covers(self, subject: Subject, *, every: bool) -> bool:
        """Whether the team may speak about this, all of it (`every`) or any of it."""
        return self.failed_by(subject, every=every) is None


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. An empty field does not restrict it.

    A rule with a `scope` holds only within that. `expires_after` is how long the grant lasts; None leaves that to the
    stack's default. `max_grants_per_day` bounds what it may apply by itself. `document` is where it stands, `version`
    the version of that in Parameter Store, None where it was read from elsewhere.
    """

    name: str
    effect: RuleEffect
    document: str
    version: int | None = None
    principals: tuple[str, ...] = ()
    principal_tags: Mapping[str, tuple[str, ...]] = {}
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    source_ips: tuple[str, ...] = ()
    source_vpces: tuple[str, ...] = ()
    expires_after: timedelta | None = None
    max_grants_per_day: int | None = None
    scope: Scope | None = None

    @property
    def label(self) -> str:
        """The name that is unique in the whole allowlist: a team's rule is prefixed with its document's name."""
        return self.name if self.document == MAIN else f"{self.document}/{self.name}"

    @property
    def names_origin(self) -> bool:
        """Whether it says where calls come from."""
        return bool(self.source_ips or self.source_vpces)

    def matches(self, subject: Subject) -> bool:
        """Whether every field of the rule, and its document's scope, fits."""
        return self.failed_by(subject) is None

    def matches_from_elsewhere(self, subject: Subject) -> bool:
        """Whether nothing but where the call came from keeps it from matching."""
        return self.failed_by(subject) in _ORIGIN_FIELDS

    def failed_by(self, subject: Subject) -> str | None:
        """The first field that does not fit, `scope.FIELD` for one of its document's scope; None where all do.

        The cheap fields come first, and last those that say where the call came from.
        """
        every = self.effect is RuleEffect.AUTO
        field = self._failed_by_place(subject) or _failed_by_target(self, subject, every=every)
        if field:
            return field
        if self.principals and not _is_principal(self.principals, subject.principal):
            return "principals"
        if self.scope and (field := self.scope.failed_by(subject, every=every)):
            return f"scope.{field}"
        return self._failed_by_origin(subject)

    def _failed_by_place(self, subject: Subject) -> str | None:
        if self.accounts and subject.account not in self.accounts:
            return "accounts"
        if self.regions and subject.region not in self.regions:
            return "regions"
        return "principal_tags" if self.principal_tags and not self._has_tags(subject.tags) else None

    def _failed_by_origin(self, subject: Subject) -> str | None:
        if self.source_vpces and subject.vpc_endpoint not in self.source_vpces:
            return "source_vpces"
        within = not self.source_ips or subject.is_within(self.source_ips, self.source_vpces)
        return None if within else "source_ips"

    def _has_tags(self, tags: Mapping[str, str]) -> bool:
        return all(tags.get(key) in values for key, values in self.principal_tags.items())


def unmatched(patterns: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names (ids, ARNs, regions) that none of the patterns is about."""
    return tuple(name for name in names if not _is_named(patterns, name))


def _failed_by_target(limits: Rule | Scope, subject: Subject, *, every: bool) -> str | None:
    if limits.profiles and not _is_profile(limits.profiles, subject, every=every):
        return "profiles"
    if limits.models and not _reaches_models(limits.models, subject, every=every):
        return "models"
    if limits.destinations and not _fits(limits.destinations, subject.reach.destinations, every=every):
        return "destinations"
    return None


def _is_profile(patterns: tuple[str, ...], subject: Subject, *, every: bool) -> bool:
    """Whether the profile that was called is one of these.

    The id of an application profile is an opaque word, so only its ARN can name it; but whoever asks for a person or
    forbids `global.*` also means an application profile that stands for one of those.
    """
    if subject.profile_arn is None:
        return False
    if not subject.through_application_profile:
        names: tuple[str, ...] = (subject.profile_arn, subject.profile_id or "")
    else:
        names = (subject.profile_arn,) if every else (subject.profile_arn, *subject.equivalents)
    return _fits(patterns, names, every=False, fold=not every)


def _reaches_models(patterns: tuple[str, ...], subject: Subject, *, every: bool) -> bool:
    ids = tuple(pattern for pattern in patterns if not pattern.startswith("arn:"))
    if len(ids) == len(patterns):
        return _fits(patterns, subject.reach.ids, every=every, fold=not every)
    found = (
        _is_named(patterns, model, fold=not every) or _is_named(ids, model.rpartition("/")[2], fold=not every)
        for model in subject.models
    )
    return bool(subject.models) and (all(found) if every else any(found))


def _fits(patterns: tuple[str, ...], names: tuple[str, ...], *, every: bool, fold: bool = False) -> bool:
    """Whether one of the names is of one of the patterns or, with `every`, each of them is; None of them never are."""
    if every:
        return bool(names) and all(_is_named(patterns, name, fold=fold) for name in names)
    return any(_is_named(patterns, name, fold=fold) for name in names)


def _is_named(patterns: tuple[str, ...], name: str, *, fold: bool = False) -> bool:
    """Whether a pattern is about an id or a region or, where both are one, an ARN; `fold` overlooks capitals."""
    whole = name.startswith("arn:")
    for pattern in patterns:
        if pattern.startswith("arn:") is not whole:
            continue
        if identifier_glob(pattern.lower() if fold else pattern).matches(name.lower() if fold else name):
            return True
    return False


def _is_principal(patterns: tuple[str, ...], principal: str) -> bool:
    for pattern in patterns:  # noqa: SIM110  every rule of every decision comes through here: no generator
        if principal_glob(pattern).matches(principal):
            return True
    return False
