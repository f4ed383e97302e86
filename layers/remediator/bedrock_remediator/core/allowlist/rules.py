"""The rules of the allowlist, and what they are held against.

A rule is held against a `Subject`: who would get access to what, and where the call came from. All of it is what AWS
says: the principal and its tags by IAM, the profile and its models by Bedrock, where the call came from by CloudTrail.
Nothing is taken from text that the caller wrote. A rule's fields are joined by AND, the values of one field by OR. What
a grant would reach is often more than one thing: the models of a profile, the regions that it routes to. A rule that
opens a door must fit all of it, a rule that asks or forbids fits if any of it does.

Patterns come in two dialects, both case-sensitive and both without brackets, braces or escapes. One that could never
match is refused: it would be a rule in name only.

- `identifier_glob`: `*` is any run of characters, `?` any one. For ids and ARNs of profiles and models.
- `principal_glob`: `*` and `?` stop at `:` and `/`, and `**` crosses `/`, so that a pattern names the paths that it
  shows: `role/llm-*` is not `role/service/llm-app`. Within the first five fields of an ARN nothing crosses a `:`;
  behind them a colon is only a character that a path may hold, and `**` crosses it too.

A match costs one step a character of the text, whatever the pattern: the set of places in the pattern that can have
been reached is carried along as the bits of one integer, so there is nothing to go back to.
"""

import enum
import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.arn import Arn, BedrockResource
from bedrock_remediator.core.profile import SCOPES_SEEN, Profile

_ARN_WILDCARD = re.compile(r"\*+|\?")
_PART = re.compile(r"\*+|.", re.DOTALL)
_SEPARATORS: Final = ":/"
_ARN_COLONS: Final = 5  # of an ARN; what follows is the resource


class Glob(Struct, frozen=True):
    """A pattern made ready.

    `prefix`, `inner` and `suffix` are its literal parts. They settle most texts at a glance; where they are not all
    there is to it (`exact` is False), the automaton decides: bit *i* of a state says that the first *i* characters of
    the pattern have been met, `steps` holds for a character those that it meets and those a `*` may stay at.
    """

    prefix: str
    inner: tuple[str, ...]
    suffix: str
    exact: bool
    final: int
    steps: Mapping[str, tuple[int, int]]
    others: tuple[int, int]

    def matches(self, text: str) -> bool:
        """Whether the whole text is of this pattern."""
        if not (text.startswith(self.prefix) and text.endswith(self.suffix)):
            return False
        place, end = len(self.prefix), len(text) - len(self.suffix)
        for literal in self.inner:
            place = text.find(literal, place, end)
            if place < 0:
                return False
            place += len(literal)
        return place <= end and (self.exact or self._accepts(text))

    def _accepts(self, text: str) -> bool:
        state = 1
        for character in text:
            meets, stays = self.steps.get(character, self.others)
            state = (state & meets) << 1 | state & stays
            if not state:
                return False
        return bool(state & self.final)


@lru_cache(maxsize=4096)
def identifier_glob(pattern: str) -> Glob:
    """The pattern of an id, or of a Bedrock ARN: `*` matches any characters."""
    return _compile(pattern, paths=False)


@lru_cache(maxsize=4096)
def principal_glob(pattern: str) -> Glob:
    """The pattern of an IAM ARN: `*` stops at `:` and `/`, `**` crosses `/`."""
    return _compile(pattern, paths=True)


def _compile(pattern: str, *, paths: bool) -> Glob:
    literals = _ARN_WILDCARD.split(pattern)
    final, steps, others = _automaton(pattern, paths=paths)
    return Glob(
        prefix=literals[0],
        inner=tuple(literal for literal in literals[1:-1] if literal),
        suffix=literals[-1] if len(literals) > 1 else "",
        exact=not paths and "?" not in pattern and "*" in pattern,
        final=final,
        steps=steps,
        others=others,
    )


def _automaton(pattern: str, *, paths: bool) -> tuple[int, Mapping[str, tuple[int, int]], tuple[int, int]]:
    meets: dict[str, int] = {}
    anyone = within = crossing = 0  # places of `?`, of every star, and of those stars that stop at nothing
    place, colons = 1, 0
    for part in _PART.findall(pattern):
        if part[0] == "*":
            within |= place
            crossing |= place if len(part) > 1 and colons >= _ARN_COLONS else 0
            continue
        if part == "?":
            anyone |= place
        else:
            meets[part] = meets.get(part, 0) | place
        colons += part == ":"
        place <<= 1
    steps = {part: (literal | anyone, within) for part, literal in meets.items()}
    for separator in _SEPARATORS if paths else "":
        steps[separator] = (meets.get(separator, 0), crossing)
    return place, steps, (anyone, within)


_LONGEST: Final = 2048  # characters of an ARN
_COLONS: Final = 5  # of an ARN: what follows is the resource, which may hold more
_LINE: Final = 80
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:*?-]+")
_BRACKETS: Final = frozenset("[]{}")
_WILDCARD = re.compile(r"[*?]")
_ACCOUNT = re.compile(r"[0-9]{12}")
_ACCOUNT_PATTERN = re.compile(r"(?=.*[*?])[0-9*?]{1,12}")
_PROFILES: Final = ("inference-profile", "application-inference-profile")
_MODELS: Final = ("foundation-model",)
_DESTINATION = re.compile(r"global|[a-z]{2,5}(?:-[a-z]+){1,3}-[0-9]{1,2}|(?=.*[*?])[a-z0-9*?-]{1,32}")
_PARTITION = re.compile(r"[a-z*?-]{1,32}")

VENDORS: Final = frozenset(
    {
        "ai21",
        "amazon",
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "luma",
        "meta",
        "minimax",
        "mistral",
        "moonshot",
        "moonshotai",
        "nvidia",
        "openai",
        "qwen",
        "stability",
        "twelvelabs",
        "writer",
        "zai",
    }
)
"""First words of foundation models' ids; used to explain mistakes only."""


def shown(text: object) -> str:
    """A value as a message may quote it: ASCII, escaped, not too long."""
    quoted = ascii(text)
    return quoted if len(quoted) <= _LINE else f"{quoted[: _LINE - 3]}..."


def principal_pattern(text: str) -> str:
    """A pattern of IAM ARNs of roles and users, checked.

    Raises:
        ValueError: It is malformed, or no role's or user's ARN can be of this pattern.
    """
    _check_characters(text)
    fields = text.split(":", _COLONS)
    if len(fields) <= _COLONS or fields[0] != "arn" or not _PARTITION.fullmatch(fields[1]):
        raise ValueError(f"{shown(text)} is not the ARN of a role or user, such as arn:aws:iam::123456789012:role/NAME")
    _, _, service, region, account, resource = fields
    if service == "sts":
        raise ValueError(f"{shown(text)} names a session; name its role: arn:aws:iam::ACCOUNT:role/NAME")
    if service != "iam" or region:
        raise ValueError(f"{shown(text)} is not an IAM ARN: it must begin with arn:PARTITION:iam::")
    if not (_ACCOUNT.fullmatch(account) or _ACCOUNT_PATTERN.fullmatch(account)):
        raise ValueError(f"{shown(text)} has a bad account id: it must be 12 digits, or have a wildcard")
    kind, slash, rest = resource.partition("/")
    if not (_WILDCARD.search(kind) or (kind in ("role", "user") and slash)):
        raise ValueError(f"{shown(text)} must name role/… or user/…")
    if (not slash and "**" not in kind) or (slash and (not rest or rest.endswith("/"))):
        raise ValueError(f"{shown(text)} matches no role or user: * stops at a slash, write ** to cross it")
    return text


def profile_pattern(text: str) -> str:
    """A pattern of inference profiles' ids, or of their ARNs where it begins with `arn:`, checked.

    Raises:
        ValueError: It is malformed, or names something else than inference profiles.
    """
    _check_target(text, _PROFILES, _MODELS, "inference profiles")
    if text.lower().partition(".")[0] in VENDORS:
        raise ValueError(
            f"{shown(text)} names a model, and the id of a profile begins with a scope such as us. or global.;"
            " a rule about models goes under models:"
        )
    return text


def model_pattern(text: str) -> str:
    """A pattern of foundation models' ids, or of their ARNs where it begins with `arn:`, checked.

    Raises:
        ValueError: It is malformed, or names something else than foundation models.
    """
    _check_target(text, _MODELS, _PROFILES, "foundation models")
    if text.lower().partition(".")[0] in SCOPES_SEEN:
        raise ValueError(f"{shown(text)} names an inference profile, which goes under profiles:")
    if text != text.lower():
        raise ValueError(f'{shown(text)} has capitals, and no model\'s id has; did you mean "{text.lower()}"?')
    return text


def destination_pattern(text: str) -> str:
    """A pattern of regions that a profile routes to, or `global`, checked.

    Raises:
        ValueError: It is malformed, or no region can be of this pattern.
    """
    if not _DESTINATION.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not a region, such as eu-west-1, a pattern of regions, such as eu-*, or global"
        )
    return text


def may_name_application_profile(pattern: str) -> bool:
    """Whether a pattern of profiles is about application profiles, which only their ARNs name."""
    return pattern.startswith("arn:") and ":inference-profile/" not in pattern


def _check_characters(text: str) -> None:
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{shown(text)} must be printable ASCII without spaces, and not empty")
    if len(text) > _LONGEST:
        raise ValueError(f"{shown(text)} is longer than any ARN")
    if "${" in text:
        raise ValueError(f"{shown(text)} holds a policy variable; patterns have only *, ** and ?")
    if not _BRACKETS.isdisjoint(text):
        raise ValueError(f"{shown(text)} holds a bracket; patterns have only *, ** and ?")
    if "***" in text:
        raise ValueError(f"{shown(text)} holds ***, which means nothing; write * or **")


def _check_target(text: str, kinds: tuple[str, ...], others: tuple[str, ...], plural: str) -> None:
    _check_characters(text)
    if not text.startswith("arn:"):
        if not _IDENTIFIER.fullmatch(text) or text.lower().startswith("arn:"):
            raise ValueError(f"{shown(text)} is neither the id of {plural} nor a whole ARN that begins with arn:")
        return
    kind = text.partition("/")[0].rpartition(":")[2]
    foreign = any(f"{other}/" in text for other in others)
    if foreign or not (kind in kinds or _WILDCARD.search(kind)):
        raise ValueError(f"{shown(text)} does not name {plural}: their ARNs end in :{kinds[0]}/ID")
    _, partition, *rest = text.split(":")
    # A wildcard may stand for several fields, so only what comes before the first can be told apart.
    if rest and not _WILDCARD.search(partition + rest[0]) and rest[0] != "bedrock":
        raise ValueError(f"{shown(text)} is not an ARN of bedrock")


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
        return self.names_origin and self.failed_by(subject) in _ORIGIN_FIELDS

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
    for name in names:  # no generator: every rule of every decision comes through here
        if _is_named(patterns, name, fold=fold) is not every:
            return not every
    return every and bool(names)


def _is_named(patterns: tuple[str, ...], name: str, *, fold: bool = False) -> bool:
    """Whether a pattern is about an id or a region or, where both are one, an ARN; `fold` overlooks capitals."""
    whole = name.startswith("arn:")
    name = name.lower() if fold else name
    for pattern in patterns:
        if pattern.startswith("arn:") is whole and identifier_glob(pattern.lower() if fold else pattern).matches(name):
            return True
    return False


def _is_principal(patterns: tuple[str, ...], principal: str) -> bool:
    for pattern in patterns:  # noqa: SIM110  every rule of every decision comes through here: no generator
        if principal_glob(pattern).matches(principal):
            return True
    return False
