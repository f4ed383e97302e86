"""The allowlist: documents in which people say what may be granted without asking, what needs a person, what never.

`main` is the administrators' document. Any other is a team's, and holds only within the scope that the
administrators' document `_scopes` gives it, its prohibitions included, so that one team can neither open nor shut
another's doors. All rules of a team's document without a scope count as `ask`.

A document with a mistake is a problem, and while there is one nothing is granted without asking: the mistake may have
hidden a prohibition. What could be read of such a document still counts, so that its prohibitions hold.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.rule import MAIN, SCOPES, Rule, RuleEffect, Scope, Subject

__all__ = ["MAIN", "SCOPES", "Allowlist", "AllowlistError", "Rule", "RuleEffect", "Scope", "Subject", "check", "parse"]

_STRENGTH: Final = {RuleEffect.AUTO: 1, RuleEffect.ASK: 2, RuleEffect.NEVER: 3}


class AllowlistError(ValueError):
    """A mistake in a document: in which, in what line (from 1; None where it cannot be told), and what is wrong."""

    def __init__(self, document: str, line: int | None, message: str) -> None:
        super().__init__(f"{document}, line {line}: {message}" if line else f"{document}: {message}")
        self.document = document
        self.line = line
        self.message = message


class Allowlist(Struct, frozen=True):
    """Every rule, the administrators' first. `problems` says what could not be read: nothing is automatic then."""

    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()

    def strongest(self, subject: Subject) -> Rule | None:
        """The rule that decides: of those that match, the first with the strongest effect."""
        found, strength = None, 0
        for rule in self.rules:
            if _STRENGTH[rule.effect] > strength and rule.matches(subject):
                found, strength = rule, _STRENGTH[rule.effect]
        return found

    def elsewhere(self, subject: Subject) -> Rule | None:
        """The first rule that would grant it without asking, had the call come from the rule's `source_ips`."""
        for rule in self.rules:
            if rule.effect is RuleEffect.AUTO and rule.source_ips and rule.matches_from_anywhere(subject):
                return rule
        return None


def parse(documents: Mapping[str, str], unreadable: Mapping[str, str] | None = None) -> Allowlist:
    """Read the allowlist. Mistakes become problems; nothing is raised.

    Args:
        documents: Each document's text (YAML or JSON) by its name: `main`, `_scopes`, or a team's.
        unreadable: Why, for each document that is there and could not be fetched.
    """
    rules, errors = _parse(documents)
    missing = (f"{name}: {reason}" for name, reason in sorted((unreadable or {}).items()))
    return Allowlist(rules, (*missing, *map(str, errors)))


def check(documents: Mapping[str, str]) -> tuple[AllowlistError, ...]:
    """The mistakes in the documents, each with its place: for those who write them."""
    return _parse(documents)[1]


def _parse(documents: Mapping[str, str]) -> tuple[tuple[Rule, ...], tuple[AllowlistError, ...]]:
    if not documents:
        return (), ()
    from bedrock_remediator.core import rule_documents as read  # noqa: PLC0415  a stack without an allowlist needs none

    scopes, mistakes = read.read_scopes(documents[SCOPES]) if SCOPES in documents else ({}, [])
    errors = [AllowlistError(SCOPES, mistake.line, mistake.message) for mistake in mistakes]
    rules: list[Rule] = []
    for name in sorted(documents.keys() - {SCOPES}, key=lambda name: (name != MAIN, name)):
        found, mistakes = read.read_rules(name, documents[name])
        rules += (_rule(name, values, scopes.get(name)) for values in found)
        errors += (AllowlistError(name, mistake.line, mistake.message) for mistake in mistakes)
    return tuple(rules), tuple(errors)


def _rule(document: str, values: Mapping[str, Any], scope: Scope | None) -> Rule:
    """The rule, with the effect that its document may give it."""
    declared = values["effect"]
    speaks = document == MAIN or scope is not None
    return Rule(
        **{**values, "effect": declared if speaks else RuleEffect.ASK},
        declared=declared,
        document=document,
        scope=scope,
    )
