"""One call of the AWS API as it leaves a client, and the count of those that functions made."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from sandbox.sessions import AssumedRole


class Call(Struct, frozen=True, kw_only=True):
    """An attempt: `service` is the name that requests are signed with (`iam`, `bedrock`), `operation` the API's.

    `account` is the one whose API it reaches. `caller` is the logical id of the function that made it; None for the
    sandbox itself. `role` is the role that the function has assumed for it, and None where it calls as itself.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    account: str
    caller: str | None
    role: AssumedRole | None = None

    @property
    def name(self) -> str:
        """`iam:CreatePolicy`, say."""
        return f"{self.service}:{self.operation}"


class ApiError(Exception):
    """What AWS answers instead of a result: an error code and a message; `details` are other members of the error."""

    def __init__(self, code: str, message: str, status: int = 400, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}


class Tally:
    """Counts the attempts of functions, by function, account and name, retries included."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, call: Call) -> None:
        """Count an attempt; the sandbox's own are not counted."""
        if call.caller is not None:
            self._counts[call.caller, call.account, call.name] += 1

    def of(self, account: str) -> dict[str, int]:
        """The counts of what reached one account's API; sts:AssumeRole reaches the caller's own."""
        return self._by_name(account)

    @property
    def counts(self) -> dict[str, int]:
        """`service:Operation` -> attempts, in the order of the names."""
        return self._by_name()

    @property
    def by_function(self) -> Counter[tuple[str, str]]:
        """(function's logical id, `service:Operation`) -> attempts."""
        return sum((Counter({(caller, name): count}) for (caller, _, name), count in self._counts.items()), Counter())

    def _by_name(self, account: str | None = None) -> dict[str, int]:
        totals: Counter[str] = Counter()
        for (_, called, name), count in self._counts.items():
            if account in (None, called):
                totals[name] += count
        return dict(sorted(totals.items()))
