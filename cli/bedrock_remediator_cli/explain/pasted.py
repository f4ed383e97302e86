"""The grammar of pasted text: where in it a refusal stands, written out as AWS writes it.

It decides nothing: `core/message.py` reads what comes out of here, or refuses to. A form's fixed words hold it
together, since they may be broken anywhere; of what stands between them the line breaks are taken out. At the end of
a form without fixed words a line is taken as the rest of an ARN only where it is one word and the ARN is not whole.

`plain` first takes off what terminals, chats, logs and serialisers put around a text: what is left is lines of words.
A line break that is left may stand for a space or for nothing, in the middle of a word as well: terminals break where
their width ends. `soft` builds expressions that do not mind.
"""

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.layers import PHRASES, REFUSALS

_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
# JSON in JSON doubles its backslashes at each level.
_UNICODE: Final = re.compile(r"\\{1,16}u([0-9a-fA-F]{4})")
_ESCAPED_BREAK: Final = re.compile(r"\\{1,16}[nr]|\\\n")
_ESCAPED_MARK: Final = re.compile(r"\\{1,16}([\"'/])")
_EMPHASIS: Final = re.compile(r"(?<![^\s(])(\*{1,2})(?=[^\s*])([^\s]+?)\1(?![^\s,.;)])")
_LINK: Final = re.compile(r"<((?:https?|mailto):[^|>\s]+)(?:\|[^>]*)?>")
_MARKS: Final = str.maketrans(
    {
        "\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
        "\u00a0": " ", "\u202f": " ", "\t": " ", "`": None, "\u200b": None, "\u2060": None, "\ufeff": None,
        "\u00ad": None, "\u2010": "-", "\u2011": "-", "\r": "\n", "\u2028": "\n", "\u2026": "...",
    }
)  # fmt: skip
_SPACES: Final = re.compile(r" {2,}")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_BOX: Final = "\u2500-\u257f\u2580-\u259f"
_HEAD: Final = re.compile(
    rf"""
    (?:
        [ ]*
        (?:
            [{_BOX}|>\u23bf\u25cf]                                          # boxes, quotes, the gutter of a trace
          | \d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[ ]?[+-]\d\d:?\d\d)?(?=\s)  # a log's time
          | \[\d{{4}}-\d\d-\d\d[^\]]{{0,30}}\]
          | (?:\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]?:?)(?=\s)
          | (?:stdout|stderr)[ ][FP](?=\s)                                    # Kubernetes
          | [a-z0-9][\w.-]{{0,40}}[ ]*[|\u2502](?=\s)                         # Docker Compose, numbered lines
        )
    )*[ ]*
    """,
    re.VERBOSE,
)
_TAIL: Final = " |" + "".join(map(chr, range(0x2500, 0x25A0)))
_RULE: Final = re.compile(rf"[ {_BOX}=_*#-]*")


def plain(text: str) -> str:
    """The text without escape sequences, quoting, boxes and typographic marks; lines end in a bare line break."""
    text = _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    if "\\" in text:
        text = _UNICODE.sub(lambda found: chr(int(found[1], 16)), text)
        text = _ESCAPED_MARK.sub(r"\1", _ESCAPED_BREAK.sub("\n", text))
    if "&" in text:
        text = html.unescape(text)
    text = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text.translate(_MARKS)))
    # Runs of spaces and empty lines say nothing, and would make the grammar try in vain.
    return _EMPTY_LINES.sub("\n\n", "\n".join(_SPACES.sub(" ", _bare_line(line)).rstrip() for line in text.split("\n")))


def _bare_line(line: str) -> str:
    """A line without what a frame or a log puts before and after it."""
    if _RULE.fullmatch(line):
        return ""
    head = _HEAD.match(line)
    return line[head.end() if head else 0 :].rstrip(_TAIL)


def soft(words: str) -> str:
    """An expression for words that may be broken over lines anywhere."""
    return "".join(r"[ \n]+" if each == " " else re.escape(each) + r"\n?" for each in words)


MASKED: Final = "000000000000"
"""Stands for an account id that somebody masked: no account has it."""

_GAP: Final = r"[ \n]*"
_LAYER: Final = "|".join(soft(words) for words in PHRASES)
_ARTICLE: Final = r"(?:(?:an?|the)[ \n]+)?"
_NOT_ALLOWED: Final = soft("is not authorized to perform:")
_ON: Final = soft("on resource:")
_ACTION: Final = r"[a-zA-Z][a-zA-Z0-9\n-]{1,40}:[A-Za-z0-9\n]{2,80}?"

_WHO: Final = rf"(?:{soft('User:')}{_GAP}(?P<who>[^\"]{{1,700}}?)[ \n]+|(?<![a-zA-Z:]){_GAP}){_NOT_ALLOWED}{_GAP}"
_RESOURCE: Final = rf"(?:{_GAP}{_ON}{_GAP}(?P<resource>[^\"]{{1,2400}}?))?"

_WHY_NOT_ALLOWED: Final = (
    rf"{soft('because no')}{_GAP}(?P<implicit>{_LAYER}){_GAP}{soft('allows the')}{_GAP}(?P<again>[^ ]{{3,140}}?)"
    rf"[ \n]+{soft('action')}"
)
_POLICY: Final = r"a\n?r\n?n\n?:[^ \n\"'<>{}]*(?:<[^>\n]{1,30}>[^ \n\"'<>{}]*)?"
_WHY_DENIED: Final = (
    rf"{soft('with an explicit deny')}(?:{_GAP}{soft('in')}{_GAP}{_ARTICLE}(?P<layer>{_LAYER})"
    rf"(?P<through>{_GAP}{soft('transitively through')}{_GAP}{_ARTICLE}(?:{_LAYER}))?"
    rf"(?::{_GAP}(?P<policy>{_POLICY}))?)?"
)
_LAYERED: Final = re.compile(rf"{_WHO}(?P<action>{_ACTION}){_RESOURCE}[ \n]+(?:{_WHY_NOT_ALLOWED}|{_WHY_DENIED})")

_WORD_OF_ARN: Final = r"(?::\[[^\]\n]{1,30}\]:|[^ \n\"'<>{}]|<[^>\n]{1,30}>|\$\{[^}\n]{1,30}\}|\{\{[^}\n]{1,30}\}\})+"
_BARE: Final = re.compile(
    rf"{_WHO}(?:(?P<action>{_ACTION}){_GAP}{_ON}{_GAP}(?:[A-Za-z-]{{2,30}}[ \n]+){{0,3}}?"
    rf"(?P<resource>(?:arn:|(?![a-z-]+[ \n]+arn:)){_WORD_OF_ARN})"
    r"|(?P<plain>[a-zA-Z][a-zA-Z0-9-]{1,40}:[A-Za-z0-9]{2,80}))"
)
_CONSOLE: Final = re.compile(
    rf"{soft('User:')}{_GAP}(?P<who>[^\"]{{1,700}}?)[ \n]+(?:{soft('Service:')}{_GAP}\S+[ \n]+)?"
    rf"{soft('Action:')}{_GAP}(?P<action>{_ACTION})[ \n]+{soft('On resource(s):')}{_GAP}(?P<resource>\S+)"
    rf"(?:[ \n]+{soft('Context:')}{_GAP}(?P<quantity>an?|the|no)[ \n]+(?P<layer>{_LAYER}){_GAP}"
    rf"(?:{soft('explicitly denies')}|{soft('allows')}){_GAP}{soft('the')})?"
)
_REASON: Final = re.compile(r"[ \n]+(?:because|with|due|as)\b")
_SENTENCE: Final = re.compile(r"\.[ \n]+(?P<text>[A-Z][^\"{}(\n]*(?:\n[^\"{}(\n]+)?)")
_DETAILS: Final = re.compile(
    rf"\.{_GAP}{soft('Go to')}[ \n]+\S+.{{0,200}}?{soft('authorization id:')}{_GAP}(?P<id>[\w-]*)", re.DOTALL
)
_GO_TO: Final = (
    ". Go to https://console.aws.amazon.com/iam for complete details, or call the GetRequestAuthorizationDetails API "
    "with the following authorization id: {}"
)
_ON_DEMAND: Final = re.compile(
    rf"{soft('Invocation of model ID')}{_GAP}(?P<model>[^\"]{{1,300}}?)[ \n]+{soft('with on-demand throughput isn')}"
)
_REFUSALS: Final = tuple((words, re.compile(soft(words))) for words, _ in REFUSALS)
_TOGETHER: Final = 700
"""Characters within which the words of one refusal stand."""
_REPEATED: Final = 120
"""Characters after which the same words belong to another refusal."""

_ACCOUNT: Final = re.compile(
    r"\b(arn:[a-z0-9-]{1,32}:[a-z0-9-]{1,63}:[a-z0-9-]{0,32}:)((?!aws:|\d{12}:|:)(?:\$\{[^}]{1,30}\}|[^:/]{1,40})):"
)
_LONGEST_ARN: Final = 2048
_WHOLE: Final = re.compile(r"v\d+:\d+(?::\d+k)?$|/[a-z0-9]{12}$")
_WORD: Final = re.compile(r"\n([A-Za-z0-9/_+=,.@:-]+)(?=\.?\n|\.?$| \(Service| \(SDK|\"|\. Go)")


class Found(Struct, frozen=True, kw_only=True):
    """A refusal in a pasted text.

    `text` is what AWS wrote, as far as it is known; `needs_profile` the model id of a call that must name a profile.
    `place` is where in the cleaned text it begins. `unfinished`: it goes on in words that are not known, or is cut off.
    """

    text: str
    place: int
    anonymous: bool = False
    unfinished: bool = False
    needs_profile: str | None = None


def find(text: str) -> list[Found]:
    """Every refusal in a text, in order."""
    cleaned = plain(text)
    found: list[Found] = []
    rest = list(cleaned)
    for start, end in pairwise([*_starts(cleaned), len(cleaned)]):
        match = _denial(cleaned, start, end)
        if match:
            found.append(match[0])
            rest[start : match[1]] = "\n" * (match[1] - start)
    remaining = "".join(rest)
    found += _others(remaining)
    return sorted(found, key=lambda each: each.place)


def masked(text: str) -> str:
    """The text with every masked account id of an ARN written as `MASKED`."""
    return _ACCOUNT.sub(rf"\g<1>{MASKED}:", text.replace("${AWS::AccountId}", MASKED))


_START: Final = re.compile(f"{soft('User:')}(?=[ \\n]*[^ \\n])")
_VERB: Final = re.compile(_NOT_ALLOWED)


def _starts(text: str) -> list[int]:
    """Where refusals may begin: at `User:`, or at the verb where no `User:` stands before it."""
    users = [each.start() for each in _START.finditer(text)]
    verbs = [each.start() for each in _VERB.finditer(text)]
    lone = [verb for place, verb in enumerate(verbs) if not _has_user(users, verbs[place - 1] if place else 0, verb)]
    return sorted({*users, *lone})


def _has_user(users: list[int], after: int, before: int) -> bool:
    return any(after <= user < before for user in users)


def _denial(text: str, start: int, end: int) -> tuple[Found, int] | None:
    window = text[start:end]
    if match := _LAYERED.match(window):
        return _layered(match, start, window)
    if match := _CONSOLE.match(window):
        return _in_console(match, start)
    if match := _BARE.match(window):
        return _bare(match, start, window)
    return None


def _layered(match: re.Match[str], start: int, window: str) -> tuple[Found, int]:
    who, action, resource = match["who"], _joined(match["action"]), match["resource"]
    head = _head(who, action, _resource(resource) if resource else None)
    end = match.end()
    if match["implicit"]:
        why = f"because no {_words(match['implicit'])} allows the {_joined(match['again'])} action"
    else:
        why = "with an explicit deny"
        if match["layer"]:
            why += f" in a {_words(match['layer'])}"
            why += " transitively through a service control policy" if match["through"] else ""
        if match["policy"]:
            policy, end = _continued(match["policy"], window, end)
            why += f": {masked(policy).removesuffix('.')}"
    return Found(text=f"{head} {why}{_sentence(window, end)}", place=start, anonymous=not who), start + end


def _in_console(match: re.Match[str], start: int) -> tuple[Found, int]:
    head = _head(match["who"], _joined(match["action"]), _resource(match["resource"]))
    why = ""
    if match["layer"]:
        layer = _words(match["layer"])
        action = _joined(match["action"])
        denies = match["quantity"] != "no"
        why = f" with an explicit deny in a {layer}" if denies else f" because no {layer} allows the {action} action"
    return Found(text=head + why, place=start), start + match.end()


def _bare(match: re.Match[str], start: int, window: str) -> tuple[Found, int]:
    end, resource = match.end(), match["resource"]
    if resource:
        resource, end = _continued(resource, window, end)
        resource = _resource(resource.rstrip(".,;)]"))
    head = _head(match["who"], _joined(match["action"] or match["plain"]), resource)
    return Found(
        text=head + _sentence(window, end),
        place=start,
        anonymous=not match["who"],
        unfinished=bool(_REASON.match(window, end)),
    ), start + end


def _head(who: str | None, action: str, resource: str | None) -> str:
    named = masked(_joined(who)) if who else "unknown"
    on = f" on resource: {resource}" if resource else ""
    return f"User: {named} is not authorized to perform: {action}{on}"


def _resource(text: str) -> str:
    """A resource without a type word before it."""
    joined = masked(_joined(text).strip("'\""))
    return joined[joined.index("arn:") :] if "arn:" in joined else joined.rpartition(" ")[2]


def _joined(text: str) -> str:
    return text.replace("\n", "").strip()


def _words(text: str) -> str:
    """A layer's name, whatever was broken in it."""
    bare = re.sub(r"[ \n]", "", text)
    return next(words for words in PHRASES if words.replace(" ", "") == bare)


def _continued(arn: str, window: str, end: int) -> tuple[str, int]:
    """An ARN with the lines that go on with it, and where it ends."""
    arn = arn.replace("\n", "")
    while len(arn) < _LONGEST_ARN and not _WHOLE.search(arn) and not arn.endswith("."):
        line = window.rfind("\n", 0, end) + 1
        more = _WORD.match(window, end)
        if not more or len(more[1]) > end - line:
            break
        arn, end = arn + more[1], more.end()
    return arn, end


def _sentence(window: str, end: int) -> str:
    """What AWS may have written after a form: a sentence that is not known must not be overlooked."""
    if details := _DETAILS.match(window, end):
        return _GO_TO.format(details["id"]) if details["id"] else ""
    more = _SENTENCE.match(window, end)
    return f". {' '.join(more['text'].split())}" if more else ""


def _others(text: str) -> Iterator[Found]:
    """Refusals that no policy explains, and calls that name a model where a profile is needed."""
    for match in _ON_DEMAND.finditer(text):
        yield Found(text="", place=match.start(), needs_profile=masked(_joined(match["model"])))
    hits = sorted((hit.start(), words) for words, soft_words in _REFUSALS for hit in soft_words.finditer(text))
    groups: list[dict[str, int]] = []
    for place, words in hits:
        latest = groups[-1] if groups else {}
        again = place - latest.get(words, place) > _REPEATED
        if not latest or again or place - min(latest.values()) > _TOGETHER:
            groups.append({words: place})
        else:
            latest[words] = place
    for group in groups:
        known = next(words for words, _ in REFUSALS if words in group)
        yield Found(text=known, place=min(group.values()))
