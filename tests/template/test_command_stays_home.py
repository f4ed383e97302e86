"""The operator's command is for a person's machine: nothing that is deployed holds it."""

import json
from pathlib import Path
from typing import Any

import yaml


class _Tags(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


_Tags.add_multi_constructor(
    "!", lambda loader, _, node: loader.construct_yaml_str(node) if isinstance(node, yaml.ScalarNode) else None
)


def test_what_is_shipped_to_lambda_does_not_hold_the_command(root: Path) -> None:
    """No CodeUri and no ContentUri of the template is, or lies in or around, the folder of the command."""
    template: dict[str, Any] = yaml.load((root / "template.yaml").read_text(encoding="utf-8"), _Tags)  # noqa: S506 - a SafeLoader
    shipped = {
        value
        for resource in template["Resources"].values()
        for key, value in resource.get("Properties", {}).items()
        if key in ("CodeUri", "ContentUri") and isinstance(value, str)
    }
    assert shipped, "the template ships nothing, so this test looks at the wrong place"
    command = (root / "cli").resolve()
    for each in shipped:
        folder = (root / each).resolve()
        assert folder != command
        assert command not in folder.parents
        assert folder not in command.parents


def test_nothing_that_is_shipped_imports_the_command(root: Path) -> None:
    """Neither the layer nor a function knows its name."""
    for folder in ("layers", "functions"):
        for source in (root / folder).rglob("*.py"):
            assert "bedrock_remediator_cli" not in source.read_text(encoding="utf-8"), source


def test_the_layer_s_requirements_hold_no_terminal_library(root: Path) -> None:
    """What only a terminal needs is not locked for Lambda."""
    locked = (root / "layers" / "remediator" / "requirements.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in locked.splitlines() if "==" in line}
    assert names.isdisjoint({"click", "rich"}), json.dumps(sorted(names))
