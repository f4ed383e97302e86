"""The allowlist: documents in which people say what may be granted without asking, what needs a person, what never.

`main` is the administrators' document. Any other is a team's, and holds only within the scope that the
administrators' document `_scopes` gives it, its prohibitions included, so that one team can neither open nor shut
another's doors. A document without a scope concerns nobody.

A document with a mistake is a problem, since the mistake may have hidden a prohibition. While there is one in `main` or
`_scopes` nothing is granted without asking, and while there is one in a team's document nothing within its scope is.
What could be read of such a document still counts, so that its prohibitions hold.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.allowlist.rules import MAIN, SCOPES, Rule, RuleEffect, Scope, Subject

_STRENGTH: Final = {RuleEffect.AUTO: 1, RuleEffect.ASK: 2, RuleEffect.NEVER: 3}


class AllowlistError(ValueError):
    """A mistake in a document: in which, in what line (from 1; None where it cannot be told), and what is wrong."""

    def __init__(self, document: str, line: int | None, message: str) -> None:
        super().__init__(f"{document}, line {line}: {message}" if line else f"{document}: {message}")
        self.document = document
        self.line = line
        self.message = message


class Gap(Struct, frozen=True):
    """What could not be read of a team's document, and the scope within which nothing is automatic therefore."""

    scope: Scope
    problem: str


class Allowlist(Struct, frozen=True, kw_only=True):
    """Every rule, the administrators' first, and what could not be read.

    While there are `problems` nothing is automatic, and within the scope of a gap nothing is. `strays` tells of
    documents that concern nobody, since they have no scope. `fetched` is False where Parameter Store did not answer:
    that says nothing of what the documents hold.
    """

    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    strays: tuple[str, ...] = ()
    fetched: bool = True

    @property
    def alerts(self) -> tuple[str, ...]:
        """All that somebody has to put right, the gravest first."""
        return (*self.problems, *(gap.problem for gap in self.gaps), *self.strays)

    def problem_about(self, subject: Subject) -> str | None:
        """Why no rule applies to this by itself; None where nothing that concerns it was lost."""
        if self.problems:
            return self.problems[0]
        return next((gap.problem for gap in self.gaps if gap.scope.covers(subject, every=False)), None)

    def strongest(self, subject: Subject) -> Rule | None:
        """The rule that decides: of those that match, the first with the strongest effect."""
        found, strength = None, 0
        for rule in self.rules:
            if _STRENGTH[rule.effect] > strength and rule.matches(subject):
                found, strength = rule, _STRENGTH[rule.effect]
        return found

    def elsewhere(self, subject: Subject) -> Rule | None:
        """The first rule that would grant it without asking, had the call come from where the rule says."""
        for rule in self.rules:
            if rule.effect is RuleEffect.AUTO and rule.matches_from_elsewhere(subject):
                return rule
        return None


def parse(
    documents: Mapping[str, str],
    unreadable: Mapping[str, str] | None = None,
    versions: Mapping[str, int | None] | None = None,
) -> Allowlist:
    """Read the allowlist. Mistakes become problems; nothing is raised.

    Args:
        documents: Each document's text (YAML or JSON) by its name: `main`, `_scopes`, or a team's.
        unreadable: Why, for each document that is there and could not be fetched.
        versions: The version of each in Parameter Store.
    """
    rules, scopes, errors = _parse(documents, versions or {})
    lost = [(name, f"{name}: {reason}") for name, reason in sorted((unreadable or {}).items())]
    lost += ((error.document, str(error)) for error in errors)
    theirs = {name for name, _ in lost if _is_administrators(name)}
    stray = (documents.keys() | (unreadable or {}).keys()) - scopes.keys()
    return Allowlist(
        rules=rules,
        problems=tuple(text for name, text in lost if name in theirs),
        gaps=tuple(Gap(scopes[name], text) for name, text in lost if name in scopes and name not in theirs),
        # With a scope that was lost they may well have had one.
        strays=() if SCOPES in theirs else tuple(map(_stray, sorted(n for n in stray if not _is_administrators(n)))),
        fetched=not unreadable,
    )


def check(documents: Mapping[str, str]) -> tuple[AllowlistError, ...]:
    """The mistakes in the documents, each with its place: for those who write them."""
    return _parse(documents, {})[2]


def warnings(documents: Mapping[str, str]) -> tuple[AllowlistError, ...]:
    """What is no mistake and may not do what its author means, each with its place: for those who write them."""
    from bedrock_remediator.core.allowlist import documents as read  # noqa: PLC0415  as in `_parse`

    return tuple(
        AllowlistError(name, each.line, each.message)
        for name in sorted(documents.keys() - {SCOPES})
        for each in read.read_warnings(documents[name])
    )


def _is_administrators(name: str) -> bool:
    """Whether a document is the administrators', or may have been meant to be, or all of them are meant."""
    return name == MAIN or not name or name[0] in "_/"


def _stray(name: str) -> str:
    return f"{name}: this document has no scope in {SCOPES}, so its rules concern nobody"


def _parse(
    documents: Mapping[str, str], versions: Mapping[str, int | None]
) -> tuple[tuple[Rule, ...], Mapping[str, Scope], tuple[AllowlistError, ...]]:
    if not documents:
        return (), {}, ()
    from bedrock_remediator.core.allowlist import documents as read  # noqa: PLC0415  a stack without an allowlist needs none

    scopes, mistakes = read.read_scopes(documents[SCOPES]) if SCOPES in documents else ({}, [])
    errors = [AllowlistError(SCOPES, mistake.line, mistake.message) for mistake in mistakes]
    rules: list[Rule] = []
    for name in sorted(documents.keys() - {SCOPES}, key=lambda name: (name != MAIN, name)):
        found, mistakes = read.read_rules(name, documents[name])
        errors += (AllowlistError(name, mistake.line, mistake.message) for mistake in mistakes)
        if name == MAIN or name in scopes:
            version, scope = versions.get(name), scopes.get(name)
            rules += (Rule(**values, document=name, version=version, scope=scope) for values in found)
    return tuple(rules), scopes, tuple(errors)
