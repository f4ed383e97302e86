"""Remediate: from the ledger's approved and revoking rows, one principal at a time, to IAM."""

from datetime import timedelta
from functools import cache
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bedrock_remediator.clock import SystemClock
from bedrock_remediator.flows.remediation.fifo import in_order
from bedrock_remediator.flows.remediation.remediation import Remediation
from bedrock_remediator.flows.remediation.wiring import remediation
from bedrock_remediator.flows.remediation.withdrawal import Change
from bedrock_remediator.settings import RemediateSettings

logger = Logger()
metrics = Metrics()
settings = RemediateSettings.read()
clock = SystemClock()

RESERVE: Final = timedelta(seconds=20)
"""Kept for what comes after the waiting: taking a grant back, and the row's last step."""


@cache
def _remediation(home: str) -> Remediation:
    return remediation(settings, home, clock)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make a batch of changes.

    Args:
        event: An SQS event of a FIFO queue; each record's body is one record of the ledger's stream.
        context: Lambda's context; its ARN tells the account.

    Returns:
        SQS's partial batch response: the messages to deliver again.
    """
    use_case = _remediation(context.invoked_function_arn.split(":")[4])
    settle = timedelta(seconds=settings.verify_seconds)
    deadline = clock.now() + timedelta(milliseconds=context.get_remaining_time_in_millis()) - RESERVE

    def work(body: str) -> None:
        change = Change.read(body)
        logger.append_keys(pk=change.pk, sk=change.sk, version=change.version)
        row = use_case.handle(change, settle=settle, deadline=deadline)
        metrics.add_metric(name=f"Grants_{row.state if row else 'overtaken'}", unit=MetricUnit.Count, value=1)
        logger.info(
            "done", extra={"state": row.state if row else None, "reason_code": row.reason_code if row else None}
        )

    again = in_order(event["Records"], work, lambda: clock.now() + settle < deadline)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in again]}
