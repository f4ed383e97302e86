"""Notify: from the ledger's stream to the people who must know."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.flows.notification.notification import Notification
from bedrock_remediator.flows.notification.wiring import notification
from bedrock_remediator.settings import NotifySettings

logger = Logger()
metrics = Metrics()
settings = NotifySettings.read()


@cache
def _notification(home: str) -> Notification:
    return notification(settings, home, SystemClock())


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Tell people of a batch of the ledger's changes.

    Args:
        event: A DynamoDB stream event.
        context: Lambda's context; its ARN tells the account.

    Returns:
        The partial batch response. Lambda delivers again from the first failure on; by their markers, the records
        after it that went out are not sent twice, so a bad record holds up nobody else's notice.
    """
    use_case = _notification(context.invoked_function_arn.split(":")[4])
    failed: list[str] = []
    use_case.begin()
    for record in event["Records"]:
        place = record["dynamodb"]["SequenceNumber"]
        # An on-failure destination gets no more than the sequence number: the log has to name the row.
        logger.append_keys(row=record["dynamodb"].get("Keys"))
        try:
            fate = str(use_case.tell(record))
            logger.info("done", extra={"fate": fate})
        except Exception as error:
            logger.exception("a notice could not be sent")
            failed.append(place)
            fate = "waiting" if isinstance(error, RetryableError) else "failed"
        metrics.add_metric(name=f"Notices_{fate}", unit=MetricUnit.Count, value=1)
        if fate == "waiting":
            # AWS does not answer. To go on would only leave claims behind, and copies that may be duplicates.
            break
    return {"batchItemFailures": [{"itemIdentifier": place} for place in failed]}
