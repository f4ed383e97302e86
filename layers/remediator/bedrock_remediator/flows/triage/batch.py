"""A batch of messages sorted into groups: the denials of one principal that are the same, once each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.write import Seen
from bedrock_remediator.core.cloudtrail import Denial, Unreadable
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.lifecycle import fingerprint
from bedrock_remediator.core.suspicion import Call, address_name, client_name, target_name

_EVENT_IDS_KEPT: Final = 100


class Summary(Struct):
    """What became of a batch.

    `counts` are messages by fate (`repeat`, `copy`, `refused`, `blocked`, or the state of the row they opened),
    `opened` the new rows, `failed` the ids of the messages to deliver again.
    """

    counts: Counter[str]
    opened: list[Grant]
    failed: set[str]


class Group(Struct):
    """Denials that are the same: the newest of them, the messages that brought them, and when each call was made.

    `targets` is what the principal was denied in the whole batch, and when last: one mapping for all its groups.
    An event is known by its eventID and its sharedEventID: two copies of one call share at least one. `counted` are the
    ids of those that a backfilled group has in common with what CloudTrail delivered, and that were counted then.
    `delivered` is, of a backfilled group, what the ledger finds the counter of the same denials by, as CloudTrail
    delivers them: a person who looks into the past finds those, too. It stays, whatever the denial turns out to be.
    """

    pk: str
    fingerprint: str
    denial: Denial | Unreadable
    messages: list[str]
    events: dict[tuple[str, ...], datetime]
    targets: dict[str, datetime]
    counted: frozenset[str] = frozenset()
    delivered: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.denial, Denial) and self.denial.backfill:
            self.delivered = self.pk, fingerprint(replace(self.denial, backfill=False))

    @property
    def key(self) -> tuple[str, str]:
        """What the ledger finds its counter by."""
        return self.pk, self.fingerprint

    def add(self, message_id: str, denial: Denial | Unreadable) -> None:
        """Put one more denial into the group."""
        if denial.time >= self.denial.time:
            self.denial = denial
        self.messages.append(message_id)
        ids = tuple(filter(None, (denial.event_id, denial.shared_event_id)))
        self.events.setdefault(ids, denial.time)
        if name := _target(denial):
            self.targets[name] = max(denial.time, self.targets.get(name, denial.time))

    def anew(self, denial: Denial | Unreadable) -> "Group":
        """The same events under what their denial turned out to be."""
        return Group(denial.caller.partition_key, fingerprint(denial), denial, self.messages, self.events, self.targets)

    def call(self, now: datetime) -> Call:
        """The newest call, as far as it tells of its caller; a clock that is wrong makes no call a later one."""
        return Call(
            time=min(self.denial.time, now),
            caller=self.denial.caller.id,
            address=address_name(self.denial.source_ip, self.denial.vpc_endpoint),
            client=client_name(self.denial.user_agent),
            targets={name: min(time, now) for name, time in self.targets.items()},
        )

    def since(self, seen: Seen | None) -> dict[tuple[str, ...], datetime]:
        """The events that have not been counted yet; of copies in the batch itself, one."""
        known = {*self.counted, *(seen.event_ids if seen else ())}
        new = {}
        for ids, time in self.events.items():
            if known.isdisjoint(ids):
                new[ids] = time
            known.update(ids)
        return new


def grouped(denials: Iterable[tuple[str, Denial | Unreadable]]) -> list[Group]:
    """Sort the denials (each with its message's id) into groups, in the order in which they came."""
    groups: dict[tuple[str, str], Group] = {}
    targets: dict[str, dict[str, datetime]] = {}
    for message_id, denial in denials:
        key = denial.caller.partition_key, fingerprint(denial)
        denied = targets.setdefault(key[0], {})
        group = groups.setdefault(key, Group(*key, denial=denial, messages=[], events={}, targets=denied))
        group.add(message_id, denial)
    return list(groups.values())


def merged(groups: Sequence[Group], fingerprint: str) -> Group:
    """Groups of one principal as one, under a fingerprint of its own."""
    newest = max(groups, key=lambda group: group.denial.time)
    events = {ids: time for group in groups for ids, time in group.events.items()}
    messages = [message for group in groups for message in group.messages]
    return Group(newest.pk, fingerprint, denial=newest.denial, messages=messages, events=events, targets={})


def counter(group: Group, seen: Seen | None, new: Mapping[tuple[str, ...], datetime]) -> Seen:
    """The group's counter with the new events in it, as it is to be written. A new one belongs to no row yet."""
    ids = tuple(item for ids in new for item in ids)
    if seen is None:
        return Seen(
            pk=group.pk,
            fingerprint=group.fingerprint,
            row="",
            count=len(new),
            event_ids=ids[-_EVENT_IDS_KEPT:],
            first_at=min(new.values()),
            last_at=max(new.values()),
        )
    return replace(
        seen,
        count=seen.count + len(new),
        event_ids=(*seen.event_ids, *ids)[-_EVENT_IDS_KEPT:],
        first_at=min(seen.first_at, *new.values()),
        last_at=max(seen.last_at, *new.values()),
        revision=seen.revision + 1,
    )


def _target(denial: Denial | Unreadable) -> str | None:
    """What was called; None where that cannot be told, or the event was put in by a person."""
    if isinstance(denial, Unreadable) or denial.backfill:
        return None
    called = denial.resource.id if denial.resource else denial.model_id
    return target_name(called) if called else None
