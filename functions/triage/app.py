"""Triage: from EventBridge's denials, in batches from SQS, to rows of the ledger."""

from functools import cache
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bedrock_remediator.clock import SystemClock
from bedrock_remediator.core.cloudtrail import Delivery
from bedrock_remediator.flows.triage.triage import Triage
from bedrock_remediator.flows.triage.wiring import triage
from bedrock_remediator.settings import TriageSettings

logger = Logger()
metrics = Metrics()
settings = TriageSettings.read()

RESERVE: Final = 60_000
"""Milliseconds kept for the denial at hand: as long as a call takes that is tried again and again without an answer."""


@cache
def _triage(home: str) -> Triage:
    return triage(settings, home, SystemClock())


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Triage a batch.

    Args:
        event: An SQS event; each record's body is one EventBridge event.
        context: Lambda's context; its ARN tells the account.

    Returns:
        SQS's partial batch response: the messages to deliver again.
    """
    home = context.invoked_function_arn.split(":")[4]
    summary = _triage(home).handle(
        {record["messageId"]: record["body"] for record in event["Records"]},
        lambda: context.get_remaining_time_in_millis() > RESERVE,
        {record["messageId"]: Delivery.read(record.get("attributes", {})) for record in event["Records"]},
    )
    for outcome, messages in summary.counts.items():
        metrics.add_metric(name=f"Denials_{outcome}", unit=MetricUnit.Count, value=messages)
    for grant in summary.opened:
        logger.info("opened", grant={"pk": grant.pk, "sk": grant.sk, "state": grant.state, "code": grant.reason_code})
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(summary.failed)]}
