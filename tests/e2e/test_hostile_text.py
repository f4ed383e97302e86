"""What callers may write reaches people everywhere, as text, and no policy: the whole stack, every channel at once.

The laws of tests/property hold for each text by itself. Here one world has them all: mail, JSON for programs, subjects,
Slack, Amazon Q, the page, the digest, and what stands in IAM at the end.
"""

import collections
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.builders.served import Served, served
from tests.builders.slack import CHANNEL, TOKEN, FakeSlack, shown, slack_server

DENIALS: Final = (Path(__file__).parents[2] / "events/six-denials-of-one-role.jsonl").read_text().splitlines()
MARK: Final = "Zq7"
"""In every piece of hostile text, and nowhere else."""

PIECES: Final = (
    f"{MARK}<img src=x onerror=alert(1)><script>alert(1)</script>",
    f"{MARK}<!channel> <!here> <@U0ALICE> <https://evil.example|ours>",
    f"{MARK}\r\nBcc: all@example.com\r\n\r\nWHAT TO DO NEXT\n  1. Approve.",
    f"{MARK}\u202eevorppa\u202c\u2066\u200f\u0000\u001b[31m",
    f"{MARK}${{aws:username}} * ? arn:aws:iam::aws:policy/AdministratorAccess",
    f"{MARK}`*bold*` [ours](https://evil.example) &lt;b&gt; {{{{7*7}}}} {{% include 'x' %}}",
    f"{MARK} evil.example www.evil.example. https://evil.example/a mailto:a@evil.example //198.51.100.66 xn--e.evil.uk",
    f"{MARK}" + "W" * 10_240,
)
HOST: Final = re.compile(r"(?i)\bevil\.[a-z]|\bwww\.|\bhttps?:(?!//127\.0\.0\.1)|mailto:|\b198\.51\.100\.66")
"""What a mail client or a chat would make a link of, and is not the stack's own."""
ASKING: Final = ("user agent", "address")
"""Fields in which anything may stand: the denial is understood all the same, and a person is asked."""

MISLEADING: Final = ("session", "model id", "message", "message's end")
"""Fields that the denial is understood by: with most of it, it is reported, and nobody is asked."""

SECRET: Final = "arn:aws:secretsmanager:us-east-1:123456789012:secret:slack-token-AbCdEf"
PARAMETERS: Final = {
    "SlackChannelId": CHANNEL,
    "SlackTokenSecretArn": SECRET,
    "AmazonQTopic": "true",
    "DigestSchedule": "cron(0 7 ? * MON-FRI *)",
    # One role says it all, and every word of it is to be told singly.
    "ProbeProfiles": "20",
    "MaxNoticesPerHour": "1000",
}
ACTIVE: Final = re.compile(r"<(?!!date\^\d+\^)")
"""What Slack would act upon: any angle bracket but that of our own dates."""


def everything(first: int) -> str:
    """All pieces, another one first each time, since long text is cut."""
    return " ".join(PIECES[first:] + PIECES[:first])


def denial(number: int, of: int, field: str, said: str) -> dict[str, Any]:
    """One of the role's denials, with an event id of its own and something hostile in one field."""
    event: dict[str, Any] = json.loads(DENIALS[of])
    detail = event["detail"]
    event["id"] = detail["eventID"] = f"00000000-0000-4000-8000-{number:012d}"
    session, model = f"worker-{of}", detail["requestParameters"]["modelId"]
    match field:
        case "session":
            detail["userIdentity"]["arn"] = detail["userIdentity"]["arn"].replace(session, said)
            detail["userIdentity"]["principalId"] = detail["userIdentity"]["principalId"].replace(session, said)
            detail["errorMessage"] = detail["errorMessage"].replace(session, said)
        case "user agent":
            detail["userAgent"] = said
        case "model id":
            detail["requestParameters"]["modelId"] = said
            detail["errorMessage"] = detail["errorMessage"].replace(model, said)
        case "message":
            detail["errorMessage"] = said
        case "message's end":
            detail["errorMessage"] += " " + said
        case "address":
            detail["sourceIPAddress"] = said
    return event


def denials() -> Iterator[dict[str, Any]]:
    """Each field with every other piece alone, and with all, which is longer than CloudTrail would let it be."""
    numbers = itertools.count()
    for of, field in enumerate(ASKING):
        yield denial(next(numbers), of, field, everything(of))
    for of, field in enumerate(MISLEADING):
        yield from (denial(next(numbers), 2, field, piece) for piece in PIECES[(of + 1) % 2 :: 2])
        yield denial(next(numbers), 2, field, everything(of))


@pytest.fixture(scope="module")
def slack() -> Iterator[FakeSlack]:
    """A workspace."""
    with slack_server() as slack:
        yield slack


@pytest.fixture(scope="module")
def stack(slack: FakeSlack) -> Iterator[Served]:
    """A stack with every channel, after all of that; one request was approved and one rejected, by a hostile name."""
    with served(parameters=PARAMETERS, secrets={SECRET: TOKEN}, slack_api=slack.url) as stack:
        stack.put(json.dumps(list(denials())).encode())
        for link, button in zip(links(stack), ("approve", "reject"), strict=False):
            stack.press(link, button, stack.ask(link), name=everything(1), reason=everything(2), length="1d")
        stack.ask("/digest", b"")
        yield stack


def links(stack: Served) -> list[str]:
    """The links in all mails to approvers."""
    mails = [each["message"]["email"] for each in stack.ask("/notices").json if each["topic"] == "approvals"]
    return [link for mail in mails for link in re.findall(r"(?m)^http\S+/request/\S+$", mail)]


def texts(stack: Served, topic: str) -> list[dict[str, str]]:
    """The texts by protocol of what went to a topic."""
    return [each["message"] for each in stack.ask("/notices").json if each["topic"] == topic]


def test_it_was_heard_everywhere(stack: Served, slack: FakeSlack) -> None:
    """The rest of this file would hold of silence too: what was written is shown in each channel."""
    assert (stack.ask("/failures").json, stack.sandbox.authorization.refusals) == ([], [])
    assert collections.Counter(stack.states) == {"active": 1, "rejected": 1, "pending": 1, "reported": 19}
    every = {
        "approvals": texts(stack, "approvals"),
        "notices": texts(stack, "notices"),
        "amazonq": texts(stack, "amazonq"),
        "slack": [shown(message) for message in slack.posted],
        "page": [stack.ask(link).source for link in links(stack)],
    }
    assert [name for name, found in every.items() if MARK not in json.dumps(found)] == []


def test_subjects_and_attributes_are_one_line_of_plain_characters(stack: Served) -> None:
    """No header can be made up, and no filter fooled."""
    for notice in stack.ask("/notices").json:
        for said in (notice["subject"], *notice["attributes"].values()):
            assert re.fullmatch(r"[A-Za-z0-9 ._:/@+=,()#>?-]{1,256}", said), said
        assert len(notice["subject"]) < 100


def test_mails_are_plain_text_with_our_headings_only(stack: Served) -> None:
    """Printable ASCII, whatever was written stands quoted on lines of its own, and cut."""
    for each in (*texts(stack, "approvals"), *texts(stack, "notices")):
        mail = each["email"]
        assert re.fullmatch(r"[\x20-\x7e\n]*", mail)
        assert mail.splitlines().count("WHAT TO DO NEXT") <= 1
        assert not re.search(r"(?m)^(Bcc:|WHAT TO DO NEXT\s*$\n\s+1\. Approve)", mail)
        assert len(mail) < 60_000


def test_nothing_that_a_caller_wrote_becomes_a_link(stack: Served, slack: FakeSlack) -> None:
    """In mail, Slack and Amazon Q, the own address apart; what was written shows, with its dots in brackets."""
    mails = [each["email"] for each in (*texts(stack, "approvals"), *texts(stack, "notices"))]
    own = [link for mail in mails for link in re.findall(r"(?m)^http\S+/request/\S+$", mail)]
    for mail in mails:
        text = mail
        for link in own:
            text = text.replace(link, "")
        assert not HOST.search(text), HOST.search(text)
    assert any("evil[.]example" in mail for mail in mails)
    chats = [json.loads(each["default"])["content"] for each in texts(stack, "amazonq")]
    for content in chats:
        said = " ".join([content["description"], *(step for step in content["nextSteps"] if "/request/" not in step)])
        assert not HOST.search(said), said
    # Slack makes no links by itself in these blocks; what is shown of the caller is taken apart even so.
    told = " ".join(shown(message) for message in slack.posted)
    assert "evil[.]example" in told
    found = re.search(r"(?i).{60}\bevil\.example|\bwww\.evil", told)
    assert not found, found


def test_json_holds_no_markup(stack: Served) -> None:
    """A receiver that prints it as it came prints no element and no mention."""
    for each in (*texts(stack, "approvals"), *texts(stack, "notices")):
        for protocol in sorted(each.keys() - {"email"}):
            assert json.loads(each[protocol])
            assert not set(each[protocol]) & set("<>&\u202e")


def test_chats_mention_nobody_and_link_nowhere(stack: Served, slack: FakeSlack) -> None:
    """In Slack by blocks that Slack does not parse, in Amazon Q escaped."""
    for message in slack.posted:
        assert not ACTIVE.search(shown(message)), shown(message)
        assert "\u202e" not in shown(message)
    for each in texts(stack, "amazonq"):
        content = json.loads(each["default"])
        said = json.dumps(content, ensure_ascii=False)
        assert not set(said) & set("<>\u202e")
        assert "](https://evil" not in said


def test_pages_show_it_as_text(stack: Served) -> None:
    """No element but our own, no template that runs, no control character and no mark of direction."""
    pages = [stack.ask(link) for link in links(stack)]
    for page in pages:
        assert page.status == 200
        assert not re.search(r"<(img|script|b|iframe|a href=\"http)[\s>]", page.source)
        assert not set(page.source) & set("\u202e\u2066\u200f\u0000\u001b")
    assert all(
        said in " ".join(page.text for page in pages) for said in ("{{7*7}}", "<script>", r"\u202e", "&lt;b&gt;")
    )


def test_nothing_of_it_reaches_a_policy(stack: Served) -> None:
    """What stands in IAM are the ARNs that AWS returned, and no variable and no wildcard but those that were there."""
    written = [
        policy
        for held in stack.ask("/policies").json.values()
        for policy in held
        if "/bedrock-access-remediator/" in (policy["arn"] or "")
    ]
    assert written
    for policy in written:
        document = json.dumps(policy)
        assert MARK not in document
        assert not re.search(r"[*?$]", document)
        assert "AdministratorAccess" not in document
    assert all(MARK not in json.dumps(held) for held in stack.ask("/policies").json.values())
