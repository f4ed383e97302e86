"""Principals are read once a batch."""

from datetime import timedelta

import pytest

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.flows.triage.principals import Principals
from tests.builders import records as make
from tests.builders.aws import FakeIam
from tests.builders.grants import NOON

ROLE = Principal.parse(make.ROLE)


def test_a_principal_is_asked_for_once_a_batch() -> None:
    """Under whichever path; and anew in the next, since its policies may have changed."""
    iam = FakeIam()
    principals = Principals(iam)
    for _ in range(2):
        principals.begin()
        for path in ("/", "/service/"):
            role = Principal(ROLE.partition, ROLE.account, ROLE.kind, path, ROLE.name)
            assert principals.identity(role, NOON)
            assert principals.principal(role)
    assert iam.asked == ["identity", "principal"] * 2


def test_one_that_there_is_not_is_asked_for_once_too() -> None:
    """That is an answer."""
    iam = FakeIam(exists=False)
    principals = Principals(iam)
    for _ in range(3):
        assert principals.identity(ROLE, NOON) is None
        assert principals.principal(ROLE) is None
    assert iam.asked == ["identity", "principal"]


def test_an_iam_that_does_not_answer_is_asked_once() -> None:
    """The others of the batch need its few calls a second; the next batch tries again."""
    iam = FakeIam(trouble=RetryableError("throttled"))
    principals = Principals(iam)
    for _ in range(3):
        with pytest.raises(RetryableError):
            principals.identity(ROLE, NOON)
        with pytest.raises(RetryableError):
            principals.principal(ROLE)
    assert iam.asked == ["identity", "principal"]
    iam.trouble = None
    principals.begin()
    assert principals.identity(ROLE, NOON)


def test_a_recent_answer_does_for_five_minutes() -> None:
    """Where that is asked for; a bounded number of principals is remembered so."""
    iam = FakeIam()
    principals = Principals(iam)
    principals.identity(ROLE, NOON)
    for minutes, calls in ((4, 1), (5, 2)):
        principals.begin()
        assert principals.identity(ROLE, NOON + timedelta(minutes=minutes), recent=True)
        assert len(iam.asked) == calls
    for number in range(500):
        other = Principal(ROLE.partition, ROLE.account, "role", "/", f"app-{number}")
        principals.identity(other, NOON, recent=True)
    assert len(principals._recent) == 200
