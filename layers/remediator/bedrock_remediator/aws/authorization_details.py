"""IAM's Access Troubleshooter: what was recorded of a refused request, by the authorization id in its message.

It is a preview, and whether Bedrock's refusals carry an id is not confirmed (docs/aws-facts.md §4.12). So whatever is
wrong with it (no right, no such id yet, not offered in the region), everything goes on without.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError, error_code
from bedrock_remediator.clock import Clock
from bedrock_remediator.core import authorization_details
from bedrock_remediator.core.authorization_details import Evaluation

logger = logging.getLogger(__name__)

_TRIES: Final = 2
_PAUSE: Final = timedelta(seconds=2)
"""Details are written a little after the refusal."""
_PAGES: Final = 10


class AuthorizationDetailsReader:
    """Reads authorization details.

    Args:
        client_for: Account and region of the refused call -> a client of `iam-toolbox` there.
        clock: Waits for details that are not there yet.
    """

    def __init__(self, client_for: Callable[[str, str], Any], clock: Clock) -> None:
        self._client_for = client_for
        self._clock = clock

    def evaluations(self, account: str, region: str, authorization_id: str) -> tuple[Evaluation, ...]:
        """How the request was evaluated; empty where nothing can be learned. It never raises for AWS's sake."""
        try:
            return self._evaluations(account, region, authorization_id)
        except (BotoCoreError, ClientError, RetryableError, NotEnrolledError, RoleMissingError) as error:
            logger.info("no authorization details", extra={"region": region, "error": str(error)})
            return ()

    def _evaluations(self, account: str, region: str, authorization_id: str) -> tuple[Evaluation, ...]:
        client = self._client_for(account, region)
        for left in reversed(range(_TRIES)):
            try:
                return authorization_details.read(_pages(client, authorization_id))
            except ClientError as error:
                if not left or error_code(error) != "ResourceNotFoundException":
                    raise
            self._clock.sleep(_PAUSE.total_seconds())
        return ()


def _pages(client: Any, authorization_id: str) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(_PAGES):
        page = client.get_request_authorization_details(authorizationId=authorization_id, **token)
        yield page
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
