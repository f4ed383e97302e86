"""What an approver is told to look at twice."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.core.suspicion import Habits, RiskKind, Trait, risks
from tests.builders.decisions import waiting
from tests.builders.grants import NOON


def seen(grant: Grant, **changes: Any) -> Grant:
    """The row with another sighting."""
    return msgspec.structs.replace(grant, sighting=msgspec.structs.replace(grant.sighting, **changes))


def other(name: str = "b", minutes: int = 10_000, **sighting: Any) -> Grant:
    """Another row of the principal, made some minutes before."""
    made = NOON - timedelta(minutes=minutes)
    return seen(waiting(sk=f"profile#{name}", profile=name, created_at=made), **sighting)


def kinds(grant: Grant, rows: Sequence[Grant]) -> list[RiskKind]:
    """The kinds of the remarks."""
    found = risks(grant, rows)
    assert all(risk.text.endswith(".") for risk in found)
    return [risk.kind for risk in found]


def test_a_first_request_is_one() -> None:
    """The row itself does not count, and one that was opened before is no first."""
    assert kinds(waiting(), [waiting()]) == [RiskKind.FIRST_REQUEST]
    reopened = waiting(version=5, history=(Event(at=NOON, state=State.PENDING, by="triage", reason="again"),))
    assert kinds(reopened, []) == []


def test_an_ordinary_request_has_no_remark() -> None:
    """The same client from the same address as ever."""
    usual: dict[str, Any] = {"source_ip": "198.51.100.7", "user_agent": "Boto3/1.44.5 md/Botocore#1.44.5"}
    newer = {**usual, "user_agent": "boto3/1.45.0"}
    assert kinds(seen(waiting(), **newer), [other(**usual)]) == []


def test_a_conditional_allow_is_somebodys_control() -> None:
    """It comes first."""
    row = waiting(diagnosis=DiagnosisKind.CONDITIONAL_ALLOW)
    assert kinds(row, []) == [RiskKind.CONDITIONAL_ALLOW, RiskKind.FIRST_REQUEST]


@pytest.mark.parametrize(
    ("here", "before", "expected"),
    [
        ({"source_ip": "198.51.100.7"}, {"source_ip": "203.0.113.9"}, [RiskKind.NEW_ADDRESS]),
        ({"source_ip": "198.51.100.7"}, {"source_ip": None}, []),
        ({"source_ip": None}, {"source_ip": "203.0.113.9"}, []),
        ({"user_agent": "curl/8"}, {"user_agent": "Boto3/1.44.5"}, [RiskKind.NEW_CLIENT]),
        ({"user_agent": "  "}, {"user_agent": "Boto3/1.44.5"}, []),
        ({"user_agent": "/"}, {"user_agent": "Boto3/1.44.5"}, []),
    ],
)
def test_another_address_or_client_is_remarked(
    here: dict[str, Any], before: dict[str, Any], expected: list[RiskKind]
) -> None:
    """Where there is something to compare with."""
    assert kinds(seen(waiting(), **here), [other(**before)]) == expected


def test_several_models_in_a_short_time_are_remarked() -> None:
    """Three profiles within an hour are several, two are not, nor are two rows about one of them."""
    advice = waiting(sk="advice#x", created_at=NOON)
    assert kinds(waiting(), [other("b", 5), other("c", 30), waiting()]) == [RiskKind.SEVERAL_MODELS]
    assert kinds(waiting(), [other("b", 5), other("c", 61), advice]) == []
    direct = waiting(sk="model#d", profile=None, model_id="d")
    nameless = waiting(sk="advice#e", profile=None, model_id=None)
    assert kinds(waiting(), [direct, nameless]) == [RiskKind.SEVERAL_MODELS]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("probing", RiskKind.SEVERAL_MODELS),
        ("new_address", RiskKind.NEW_ADDRESS),
        ("new_client", RiskKind.NEW_CLIENT),
        ("new_principal", RiskKind.NEW_PRINCIPAL),
        ("outside_source_ips", RiskKind.OUTSIDE_SOURCE_IPS),
        ("cap_reached", RiskKind.MANY_GRANTS),
        ("principal_cap_reached", RiskKind.MANY_GRANTS),
    ],
)
def test_what_turned_a_rules_grant_into_a_request_is_remarked(code: str, kind: RiskKind) -> None:
    """Even where the rows that it was told by do not show it any more."""
    assert kinds(waiting(reason_code=code), [other()]) == [kind]


class TestWhatIsKnown:
    """Where the rows are not all that there is, the habits tell of the rest."""

    USUAL: dict[str, Any] = {"source_ip": "198.51.100.7", "user_agent": "Boto3/1.44.5"}  # noqa: RUF012 - read only

    def habits(self, row: Grant, before: timedelta = timedelta(hours=2), **changes: Any) -> Habits:
        """What was known of the row's principal before its call: another address and client."""
        then = row.sighting.time - before
        made = {"principal_id": row.principal_id, "addresses": (Trait("203.0.113.9", then),)}
        return Habits(pk=row.pk, **{**made, "clients": (Trait("curl", then),), **changes})

    def found(self, row: Grant, habits: Habits) -> list[RiskKind]:
        """What is unusual about it, beside that it is the first."""
        return [risk.kind for risk in risks(row, [], habits) if risk.kind is not RiskKind.FIRST_REQUEST]

    def test_another_address_and_client_are_new(self) -> None:
        """As if a row told of them."""
        row = seen(waiting(), **self.USUAL)
        assert self.found(row, self.habits(row)) == [RiskKind.NEW_ADDRESS, RiskKind.NEW_CLIENT]

    def test_the_requests_own_call_vouches_for_nothing(self) -> None:
        """It is known by that very call."""
        row = seen(waiting(), **self.USUAL)
        known = self.habits(row)
        own = Trait("198.51.100.7", row.sighting.time)
        again = msgspec.structs.replace(known, addresses=(*known.addresses, own), clients=())
        assert self.found(row, again) == [RiskKind.NEW_ADDRESS]
        earlier = Trait(own.value, own.at - timedelta(minutes=1))
        assert self.found(row, msgspec.structs.replace(again, addresses=(*known.addresses, earlier))) == []

    def test_another_principal_of_the_name_is_not_compared(self) -> None:
        """What it used says nothing about this one."""
        row = seen(waiting(), **self.USUAL)
        assert self.found(row, self.habits(row, principal_id="AROAANOTHER")) == []

    def test_several_models_of_an_hour_are_several(self) -> None:
        """Whoever had the name."""
        row = seen(waiting(), **self.USUAL)
        targets = tuple(Trait(f"us.nova-{number}", row.sighting.time) for number in range(3))
        assert self.found(row, Habits(pk=row.pk, targets=targets)) == [RiskKind.SEVERAL_MODELS]
        assert self.found(row, Habits(pk=row.pk, targets=targets[:2])) == []
