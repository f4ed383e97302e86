"""Plain text in 72 columns: the shapes an e-mail is made of, and the one way that foreign text enters it.

Everything that these functions give back is printable ASCII. A control character, a line break, a right-to-left mark
or a letter that looks like another shows as its escape, so no text can leave the place it was put in.

The caller's own words and the policy statement that decided are shown, and never believed.
"""

import ipaddress
import json
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeGuard

import msgspec

from bedrock_remediator.core.grant import Grant

WIDTH: Final = 72
LABEL: Final = 13
LONGEST_VALUE: Final = 1024

_HIDDEN = re.compile(r"[^\x20-\x7e]")
_SPACES = re.compile(r" {2,}")
_RUN = re.compile(r"([^A-Za-z0-9 ])\1{3,}")
# What mail clients and chats make a link of: a scheme, a host (whatever ends in something like a domain), an address.
_SCHEME = re.compile(r"(?i)\b([a-z][a-z0-9+-]*):(?=//)|\b(https?|ftp|mailto|file|data|javascript|tel|sms):")
_HOST = re.compile(r"(?i)(?<=[^\s.])\.(?=[a-z][a-z0-9-])|(?<=\bwww)\.")
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


def visible(text: str, limit: int = LONGEST_VALUE) -> str:
    r"""The text as one line of printable ASCII, at most `limit` characters long and a note of its length.

    Anything else shows as Python writes it, `\n` or `\u202e`. Visible text stays as it is when it passes again.
    """
    escaped = _escaped(text[: limit + 1])
    if len(text) <= limit and len(escaped) <= limit:
        return escaped
    return f"{escaped[:limit]}... ({len(text)} characters in all)"


def _escaped(text: str) -> str:
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def sentence(text: str, limit: int) -> str:
    """Visible text with runs of spaces made one: a reason may quote the caller, and must not look like a table."""
    return _SPACES.sub(" ", visible(text, limit))


def unlinked(text: str, known: Collection[str] = ()) -> str:
    """Visible text with hosts and addresses taken apart (`evil[.]example`), so that no client makes a link of them.

    Args:
        text: Visible text. Whatever is taken apart already stays as it is.
        known: Names that AWS returned, which stay as they are where they stand by themselves.
    """
    kept = "|".join(re.escape(name) for name in sorted(filter(None, known), key=len, reverse=True))
    if not kept:
        return _apart(text)
    pieces = re.split(rf"(?<![\w.-])({kept})(?![\w-]|\.\w)", text)
    return "".join(piece if place % 2 else _apart(piece) for place, piece in enumerate(pieces))


def _apart(text: str) -> str:
    text = _SCHEME.sub(lambda found: f"{found[1] or found[2]}[:]", text)
    return _HOST.sub("[.]", _ADDRESS.sub(lambda found: found[0].replace(".", "[.]"), text))


def wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """The text as lines, the first one beginning with `first` and the others with `rest`; no word is broken.

    Long runs of a character that is no letter, digit or space are cut, so that no text can draw a heading's rule.
    """
    lines = textwrap.wrap(
        _RUN.sub(r"\1\1\1", visible(text)),
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def table(rows: Iterable[tuple[str, str | Sequence[str]]]) -> list[str]:
    """Labels and values in two columns; a value of several texts takes a line each, an empty one is left out."""
    lines = []
    for label, value in rows:
        heads = (f"  {label:<{LABEL}}", "  " + " " * LABEL)
        for place, text in enumerate((value,) if isinstance(value, str) else value):
            if text:
                lines += wrapped(text, heads[min(place, 1)], heads[1])
    return lines


def numbered(steps: Sequence[str]) -> list[str]:
    """A numbered list."""
    return [line for place, step in enumerate(steps, 1) for line in wrapped(step, f"{place:>3}. ", "     ")]


def quoted(label: str, text: str, known: Collection[str] = ()) -> list[str]:
    """Text that the caller wrote, behind a bar on each of its lines, unlinked, and broken where it is too long."""
    bar = f"  {'':<{LABEL}}| "
    room = WIDTH - len(bar)
    lines = textwrap.wrap(unlinked(visible(text), known), room, break_on_hyphens=False) or [""]
    return [f"  {label:<{LABEL}}| {lines[0]}", *(bar + line for line in lines[1:])]


def section(title: str, *blocks: Sequence[str]) -> list[str]:
    """A heading with a rule under it and the blocks that are not empty, an empty line between them."""
    lines = ["", title.upper(), "-" * WIDTH]
    for place, block in enumerate(block for block in blocks if block):
        lines += ["", *block] if place else [*block]
    return lines


def indented(text: str) -> list[str]:
    """Code, as it is but for what is not printable ASCII, two columns in."""
    return ["  " + _escaped(line) for line in text.splitlines()]


def utc(moment: datetime) -> str:
    """A moment for people: `2026-11-23 07:51 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


SESSION_LENGTH: Final = 64
USER_AGENT_LENGTH: Final = 256
MODEL_ID_LENGTH: Final = 256
MESSAGE_LENGTH: Final = 1024
STATEMENT_LENGTH: Final = 8000
_OUR_PATH: Final = "/bedrock-access-remediator/"
_OUR_FILES: Final = ("stacks/member.yaml",)


def caller_words(grant: Grant) -> dict[str, str]:
    """What the caller wrote or could write: nobody has checked any of it. What is not known is left out."""
    sighting = grant.sighting
    words = {
        "session": (sighting.session, SESSION_LENGTH),
        "user_agent": (sighting.user_agent, USER_AGENT_LENGTH),
        "model_id": (None if confirmed(grant) else grant.model_id, MODEL_ID_LENGTH),
        "message": (sighting.message, MESSAGE_LENGTH),
    }
    return {name: visible(text, limit) for name, (text, limit) in words.items() if text}


def known_names(grant: Grant) -> frozenset[str]:
    """What stays readable in a text although it looks like a host: what AWS returned, and names of this project's.

    An address is AWS's word only where it is one: the caller may have written something else into that field.
    """
    ours = [name for name in (grant.written.policies if grant.written else ()) if f":policy{_OUR_PATH}" in name]
    arns = [arn for arn in (grant.profile, *grant.resources, *grant.allowed, *ours) if arn]
    names = [*grant.candidates, *([grant.model_id] if grant.model_id and confirmed(grant) else ())]
    address = grant.sighting.source_ip
    return frozenset([*arns, *map(_last_part, arns), *names, *([address] if _is_address(address) else ()), *_OUR_FILES])


def _last_part(arn: str) -> str:
    return arn.partition("/")[2] or arn


def _is_address(text: str | None) -> TypeGuard[str]:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


def confirmed(grant: Grant) -> bool:
    """Whether AWS confirmed what was called; if not, the model's identifier is the caller's own word."""
    return bool(grant.resources)


def statement(grant: Grant) -> Any:
    """The statement that decided: as JSON's values, as visible text where it is no JSON or too long, else None."""
    if not grant.evidence:
        return None
    if len(grant.evidence) > STATEMENT_LENGTH:
        return visible(grant.evidence, STATEMENT_LENGTH)
    try:
        return msgspec.json.decode(grant.evidence)
    except (ValueError, RecursionError):
        return visible(grant.evidence, STATEMENT_LENGTH)


def statement_lines(grant: Grant) -> list[str]:
    """The statement for people: indented JSON, printable ASCII."""
    shown = statement(grant)
    if shown is None:
        return []
    return [shown] if isinstance(shown, str) else json.dumps(shown, indent=2).splitlines()
