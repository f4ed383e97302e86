"""The allowlist, read from Parameter Store: every parameter under a path is one document."""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.allowlist import Allowlist, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ssm import SSMClient

CACHED_FOR: Final = timedelta(minutes=1)
"""How long an answer is good for."""
FAILURE_CACHED_FOR: Final = timedelta(seconds=10)
"""How long a failed read is: long enough that a batch does not wait for each of its events, no longer."""

_PAGE: Final = 10
"""All that Parameter Store gives at once."""
_PROBLEMS_LOGGED: Final = 10

logger = logging.getLogger(__name__)


class AllowlistReader:
    """Reads the documents under a path.

    A document's name is what follows the path: `/bedrock-access-remediator/allowlist/main` is `main`. SecureString
    parameters are decrypted. Nothing there is an allowlist without rules, under which everything asks.

    Args:
        ssm: Makes the Systems Manager client when it is first needed: a batch of repeats reads no allowlist.
        path: Where the documents are, without a slash at its end.
        clock: Tells how old an answer is.
    """

    def __init__(self, ssm: "Callable[[], SSMClient]", path: str, clock: Clock) -> None:
        self._ssm = ssm
        self._path = path.rstrip("/")
        self._clock = clock
        self._allowlist = Allowlist()
        self._good_until: datetime | None = None

    def read(self, *, fresh: bool = False) -> Allowlist:
        """The allowlist, at most a minute old; `fresh` asks Parameter Store whatever is known.

        Nothing is raised: where the documents cannot be fetched, all of them or none, the allowlist says so in its
        `problems`, and nothing is automatic.
        """
        now = self._clock.now()
        if fresh or self._good_until is None or now >= self._good_until:
            self._allowlist, good_for = self._fetch()
            self._good_until = now + good_for
        return self._allowlist

    def _fetch(self) -> tuple[Allowlist, timedelta]:
        try:
            documents = self._documents()
            texts = {name: text for name, (text, _) in documents.items()}
            versions = {name: version for name, (_, version) in documents.items()}
            allowlist, good_for = parse(texts, versions=versions), CACHED_FOR
        except (ClientError, BotoCoreError) as error:
            allowlist, good_for = parse({}, {self._path: f"{error}"}), FAILURE_CACHED_FOR
        for alert in allowlist.alerts[:_PROBLEMS_LOGGED]:
            logger.error("the allowlist has a problem: %s", alert)
        return allowlist, good_for

    def _documents(self) -> dict[str, tuple[str, int | None]]:
        """Each document's text and version, by name."""
        # Not by botocore's paginator, which would read a file first.
        documents: dict[str, tuple[str, int | None]] = {}
        token: dict[str, Any] = {}
        while True:
            page = self._ssm().get_parameters_by_path(
                Path=self._path, Recursive=True, WithDecryption=True, MaxResults=_PAGE, **token
            )
            for parameter in page["Parameters"]:
                name = parameter["Name"].removeprefix(f"{self._path}/")
                documents[name] = parameter["Value"], parameter.get("Version")
            if not page.get("NextToken"):
                return documents
            token = {"NextToken": page["NextToken"]}
