"""What member accounts are called, and how seldom that is asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from bedrock_remediator.aws.account_names import AccountNames
from tests.builders.clocks import StoppedClock

HOME, MEMBER, OTHER = "123456789012", "444455556666", "777788889999"


class Organizations:
    """Knows some accounts; what was asked is in `asked`."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def describe_account(self, *, AccountId: str) -> Any:  # noqa: N803 - AWS's own spelling
        """The account, or the trouble."""
        self.asked.append(AccountId)
        answer = self.answers.get(AccountId, "AccountNotFoundException")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, "DescribeAccount")
        return {"Account": answer}


@pytest.fixture
def clock() -> StoppedClock:
    """A clock."""
    return StoppedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


def names(organizations: Organizations, clock: StoppedClock, *, asks: bool = True) -> AccountNames:
    """The names as triage asks for them."""
    return AccountNames(lambda: organizations, HOME, clock, asks=asks)


def test_a_name_is_asked_for_once_an_hour(clock: StoppedClock) -> None:
    """Then it may have changed."""
    organizations = Organizations({MEMBER: {"Name": "payments"}})
    called = names(organizations, clock)
    assert [called(MEMBER), called(MEMBER)] == ["payments", "payments"]
    clock.time += timedelta(hours=1)
    assert called(MEMBER) == "payments"
    assert organizations.asked == [MEMBER, MEMBER]


def test_the_services_own_account_is_never_asked_for(clock: StoppedClock) -> None:
    """Nor is any where no member account is enrolled: the single account costs no call."""
    organizations = Organizations({})
    assert names(organizations, clock)(HOME) is None
    alone = names(organizations, clock, asks=False)
    assert (alone(HOME), alone(MEMBER)) == (None, MEMBER)
    assert organizations.asked == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "AWSOrganizationsNotInUseException"])
def test_who_may_not_ask_does_not_go_on_asking(clock: StoppedClock, code: str) -> None:
    """One refusal stands for all accounts, for an hour."""
    organizations = Organizations({MEMBER: code, OTHER: {"Name": "payments"}})
    called = names(organizations, clock)
    assert [called(MEMBER), called(OTHER)] == [MEMBER, OTHER]
    assert organizations.asked == [MEMBER]
    clock.time += timedelta(hours=1)
    assert called(OTHER) == "payments"


@pytest.mark.parametrize("answer", [{}, {"Name": ""}, "AccountNotFoundException"])
def test_an_account_without_a_name_is_called_by_its_id(clock: StoppedClock, answer: Any) -> None:
    """And others are still asked for."""
    organizations = Organizations({MEMBER: answer, OTHER: {"Name": "payments"}})
    called = names(organizations, clock)
    assert [called(MEMBER), called(MEMBER), called(OTHER)] == [MEMBER, MEMBER, "payments"]
    assert organizations.asked == [MEMBER, OTHER]


def test_no_answer_stops_nothing(clock: StoppedClock) -> None:
    """A name is worth no second try of a message."""
    called = names(Organizations({MEMBER: ConnectTimeoutError(endpoint_url="https://organizations")}), clock)
    assert called(MEMBER) == MEMBER
