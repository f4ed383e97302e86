"""docs/operating.md, held to the command that it describes."""

import re
import shlex
from pathlib import Path
from typing import Final

import click
import pytest

from bedrock_remediator_cli.explain.explanation import explain
from bedrock_remediator_cli.explain.refusals import heard
from bedrock_remediator_cli.explain.samples import Sample
from bedrock_remediator_cli.program import COMMANDS, cli

DOCS: Final = Path(__file__).parents[3] / "docs"
PAGE: Final = (DOCS / "operating.md").read_text(encoding="utf-8")
TYPED: Final = re.findall(r"^\$ bedrock-remediator (.+)$", PAGE, re.MULTILINE)


def test_it_has_ten_tasks() -> None:
    """Numbered, and each in the table at the top."""
    tasks = re.findall(r"^## (\d+)\. (.+)$", PAGE, re.MULTILINE)
    assert [number for number, _ in tasks] == [str(each) for each in range(1, 11)]
    assert re.findall(r"^\| (\d+) \| \[(.+?)\]", PAGE, re.MULTILINE) == tasks


@pytest.mark.parametrize("line", TYPED)
def test_what_is_to_be_typed_is_understood(line: str) -> None:
    """Each line's command and options are there, and their values are of the right kind."""
    words = shlex.split(line, comments=True)
    words = words[: words.index(">")] if ">" in words else words
    group, context = cli, click.Context(cli)
    while True:
        command = group.get_command(context, words[0])
        if words == ["--help"]:
            return
        assert command, words[0]
        words = words[1:]
        if not isinstance(command, click.Group):
            break
        group = command  # type: ignore[assignment]
    command.make_context(command.name, words, parent=context)


def test_every_command_has_its_place() -> None:
    """No command is left out."""
    assert {line.split()[0] for line in TYPED} >= set(COMMANDS)


def test_every_field_of_explain_is_explained() -> None:
    """The table of `--json` names them all, and nothing else."""
    (refusal,) = heard([Sample(where="", text="no refusal")])
    table = PAGE.split("| field of `--json` | holds |")[1].split("\n\n")[0]
    named = {
        name for line in re.findall(r"^\| (`[^|]+)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert named == set(explain(refusal).fields("json"))
