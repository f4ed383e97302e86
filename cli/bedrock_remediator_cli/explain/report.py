"""An explanation as a person reads it on a terminal."""

from collections.abc import Sequence
from typing import Final

from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bedrock_remediator.core.layers import LAYERS, Effect, Layer
from bedrock_remediator_cli.explain.explanation import Explanation, groups
from bedrock_remediator_cli.explain.proposal import Form
from bedrock_remediator_cli.explain.target import shown_masked
from bedrock_remediator_cli.output import Output, shown

_FIXABLE: Final = {
    True: ("yes", "bold green"),
    False: ("no", "bold red"),
    None: ("perhaps", "bold yellow"),
}
_LEXERS: Final = {"json": "json", "terraform": "terraform", "cloudformation": "yaml", "cdk": "typescript"}
_LABEL: Final = 16
_THEME: Final = "ansi_dark"


def show(output: Output, explanations: Sequence[Explanation], form: Form) -> None:
    """Print the explanations, the same ones once."""
    for place, (each, count) in enumerate(groups(explanations)):
        if place:
            output.say()
        _one(output, each, count, form)


def _one(output: Output, each: Explanation, count: int, form: Form) -> None:
    where = each.refusal.where
    times = f"{count} times, first in " if count > 1 and where else f"{count} times" if count > 1 else ""
    if where or times:
        output.say(times + where, style="dim")
    # Not in a table: an ARN that a table breaks cannot be copied.
    for label, value, style in _facts(each):
        if value:
            output.say(Text.assemble((f"{label:<{_LABEL}}", "dim"), (shown(value), style)))
    output.say()
    for step in each.verdict.steps:
        _step(output, step)
    snippet = each.snippet(form)
    if snippet:
        output.say()
        code = shown(snippet).rstrip("\n")
        # As text: where rich lays code out, it cuts lines that are longer than the terminal is wide.
        output.say(Syntax(code, _LEXERS[form], theme=_THEME, background_color="default").highlight(code))


def _step(output: Output, step: str) -> None:
    """A step; a command that ends it stands on a line of its own, whole."""
    prose, _, command = shown(step).partition(": aws ")
    bullet = Table.grid(padding=(0, 1))
    bullet.add_row(Text("•"), Text(prose + ":" * bool(command), overflow="fold"))
    output.show(Padding(bullet, (0, 0, 0, 2), expand=False))
    if command:
        output.say(f"      aws {command}")


def _facts(each: Explanation) -> list[tuple[str, str, str]]:
    refusal, target = each.refusal, each.target
    said, style = _FIXABLE[each.verdict.fixable]
    resource = shown_masked(refusal.resource or "")
    profile = shown_masked(target.profile) if target and target.profile else ""
    return [
        ("Who", shown_masked(refusal.principal or ""), ""),
        ("Action", refusal.action or "", ""),
        ("Resource", resource, ""),
        ("Denied by", _layer(each), "bold"),
        ("In the policy", shown_masked(refusal.policy_arn or ""), ""),
        ("Profile", profile if profile != resource else "", ""),
        ("modelId to use", shown_masked(each.model_id or ""), "bold"),
        ("A policy helps", f"{said}, says {each.sources['fixable_by_identity_policy']}", style),
    ]


def _layer(each: Explanation) -> str:
    effect = each.refusal.effect
    how = {Effect.IMPLICIT: ": nothing allows it", Effect.EXPLICIT: ": an explicit deny", None: ""}[effect]
    layer = LAYERS[Layer(each.layer)]
    return (layer.phrase or layer.name) + how
