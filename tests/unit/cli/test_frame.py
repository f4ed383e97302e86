"""The frame of the operator's command: help, completion, troubles and their exit codes, what a terminal gets."""

import io
import json
from collections.abc import Callable

import click
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)
from click.testing import CliRunner
from rich.console import Console

from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import Output, finish, shown
from bedrock_remediator_cli.program import COMMANDS, cli
from bedrock_remediator_cli.trouble import EnvironmentTrouble, RefusedError, told


def refused(code: str, message: str = "no") -> ClientError:
    """AWS's answer to a call that it refuses."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "ListRoles")


def leaves(command: click.Command, words: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """The commands below one, each with the words that call it."""
    if not isinstance(command, click.Group):
        return [(words, command)]
    context = click.Context(command)
    return [
        leaf
        for name in command.list_commands(context)
        if (below := command.get_command(context, name))
        for leaf in leaves(below, (*words, name))
    ]


def test_every_command_s_help_ends_in_an_example() -> None:
    """The example calls that very command."""
    for words, command in leaves(cli, ()):
        shown_help = CliRunner().invoke(cli, [*words, "--help"])
        assert shown_help.exit_code == 0, words
        assert isinstance(command, Command), words
        _, _, examples = shown_help.output.partition("Examples:")
        assert f"bedrock-remediator {' '.join(words)}" in examples, words


def test_the_list_of_commands_is_the_table_s() -> None:
    """Help prints it without loading a command."""
    output = CliRunner().invoke(cli, ["--help"]).output
    for name, line in COMMANDS.items():
        assert name in output
        assert line.split()[0] in output


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_completion_prints_a_script_for_the_shell(shell: str, word: str) -> None:
    """Each names the variable by which click asks the program for words."""
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert word in done.output
    assert "_BEDROCK_REMEDIATOR_COMPLETE" in done.output


def test_the_program_completes_its_own_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the script asks for is answered with the commands that begin so."""
    monkeypatch.setenv("_BEDROCK_REMEDIATOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "bedrock-remediator comp")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = CliRunner().invoke(cli, [], prog_name="bedrock-remediator", complete_var="_BEDROCK_REMEDIATOR_COMPLETE")
    assert done.output.split() == ["plain,completion"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NoCredentialsError(), "--profile"),
        (NoRegionError(), "--region"),
        (ProfileNotFound(profile="nobody"), "nobody"),
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (EndpointConnectionError(endpoint_url="https://iam.example"), "https://iam.example"),
        (refused("AccessDenied", "User: x is not authorized"), "You may not call ListRoles"),
        (refused("ExpiredToken"), "expired"),
        (refused("UnrecognizedClientException"), "does not know the credentials"),
        (refused("ValidationError", "too long"), "too long"),
        (BotoCoreError(), "AWS"),
    ],
)
def test_each_trouble_with_aws_is_a_sentence(error: ClientError | BotoCoreError, says: str) -> None:
    """It says what to do, and is no traceback."""
    assert says in str(told(error))


def broken(error: Exception) -> Callable[[], None]:
    """A command that ends so."""

    @click.command("broken")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [(NoCredentialsError(), 2), (refused("AccessDenied"), 2), (RefusedError("The rule forbids it."), 1)],
)
def test_a_command_that_fails_ends_in_its_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 where the environment lacks something, 1 where it was refused; the sentence goes to stderr."""
    monkeypatch.setattr(cli, "commands", {"broken": broken(error)})
    done = CliRunner().invoke(cli, ["broken"])
    assert done.exit_code == code
    assert done.stderr.startswith("error: ")
    assert not done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    """With exit code 2."""
    assert CliRunner().invoke(cli, ["explian"]).exit_code == EnvironmentTrouble.exit_code


@pytest.mark.parametrize(("found", "code"), [(True, 1), (False, 0)])
def test_a_command_that_finds_something_ends_in_one(found: bool, code: int) -> None:  # noqa: FBT001 - a table's column
    """And else in nought."""
    with pytest.raises(SystemExit) as ended:
        finish(found=found)
    assert ended.value.code == code


def test_json_is_all_that_stdout_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes go to stderr."""

    @click.command("both", cls=Command, examples=())
    @shared_options
    def both(given: Program) -> None:
        given.output.note("a remark")
        given.output.answer({"n": 1}, lambda: given.output.say("one"))

    monkeypatch.setattr(cli, "commands", {"both": both})
    done = CliRunner().invoke(cli, ["both", "--json"])
    assert json.loads(done.stdout) == {"n": 1}
    assert done.stderr == "a remark\n"
    assert CliRunner().invoke(cli, ["both"]).stdout == "one\n"


def recorded(*, terminal: bool) -> Output:
    """An output that keeps what it is given."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=60, highlight=False, markup=False)
    return Output(console=console, notes=console, as_json=False)


def written(output: Output) -> str:
    """What it was given."""
    file = output.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    """Control characters and marks of direction show as escapes, and rich's markup as text."""
    output = recorded(terminal=True)
    output.table(
        ["who"],
        [
            [
                "\x1b[2Jalice\u202e",
            ],
            ["[red]bob[/red]"],
        ],
    )
    assert "\\x1b[2Jalice\\u202e" in written(output)
    assert "[red]bob[/red]" in written(output)
    assert shown("\r\x07\x9b") == "\\r\\x07\\x9b"


def test_a_quick_command_shows_no_progress() -> None:
    """Nothing is drawn in the first two seconds, and nothing at all where there is no terminal."""
    for terminal in (True, False):
        output = recorded(terminal=terminal)
        with output.progress("reading", 3) as advance:
            advance()
            advance(2)
        assert "reading" not in written(output)


def test_a_slow_command_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar tells what is done and how many of how many."""
    monkeypatch.setattr("threading.Timer", _AtOnce)
    output = recorded(terminal=True)
    with output.progress("reading", 3) as advance:
        advance(2)
    assert "reading" in written(output)


class _AtOnce:
    """A timer whose time is up when it starts."""

    daemon = False

    def __init__(self, _: float, call: Callable[[], None]) -> None:
        self._call = call

    def start(self) -> None:
        """Call."""
        self._call()

    def cancel(self) -> None:
        """Nothing is left to cancel."""
