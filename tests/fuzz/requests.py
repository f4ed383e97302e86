"""Mutated requests to the HTTP routes: the page, the API, Slack's buttons and the way back from signing in.

Each request begins as one that would decide; then at least one thing is broken that it must have (the link, the form's
seal, the signature, the caller, the method), and whatever else is in it may be bent. So none may change a row. One in
twenty keeps all that it must have and has something else bent: that one may decide, and must not fail.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from sandbox.deciding import Form, links_in, read_forms
from sandbox.http_api import Ask
from sandbox.output import FUNCTION_OUTPUT
from sandbox.stack import Options, Sandbox
from tests.builders.identity_provider import ISSUER, OIDC, OIDC_SECRETS, Provider, running
from tests.builders.lies import HOSTILE
from tests.builders.slack import ALICE, PARAMETERS, SECRETS, FakeSlack, click, elements, signed, slack_server
from tests.builders.small_world import APP, BARE, DEV, NOW, PROFILES, denial, profile_arn, small_world
from tests.fuzz.events import Fault

PORTION: Final = 2_500
_ROLE: Final = "arn:aws:iam::123456789012:role/approvers"
_SIGNED: Final = "AWS4-HMAC-SHA256 Credential=ASIAAPPROVER1/20261123/us-east-1/execute-api"
_FORM: Final = "application/x-www-form-urlencoded"
_WRITES: Final = ("dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:TransactWriteItems", "kms:GenerateMac")
_VERBS: Final = ("approve", "reject", "revoke", "extend", "retry", "reject_all", "revoke_all", "new_link", "cancel")
_NOTED: Final = frozenset({"link_asked_at"})
"""What of a row an expired link may have written down: that the approvers are to be sent a new one."""
_JUNK: Final = (
    *HOSTILE,
    "",
    "0",
    "-1",
    "9" * 400,
    "NaN",
    "null",
    "[]",
    "[" * 20_000,
    "%ff%fe",
    "%00",
    "..%2f..%2f",
    "a=b&c",
    "\x7f",
    "multipart/form-data; boundary=x",
    "application/json",
    "x" * 70_000,
)


class _Seed(Struct, frozen=True, kw_only=True):
    """A request that decides: by the page's form, the API or a button. `other` is another row's token, or seal."""

    kind: str
    target: str
    fields: Mapping[str, Any]
    other: str = ""


def portions(total: int, seed: int, first: int = 0) -> Iterator[tuple[int, Counter[str]]]:
    """Work through so many requests, portion by portion, from a portion on; gives how many they were, and the answers.

    In every other portion people sign in, and nobody has; in every fourth the links have expired.

    Raises:
        Fault: It was not as it must be.
    """
    for number in range(first, -(-total // PORTION)):
        dice = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable is what it must be
        size = min(PORTION, total - number * PORTION)
        try:
            yield size, _portion(dice, size, signing_in=number % 2 == 1, expired=number % 4 == 2)
        except Fault as fault:
            raise Fault(f"seed {seed}, portion {number}: {fault}") from fault


def _portion(dice: random.Random, size: int, *, signing_in: bool, expired: bool) -> Counter[str]:
    options = Options(
        parameters={"Mode": "approve", "ApproverRoleArns": _ROLE, "OpenRequestsPerPrincipal": "8", **PARAMETERS},
        secrets=SECRETS,
        now=NOW,
    )
    with ExitStack() as opened:
        slack = opened.enter_context(slack_server())
        options = replace(options, slack_api=slack.url)
        if signing_in:
            now = lambda: sandbox.clock.now()  # noqa: E731, PLW0108 - the sandbox is made below
            provider = opened.enter_context(running(Provider("", now)))
            options = replace(
                options,
                parameters={**options.parameters, **OIDC},
                secrets={**SECRETS, **OIDC_SECRETS},
                stand_ins={ISSUER: provider.issuer},
            )
        sandbox: Sandbox = opened.enter_context(Sandbox(small_world(), options))
        for place, principal in enumerate((APP, BARE, DEV)):
            for number in range(3, PROFILES):
                sandbox.put(denial(principal, profile_arn(number), 100 * place + number))
        sandbox.run()
        requests = _Requests(sandbox, slack, dice)
        if expired:
            sandbox.clock.advance(80 * 3600)
        answers: Counter[str] = Counter()
        for _ in range(size):
            answers[requests.send()] += 1
        answers["decided"] = requests.decided
        _nobody_failed(sandbox)
        return answers


class _Requests:
    """Makes requests out of those that would decide, and looks at what each does."""

    def __init__(self, sandbox: Sandbox, slack: FakeSlack, dice: random.Random) -> None:
        self._sandbox = sandbox
        self._slack = slack
        self._dice = dice
        self._rows = self._read()
        self._seeds = [*self._pages(), *self._calls(), *self._buttons()]
        self._kinds = sorted({seed.kind for seed in self._seeds})
        self.decided = 0

    def _pages(self) -> Iterator[_Seed]:
        """The form of each request's page; without its seal where nobody has signed in."""
        paths = [urlsplit(link).path for link in links_in(self._sandbox).values()]
        forms = [(path, self._form(path)) for path in paths]
        seals = [form.fields.get("csrf", "") for _, form in forms if form]
        for place, (path, form) in enumerate(forms):
            fields = {**form.choices, **form.fields, "name": "somebody"} if form else {"csrf": "x", "name": "x"}
            other = seals[place - 1] if seals else "x"
            yield _Seed(kind="page", target=path, fields={**fields, "decision": "approve"}, other=other)
        assert len(paths) > PROFILES

    def _form(self, path: str) -> Form | None:
        reply = self._sandbox.api.answer(Ask(method="GET", target=path))
        found = read_forms(reply.body.decode())
        return next((form for form in found if ("decision", "approve") in form.buttons), None)

    def _calls(self) -> Iterator[_Seed]:
        headers = [("Authorization", _SIGNED)]
        reply = self._sandbox.api.answer(Ask(method="GET", target="/api/requests?state=pending", headers=headers))
        listed = json.loads(reply.body)["requests"]
        for each in listed:
            fields = {"decision": "approve", "version": each["version"], "length": "1d"}
            yield _Seed(kind="api", target=f"/api/requests/{each['id']}", fields=fields)
        assert len(listed) > PROFILES

    def _buttons(self) -> Iterator[_Seed]:
        messages = [message for message in self._slack.messages if "approve" in elements(message)]
        for message in messages:
            yield _Seed(kind="slack", target="/slack/interactions", fields=click(message, "approve", length="1d"))
        assert len(messages) > PROFILES

    def send(self) -> str:
        """Send one; gives its kind and how it was answered.

        Raises:
            Fault: It failed, or changed what it may not.
        """
        dice = self._dice
        kind = dice.choice(self._kinds)
        seed = dice.choice([seed for seed in self._seeds if seed.kind == kind])
        whole = dice.random() < 0.05
        ask = {"page": self._page, "api": self._call, "slack": self._button}[kind](seed, whole=whole)
        if kind == "page" and dice.random() < 0.1:
            query = urlencode({"code": dice.choice(_JUNK)[:2000], "state": dice.choice((seed.other, *_JUNK))[:2000]})
            ask, whole = replace(ask, method="GET", target=f"/signed-in?{query}"), False
        before = self._written()
        reply = self._sandbox.api.answer(ask)
        if reply.status >= 500:
            raise Fault(f"answered {reply.status}: {ask}\n" + "".join(list(FUNCTION_OUTPUT.lines)[-30:])[-6000:])
        if self._written() != before:
            rows = self._read()
            changed = [key for key in rows.keys() | self._rows.keys() if rows.get(key) != self._rows.get(key)]
            if changed and (ask.method == "GET" or not whole):
                raise Fault(f"changed {changed}: {ask}")
            self.decided += bool(changed)
            self._rows = rows
        return f"{kind} {reply.status}"

    def _page(self, seed: _Seed, *, whole: bool) -> Ask:
        dice, fields, target, method = self._dice, dict(seed.fields), seed.target, "POST"
        headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Content-Type": _FORM}
        fields["decision"] = dice.choice(_VERBS)
        broken = (
            () if whole else dice.sample(("link", "seal", "no seal", "method", "other site"), dice.choice((1, 1, 2)))
        )
        free = ["decision", "length", "reason", "name"]
        if "link" in broken:
            target = self._other_text(target, len("/request/"))
        if "seal" in broken:
            fields["csrf"] = dice.choice((seed.other, self._other_text(str(fields.get("csrf", "x")), 0), *_JUNK))
        if "no seal" in broken:
            fields.pop("csrf", None)
        if "method" in broken:
            method = dice.choice(("GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
            target += "?" + urlencode(fields) if dice.random() < 0.5 else ""
        if "other site" in broken:
            headers |= dice.choice(({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}))
        body = urlencode(self._bent(fields, free), errors="replace").encode()
        if not whole:
            headers, body = self._noise(headers, body, but=("Origin",))
        return Ask(method=method, target=target, headers=list(headers.items()), body=body)

    def _call(self, seed: _Seed, *, whole: bool) -> Ask:
        dice, headers, method = self._dice, {"Authorization": _SIGNED, "Content-Type": "application/json"}, "POST"
        fields, target = dict(seed.fields) | {"decision": dice.choice(_VERBS)}, seed.target
        way = "" if whole else dice.choice(("nobody", "nobody known", "id", "version", "method"))
        if way == "nobody":
            del headers["Authorization"]
        elif way == "nobody known":
            headers["Authorization"] = _SIGNED.replace(
                "ASIAAPPROVER1", dice.choice(("ASIAX", "AKIASANDBOX", "ASIAAPPROVER9"))
            )
        elif way == "id":
            target = self._other_text(target, len("/api/requests/"))
        elif way == "version":
            fields["version"] = dice.choice((None, 0, 99, -1, 1.5, "1", True, [], {}, 10**40))
            # By 1.0 and "1" it would not be clear what is meant; True must not be 1.
        else:
            method = dice.choice(("GET", "PUT", "DELETE", "PATCH"))
        body = json.dumps(self._bent(fields, ["decision", "length", "reason", "expires_at", "name"])).encode()
        if way in ("nobody", "nobody known", "id") and dice.random() < 0.5:
            headers, body = self._noise(headers, body, but=("Authorization",))
        return Ask(method=method, target=target, headers=list(headers.items()), body=body)

    def _button(self, seed: _Seed, *, whole: bool) -> Ask:
        dice, at = self._dice, self._sandbox.clock.seconds()
        payload = dict(seed.fields)
        way = "" if whole else dice.choice(("secret", "old", "body", "nobody", "somebody else", "app", "team", "junk"))
        if way == "somebody else":
            payload["user"] = {"id": dice.choice(("U0MALLORY", "", ALICE.lower(), f"{ALICE} ", None, [], *_JUNK[:8]))}
        elif way == "app":
            payload["api_app_id"] = dice.choice(("A0EVIL", "", None, {}))
        elif way == "team":
            payload["team"] = dice.choice(({"id": "T0EVIL"}, None, [], "T0TEAM", {}))
            payload["user"] = {"id": ALICE, "team_id": "T0EVIL"}
        elif way == "junk":
            payload["actions"] = dice.choice(
                (None, [], [None], [{}], "x", [{"action_id": "approve", "value": dice.choice(_JUNK)}])
            )
        if whole:
            payload["state"] = dice.choice((payload["state"], None, [], {"values": None}, {"values": {"decision": []}}))
        secret = {"secret": "another-secret"} if way == "secret" else {}
        request = signed(payload, at - (dice.choice((301, 86_400, -301)) if way == "old" else 0), **secret)
        headers, body = dict(request.headers), request.raw
        if way == "body":
            body += dice.choice((b"&payload=%7B%7D", b" ", b"&", body))
        if way == "nobody":
            headers.pop(dice.choice(("x-slack-signature", "x-slack-request-timestamp")))
        if way in ("secret", "old", "nobody") and dice.random() < 0.5:
            headers, body = self._noise(headers, body, but=("x-slack-signature", "x-slack-request-timestamp"))
        return Ask(method="POST", target=seed.target, headers=list(headers.items()), body=body)

    def _other_text(self, text: str, begin: int) -> str:
        """The text with its end changed, which is not what it was."""
        head, tail = text[:begin], text[begin:]
        at = self._dice.randrange(max(1, len(tail)))
        other = self._dice.choice(
            (
                # The last characters of base64 may stand for the same bytes: those are left out.
                tail[: max(0, at - 4)],
                tail[:at] + ("A" if tail[at : at + 1] != "A" else "B") + tail[at + 1 :]
                if at < len(tail) - 4
                else "x" + tail,
                tail + self._dice.choice(("x", ".", ".x", "%00", "=")),
                tail.swapcase(),
                quote(self._dice.choice(_JUNK)[:3000], errors="replace") or "x",
            )
        )
        return head + (other if other != tail else "x")

    def _bent(self, fields: Mapping[str, Any], free: list[str]) -> dict[str, Any]:
        bent = dict(fields)
        for _ in range(self._dice.choice((0, 1, 1, 2))):
            bent[self._dice.choice(free)] = self._dice.choice(_JUNK)
        return bent

    def _noise(self, headers: dict[str, str], body: bytes, but: tuple[str, ...]) -> tuple[dict[str, str], bytes]:
        """Headers and a body that are something else in places."""
        dice, headers = self._dice, dict(headers)
        for _ in range(dice.choice((0, 1, 2))):
            name = dice.choice(("Content-Type", "Cookie", "Host", "Origin", "Accept", "X-Forwarded-For", "User-Agent"))
            if name not in but:
                headers[name] = dice.choice(_JUNK)[:2000].replace("\n", " ").replace("\r", " ")
        way = dice.randrange(6)
        if way == 0:
            body = body[: dice.randrange(len(body) + 1)]
        elif way == 1:
            body = bytes(dice.randrange(256) for _ in range(dice.randrange(200)))
        elif way == 2:
            body = dice.choice((b"\xff\xfe", b"{" * 30_000, b"&".join([b"a=b"] * 2_000), b"x" * 70_000, b""))
        return headers, body

    def _written(self) -> list[int]:
        counts = self._sandbox.endpoint.tally.counts
        return [counts.get(name, 0) for name in _WRITES]

    def _read(self) -> dict[tuple[str, str], Any]:
        """The rows, but for what may be noted on them."""
        return {
            (item["pk"], item["sk"]): {name: value for name, value in item.items() if name not in _NOTED}
            for item in self._sandbox.ledger.items()
            if "state" in item
        }


def _nobody_failed(sandbox: Sandbox) -> None:
    if errors := [run.error for run in sandbox.functions["ApproveFunction"].invocations if run.error]:
        raise Fault(f"approve failed: {errors[0]}")
