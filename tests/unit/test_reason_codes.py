"""docs/reason-codes.md lists every reason code that the code can give a row, and no other.

The codes are read from the source: every argument that goes to a parameter or a field named `code`, whether it stands
there as text, comes from a conditional, or is looked up in a table of the module.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bedrock_remediator.notices.notice import ALERTING, QUIET
from bedrock_remediator.notices.remedies import BY_CODE
from bedrock_remediator.notices.wording import REPORTS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/remediator/bedrock_remediator"
PAGE = ROOT / "docs/reason-codes.md"
HANDED_ON = frozenset({"code", "reason_code", "value"})
"""Attributes that hold a code which was made elsewhere."""
OTHER_CODES = frozenset({"approval/api.py", "web/sign_in.py"})
"""Modules that make no row, and whose `code` is another: that of an API's refusal, and that of OAuth."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[ast.Module]:
    """The modules that make codes."""
    for layer in ("core", "flows"):
        for path in sorted((PACKAGE / layer).rglob("*.py")):
            if path.relative_to(PACKAGE / layer).as_posix() not in OTHER_CODES:
                yield ast.parse(path.read_text(), str(path))


def takers(trees: list[ast.Module]) -> dict[str, int]:
    """What takes a code: name of the function or class -> place of `code` among the arguments."""
    found: dict[str, int] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ClassDef):
            fields = [name_of(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
            makers = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
            names: list[str | None] = parameters(makers[0]) if makers else fields
        elif isinstance(node, ast.FunctionDef) and node.name != "__init__":
            names = parameters(node)
        else:
            continue
        if "code" in names:
            found[node.name] = names.index("code")
    return found


def parameters(function: Function) -> list[str | None]:
    """The names of the parameters that a call gives."""
    return [argument.arg for argument in function.args.args if argument.arg != "self"]


def name_of(node: ast.AST) -> str | None:
    """The last part of a name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


class Reader:
    """Reads the codes that expressions of one module can be."""

    def __init__(self, tree: ast.Module) -> None:
        self._tables = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }

    def codes(self, node: ast.expr, function: Function | None) -> set[str]:
        """The codes that an expression inside a function can be.

        Raises:
            AssertionError: That cannot be told: write the code more plainly, or teach this test.
        """
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value} - {""}
        if isinstance(node, ast.Name):
            return self._named(node.id, function)
        if isinstance(node, ast.Attribute) and node.attr in HANDED_ON:
            return set()
        return {code for part in alternatives(node) for code in self.codes(part, function)}

    def _named(self, name: str, function: Function | None) -> set[str]:
        if name in self._tables:
            return self.codes(self._tables[name], None)
        assert function is not None, name
        if name in {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}:
            return set()
        assigned = list(assignments(function, name))
        assert assigned, f"{function.name}: where does {name!r} come from?"
        return {code for value in assigned for code in self.codes(value, function)}


def alternatives(node: ast.expr) -> list[ast.expr]:
    """The expressions that an expression chooses among; of a tuple, the first part, since a code comes first."""
    match node:
        case ast.Tuple(elts=[first, *_]):
            return [first]
        case ast.Dict(values=values) | ast.BoolOp(values=values):
            return list(values)
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, *otherwise]):
            return [table, *otherwise]
    raise AssertionError(f"line {node.lineno}: which codes can {ast.unparse(node)!r} be?")


def assignments(function: Function, name: str) -> Iterator[ast.expr]:
    """What is assigned to a name, or to a tuple whose first part it is."""
    for node in ast.walk(function):
        if isinstance(node, ast.NamedExpr) and node.target.id == name:
            yield node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                first = target.elts[0] if isinstance(target, ast.Tuple) else target
                if name_of(first) == name:
                    yield node.value


def calls(node: ast.AST, function: Function | None = None) -> Iterator[tuple[ast.Call, Function | None]]:
    """Every call, with the function that it stands in."""
    for child in ast.iter_child_nodes(node):
        inside = child if isinstance(child, Function) else function
        if isinstance(child, ast.Call):
            yield child, inside
        yield from calls(child, inside)


def codes_in_source() -> set[str]:
    """Every code that the source can give."""
    trees = list(modules())
    places = takers(trees)
    return {
        code
        for tree in trees
        for call, function in calls(tree)
        for argument in arguments(call, places)
        for code in Reader(tree).codes(argument, function)
    }


def arguments(call: ast.Call, places: Mapping[str, int]) -> Iterator[ast.expr]:
    """What the call gives for `code`, or for a row's `reason_code`."""
    place = places.get(name_of(call.func) or "")
    if place is not None and place < len(call.args):
        yield call.args[place]
    for keyword in call.keywords:
        if keyword.arg in ("code", "reason_code"):
            yield keyword.value


def codes_on_page() -> list[str]:
    """The codes in the tables of the page, in order."""
    return re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def source() -> set[str]:
    """The codes of the source."""
    return codes_in_source()


def test_the_page_lists_every_code_of_the_source_and_no_other(source: set[str]) -> None:
    """A new code comes with its line on the page, and a line goes when its code does."""
    page = set(codes_on_page())
    assert source - page == set(), "codes without a line in docs/reason-codes.md"
    assert page - source == set(), "lines in docs/reason-codes.md whose code is gone"


def test_the_page_lists_each_code_once() -> None:
    """What a code means stands in one place."""
    listed = codes_on_page()
    assert sorted(set(listed)) == sorted(listed)


def test_codes_of_every_way_to_make_one_are_found(source: set[str]) -> None:
    """Text, a conditional, a table, a table's default, a fallback and an argument of a method are all read."""
    assert source >= {
        "missing_grant",
        "model_or_profile",
        "root_user",
        "caller_without_policy",
        "layer_unknown",
        "did_not_help",
        "message_truncated",
        "limit_exceeded",
    }


def test_notices_have_words_only_for_codes_that_there_are(source: set[str]) -> None:
    """Advice under a code that nothing gives would never be read."""
    assert set(BY_CODE) | ALERTING | QUIET | set(REPORTS) <= source
