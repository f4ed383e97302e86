"""Which patterns an allowlist may hold. One that could never match is refused too: it would be a rule in name only."""

import re
from typing import Final

from bedrock_remediator.core.profile import SCOPES_SEEN

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
