"""The digest of a day, as people and programs read it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import Event, Grant, Outcome, State
from bedrock_remediator.notices.digest import Digest, attributes, message, subject
from bedrock_remediator.notices.untrusted_text import WIDTH
from tests.builders.grants import NOON
from tests.builders.notices import ALL, granted, requested

SINCE = NOON - timedelta(days=1)
HOSTILE = "<b>\r\nBcc: everybody\u202e<!channel> " + "x" * 5000


def digest(**changes: Any) -> Digest:
    """The digest of a quiet day, but for the changes."""
    return replace(Digest(since=SINCE, until=NOON, lasting=timedelta(hours=72)), **changes)


def ended(state: State, code: str, by: str, **changes: Any) -> Grant:
    """A row that ended, and who ended it."""
    opened = Event(at=SINCE, state=State.PENDING, by="triage", reason="opened")
    return requested(
        state=state,
        version=2,
        reason_code=code,
        history=(opened, Event(at=NOON, state=state, by=by, reason="So it is.")),
        **changes,
    )


FULL = digest(
    granted=(granted(), granted(rule=None, decided_by="alice (unverified)", expires_at=None)),
    refused=(
        ended(State.REJECTED, "no_rule", "bob", decided_by="bob"),
        ended(State.LAPSED, "not_decided", "upkeep"),
        requested(state=State.FAILED, reason_code="limit_exceeded"),
    ),
    revoked=(
        ended(State.REVOKED, "no_rule", "remediate", decided_by="carol"),
        ended(State.REVOKED, "expired", "remediate", decided_by="alice"),
    ),
    asked=(requested(),),
    expiring=(granted(),),
    drifted=(ALL["drifted"](),),
    late=(requested(state=State.APPROVED),),
    reported={"not_fixable": 12, "leaked_key": 1},
    orphans=("arn:aws:iam::123456789012:policy/bedrock-access-remediator/role.gone.1",),
)


def flat(mail: str) -> str:
    """The mail without its line breaks."""
    return " ".join(mail.split())


def test_the_mail_tells_all_of_it() -> None:
    """What waits first, each with what matters about it."""
    mail = flat(message(FULL)["email"])
    for told in (
        "From 2026-11-19 12:00 UTC to 2026-11-20 12:00 UTC.",
        "WAITING FOR A PERSON (1)",
        "* role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1) since 2026-11-20 12:00 UTC,",
        "lapses 2026-11-23 12:00 UTC",
        "GRANTED (2)",
        "by rule nova-for-llm-apps, until 2026-12-20 12:00 UTC",
        "by alice (unverified), without end",
        "NOT GRANTED (3)",
        "rejected by bob (no_rule): So it is.",
        "lapsed by upkeep (not_decided): So it is.",
        "failed by triage (limit_exceeded): No rule of the allowlist",
        "REVOKED (2)",
        "revoked by carol (no_rule): So it is.",
        "revoked by remediate (expired): So it is.",
        "ENDING SOON (1)",
        "ends 2026-12-20 12:00 UTC",
        "NOT AS GRANTED: PLEASE LOOK (1)",
        "somebody has edited it",
        "ON ITS WAY FOR LONGER THAN IT SHOULD BE (1)",
        "approved since 2026-11-20 12:00 UTC",
        "12 not_fixable",
        "POLICIES WITHOUT A GRANT (1)",
        "policy/bedrock-access-remediator/role.gone.1",
    ):
        assert told in mail
    assert mail.index("WAITING") < mail.index("GRANTED (2)")


def test_programs_get_the_same() -> None:
    """As one JSON object, which all protocols but mail fall back to."""
    texts = message(FULL)
    assert set(texts) == {"default", "email"}
    content = json.loads(texts["default"])
    assert (content["event"], content["severity"], content["schema"]) == ("digest", "action", 1)
    assert content["counts"] == {
        "asked": 1,
        "granted": 2,
        "refused": 3,
        "revoked": 2,
        "expiring": 1,
        "drifted": 1,
        "late": 1,
    }
    assert content["drifted"][0]["reason_code"] == "policy_not_ours"
    assert content["granted"][0]["expires_at"] == "2026-12-20T12:00:00Z"
    assert (content["since"], content["until"]) == ("2026-11-19T12:00:00Z", "2026-11-20T12:00:00Z")
    assert content["policies_without_grant"] == list(FULL.orphans)
    assert content["topics_without_subscriber"] == []


def test_the_subject_counts() -> None:
    """In printable ASCII, and short."""
    assert subject(FULL) == "Bedrock access digest 2026-11-20: 2 granted, 3 refused, 1 waiting"
    assert attributes(FULL) == {"event": "digest", "severity": "action"}
    assert attributes(digest(granted=(granted(),))) == {"event": "digest", "severity": "info"}


@pytest.mark.parametrize(
    ("changes", "empty"),
    [
        ({}, True),
        ({"complete": False}, False),
        ({"orphans": ("arn",)}, False),
        ({"reported": {"not_fixable": 1}}, False),
        ({"late": (requested(),)}, False),
    ],
)
def test_a_quiet_day_has_nothing_to_tell(changes: dict[str, Any], empty: bool) -> None:  # noqa: FBT001
    """A day that could not be read whole is not quiet."""
    assert digest(**changes).empty is empty


def test_it_says_what_is_missing() -> None:
    """Where there was no time to read all, and where it may come twice."""
    mail = flat(message(digest(complete=False), may_be_duplicate=True)["email"])
    assert "There was no time to read all of the ledger" in mail
    assert "This may be a duplicate" in mail
    assert "duplicate" not in message(FULL)["email"]


def test_what_was_put_right_is_told_apart() -> None:
    """A grant that was repaired is not a new one."""
    row = granted(reason_code="policy_drifted", rule=None, decision=Outcome.AUTO)
    assert "put right by auto, until" in flat(message(digest(granted=(row,)))["email"])


def test_a_thousand_grants_fit_in_a_message() -> None:
    """SNS takes 256 KB: long lists are cut, and say so."""
    many = tuple(granted(reason=HOSTILE) for _ in range(1000))
    names = ("granted", "refused", "revoked", "asked", "expiring", "drifted", "late")
    full = digest(**dict.fromkeys(names, many), orphans=("arn:" + "x" * 500,) * 1000)
    texts = message(full)
    assert len(json.dumps(texts)) < 240_000
    assert "... and 975 more" in texts["email"]
    assert json.loads(texts["default"])["counts"]["granted"] == 1000


def test_what_others_wrote_stays_text() -> None:
    """No line break, markup or mark of theirs gets into a mail, a subject or a web hook."""
    row = ended(State.REJECTED, "no_rule", HOSTILE, decided_by=HOSTILE, rule=HOSTILE)
    remarkable = requested(pk=HOSTILE, principal=None, sk=HOSTILE)
    texts = message(digest(granted=(row,), refused=(row,), asked=(remarkable,), orphans=(HOSTILE,)))
    mail = texts["email"]
    assert mail.isascii()
    assert not any(line.startswith("Bcc") for line in mail.splitlines())
    assert "<" not in texts["default"]
    assert "<!channel>" not in texts["default"]
    assert subject(digest(granted=(row,))).isprintable()


def test_a_line_is_72_columns_unless_it_is_one_word() -> None:
    """As in every mail."""
    for line in message(FULL)["email"].splitlines():
        assert len(line) <= WIDTH or len(line.split()[-1]) > WIDTH // 2
