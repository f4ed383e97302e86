"""Editing the policy that grants a principal the model already, as a person following the vendor's guide would do.

The ARNs that are missing go into the statement that lists the model. Where no statement can take them without being
widened in another way (its actions have a wildcard, it has a condition), or where the grant ends, statements of our
own go to the end of the same document. Nothing else in the document changes.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.iam.patterns import matches
from bedrock_remediator.core.policy import MANAGED_LIMIT, Entitlement, PolicyTooLargeError, statements_of
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS, MARK, MODEL, Statement, numbered

NO_ACTIONS: Final = frozenset(
    {
        "bedrock:Converse",
        "bedrock:ConverseStream",
        "bedrock:InvokeModelWithBidirectionalStream",
        "bedrock:StartAsyncInvoke",
        "bedrock:UseInferenceProfile",
    }
)
"""Names that people write into policies and IAM ignores (docs/aws-facts.md §3): another ARN beside them is harmless."""

_PLAIN: Final = frozenset({"Sid", "Effect", "Action", "Resource"})
_INVOKING: Final = frozenset(action.lower() for action in INVOKE_ACTIONS)


class InPlaceEdit(Struct, frozen=True, kw_only=True):
    """A document as it should be.

    `added` is what `retract` takes away again: ARNs put into a statement of the principal's, or the Sids of
    statements of ours. `statement` is the place of the statement that took the ARNs; None where ours were appended.
    """

    document: str
    added: tuple[str, ...]
    statement: int | None


def amend(
    document: Mapping[str, Any],
    entitlement: Entitlement,
    extra_actions: Sequence[str],
    *,
    limit: int = MANAGED_LIMIT,
    ours: Collection[str] = (),
) -> InPlaceEdit | None:
    """Add what an entitlement needs to a policy that grants one of its models. A second time changes nothing.

    Args:
        document: The policy, decoded.
        entitlement: One that ends is never put into a statement that does not.
        extra_actions: A statement may have these beside the invocation actions and still take the ARNs.
        limit: How many characters the document may have.
        ours: What standing grants added to this document (their `added`). The ARNs of it that this one needs too
            count as added by this one as well, so that the last of them to go takes them along.

    Returns:
        The edit; None if the document does not grant any of the models.

    Raises:
        PolicyTooLargeError: There is no room.
        ValueError: As `compile_policies`.
    """
    own = statements_of(entitlement, extra_actions)
    statements = read_statements(document)
    place = None if entitlement.expires_at else _place(statements, entitlement, extra_actions)
    if place is not None:
        edit = _extended(document, place, entitlement, ours)
    elif _grants(document, entitlement):
        edit = _appended(document, own)
    else:
        return None
    if len(edit.document) > limit:
        raise PolicyTooLargeError(len(edit.document), limit)
    return edit


def retract(
    document: Mapping[str, Any],
    added: Collection[str],
    still_needed: Collection[str],
    actions: Collection[str] = INVOKE_ACTIONS,
) -> str | None:
    """Take away what `amend` added.

    Args:
        document: The policy, decoded, as it is now; others may have changed it meanwhile.
        added: Of the edit.
        still_needed: What other standing grants of the same actions added to it (their `added`).
        actions: Of the entitlement.

    Returns:
        The document; None if nothing would be left of it.
    """
    gone = sorted(set(added) - set(still_needed))
    statements = [each for each in read_statements(document) if not (_allows(each) and each.get("Sid") in gone)]
    for arn in gone:
        statements = _without(statements, arn, actions)
    return _text(document, statements) if statements else None


def _place(statements: Sequence[Any], entitlement: Entitlement, extra_actions: Sequence[str]) -> int | None:
    """Where the first statement is that lists one of the models and can take more ARNs."""
    models = {_model(arn) for arn in entitlement.models}
    for place, each in enumerate(statements):
        if _takes_more(each, entitlement.actions, extra_actions) and any(
            _model(arn) in models for arn in as_list(each["Resource"])
        ):
            return place
    return None


def _takes_more(each: Any, actions: Collection[str], extra_actions: Sequence[str]) -> bool:
    """Whether another ARN in the statement's resources would grant these invocation actions on it, and nothing else."""
    if not _lists_invoking(each, actions) or not _is_plain(each):
        return False
    harmless = {action.lower() for action in (*actions, *NO_ACTIONS, *extra_actions)}
    return _actions(each) <= harmless


def _lists_invoking(each: Any, actions: Collection[str]) -> bool:
    """Whether it is somebody else's Allow that has resources and names these of the invocation actions, and no other.

    A grant of one action must not go where it would get the other, nor be taken out where another grant has put both.
    """
    return (
        _allows(each)
        and not _marked(each)
        and "Resource" in each
        and _actions(each) & _INVOKING == {action.lower() for action in actions}
    )


def _is_plain(each: Mapping[str, Any]) -> bool:
    return each.keys() <= _PLAIN


def _actions(each: Mapping[str, Any]) -> set[str]:
    """In small letters, since IAM reads actions without regard to case."""
    return {str(action).lower() for action in as_list(each.get("Action", ()))}


def _resources_invoked(each: Any, actions: Collection[str]) -> list[Any]:
    """The resources on which somebody else's statement allows these invocation actions without a condition."""
    if not _allows(each) or _marked(each) or not _is_plain(each):
        return []
    wanted = [action.lower() for action in actions]
    granted = all(any(matches(action, invoking) for action in _actions(each)) for invoking in wanted)
    return as_list(each.get("Resource", ())) if granted else []


def _grants(document: Mapping[str, Any], entitlement: Entitlement) -> bool:
    """Whether a statement of the document allows an invocation of one of the models, if only under a condition."""
    holdings = Holdings(policies=(Policy(name="", kind=PolicyKind.MANAGED, document=document),))
    findings = [
        evaluate(holdings, Request(action, arn, {})) for action in entitlement.actions for arn in entitlement.models
    ]
    # A document that cannot be read is conditional too, but then there is no statement to show for it.
    return any(each.verdict in (Verdict.ALLOWED, Verdict.CONDITIONAL) and each.statement for each in findings)


def _extended(document: Mapping[str, Any], place: int, entitlement: Entitlement, ours: Collection[str]) -> InPlaceEdit:
    """The missing ARNs put into a statement. What the document grants as freely elsewhere is not missing."""
    statements = read_statements(document)
    listed = [pattern for each in statements for pattern in _resources_invoked(each, entitlement.actions)]
    missing = [arn for arn in entitlement.resources if not any(matches(str(pattern), arn) for pattern in listed)]
    chosen = statements[place]
    statements[place] = {**chosen, "Resource": [*as_list(chosen["Resource"]), *missing]}
    return InPlaceEdit(
        document=_text(document, statements),
        added=tuple(arn for arn in entitlement.resources if arn in missing or arn in ours),
        statement=place,
    )


def _appended(document: Mapping[str, Any], own: Sequence[Statement]) -> InPlaceEdit:
    """Our statements put at the end, but for those that are there already."""
    statements = read_statements(document)
    sids: list[str] = []
    for statement in own:
        wanted = msgspec.json.decode(msgspec.json.encode(statement))
        present = next((each["Sid"] for each in statements if _marked(each) and _same(each, wanted)), None)
        if present is None:
            taken = [str(each.get("Sid")) for each in statements if isinstance(each, Mapping)]
            present = numbered(f"{MARK}{statement.sid}", taken)
            statements.append({**wanted, "Sid": present})
        sids.append(present)
    return InPlaceEdit(document=_text(document, statements), added=tuple(sids), statement=None)


def _without(statements: Sequence[Any], arn: str, actions: Collection[str]) -> list[Any]:
    """The statements with the ARN gone from the one it was put into; that another lists it is somebody else's doing."""
    listing = [
        place
        for place, each in enumerate(statements)
        if _lists_invoking(each, actions) and arn in as_list(each["Resource"])
    ]
    if not listing:
        return list(statements)
    place = min(listing, key=lambda place: not _is_plain(statements[place]))
    rest = [other for other in as_list(statements[place]["Resource"]) if other != arn]
    # An Allow of nothing is not valid everywhere; without it the policy says the same.
    shorter = [{**statements[place], "Resource": rest}] if rest else []
    return [*statements[:place], *shorter, *statements[place + 1 :]]


def _allows(each: Any) -> bool:
    return isinstance(each, Mapping) and each.get("Effect") == "Allow"


def _marked(each: Any) -> bool:
    """Whether the statement bears the mark of those that we append to other people's documents."""
    return isinstance(each, Mapping) and str(each.get("Sid")).startswith(MARK)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {**one, "Sid": None} == {**other, "Sid": None}


def _model(arn: Any) -> tuple[str, str] | None:
    """The partition and the name of a foundation model, whatever its region; None if it is no such ARN."""
    found = MODEL.fullmatch(arn) if isinstance(arn, str) else None
    return (found[1], found[3]) if found else None


def read_statements(document: Mapping[str, Any]) -> list[Any]:
    """The statements of a policy document, which may give a single one without a list."""
    return as_list(document.get("Statement", ()))


def as_list(value: Any) -> list[Any]:
    """What a policy may give as one or as a list, as a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(document: Mapping[str, Any], statements: Sequence[Any]) -> str:
    """The document's text without white space, its keys in the order they have; not escaped, since IAM counts."""
    return json.dumps({**document, "Statement": statements}, ensure_ascii=False, separators=(",", ":"))
