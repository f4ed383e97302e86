"""Tell people what became of a grant.

    image of the stream --> row as it is now --> same state and version? --> claim its marker --> publish --> mark it
                                                 no: the next image tells    sent: say nothing
                                                                             claimed: say that it may be a duplicate

Delivery is at least once; the marker makes duplicates rare. Nothing here can reach IAM.

In a storm, notices beyond so many an hour are counted and not sent: upkeep tells of them in one digest when the hour is
over. Advice has an hour's number of its own, of which one principal may use a tenth: nothing that anybody is denied
displaces the word of a grant. What a person must decide always goes out by itself, and so does an alert, unless it is
one of many about the same caller.
"""

import enum
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.read import GrantsWithCounters, GrantWithCounters
from bedrock_remediator.aws.ledger.write import FOLDED, Ledger, Sightings, hour_of, share_of_one
from bedrock_remediator.aws.messaging import Publisher
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.flows.links.links import Links
from bedrock_remediator.notices.amazon_q import custom_notification
from bedrock_remediator.notices.message import message
from bedrock_remediator.notices.notice import FOR_APPROVERS, Audience, Denials, Notice, Occasion, occasions
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.subject import attributes, subject
from bedrock_remediator.settings import NotifySettings


class Fate(enum.StrEnum):
    """What became of one image of the stream."""

    SENT = "sent"
    SENT_AGAIN = "sent_again"
    SENT_BEFORE = "sent_before"
    FOLDED = "folded"
    OVERTAKEN = "overtaken"
    SILENT = "silent"


class Change(Struct, frozen=True):
    """A row's new state, as the stream tells it. Only its key and what it claims to be are believed, to compare."""

    pk: str
    sk: str
    state: str
    version: int

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self | None:
        """Read a record of the table's stream; None for an item that has no state, or none any more."""
        image = record["dynamodb"].get("NewImage", {})
        if not {"pk", "sk", "state", "version"} <= image.keys():
            return None
        return cls(image["pk"]["S"], image["sk"]["S"], image["state"]["S"], int(image["version"]["N"]))


_NO_REQUEST: Final = frozenset({Occasion.ADVICE, Occasion.ALERT})
"""What nobody can decide about, and so has no page."""

_FATES: Final = {"new": Fate.SENT, "maybe_sent": Fate.SENT_AGAIN}


class Notification:
    """Sends the notice of a change. Everything it needs is given to it."""

    def __init__(
        self, *, ledger: Ledger, publisher: Publisher, links: Links, settings: NotifySettings, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._links = links
        self._settings = settings
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A new batch: everything is read anew."""
        self._rows = GrantsWithCounters(self._ledger)

    def tell(self, record: Mapping[str, Any]) -> Fate:
        """Send the notice that one record of the stream calls for, if any.

        Raises:
            RetryableError: DynamoDB, SNS or Secrets Manager is throttling or does not answer.
            SecretError: The keys that links are signed with are none.
            msgspec.ValidationError: The row is no grant.
            botocore.exceptions.ClientError: A call was refused.
        """
        change = Change.read(record)
        if change is None:
            return Fate.SILENT
        known = self._rows.of(change.pk, change.sk)
        grant = known.grant
        if grant is None or (grant.state, grant.version) != (change.state, change.version):
            return Fate.OVERTAKEN
        fates = [self._tell_of(grant, known, about) for about in occasions(grant)]
        return fates[-1] if fates else Fate.SILENT

    def _tell_of(self, grant: Grant, known: GrantWithCounters, about: Occasion) -> Fate:
        link = about is Occasion.LINK
        claim = self._ledger.claim_notice(grant, link=link)
        if claim == "sent":
            return Fate.SENT_BEFORE
        room = self._room(Notice(grant=grant, occasion=about))
        if room >= 0:
            notice = self._notice(grant, known, about, may_be_duplicate=claim == "maybe_sent")
            self._publish(replace(notice, more_folded=room == 0))
        self._ledger.notice_sent(grant, link=link)
        return _FATES[claim] if room >= 0 else Fate.FOLDED

    def _room(self, notice: Notice) -> float:
        """How many notices may follow this one in its hour: none at 0, and below that this one is folded too."""
        hour, most = hour_of(self._clock.now()), self._settings.notices_an_hour
        if subject_of_flood := notice.of_one:
            own = share_of_one(most)
            counted = self._ledger.count_notice_of_one(subject_of_flood, hour)
            if counted > own:
                self._ledger.count_notice(f"{notice.occasion}{FOLDED}", hour)
                return -1
            if not notice.foldable:
                return math.inf if counted < own else 0
        if not notice.foldable:
            return math.inf
        return most - self._ledger.count_notice(notice.occasion, hour)

    def _notice(self, grant: Grant, known: GrantWithCounters, about: Occasion, *, may_be_duplicate: bool) -> Notice:
        return Notice(
            grant=grant,
            occasion=about,
            denials=_denials(known.denials),
            plan=plan(grant, lambda: known.grants, self._settings.extra_actions),
            strategy=self._settings.strategy,
            lapses_at=self._lapses_at(grant),
            link=self._links.url(grant) if about in FOR_APPROVERS else None,
            page=self._links.look_url(grant) if about not in _NO_REQUEST else None,
            may_be_duplicate=may_be_duplicate,
        )

    def _lapses_at(self, grant: Grant) -> datetime | None:
        lasting = timedelta(hours=self._settings.links.lapse_hours)
        return grant.updated_at + lasting if grant.state is State.PENDING else None

    def _publish(self, notice: Notice) -> None:
        topics = {
            Audience.APPROVALS: self._settings.approvals_topic_arn,
            Audience.NOTICES: self._settings.notices_topic_arn,
        }
        told = attributes(notice)
        self._publisher.publish(topics[notice.audience], subject(notice), message(notice), told)
        if self._settings.amazon_q_topic_arn and notice.occasion is not Occasion.LINK:
            # A topic of its own: over https, every subscriber of a topic gets the same text.
            chat = {"default": custom_notification(notice, notice.page)}
            self._publisher.publish(self._settings.amazon_q_topic_arn, subject(notice), chat, told)


def _denials(seen: Sightings) -> Denials | None:
    if seen.first_at is None or seen.last_at is None:
        return None
    return Denials(count=seen.count, first_at=seen.first_at, last_at=seen.last_at)
