"""How values become items of the ledger and come back."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from bedrock_remediator.aws.ledger import expressions
from bedrock_remediator.aws.ledger.items import (
    Cap,
    Seen,
    archive_item,
    cap_expiry,
    due_at,
    grant_item,
    instant,
    marshal,
    notice_key,
    read_grant,
    read_seen,
    seen_item,
    unmarshal,
)
from bedrock_remediator.core.grant import Cause, Event, Grant, Outcome, Remark, State, Verification, Via, Written
from bedrock_remediator.core.layers import Effect
from tests.builders.grants import MODELS, NOON, PROFILE, ROLE, pending_grant


def full_grant() -> Grant:
    """A row in which no field is left at its default."""
    return pending_grant(
        account_name="research",
        effect=Effect.EXPLICIT,
        denying_policy="arn:aws:iam::123456789012:policy/deny",
        decision=Outcome.AUTO,
        allowed=MODELS[:1],
        candidates=("us.amazon.nova-2-lite-v1:0",),
        evidence='{"Effect": "Allow"}',
        rule="nova-for-llm-apps",
        verification=Verification.SIMULATED,
        simulated_at=NOON,
        applied_at=NOON,
        expires_at=NOON + timedelta(days=30),
        grant_seconds=30 * 86400,
        cool_down_until=NOON,
        cool_downs=2,
        blocked_by="an SCP",
        basis="0123",
        cause=Cause(code="missing_grant", reason="4 ARNs are missing.", ask_only=True),
        attempt=3,
        written=Written(strategy="in-place", policies=("arn",), added=(PROFILE,), previous_version="v2"),
        decided_by="Ålice (unverified)",
        decided_at=NOON,
        decided_via=Via.LINK,
        decided_version=1,
        decision_reason="Fine.",
        approval="bWFj",
        reminded_at=NOON,
        driven_at=NOON,
        link_asked_at=NOON,
        remark=Remark(version=1, at=NOON, code="drifted", reason="It was edited."),
        looked_at=NOON,
        history=(Event(at=NOON, state=State.PENDING, by="triage", reason="no rule — «ask»"),),
    )


@pytest.mark.parametrize("grant", [pending_grant(), full_grant(), pending_grant(principal=None, principal_id=None)])
def test_a_grant_comes_back_as_it_was(grant: Grant) -> None:
    """Every field of a grant survives the ledger."""
    assert read_grant(grant_item(grant)) == grant


def test_the_full_grant_is_full() -> None:
    """The example above leaves no field at its default, so that a new field cannot be forgotten there."""
    fields = msgspec.structs.fields(Grant)
    assert not [field.name for field in fields if getattr(full_grant(), field.name) == field.default]


def test_a_row_of_a_newer_version_can_be_read() -> None:
    """An attribute that this code does not know is passed over: functions are deployed one after another."""
    assert read_grant(grant_item(pending_grant()) | {"colour": {"S": "green"}}) == pending_grant()


def test_a_damaged_row_is_refused() -> None:
    """A row that is no grant is an error, never a grant that holds less."""
    item = grant_item(pending_grant())
    del item["version"]
    with pytest.raises(msgspec.ValidationError):
        read_grant(item)


def test_a_row_has_what_the_stream_and_the_index_need() -> None:
    """The message group and the due time are attributes of their own."""
    item = grant_item(pending_grant())
    assert item["group"] == {"S": pending_grant().group}
    assert item["due_at"] == {"S": "2026-11-20T12:00:00Z"}
    assert item["state"] == {"S": "pending"}


@pytest.mark.parametrize(
    ("state", "expires_at", "due"),
    [
        (State.PENDING, None, NOON),
        (State.APPROVED, None, NOON + timedelta(minutes=15)),
        (State.APPLYING, NOON, NOON + timedelta(minutes=15)),
        (State.REVOKING, None, NOON + timedelta(minutes=15)),
        (State.ACTIVE, NOON + timedelta(days=1), NOON + timedelta(days=1)),
        (State.ACTIVE, None, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (State.REPORTED, None, NOON),
        (State.REVOKED, NOON + timedelta(days=1), NOON),
        (State.FAILED, None, NOON),
    ],
)
def test_a_row_is_due_when_something_can_become_of_it(state: State, expires_at: datetime | None, due: datetime) -> None:
    """Stuck rows are due after a quarter of an hour, active ones when they expire; finished ones, when they ended."""
    assert due_at(pending_grant(state=state, expires_at=expires_at)) == due


def test_an_archived_row_wakes_nobody() -> None:
    """The copy keeps what the row said, and none of the attributes that anybody filters or sorts by."""
    item = archive_item(pending_grant(state=State.LAPSED, version=3))
    assert item["sk"] == {"S": f"archive#profile#{PROFILE}#3"}
    assert item["archived_state"] == {"S": "lapsed"}
    assert not {"state", "due_at", "group"} & item.keys()


def test_a_counter_comes_back_as_it_was() -> None:
    """A counter's fingerprint is its sort key, and everything survives the ledger."""
    seen = Seen(
        pk=ROLE,
        fingerprint="invoke#x",
        row=f"profile#{PROFILE}",
        count=7,
        event_ids=("e1", "e2"),
        first_at=NOON,
        last_at=NOON + timedelta(hours=1),
        revision=4,
    )
    assert seen_item(seen)["sk"] == {"S": "seen#invoke#x"}
    assert read_seen(seen_item(seen)) == seen


def test_a_notice_has_a_marker_of_its_own() -> None:
    """Its key tells the row, its version and its state, apart from all rows: IAM holds notify to keys that begin so."""
    marker = f"profile#{PROFILE}#1#pending"
    assert notice_key(pending_grant()) == {"pk": {"S": f"notice#{ROLE}"}, "sk": {"S": marker}}
    asked = pending_grant(link_asked_at=NOON)
    assert notice_key(asked) == notice_key(asked) | {"sk": {"S": marker}}
    assert notice_key(asked, link=True)["sk"] == {"S": f"{marker}#link#2026-11-20T12:00:00Z"}


def test_a_cap_outlives_its_day() -> None:
    """The counter may be deleted only when its day is over in every time zone."""
    assert datetime.fromtimestamp(cap_expiry(Cap(name="x", day="2026-11-20", limit=1)), UTC) == datetime(
        2026, 11, 23, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("text", {"S": "text"}),
        ("", {"S": ""}),
        (0, {"N": "0"}),
        (-12, {"N": "-12"}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (["a", 1], {"L": [{"S": "a"}, {"N": "1"}]}),
        ({"a": {"b": False}}, {"M": {"a": {"M": {"b": {"BOOL": False}}}}}),
    ],
)
def test_values_have_one_form(value: Any, attribute: dict[str, Any]) -> None:
    """Each kind of value is written in one way, and read back as itself."""
    assert marshal(value) == attribute
    assert unmarshal(attribute) == value
    assert type(unmarshal(attribute)) is type(value)


def test_times_are_utc_to_the_second() -> None:
    """A time of another zone is written in UTC, so that times sort as text."""
    vienna = timezone(timedelta(hours=1))
    assert marshal(datetime(2026, 11, 20, 13, 0, 0, 999999, tzinfo=vienna)) == {"S": "2026-11-20T12:00:00Z"}


def test_a_time_without_a_zone_is_refused() -> None:
    """Nobody could say when it was."""
    with pytest.raises(ValueError, match="no time zone"):
        instant(datetime(2026, 11, 20, 12, 0))  # noqa: DTZ001 - it is what must be refused


def test_other_values_are_refused() -> None:
    """What the ledger does not write it does not read either."""
    with pytest.raises(TypeError, match="float"):
        marshal(1.5)
    with pytest.raises(TypeError, match="type B"):
        unmarshal({"B": b"x"})


class TestExpressions:
    """What the ledger says to DynamoDB."""

    def test_a_condition_tells_absent_from_present(self) -> None:
        """An attribute that was not there must still not be there."""
        assert expressions.unchanged({"state": {"S": "active"}}, ["state", "blocked_by"]) == {
            "ConditionExpression": "attribute_not_exists(#blocked_by) AND #state = :was_state",
            "ExpressionAttributeNames": {"#blocked_by": "blocked_by", "#state": "state"},
            "ExpressionAttributeValues": {":was_state": {"S": "active"}},
        }

    def test_a_condition_without_values_sends_none(self) -> None:
        """DynamoDB refuses an empty set of values."""
        assert "ExpressionAttributeValues" not in expressions.unchanged({}, ["state"])

    def test_an_update_names_what_differs_only(self) -> None:
        """What is the same in both is neither written nor removed."""
        before = {"a": {"N": "1"}, "b": {"S": "gone"}, "c": {"S": "same"}}
        after = {"a": {"N": "2"}, "c": {"S": "same"}, "d": {"S": "new"}}
        assert expressions.update(before, after, ["a"]) == {
            "UpdateExpression": "SET #a = :a, #d = :d REMOVE #b",
            "ConditionExpression": "#a = :was_a",
            "ExpressionAttributeNames": {"#a": "a", "#b": "b", "#d": "d"},
            "ExpressionAttributeValues": {":was_a": {"N": "1"}, ":a": {"N": "2"}, ":d": {"S": "new"}},
        }

    def test_an_update_may_only_remove(self) -> None:
        """Without anything to set there is no SET."""
        found = expressions.update({"a": {"N": "1"}, "v": {"N": "1"}}, {"v": {"N": "1"}}, ["v"])
        assert found["UpdateExpression"] == "REMOVE #a"

    @pytest.mark.parametrize(
        ("found", "made"),
        [
            ({"v": {"N": "2"}, "x": {"S": "of somebody else"}}, True),
            ({"v": {"N": "2"}, "gone": {"S": "still here"}}, False),
            ({"v": {"N": "3"}}, False),
            ({}, False),
        ],
    )
    def test_a_change_is_known_again(self, found: dict[str, Any], *, made: bool) -> None:
        """An item that is just as the update would make it has had that update; what others wrote does not matter."""
        before, after = {"v": {"N": "1"}, "gone": {"S": "x"}}, {"v": {"N": "2"}}
        assert expressions.already_made(found, before, after, ["v"]) is made
