"""What past denials say by themselves, without asking AWS: who, what, how often, and what no grant could help."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.diagnosis import refusals
from bedrock_remediator.flows.triage.batch import Group, grouped
from bedrock_remediator_cli.backfill.records import PastDenial

_OPEN: Final = "Whether a grant would help is for AWS to say: leave --offline out."


def offline_rows(denials: Sequence[PastDenial]) -> Iterator[dict[str, Any]]:
    """The denials of each principal that are the same, as a row for programs."""
    for group in grouped((each.id, cloudtrail.read(each.body)) for each in denials):
        yield _row(group)


def _row(group: Group) -> dict[str, Any]:
    denial = group.denial
    found = refusals.from_message(denial) if isinstance(denial, Denial) else refusals.from_unreadable(denial)
    principal = denial.caller.principal
    times = sorted(group.events.values())
    return {
        "principal": principal.arn if principal else None,
        "account": denial.account,
        "region": denial.region,
        "state": "reported" if found else None,
        "diagnosis": found.kind if found else None,
        "reason_code": found.code if found else None,
        "reason": found.reason if found else _OPEN,
        "layer": denial.layer if isinstance(denial, Denial) else None,
        "resource": str(denial.resource) if isinstance(denial, Denial) and denial.resource else None,
        "model_id": denial.model_id if isinstance(denial, Denial) else None,
        "actions": [denial.action] if isinstance(denial, Denial) else [],
        "denials": len(group.since(None)),
        "first_at": f"{times[0]:%Y-%m-%dT%H:%M:%SZ}",
        "last_at": f"{times[-1]:%Y-%m-%dT%H:%M:%SZ}",
    }
