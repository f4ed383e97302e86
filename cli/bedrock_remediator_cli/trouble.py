"""What can go wrong in a command, and the sentence and the exit code that it ends in."""

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    SSOTokenLoadError,
    TokenRetrievalError,
)

DONE: Final = 0
FOUND: Final = 1
ENVIRONMENT: Final = 2

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_WRONG_KEY: Final = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "AuthorizationErrorException",
    }
)

_SENTENCES: Final = (
    (
        (SSOError, SSOTokenLoadError, TokenRetrievalError),
        "The sign-in of this profile has ended. Run `aws sso login` and try again.",
    ),
    (
        (NoCredentialsError, PartialCredentialsError),
        "No AWS credentials were found. Name a profile with --profile, or set AWS_PROFILE or AWS_ACCESS_KEY_ID.",
    ),
    ((ProfileNotFound,), "{}. `aws configure list-profiles` lists those there are."),
    ((NoRegionError,), "No AWS region was found. Name one with --region, or set AWS_REGION."),
    ((ConnectionError, HTTPClientError), "AWS could not be reached: {}"),
)


class EnvironmentTrouble(Exception):  # noqa: N818 - not a mistake of this program's
    """The command cannot do its work here: a file, credentials, a right or the stack is missing. Exit code 2."""

    exit_code = ENVIRONMENT


class RefusedError(Exception):
    """The command was understood and AWS, the stack or a rule refuses it. Exit code 1."""

    exit_code = FOUND


def told(error: ClientError | BotoCoreError) -> EnvironmentTrouble:
    """An error of botocore's in a sentence that says what to do about it."""
    if isinstance(error, ClientError):
        return EnvironmentTrouble(_refused(error))
    for kinds, sentence in _SENTENCES:
        if isinstance(error, kinds):
            return EnvironmentTrouble(sentence.format(error))
    return EnvironmentTrouble(f"AWS could not be asked: {error}")


def _refused(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    if code in _EXPIRED:
        return f"The AWS credentials have expired ({code}). Sign in again and repeat the command."
    if code in _WRONG_KEY:
        return f"AWS does not know the credentials ({code}). Name another profile with --profile."
    if code in _DENIED:
        return f"You may not call {error.operation_name}, which this command needs. AWS says: {message}"
    return f"{error.operation_name} failed: {code}: {message}"
