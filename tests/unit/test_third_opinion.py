"""Both evaluators against a table of what AWS answers, worked out by hand from AWS's documentation.

`tests/corpus/policies.yaml` knows neither evaluator; `docs/reliability.md` has its counts and what it found.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bedrock_remediator.core.iam.evaluation import Finding, Holdings, Policy, PolicyKind, Request, Verdict
from bedrock_remediator.core.iam.evaluation import evaluate as decide
from bedrock_remediator.core.iam.patterns import Context
from sandbox.evaluator import Ask, Decision, Source, evaluate

TABLE: Final = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "policies.yaml").read_text(encoding="utf-8"))
ROWS: Final[list[dict[str, Any]]] = TABLE["rows"]
MODEL: Final = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0"
ALLOW: Final = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "*"}
EVERYTHING: Final = {"Effect": "Allow", "Action": "*", "Resource": "*"}
LEAST: Final = 300

Row = Mapping[str, Any]
Document = dict[str, Any]


class Keys(dict[str, tuple[str, ...]]):
    """The keys of a request of which everything is known: one that is not there is absent."""

    def get(self, key: str, default: Any = ()) -> Any:
        """The key's values, none if it is absent."""
        return super().get(key, () if default is None else default)


def documents(row: Row) -> tuple[Document, Document | None, list[Document]]:
    """The principal's policy, its boundary, and the service control policies."""
    version = {"Version": row.get("version", "2012-10-17")}
    if row.get("version", "") is None:
        version = {}

    def document(found: Any) -> Document:
        return {**version, "Statement": found}

    if "condition" in row:
        own: Any = [{**ALLOW, "Condition": row["condition"]}]
    elif "deny_if" in row:
        own = [ALLOW, {**ALLOW, "Effect": "Deny", "Condition": row["deny_if"]}]
    else:
        own = row["statements"]
    boundary = document(row["boundary"]) if "boundary" in row else None
    return document(own), boundary, [document(each) for each in row.get("scps", ())]


def keys(row: Row) -> Keys:
    """The request's keys in lower case, every value of each as a tuple."""
    known = Keys()
    for name, value in row.get("keys", {}).items():
        listed = value if isinstance(value, list) else [] if value is None else [value]
        known[name.lower()] = tuple(listed)
    return known


def request_of(row: Row) -> tuple[str, str]:
    """The action and the resource."""
    return row.get("action", "bedrock:InvokeModel"), row.get("resource", MODEL)


def ours(row: Row, context: Context) -> list[Finding]:
    """What the service's evaluator says: of the policy within its boundary, and of the organization's policies."""
    own, boundary, scps = documents(row)

    def policy(name: str, document: Document) -> Policy:
        return Policy(name=name, kind=PolicyKind.MANAGED, document=document)

    layers = [Holdings(policies=(policy("own", own),), boundary=policy("boundary", boundary) if boundary else None)]
    if "scps" in row:
        full = {"Version": "2012-10-17", "Statement": [EVERYTHING]}
        layers.append(Holdings(policies=tuple(policy("scp", document) for document in [full, *scps])))
    return [decide(layer, Request(*request_of(row), context)) for layer in layers]


def combined(found: Sequence[Finding]) -> str:
    """One answer of several layers, as the table words it; what is not sure is `conditional`."""
    if any(each.verdict is Verdict.DENIED for each in found):
        return "explicit_deny"
    if any(each.verdict is Verdict.NOT_ALLOWED or each.unmet for each in found):
        return "implicit_deny"
    return "conditional" if any(each.verdict is Verdict.CONDITIONAL for each in found) else "allowed"


def sandboxes(row: Row) -> str:
    """What the sandbox's evaluator says: a Deny of any layer, else an Allow of all of them."""
    own, boundary, scps = documents(row)
    layers = [[own]]
    if boundary:
        layers.append([boundary])
    if "scps" in row:
        layers.append([{"Version": "2012-10-17", "Statement": [EVERYTHING]}, *scps])
    action, resource = request_of(row)
    # A key that is absent is not in the sandbox's context at all.
    given = {key: values for key, values in keys(row).items() if values}
    ask = Ask(action=action, resource=resource, context=given)
    answers = [
        evaluate([Source(id="p", type="IAM Policy", document=document) for document in layer], ask).decision
        for layer in layers
    ]
    if Decision.EXPLICIT_DENY in answers:
        return "explicit_deny"
    return "allowed" if all(answer is Decision.ALLOWED for answer in answers) else "implicit_deny"


def named(rows: Sequence[Row]) -> list[Any]:
    """The rows as a test's parameters, each named by its page and rule."""
    return [pytest.param(row, id=f"{row['page']}: {row['rule']}") for row in rows]


@pytest.mark.parametrize("row", named([row for row in ROWS if row["answer"] != "open"]))
def test_ours_answers_as_aws_does(row: Row) -> None:
    """With every key known, the service's evaluator is sure, and right."""
    assert combined(ours(row, keys(row))) == row["answer"]


@pytest.mark.parametrize("row", named([row for row in ROWS if row["answer"] == "open"]))
def test_ours_is_not_sure_where_aws_does_not_say(row: Row) -> None:
    """What AWS's pages leave open is for a person."""
    assert combined(ours(row, keys(row))) == "conditional"


@pytest.mark.parametrize("row", named([row for row in ROWS if "unknown" in row]))
def test_ours_is_not_sure_of_what_is_not_known(row: Row) -> None:
    """The same row without its keys: nothing is decided by what is not known."""
    found = combined(ours(row, {}))
    assert {"implicit_deny": "not_allowed"}.get(found, found) == row["unknown"]


@pytest.mark.parametrize("row", named(ROWS))
def test_the_sandbox_answers_as_aws_does(row: Row) -> None:
    """The sandbox's evaluator is right too; where AWS does not say, it takes the stricter."""
    strict = "explicit_deny" if _denies(row) else "implicit_deny"
    assert sandboxes(row) == (strict if row["answer"] == "open" else row["answer"])


def _denies(row: Row) -> bool:
    own, _, _ = documents(row)
    found = own["Statement"]
    return any(statement["Effect"] == "Deny" for statement in (found if isinstance(found, list) else [found]))


def test_the_table_is_large_and_complete() -> None:
    """It has its rows, each its page, and every condition operator stands in it alone and with `IfExists`."""
    assert len(ROWS) >= LEAST
    assert {row["page"] for row in ROWS} == set(TABLE["pages"])
    text = str(ROWS)
    words: Callable[[str, Sequence[str]], list[str]] = lambda kind, ends: [f"{kind}{end}" for end in ends]  # noqa: E731
    ordered = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    operators = [
        *words("String", ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")),
        *words("Numeric", ordered),
        *words("Date", ordered),
        *words("Arn", ("Equals", "NotEquals", "Like", "NotLike")),
        *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
    ]
    assert [each for each in operators if f"'{each}'" not in text] == []
    assert [each for each in ("IfExists'", "'ForAllValues:", "'ForAnyValue:") if each not in text] == []


def test_the_page_has_the_counts() -> None:
    """docs/reliability.md says how many rows there are, how many are asked twice, and how many AWS leaves open."""
    text = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    twice = sum("unknown" in row for row in ROWS)
    left_open = sum(row["answer"] == "open" for row in ROWS)
    assert f"{len(ROWS)} rows of policies" in text
    assert f"{twice} rows are asked of" in text
    assert f"Of {left_open} rows AWS's pages do not say" in text
