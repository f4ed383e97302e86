"""What a rule gives in a day: the limit that its automatic grants count against, whoever makes them."""

from datetime import datetime

from bedrock_remediator.aws.ledger.items import Cap
from bedrock_remediator.core.decision import Decision
from bedrock_remediator.core.grant import Outcome


def cap(decision: Decision, now: datetime) -> Cap | None:
    """The rule's limit that an automatic grant counts against."""
    if decision.outcome is not Outcome.AUTO or decision.max_grants_per_day is None:
        return None
    return Cap(name=f"rule:{decision.rule}", day=today(now), limit=decision.max_grants_per_day)


def today(now: datetime) -> str:
    """The day that a grant counts for, in UTC."""
    return f"{now:%Y-%m-%d}"
