"""The errors that AWS may answer an operation with, as its own description lists them, and those that all have.

An error is passing if the same call may go through a moment later; everything else is final.
"""

from collections.abc import Iterator
from typing import Any, Final

from moto.core.utils import get_service_model
from msgspec import Struct

from sandbox.calls import ApiError

_SERVER_ERROR: Final = 500
_PASSING: Final = frozenset(
    {
        "ConcurrentModification",
        "EntityTemporarilyUnmodifiable",
        "KMSThrottling",
        "KMSThrottlingException",
        "KmsThrottled",
        "KmsThrottledException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_DENIED: Final = {"iam": "AccessDenied", "sns": "AuthorizationError", "sts": "AccessDenied"}
_THROTTLED: Final = {"iam": "Throttling", "sns": "Throttled", "sqs": "RequestThrottled", "sts": "Throttling"}
_VOIDED: Final = ("ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ValidationError")
"""Why DynamoDB cancels a transaction."""


class Failure(Struct, frozen=True):
    """An error of an operation, and whether it passes."""

    error: ApiError
    passing: bool


def failures(service: str, operation: str) -> list[Failure]:
    """Every error that the operation may be answered with, each code once; the passing ones first."""
    found = {(failure.error.code, str(failure.error.details)): failure for failure in _all(service, operation)}
    return sorted(found.values(), key=lambda each: not each.passing)


def _all(service: str, operation: str) -> Iterator[Failure]:
    yield _failure(_THROTTLED.get(service, "ThrottlingException"), 400)
    yield _failure("InternalFailure", 500)
    yield _failure("ServiceUnavailable", 503)
    yield _failure(_DENIED.get(service, "AccessDeniedException"), 403)
    for shape in get_service_model(service).operation_model(operation).error_shapes:
        error = shape.metadata.get("error", {})
        code = error.get("code", shape.name)
        if code == "TransactionCanceledException":
            for reason in _VOIDED:
                yield _canceled(reason)
            continue
        yield _failure(code, error.get("httpStatusCode") or (_SERVER_ERROR if shape.metadata.get("fault") else 400))


def _failure(code: str, status: int, **details: Any) -> Failure:
    error = ApiError(code, "a fault for a test", status, details)
    return Failure(error, code in _PASSING or status >= _SERVER_ERROR)


def _canceled(reason: str) -> Failure:
    """A transaction of which the first write was not possible."""
    passing = reason in {"TransactionConflict", "ThrottlingError"}
    details = {"CancellationReasons": [{"Code": reason}, {"Code": "None"}]}
    return Failure(ApiError("TransactionCanceledException", f"[{reason}, None]", 400, details), passing)
