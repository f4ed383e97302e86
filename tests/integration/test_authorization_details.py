"""Reading what IAM recorded of a refused request."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from bedrock_remediator.aws.authorization_details import AuthorizationDetailsReader
from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, PROFILE

REGION = "us-east-1"
ID = "abc123def456"
OPERATION = "get_request_authorization_details"


def page(resource: str, **changes: Any) -> dict[str, Any]:
    """An answer with one evaluation."""
    evaluation = {"action": "bedrock:InvokeModel", "resource": resource, "evaluatedEffect": "IMPLICIT_DENY"}
    return {"requestContext": {}, "evaluations": [evaluation], "policies": [], **changes}


@pytest.fixture
def client(aws: None) -> Any:
    """A client that answers only what it is told to."""
    return boto3.client("iam-toolbox")


@pytest.fixture
def stubber(client: Any) -> Iterator[Stubber]:
    """What tells it."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def reader(client: Any, clock: StoppedClock) -> AuthorizationDetailsReader:
    """A reader of one account and region."""
    return AuthorizationDetailsReader(lambda account, region: {(ACCOUNT, REGION): client}[account, region], clock)


def test_every_page_is_read(reader: AuthorizationDetailsReader, stubber: Stubber) -> None:
    """The evaluations of all pages are one answer."""
    stubber.add_response(OPERATION, page(PROFILE, nextToken="2"), {"authorizationId": ID})
    stubber.add_response(OPERATION, page("other"), {"authorizationId": ID, "nextToken": "2"})
    assert [each.resource for each in reader.evaluations(ACCOUNT, REGION, ID)] == [PROFILE, "other"]


def test_pages_without_end_are_not_read_for_ever(reader: AuthorizationDetailsReader, stubber: Stubber) -> None:
    """After ten pages what has been read is the answer."""
    for number in range(10):
        stubber.add_response(OPERATION, page(str(number), nextToken="more"))
    assert len(reader.evaluations(ACCOUNT, REGION, ID)) == 10


def test_details_that_are_not_there_yet_are_waited_for(
    reader: AuthorizationDetailsReader, stubber: Stubber, clock: StoppedClock
) -> None:
    """They are written a little after the refusal, so what is not found is asked for once more, seconds later."""
    stubber.add_client_error(OPERATION, "ResourceNotFoundException", http_status_code=404)
    stubber.add_response(OPERATION, page(PROFILE))
    assert len(reader.evaluations(ACCOUNT, REGION, ID)) == 1
    assert clock.waits == [2]


@pytest.mark.parametrize(
    ("code", "times"),
    [("ResourceNotFoundException", 2), ("AccessDeniedException", 1), ("ValidationException", 1), ("Throttling", 1)],
)
def test_what_aws_does_not_tell_is_gone_without(
    reader: AuthorizationDetailsReader, stubber: Stubber, code: str, times: int
) -> None:
    """Not found, not permitted, not understood, too busy: nothing is learned, and nothing is raised."""
    for _ in range(times):
        stubber.add_client_error(OPERATION, code, http_status_code=400)
    assert reader.evaluations(ACCOUNT, REGION, ID) == ()


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://iam-toolbox.example"),
        RetryableError("busy"),
        NotEnrolledError(ACCOUNT),
        RoleMissingError(ACCOUNT, "arn:aws:iam::111122223333:role/x"),
    ],
)
def test_where_it_is_not_offered_or_not_reached_it_is_gone_without(clock: StoppedClock, error: Exception) -> None:
    """A region that does not offer it, an account without our role: nothing is learned, and nothing is raised."""

    def client_for(_: str, __: str) -> Any:
        raise error

    assert AuthorizationDetailsReader(client_for, clock).evaluations(ACCOUNT, REGION, ID) == ()
