"""What can go wrong on the way to AWS, told apart by what the caller should do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

STALE_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
"""What AWS says to the credentials of a role that was deleted, or made anew, since it was assumed."""

THROTTLED: Final = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""What AWS says to calls that are too many."""

_PASSING: Final = THROTTLED | frozenset(
    {
        "InternalServerError",
        "InternalServerException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
    }
)
_SERVER_ERROR: Final = 500


class RetryableError(Exception):
    """A passing trouble (throttling, a busy item, no answer): let the queue deliver the work again."""


class NotEnrolledError(Exception):
    """The service does not work in that account."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} is not enrolled")
        self.account = account


class RoleMissingError(Exception):
    """The account is enrolled, and its role cannot be assumed: it is not there, or does not trust this function."""

    def __init__(self, account: str, role_arn: str) -> None:
        super().__init__(f"{role_arn} cannot be assumed: deploy stacks/member.yaml in account {account}")
        self.account = account
        self.role_arn = role_arn


class BusyError(RetryableError):
    """The item is part of another transaction at this moment: worth another try at once."""


def error_code(error: ClientError) -> str:
    """AWS's word for the error."""
    return error.response.get("Error", {}).get("Code", "")


def surely_undone(error: BaseException | None) -> bool:
    """Whether AWS has certainly not done what a call that failed so asked for: refused, or never reached."""
    if isinstance(error, ClientError):
        status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return 0 < status < _SERVER_ERROR
    return isinstance(error, ConnectTimeoutError | EndpointConnectionError)


@contextmanager
def passing_trouble(doing: str) -> Iterator[None]:
    """Turn throttling, server errors and lost connections of the calls inside into `RetryableError`.

    botocore has retried them by then. Every other error goes through as it is. `doing` begins the message.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if error_code(error) == "TransactionConflictException":
            raise BusyError(f"{doing}: {error}") from error
        if error_code(error) in _PASSING | STALE_CREDENTIALS or status >= _SERVER_ERROR:
            raise RetryableError(f"{doing}: {error}") from error
        raise
    except (HTTPClientError, UnreachableError) as error:
        raise RetryableError(f"{doing}: {error}") from error
