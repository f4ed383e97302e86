"""Stories of the whole stack, one for each kind of work, whose calls can be made to fail.

A story has a part that goes undisturbed and a part in which one function is watched. Whoever must come again when
something fails does: queues and streams by themselves, the schedule at its next hour, a person who presses once more.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from sandbox.calls import Call
from sandbox.deciding import NotDecidedError, decide, links_in
from sandbox.faults import Fault, Faults
from sandbox.http_api import Ask
from sandbox.lambdas import InvocationError
from sandbox.stack import Options, Sandbox
from sandbox.world import World
from tests.builders.connections import Browser, Direct
from tests.builders.endings import Ending, ending, in_iam, shown
from tests.builders.identity_provider import ISSUER, OIDC, OIDC_SECRETS, Provider, running
from tests.builders.slack import ALICE, GROUP, PARAMETERS, SECRETS, FakeSlack, click, elements, signed, slack_server
from tests.builders.slack import Fault as SlackFault
from tests.builders.small_world import NOW, small_world
from tests.builders.soundness import unsound

MOST_TRIES: Final = 4
"""How often a person presses, or a schedule comes round, before they give up."""

RULES: Final = """
version: 1
rules:
  - name: everything
    effect: auto
    principals: ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
    models: ["*"]
    max_grants_per_day: 20
"""


class Stage:
    """A sandbox in which a story is played, and the people in it."""

    def __init__(self, sandbox: Sandbox, slack: FakeSlack | None = None, *, signing_in: bool = False) -> None:
        self.sandbox = sandbox
        self.slack = slack
        self._connection = Browser(sandbox) if signing_in else Direct(sandbox)

    def deny(self, *events: Mapping[str, Any]) -> None:
        """Hand over events, all of them before the stack moves, and let it come to rest."""
        for event in events:
            assert self.sandbox.put(event)
        self.sandbox.run()

    def press(self, decision: str) -> None:
        """Open the newest link of each request and press a button of its page, again if the page fails."""
        for link in self.links():
            self._press(link, decision)
        self.sandbox.run()

    def links(self) -> list[str]:
        """The link of the newest mail about each row."""
        newest = {key[:2]: link for key, link in sorted(links_in(self.sandbox).items())}
        return list(newest.values())

    def _press(self, link: str, decision: str) -> None:
        for _ in range(MOST_TRIES):
            try:
                decide(self._connection, link, decision)
            except NotDecidedError as problem:
                if not problem.broken:
                    return
            else:
                return

    def click(self, action: str) -> None:
        """Press a button of each message in Slack that has it, again if Slack shows, or is told, that it went wrong."""
        for message in self.slack.messages if self.slack else ():
            if self.slack and action in elements(message):
                self._click(self.slack, click(message, action, length="1d"))
        self.sandbox.run()

    def _click(self, slack: FakeSlack, payload: Mapping[str, Any]) -> None:
        for _ in range(MOST_TRIES):
            heard = len(slack.ephemerals)
            request = signed(payload, self.sandbox.clock.seconds())
            ask = Ask(method="POST", target="/slack/interactions", headers=[*request.headers.items()], body=request.raw)
            if self.sandbox.api.answer(ask).status < 500:
                self.sandbox.run()
                if not any("Try again" in post_ephemeral["text"] for post_ephemeral in slack.ephemerals[heard:]):
                    break

    def call(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> Any:
        """Use the API as an approver's role does, again if it fails; gives the last answer."""
        headers = [("Authorization", "AWS4-HMAC-SHA256 Credential=ASIAAPPROVER1/20261123/us-east-1/execute-api")]
        content = b"" if body is None else json.dumps(body).encode()
        if content:
            headers.append(("Content-Type", "application/json"))
        for _ in range(MOST_TRIES):
            reply = self.sandbox.api.answer(Ask(method=method, target=target, headers=headers, body=content))
            if reply.status < 500:
                break
        return json.loads(reply.body)

    def round(self, task: str) -> None:
        """Let the schedule of a task come round until it has done all, and the stack come to rest."""
        schedule = next(each for each in self.sandbox.schedules.values() if each.input.get("task") == task)
        for _ in range(MOST_TRIES):
            try:
                schedule.start()
            except InvocationError:
                self.later(minutes=15)
            else:
                break
        self.sandbox.run()

    def later(self, **length: float) -> None:
        """Let time go by."""
        self.sandbox.clock.advance(timedelta(**length).total_seconds())


Part = Callable[[Stage], None]


class Story(Struct, frozen=True, kw_only=True):
    """A story: its name, the function that is watched, the stack's parameters, and its two parts.

    `after` is what comes about in any case later, undisturbed. With `slack` the stack tells a channel of Slack too;
    `signing_in` has people sign in at an identity provider before they decide on the page.
    """

    name: str
    watched: str
    act: Part
    before: Part = lambda _: None
    after: Part = lambda _: None
    parameters: Mapping[str, str] = {}
    allowlist: str = RULES
    world: Callable[[], World] = small_world
    slack: bool = False
    signing_in: bool = False

    def play(
        self,
        fault: Fault | None = None,
        like: Ending | None = None,
        meanwhile: Part | None = None,
        look: Part = lambda _: None,
        troubles: Sequence[SlackFault | None] = (),
    ) -> "Played":
        """Play it, with a fault. An ending like the one given is as sound as that.

        `meanwhile` is what somebody does at the fault's place, if it is that somebody is quicker. `look` is shown what
        is there in the end. `troubles` are what Slack answers instead, one a request.
        """
        faults = Faults(self.watched, fault)
        with self._staged(faults, troubles) as stage:
            if fault and meanwhile:
                faults.fault = replace(fault, meanwhile=lambda: meanwhile(stage))
            held = in_iam(stage.sandbox)
            self.before(stage)
            faults.begin()
            self.act(stage)
            faults.end()
            self.after(stage)
            stage.sandbox.run()
            look(stage)
            slack = stage.slack
            found = ending(stage.sandbox, slack.said if slack else ())
            ran = [run for each in stage.sandbox.functions.values() for run in each.invocations]
            return Played(
                ending=found,
                unsound=() if found == like else _unsound(stage, held),
                calls=list(faults.calls),
                spoiled=faults.spoiled,
                shown=[shown(message) for message in slack.messages] if slack else (),
                asked=len(slack.calls) if slack else 0,
                errors=[run.error for run in ran if run.error],
            )

    @contextmanager
    def _staged(self, faults: Faults, troubles: Sequence[SlackFault | None]) -> Iterator[Stage]:
        """The stack, with Slack and the identity provider beside it where the story has them."""
        options = Options(
            parameters={"Mode": "auto", **self.parameters},
            allowlist={"main": self.allowlist},
            now=NOW,
            faults=faults,
        )
        with ExitStack() as opened:
            slack = opened.enter_context(slack_server()) if self.slack else None
            if slack:
                options = _beside(options, PARAMETERS, SECRETS, slack_api=slack.url)
                slack.groups[GROUP] = [ALICE]
                slack.faults[:] = troubles
            provider = None
            if self.signing_in:
                now = lambda: sandbox.clock.now()  # noqa: E731, PLW0108 - the sandbox is made below
                provider = opened.enter_context(running(Provider("", now)))
                options = _beside(options, OIDC, OIDC_SECRETS, stand_ins={ISSUER: provider.issuer})
            sandbox: Sandbox = opened.enter_context(Sandbox(self.world(), options))
            if provider:
                provider.redirect_uri = sandbox.stack.outputs["OidcRedirectUri"]
            yield Stage(sandbox, slack, signing_in=self.signing_in)


def _beside(options: Options, parameters: Mapping[str, str], secrets: Mapping[str, str], **addresses: Any) -> Options:
    """The options with something beside the stack: its parameters, its secrets, and where it is."""
    return replace(
        options,
        parameters={**parameters, **options.parameters},
        secrets={**options.secrets, **secrets},
        **addresses,
    )


def _unsound(stage: Stage, held: Mapping[str, Any]) -> Sequence[str]:
    """What is wrong, and still is when upkeep has come round."""
    if not unsound(stage.sandbox, held):
        return ()
    stage.later(hours=1)
    stage.round("upkeep")
    return unsound(stage.sandbox, held)


class Played(Struct, frozen=True, kw_only=True):
    """What became of a story.

    Its `ending`, and what is `unsound` in it; the watched function's `calls`, how many of them were `spoiled`, and
    the `errors` that invocations of any function ended with. `shown` is what the channel of Slack shows, `asked` how
    many requests Slack got.
    """

    ending: Ending
    unsound: Sequence[str]
    calls: Sequence[Call]
    spoiled: int
    shown: Sequence[str]
    asked: int
    errors: Sequence[str]
