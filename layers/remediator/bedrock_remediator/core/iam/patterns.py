"""IAM's patterns: the wildcards `*` and `?`, and policy variables such as `${aws:username}`.

What a policy says of a request is true, false, or not known (None). The operations on that are Kleene's, so learning
what was unknown never takes back a true or a false.

A pattern comes from a policy, so from anyone who may write one: at worst, matching takes time in proportion to the
length of the pattern times that of the text. `*` matches any characters, `/` included, and none at all: a region of `*`
matches the empty region of a global profile's model (docs/aws-facts.md §3). Whether it goes past a colon of an ARN is
told in two ways (docs/aws-facts.md §4.6b), so a Resource that matches only if it does is not known to match.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

Truth = bool | None


def negation(truth: Truth) -> Truth:
    """Not: what is unknown stays unknown."""
    return None if truth is None else not truth


def disjunction(truths: Iterable[Truth]) -> Truth:
    """Or: true if one is true, false if all are false (or there are none), else unknown."""
    outcome: Truth = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            outcome = None
    return outcome


def conjunction(truths: Iterable[Truth]) -> Truth:
    """And: false if one is false, true if all are true (or there are none), else unknown."""
    return negation(disjunction(negation(truth) for truth in truths))


Context = Mapping[str, tuple[str, ...]]
"""Lower-case condition keys and their values; () = known to be absent, a key that is missing = not known."""

# Before a character in a pattern: it stands for itself. No policy can hold it (docs/aws-facts.md §4).
_ESCAPE = "\0"
_SYNTAX = re.compile(r"[*?\0]")
_TOKEN = re.compile(r"\0(.)|([*?])|([^*?\0]+)", re.DOTALL)

_ARN_PARTS = 6
# A colon that divides an ARN, and is not one of a policy variable's name.
_DIVIDER = re.compile(r":(?![^{}]*\})")

_VARIABLE = re.compile(r"\$\{([^}]*\}?)")
_REFERENCE = re.compile(r"([^,'{}]+)(?:, *'([^']*)' *)?\}")
_ESCAPED_SYNTAX = {"*}": ("*",), "?}": ("?",), "$}": ("$",)}


class Pattern(Struct, frozen=True):
    """A pattern with its variables replaced.

    Where `certain` is False, a variable's value is not known and `*` stands in its place: the text then matches all
    that the real pattern could match.
    """

    text: str
    certain: bool = True

    def match(self, text: str) -> Truth:
        """Whether it matches the whole text, case-sensitively."""
        if not matches(self.text, text):
            return False
        return True if self.certain else None


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern without variables matches the whole text, case-sensitively."""
    return matcher(pattern)(text)


def matcher(pattern: str) -> Callable[[str], bool]:
    """What tells whether the pattern, one without variables, matches a whole text, case-sensitively."""
    if "?" in pattern or _ESCAPE in pattern:
        expression = _expression(pattern)
        return lambda text: expression.fullmatch(text) is not None
    if "*" not in pattern:
        return pattern.__eq__
    first, *middle, last = pattern.split("*")

    def match(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last):
            return False
        start, end = len(first), len(text) - len(last)
        # The earliest place for each piece leaves the most room for those after it, so nothing is ever tried again.
        for piece in middle:
            found = text.find(piece, start, end)
            if found < 0:
                return False
            start = found + len(piece)
        return start <= end

    return match


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """The same as an expression: each piece between two `*` is an atomic group, so that it never backtracks."""
    pieces = [""]
    for escaped, wildcard, text in _TOKEN.findall(pattern):
        if wildcard == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if wildcard else re.escape(escaped or text)
    first, *others = pieces
    if others:
        *middle, last = others
        first += "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last
    return re.compile(first, re.DOTALL)


def literal(text: str) -> str:
    """The pattern that matches this text and nothing else."""
    return _SYNTAX.sub(_ESCAPE + r"\g<0>", text)


def expand(template: str, variables: Context | None, *, wildcards: bool = True) -> Pattern | None:
    """Replace the policy variables of a text.

    Args:
        template: As the policy has it.
        variables: The request's context; None where the policy's version knows no variables, so that they are text.
        wildcards: Whether `*` and `?` in the template are wildcards. In a variable's value they never are.

    Returns:
        The pattern; None if it matches nothing, because it needs a variable that is known to be absent.
    """
    fixed = str if wildcards else literal
    if variables is None or "${" not in template:
        return Pattern(fixed(template))
    pieces: list[str] = []
    certain, position = True, 0
    for found in _VARIABLE.finditer(template):
        pieces.append(fixed(template[position : found.start()]))
        position = found.end()
        values = _values(found[1], variables)
        if values == ():
            return None
        if values is not None and len(values) == 1:
            pieces.append(literal(values[0]))
        else:
            pieces.append("*")
            certain = False
    pieces.append(fixed(template[position:]))
    return Pattern("".join(pieces), certain)


def _values(reference: str, variables: Context) -> tuple[str, ...] | None:
    """The values of what stands between `${` and `}`, the `}` included; None if it is not known, or not readable."""
    if reference in _ESCAPED_SYNTAX:
        return _ESCAPED_SYNTAX[reference]
    found = _REFERENCE.fullmatch(reference)
    if not found:
        return None
    key, default = found.groups()
    values = variables.get(key.strip().lower())
    return (default,) if values == () and default is not None else values


def resource(pattern: str) -> Callable[[str], Truth]:
    """What tells whether a `Resource` without variables matches an ARN, case-sensitively.

    An ARN with fewer than six parts stands for one with `*` in the others (docs/aws-facts.md §4.6b).
    """
    anywhere = matcher(pattern)
    if pattern == "*" or (pattern.count(":") >= _ARN_PARTS - 1 and not _SYNTAX.search(pattern)):
        return anywhere
    parts = pattern.split(":", _ARN_PARTS - 1)
    complete = len(parts) == _ARN_PARTS
    whole = (*parts, *("*",) * (_ARN_PARTS - len(parts)))

    def match(text: str) -> Truth:
        # Most patterns of a policy match nothing that is asked about: their parts are not looked at.
        if complete and not anywhere(text):
            return False
        return True if _part_by_part(whole, text) else anywhere(text) and None

    return match


def _part_by_part(patterns: Sequence[str], text: str) -> bool:
    parts = text.split(":", _ARN_PARTS - 1)
    return len(parts) == _ARN_PARTS and all(map(matches, patterns, parts))


def resource_with_variables(template: str, text: str, variables: Context | None, *, negated: bool) -> Truth:
    """Whether a `Resource` with policy variables matches an ARN.

    A variable counts after the fifth colon only; before it, it stands for nothing and the text matches no ARN, as with
    a variable that has no value (docs/aws-facts.md §4.6b). `negated`: it stands in a NotResource. AWS does not say
    whether a text that matches nothing leaves such a statement to all resources or makes it void: that is not known.
    """
    if variables is None:
        return resource(template)(text)
    nothing: Truth = None if negated else False
    parts = _DIVIDER.split(template, _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        pattern = expand(template, variables)
        # Where `*` may go past colons, the variable may come after the fifth.
        beyond = "*" in template.partition("${")[0] and pattern is not None and matches(pattern.text, text)
        return None if beyond else nothing
    *head, tail = parts
    pattern = None if any("${" in part for part in head) else expand(tail, variables)
    if pattern is None or (negated and not pattern.certain):
        return nothing
    found = resource(":".join((*head, pattern.text)))(text)
    return found if pattern.certain else found and None
