"""The audit itself: every principal is examined as its page arrives, and principals that hold the same only once."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bedrock_remediator_cli.audit.account import AccountReader
from bedrock_remediator_cli.audit.catalogue import Catalogue
from bedrock_remediator_cli.audit.examination import examine
from bedrock_remediator_cli.audit.findings import Audited, Finding, Member
from bedrock_remediator_cli.audit.organization import Ceiling
from bedrock_remediator_cli.audit.reach import personal

_REMEMBERED: Final = 1000


class Audit:
    """Examines an account.

    Args:
        catalogues: What can be invoked, in each region.
        ceiling: The organization's policies; None where they could not be read.
        now: The time, as `2026-11-26T09:00:00Z`.
    """

    def __init__(self, catalogues: Sequence[Catalogue], ceiling: Ceiling | None, now: str) -> None:
        self._catalogues = catalogues
        self._ceiling = ceiling
        self._now = now
        self._known: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self.examined = 0

    def of(self, reader: AccountReader) -> Iterator[list[Audited]]:
        """What was found, page by page; principals with nothing amiss are left out.

        Raises:
            botocore.exceptions.ClientError: IAM refused.
        """
        for members in reader.members():
            self.examined += len(members)
            found = ((member, self._findings(member)) for member in members if member.holdings.policies)
            yield [Audited(principal=member.principal, findings=findings) for member, findings in found if findings]

    def _findings(self, member: Member) -> tuple[Finding, ...]:
        key = self._key(member)
        found = self._known.get(key)
        if found is None:
            found = examine(member, self._catalogues, self._ceiling, self._now)
            self._known[key] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found

    def _key(self, member: Member) -> bytes:
        """What the findings depend on: the policies, and the principal where they look at it."""
        holdings = member.holdings
        every = (*holdings.policies, *((holdings.boundary,) if holdings.boundary else ()))
        own = personal(every) or (self._ceiling is not None and self._ceiling.personal)
        return msgspec.json.encode((holdings, member if own else member.principal.kind))
