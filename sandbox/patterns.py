"""Wildcards and policy variables, as IAM reads them in the text of a policy.

`*` is any number of characters, `?` exactly one. `${key}` stands for the request's value of a condition key, and
`${*}`, `${?}`, `${$}` for the characters themselves; what a variable stands for is never a wildcard.

Where AWS's pages leave open what a text matches, it is the `doubt` of whoever asks that decides: False for what lets
something pass, True for what stops it (docs/aws-facts.md §4.6b).
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

Values = Mapping[str, tuple[str, ...]]

_PIECE = re.compile(r"\$\{([^}]*)\}|(\*)|(\?)|([^*?$]+|\$)")
_DEFAULT = re.compile(r"\s*([^,]+?)\s*,\s*'(.*)'\s*")
_ARN_PARTS = 6


class UnresolvedVariableError(Exception):
    """A policy variable has no value in this request; `key` is the condition key, in lower case."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Text(Struct, frozen=True):
    """A policy's text with its variables put in: a list of literals, and `*` and `?` as wildcards."""

    pieces: tuple[tuple[str, bool], ...]
    """Each piece is its text, and whether it is a wildcard."""

    def expression(self) -> re.Pattern[str]:
        """The compiled pattern; use `fullmatch`."""
        return _compiled(self.pieces)

    def literal(self) -> str:
        """The text itself, wildcards as they stand, for operators that know none."""
        return "".join(text for text, _ in self.pieces)


@functools.lru_cache(maxsize=4096)
def _compiled(pieces: tuple[tuple[str, bool], ...]) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild[text] if wildcard else re.escape(text) for text, wildcard in pieces), re.DOTALL)


def resolve(pattern: str, context: Values, *, variables: bool = True) -> Text:
    """Put the request's values into a policy's text.

    `variables` is False for documents of the version 2008-10-17, which know none.

    Raises:
        UnresolvedVariableError: A variable without a default has no value, or several.
    """
    return _resolved(pattern, context, variables=variables) if "$" in pattern else _constant(pattern)


@functools.lru_cache(maxsize=4096)
def _constant(pattern: str) -> Text:
    """A text in which no variable can be: the same for every request."""
    return _resolved(pattern, {}, variables=False)


def _resolved(pattern: str, context: Values, *, variables: bool) -> Text:
    pieces: list[tuple[str, bool]] = []
    for found in _PIECE.finditer(pattern):
        variable, star, question, plain = found.groups()
        if star or question:
            pieces.append((found[0], True))
        elif variable is None:
            pieces.append((plain, False))
        elif not variables:
            pieces.extend((part, part in "*?") for part in found[0])
        else:
            pieces.append((_value(variable, context), False))
    return Text(tuple(pieces))


def _value(variable: str, context: Values) -> str:
    if variable in ("*", "?", "$"):
        return variable
    defaulted = _DEFAULT.fullmatch(variable)
    key = (defaulted[1] if defaulted else variable.strip()).lower()
    values = context.get(key, ())
    if len(values) == 1:
        return values[0]
    if defaulted:
        return defaulted[2]
    raise UnresolvedVariableError(key)


def like(pattern: Text) -> Callable[[str], bool]:
    """Whether a value matches the whole pattern, case and all."""
    expression = pattern.expression()
    return lambda value: expression.fullmatch(value) is not None


def arn_like(pattern: Text) -> Callable[[str], bool]:
    """Whether an ARN matches part by part: here a wildcard does not cross the first five colons."""
    return _part_by_part(_arn_parts(pattern))


def resource_like(pattern: str, context: Values, *, variables: bool, doubt: bool) -> Callable[[str], bool]:
    """Whether an ARN matches a `Resource`: part by part, and across parts if there is doubt.

    Raises:
        UnresolvedVariableError: A variable without a default has no value, or stands before the fifth colon.
    """
    if pattern == "*":
        return lambda _: True
    written = _split(pattern) if variables else pattern.split(":", _ARN_PARTS - 1)
    early = next((part for part in written[: _ARN_PARTS - 1] if "${" in part), None)
    if variables and early is not None:
        raise UnresolvedVariableError(early)
    texts = [resolve(part, context, variables=variables).pieces for part in written]
    exact = _part_by_part([*texts, *([_STAR] * (_ARN_PARTS - len(texts)))])
    if not doubt:
        return exact
    anywhere = like(resolve(pattern, context, variables=variables))
    return lambda value: exact(value) or anywhere(value)


_STAR = (("*", True),)


def _split(pattern: str) -> list[str]:
    """An ARN's parts; a colon between the braces of a variable divides nothing."""
    parts, depth = [""], 0
    for place, character in enumerate(pattern):
        depth += pattern.startswith("${", place)
        depth -= character == "}" and depth > 0
        if character == ":" and not depth and len(parts) < _ARN_PARTS:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _part_by_part(parts: Sequence[tuple[tuple[str, bool], ...]]) -> Callable[[str], bool]:
    expressions = [Text(part).expression() for part in parts]

    def matches(value: str) -> bool:
        values = value.split(":", _ARN_PARTS - 1)
        return len(values) == len(expressions) == _ARN_PARTS and all(
            expression.fullmatch(text) for expression, text in zip(expressions, values, strict=True)
        )

    return matches


def _arn_parts(pattern: Text) -> list[tuple[tuple[str, bool], ...]]:
    parts: list[list[tuple[str, bool]]] = [[]]
    for text, wildcard in pattern.pieces:
        if wildcard:
            parts[-1].append((text, True))
            continue
        head, *rest = text.split(":", _ARN_PARTS - len(parts))
        parts[-1].append((head, False))
        parts.extend([(piece, False)] for piece in rest)
    return [tuple(part) for part in parts]
