"""The digest of a day: what was granted, refused, asked and revoked, what ends soon, and what needs a look."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices.notice import account, last_step, request_id, target, who
from bedrock_remediator.notices.untrusted_text import (
    WIDTH,
    known_names,
    section,
    sentence,
    unlinked,
    utc,
    visible,
    wrapped,
)

SCHEMA: Final = 1
"""As in `message.py`."""

_IN_MAIL: Final = 25
_IN_JSON: Final = 40
_NAME_LENGTH: Final = 128
_REASON_LENGTH: Final = 300
_INDENT: Final = "     "


class Folded(Struct, frozen=True, kw_only=True):
    """Notices of a storm.

    `counts` are by what they are about, `told_here` how many of them were not sent by themselves; `singly` is how many
    an hour were, beside as many of advice.
    """

    counts: Mapping[str, int]
    singly: int
    told_here: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class Digest(Struct, frozen=True, kw_only=True):
    """A day of the ledger, or the time of a storm of notices.

    Attributes:
        since: When the day began.
        until: When it ended: now.
        lasting: How long a request waits for a person.
        granted: What came into force and stands, the latest last; so are all others in their order.
        refused: What was rejected, lapsed, failed or was rolled back.
        revoked: What was taken away.
        asked: What waits for a person now.
        expiring: What ends in the days to come.
        drifted: What stands and is not as it should be: see its remark.
        late: What was approved or revoked, and is not done yet.
        reported: How many denials were only reported, by their diagnosis.
        orphans: ARNs of policies of this service that no grant accounts for.
        unheard: Which topics nobody is subscribed to, a sentence each.
        complete: Whether all of the ledger could be read in time.
        folded: The notices that this digest stands for; None for that of a day.
    """

    since: datetime
    until: datetime
    lasting: timedelta
    granted: tuple[Grant, ...] = ()
    refused: tuple[Grant, ...] = ()
    revoked: tuple[Grant, ...] = ()
    asked: tuple[Grant, ...] = ()
    expiring: tuple[Grant, ...] = ()
    drifted: tuple[Grant, ...] = ()
    late: tuple[Grant, ...] = ()
    reported: Mapping[str, int] = {}
    orphans: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    complete: bool = True
    folded: Folded | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return self.complete and not any(
            (self.reported, self.orphans, self.unheard, *(rows for _, rows in self.lists()))
        )

    def lists(self) -> Sequence[tuple[str, tuple[Grant, ...]]]:
        """The lists of grants by their names."""
        names = ("asked", "granted", "refused", "revoked", "expiring", "drifted", "late")
        return [(name, getattr(self, name)) for name in names]


def subject(digest: Digest) -> str:
    """The day in one line: printable ASCII, far shorter than 100 characters."""
    told = f"{len(digest.granted)} granted, {len(digest.refused)} refused, {len(digest.asked)} waiting"
    if digest.folded:
        return f"Bedrock access: {digest.folded.told_here} notices folded into one ({told})"
    return f"Bedrock access digest {digest.until:%Y-%m-%d}: {told}"


def attributes(digest: Digest) -> dict[str, str]:
    """The message attributes that subscriptions filter by."""
    alerting = digest.folded is not None and any(kind.startswith("alert") for kind in digest.folded.counts)
    return {"event": "digest", "severity": "alert" if alerting else "action" if _needs_a_look(digest) else "info"}


def _needs_a_look(digest: Digest) -> bool:
    return any((digest.asked, digest.drifted, digest.orphans, digest.unheard))


def message(digest: Digest, *, may_be_duplicate: bool = False) -> dict[str, str]:
    """The texts by protocol: `email` for people, and for all others JSON for programs. No text decides anything."""
    return {
        "default": _structured(digest, may_be_duplicate=may_be_duplicate),
        "email": _mail(digest, may_be_duplicate=may_be_duplicate),
    }


_TITLES: Final[Mapping[str, str]] = {
    "asked": "Waiting for a person",
    "granted": "Granted",
    "refused": "Not granted",
    "revoked": "Revoked",
    "expiring": "Ending soon",
    "drifted": "Not as granted: please look",
    "late": "On its way for longer than it should be",
}


def _mail(digest: Digest, *, may_be_duplicate: bool) -> str:
    duplicate = "This may be a duplicate: an earlier attempt to send it was cut off."
    lines = [
        "BEDROCK ACCESS DIGEST",
        "=" * WIDTH,
        *(wrapped(duplicate) if may_be_duplicate else ()),
        f"From {utc(digest.since)} to {utc(digest.until)}.",
        *(_folded(digest.folded) if digest.folded else ()),
        *(() if digest.complete else wrapped("There was no time to read all of the ledger: some grants are missing.")),
    ]
    for name, rows in digest.lists():
        if rows:
            lines += section(f"{_TITLES[name]} ({len(rows)})", _listed(rows, _DETAILS[name], digest))
    lines += _others(digest)
    lines += ["", "-" * WIDTH, "Sent by bedrock-access-remediator."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _folded(folded: Folded) -> list[str]:
    told = (
        f"There were {folded.total:,} notices, more than MaxNoticesPerHour ({folded.singly:,}) lets out one by one: "
        f"{folded.told_here:,} of them are told here alone. Requests were sent all the same, and of alerts about the "
        "same caller the first."
    )
    return [*wrapped(told), *section("Notices by what they are about", _counts(folded.counts))]


def _folded_counts(folded: Folded) -> dict[str, Any]:
    return {"total": folded.total, "told_here": folded.told_here, "by_event": dict(folded.counts)}


def _counts(counts: Mapping[str, int]) -> list[str]:
    return [f"  {count:>5}  {name}" for name, count in sorted(counts.items())]


def _listed(rows: Sequence[Grant], detail: "Detail", digest: Digest) -> list[str]:
    lines: list[str] = []
    for row in rows[:_IN_MAIL]:
        place = f"{row.region}, account {account(row)}" if row.account_name else row.region
        told = f"{who(row)} -> {target(row) or 'a Bedrock model'} ({place})"
        lines += wrapped(unlinked(visible(told), known_names(row)), "  * ", "    ")
        lines += wrapped(unlinked(detail(row, digest), known_names(row)), _INDENT)
    if len(rows) > _IN_MAIL:
        lines += [f"  ... and {len(rows) - _IN_MAIL} more"]
    return lines


def _others(digest: Digest) -> list[str]:
    lines: list[str] = []
    if digest.reported:
        lines += section("Denials that were only reported, by diagnosis", _counts(digest.reported))
    if digest.orphans:
        told = "No grant accounts for them. They are left as they are: detach and delete them if nobody needs them."
        shown = [f"  {visible(arn)}" for arn in digest.orphans[:_IN_MAIL]]
        lines += section(f"Policies without a grant ({len(digest.orphans)})", wrapped(told), shown)
    if digest.unheard:
        lines += section("Topics that nobody hears", *(wrapped(each, "  * ", "    ") for each in digest.unheard))
    return lines


Detail = Callable[[Grant, Digest], str]


def _granted(row: Grant, _: Digest) -> str:
    end = f"until {utc(row.expires_at)}" if row.expires_at else "without end"
    again = "put right " if row.reason_code == "policy_drifted" else ""
    return f"{again}{_by(row)}, {end}"


def _ended(row: Grant, _: Digest) -> str:
    step = last_step(row)
    reason = sentence(step.reason if step else row.reason, _REASON_LENGTH)
    return f"{row.state} by {_actor(row)} ({visible(row.reason_code, _NAME_LENGTH)}): {reason}"


def _asked(row: Grant, digest: Digest) -> str:
    return f"since {utc(row.updated_at)}, lapses {utc(row.updated_at + digest.lasting)}"


def _expiring(row: Grant, _: Digest) -> str:
    return f"ends {utc(row.expires_at)}" if row.expires_at else ""


def _drifted(row: Grant, _: Digest) -> str:
    remark = remark_of(row)
    return sentence(remark.reason, _REASON_LENGTH) if remark else ""


def _late(row: Grant, _: Digest) -> str:
    return f"{row.state} since {utc(row.updated_at)}"


_DETAILS: Final[Mapping[str, Detail]] = {
    "asked": _asked,
    "granted": _granted,
    "refused": _ended,
    "revoked": _ended,
    "expiring": _expiring,
    "drifted": _drifted,
    "late": _late,
}


def _by(row: Grant) -> str:
    """Who decided: a rule, or a person under the name that was given."""
    if row.rule:
        return f"by rule {visible(row.rule, _NAME_LENGTH)}"
    return f"by {sentence(row.decided_by, _NAME_LENGTH)}" if row.decided_by else f"by {row.decision}"


def _actor(row: Grant) -> str:
    """Who ended it: remediate only carries out what somebody else decided."""
    if row.state in (State.REVOKED, State.REJECTED) and row.decided_by and row.reason_code != "expired":
        return sentence(row.decided_by, _NAME_LENGTH)
    step = last_step(row)
    return sentence(step.by, _NAME_LENGTH) if step else "triage"


def _structured(digest: Digest, *, may_be_duplicate: bool) -> str:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "event": "digest",
        "severity": attributes(digest)["severity"],
        "subject": subject(digest),
        "may_be_duplicate": may_be_duplicate,
        "since": _instant(digest.since),
        "until": _instant(digest.until),
        "complete": digest.complete,
        "counts": {name: len(rows) for name, rows in digest.lists()},
        "reported": dict(digest.reported),
        "folded": _folded_counts(digest.folded) if digest.folded else None,
        **{name: [_entry(row) for row in rows[:_IN_JSON]] for name, rows in digest.lists()},
        "topics_without_subscriber": list(digest.unheard),
        "policies_without_grant": [visible(arn) for arn in digest.orphans[:_IN_JSON]],
    }
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _entry(row: Grant) -> dict[str, str | None]:
    remark = remark_of(row)
    return {
        "request_id": request_id(row),
        "principal": visible(row.principal or row.pk, _REASON_LENGTH),
        "called": target(row),
        "account": visible(row.account, _NAME_LENGTH),
        "account_name": visible(row.account_name, _NAME_LENGTH) if row.account_name else None,
        "region": visible(row.region, _NAME_LENGTH),
        "state": row.state,
        "reason_code": visible(remark.code if remark else row.reason_code, _NAME_LENGTH),
        "updated_at": _instant(row.updated_at),
        "expires_at": _instant(row.expires_at) if row.expires_at else None,
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
