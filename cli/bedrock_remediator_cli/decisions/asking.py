"""What the subcommands of `requests` and `grants` have in common: the API, lists, one request, and a decision."""

import json
from collections.abc import Iterable
from typing import Final

import click
from msgspec import Struct

from bedrock_remediator.core.approval import REJECT_ALL, REVOKE_ALL, Verb
from bedrock_remediator.core.durations import parse_length
from bedrock_remediator.core.grant import State
from bedrock_remediator_cli.decisions.api import Content, RequestsApi
from bedrock_remediator_cli.deployment import read_deployment
from bedrock_remediator_cli.options import Program
from bedrock_remediator_cli.output import finish
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_NO_API: Final = (
    "There is no /api without ApproverRoleArns: name there the roles that may decide, and be in a session of one."
)
_SHOWN: Final = 12


class Decision(Struct, frozen=True, kw_only=True):
    """What is to be decided: `verb` is one of the API's, `length` as it takes it, `version` the one looked at."""

    verb: Verb
    reason: str | None = None
    length: str | None = None
    version: int | None = None


def checked_length(_: click.Context, __: click.Parameter, value: str) -> str:
    """A length as the API takes it: `30d`, `12h`, `90m`, or `none`.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        parse_length(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def requests_api(program: Program, stack_name: str) -> RequestsApi:
    """The deployed stack's API.

    Raises:
        EnvironmentTrouble: There is no stack, no API, or nobody to sign as.
    """
    url = read_deployment(program.aws, stack_name).output("RequestsApiUrl", _NO_API)
    credentials = program.aws.session.get_credentials()
    if credentials is None:
        raise EnvironmentTrouble("No AWS credentials were found. Name a profile with --profile.")
    return RequestsApi(url, credentials, program.aws.region)


def tell_list(program: Program, api: RequestsApi, states: Iterable[State], principal: str | None) -> None:
    """Print the requests in these states; `principal` is a part of the principal's ARN."""
    states = tuple(states)
    found: list[Content] = []
    with program.output.progress("asking the stack", len(states)) as advance:
        for state in states:
            found += [each for each in api.list(state) if not principal or principal in (each["principal"] or "")]
            advance()
    program.output.answer({"requests": found}, lambda: _table(program, found))
    finish(found=False)


def tell_one(program: Program, api: RequestsApi, identifier: str) -> None:
    """Print one request."""
    content = api.show(api.whole_id(identifier))
    program.output.answer(content, lambda: _sheet(program, content))
    finish(found=False)


def decide(program: Program, api: RequestsApi, identifier: str, decision: Decision, *, ask: bool) -> None:
    """Show a request, ask once more where `ask` says so, and decide on the version that was shown or named.

    Raises:
        RefusedError: The decision is not accepted.
    """
    whole = api.whole_id(identifier)
    content = api.show(whole)
    if ask:
        _sheet(program, content, err=True)
        click.confirm(f"{decision.verb.capitalize()} this?", abort=True, err=True)
    body = {
        "decision": decision.verb.value,
        "version": decision.version or content["version"],
        **({"reason": decision.reason} if decision.reason else {}),
        **({"length": decision.length} if decision.length else {}),
    }
    done = api.decide(whole, body)
    program.output.answer(done, lambda: program.output.say(_done(done)))
    finish(found=False)


def revoke_all(program: Program, api: RequestsApi, principal: str, reason: str | None, *, ask: bool) -> None:
    """Take back every active grant of a principal.

    What another step has in hand is left, and told; the command then ends with 1.

    Raises:
        EnvironmentTrouble: The principal has none.
    """
    _decide_all(program, api, principal, reason, _GRANTS, ask=ask)


def reject_all(program: Program, api: RequestsApi, principal: str, reason: str | None, *, ask: bool) -> None:
    """Reject every request of a principal that waits; as `revoke_all`."""
    _decide_all(program, api, principal, reason, _REQUESTS, ask=ask)


class _All(Struct, frozen=True, kw_only=True):
    """What is decided about all rows of a principal in a state, and the words for it: the API's, and for people."""

    state: State
    decision: str
    done: str
    what: str
    doing: str


_GRANTS: Final = _All(state=State.ACTIVE, decision=REVOKE_ALL, done="revoked", what="active grant", doing="Revoke")
_REQUESTS: Final = _All(
    state=State.PENDING, decision=REJECT_ALL, done="rejected", what="request that waits", doing="Reject"
)


def _decide_all(  # noqa: PLR0913 - what the two commands are given
    program: Program, api: RequestsApi, principal: str, reason: str | None, every: _All, *, ask: bool
) -> None:
    found = [each for each in api.list(every.state) if each["principal"] == principal]
    if not found:
        raise EnvironmentTrouble(f"{principal} has no {every.what}.")
    if ask:
        _table(program, found, err=True)
        click.confirm(f"{every.doing} all {len(found)} of them?", abort=True, err=True)
    body = {"decision": every.decision, **({"reason": reason} if reason else {})}
    done = api.decide(found[0]["id"], body)
    lines = [_done(each) for each in done[every.done]]
    lines += [f"{each['id'][:_SHOWN]} is left, in state {each['state']}: {each['error']}" for each in done["left"]]
    program.output.answer(done, lambda: program.output.say("\n".join(lines)))
    finish(found=bool(done["left"]))


def _done(content: Content) -> str:
    return f"{content['principal']}: {_what(content)} is {content['state']} ({content['id'][:_SHOWN]})"


def _what(content: Content) -> str:
    return str(content["model_id"] or (content["profile"] or "-").rpartition("/")[2])


def _table(program: Program, found: list[Content], *, err: bool = False) -> None:
    if err:
        for each in found:
            program.output.note(_done(each))
        return
    if not found:
        program.output.say("There are none.")
        return
    rows = [("id", "state", "since", "ends", "principal", "model id"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Not a table of rich's, which would cut ids on a narrow terminal: a line can be copied and searched.
    for place, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        program.output.say(line.rstrip(), style="dim" if not place else None)


def _row(content: Content) -> tuple[str, ...]:
    return (
        content["id"][:_SHOWN],
        content["state"],
        (content["updated_at"] or "")[:16],
        (content["expires_at"] or "never")[:16],
        (content["principal"] or content["account"]).rpartition(":")[2],
        _what(content),
    )


def _sheet(program: Program, content: Content, *, err: bool = False) -> None:
    """One request for people."""
    write = program.output.note if err else program.output.say
    denials = content.get("denials") or {}
    for name, value in (
        ("id", f"{content['id']}, version {content['version']}, {content['state']}"),
        ("principal", content["principal"]),
        ("calls", f"{_what(content)} in {content['region']}"),
        ("why", f"{content['reason_code']}: {content['reason']}"),
        ("denied", f"{denials.get('count')} times, last at {denials.get('last_at')}"),
        ("grants", ", ".join(content["actions"]) + " on"),
        *(
            ("", f"  {arn}{'  (allowed already)' if arn in content['allowed_already'] else ''}")
            for arn in content["resources"]
        ),
        ("ends", content["expires_at"]),
        ("decided", f"{content['decided_by']} at {content['decided_at']}" if content["decided_by"] else None),
        ("verified", content["verification"]),
        *(("look at", risk["text"]) for risk in content.get("risks", ())),
        ("may be", ", ".join(content["may"])),
    ):
        if value:
            write(f"{name:<10}{value}")
    for step in content.get("history", ()):
        write(f"{step['at']}  {step['state']} by {step['by']}: {step['reason']}")
    for title in ("before", "after"):
        for document in content.get("policy", {}).get(title, ()):
            write(f"\npolicy {title}:\n{json.dumps(json.loads(document), indent=2)}")
