"""Draws what the operator's command prints on a terminal: `make pictures`.

Each picture is a session in a sandbox (`sandbox/`), so it shows what the command of this very tree answers. Colours are
there for light and for dark, nothing is fetched from anywhere, and a title says in words what is to be seen.
"""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from click.testing import CliRunner
from msgspec import Struct
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bedrock_remediator_cli.output import Output
from bedrock_remediator_cli.program import cli
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
WIDTH: Final = 112

_FORMAT: Final = """<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}">
<title>TITLE</title>
<desc>DESCRIPTION</desc>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
STYLES
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
<rect class="{unique_id}-back" width="100%" height="100%" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def _theme(back: int, front: int, *colors: int) -> TerminalTheme:
    """A terminal's colours: eight, and the same eight brighter."""
    ground, *rest = [((each >> 16) & 255, (each >> 8) & 255, each & 255) for each in (back, front, *colors)]
    return TerminalTheme(ground, rest[0], rest[1:9], rest[9:])


_LIGHT: Final = _theme(
    0xFFFFFF, 0x1F2328,
    0x24292F, 0xB3202C, 0x116329, 0x6B4400, 0x0757B0, 0x6F3FC4, 0x0F6A70, 0x5F6873,
    0x57606A, 0x98101F, 0x17692F, 0x633C01, 0x0B62C4, 0x7A4BD0, 0x1B6E80, 0x6A727C,
)  # fmt: skip
_DARK: Final = _theme(
    0x0D1117, 0xE6EDF3,
    0x6E7681, 0xFF7B72, 0x4FC163, 0xD9A32E, 0x67AEFF, 0xC297FF, 0x45CDD6, 0xB1BAC4,
    0x8B949E, 0xFFA198, 0x62DB70, 0xE3B341, 0x82C5FF, 0xD2A8FF, 0x5ED9E2, 0xFFFFFF,
)  # fmt: skip
_ONLY_STYLES: Final = "{styles}"

PASTED: Final = (
    "AccessDeniedException: User: arn:aws:sts::****:assumed-role/llm-app/web-1 is not auth\n"
    "orized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1:****:in\n"
    "ference-profile/us.amazon.nova-2-lite-v1:0 because no identity-based policy allows th\n"
    "e bedrock:InvokeModel action"
)
_RULES: Final = """version: 1
rules:
  - name: nova-for-developers
    effect: auto
    principals: ["arn:aws:iam::*:user/nova-*"]
    profiles: ["us.amazon.nova-*"]
  - name: nothing-global
    effect: never
    profiles: ["global.*"]
"""


class Picture(Struct, frozen=True, kw_only=True):
    """A session: what is typed (shown as `shown` where that reads better), and what is prepared for it."""

    name: str
    title: str
    words: Sequence[str]
    shown: str = ""
    given: str | None = None
    options: Options = Options()
    prepare: Callable[[Sandbox], None] = lambda _: None


def _doctor(sandbox: Sandbox) -> None:
    sandbox.description.pending.add("ops@example.com")


def _trail(sandbox: Sandbox) -> None:
    for name in ("geographic-profile", "service-control-policy", "wrong-prefix"):
        event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
        sandbox.trail.records.append(event["detail"])


PICTURES: Final = (
    Picture(
        name="cli-help",
        title="The commands of bedrock-remediator, with what each does",
        words=("--help",),
    ),
    Picture(
        name="cli-explain",
        title="An error pasted from a terminal, wrapped and with masked account ids, and the policy that would help",
        words=("explain", "--offline", "-"),
        shown="pbpaste | bedrock-remediator explain -",
        given=PASTED,
    ),
    Picture(
        name="cli-explain-terraform",
        title="A CloudTrail record explained with what AWS says, and the policy as Terraform",
        words=("explain", "events/geographic-profile.json", "--as", "terraform"),
    ),
    Picture(
        name="cli-allowlist",
        title="Denials held against the rules of the allowlist: which rule decides, and what",
        words=(
            "allowlist",
            "test",
            "main.yaml",
            *(f"--event=events/{name}.json" for name in ("geographic-profile", "wrong-prefix", "sso-role")),
        ),
        shown="bedrock-remediator allowlist test main.yaml --event denied.jsonl",
    ),
    Picture(
        name="cli-audit",
        title="Principals that may invoke a model and will fail, before anybody was denied",
        words=("audit",),
    ),
    Picture(
        name="cli-backfill",
        title="Denials of the last seven days, and what the service would do about each",
        words=("backfill", "--since", "7d"),
        prepare=_trail,
    ),
    Picture(
        name="cli-doctor",
        title="The checks of a deployed stack, one of them broken: an e-mail subscription nobody confirmed",
        words=("doctor",),
        options=Options(parameters={"NotificationEmail": "ops@example.com"}),
        prepare=_doctor,
    ),
)


def draw(picture: Picture, folder: Path) -> str:
    """Run the session in a sandbox and draw it; `folder` holds the files that it names beside `events`."""
    console = Console(record=True, force_terminal=True, width=WIDTH, file=io.StringIO(), highlight=False, markup=False)
    typed = picture.shown or f"bedrock-remediator {' '.join(picture.words)}"
    console.print(Text.assemble(("$ ", "dim"), (typed, "bold")), soft_wrap=True)
    output = Output(console=console, notes=console, as_json=False)
    arguments = [str(folder / each) if (folder / each).exists() and each != "-" else each for each in picture.words]
    with (
        Sandbox(read_world(DEFAULT_WORLD), picture.options) as sandbox,
        patch.object(Output, "made", return_value=output),
        patch.dict(os.environ, {"AWS_REGION": "us-east-1", "COLUMNS": str(WIDTH)}),
    ):
        picture.prepare(sandbox)
        done = CliRunner().invoke(cli, arguments, input=picture.given, prog_name="bedrock-remediator")
    if done.output:
        console.print(Text(done.output.rstrip("\n")))
    return _svg(console, picture)


def _svg(console: Console, picture: Picture) -> str:
    """The picture, with the colours of a light and of a dark terminal."""
    name = picture.name
    light, dark = (_styles(console, theme, name) for theme in (_LIGHT, _DARK))
    styles = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    description = escape(console.export_text(clear=False).strip())
    drawn = console.export_svg(title="", theme=_LIGHT, code_format=_FORMAT, unique_id=name)
    for word, text in (("STYLES", styles), ("TITLE", escape(picture.title)), ("DESCRIPTION", description)):
        drawn = drawn.replace(word, text, 1)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _styles(console: Console, theme: TerminalTheme, name: str) -> str:
    own = console.export_svg(title="", theme=theme, code_format=_ONLY_STYLES, clear=False, unique_id=name)
    back = f".{name}-back {{ fill: {theme.background_color.hex}; stroke: #8888; }}"
    return re.sub(r"\n\s*", "\n", f"{back}\n{own}").strip()


def main(names: Sequence[str]) -> None:
    """Draw the pictures, or those named."""
    os.chdir(ROOT)
    folder = ROOT / ".build" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.yaml").write_text(_RULES, encoding="utf-8")
    for picture in PICTURES:
        if not names or picture.name in names:
            (HERE / f"{picture.name}.svg").write_text(draw(picture, folder), encoding="utf-8")
            print(f"docs/pictures/{picture.name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
