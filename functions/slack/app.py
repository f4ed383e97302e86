"""Slack: from the queue of notices to one channel, at Slack's own pace."""

from functools import cache
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.messaging import SlackQueue
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.flows.slack.batch import deliver
from bedrock_remediator.flows.slack.posting import Delivery, SlackPosting
from bedrock_remediator.flows.slack.wiring import slack_posting
from bedrock_remediator.settings import SlackSettings

logger = Logger()
metrics = Metrics()
settings = SlackSettings.read()

RESERVE: Final = 30_000
"""Milliseconds that one message may take: three calls of Slack's, and the ledger's."""


@cache
def _parts(home: str) -> tuple[SlackPosting, SlackQueue]:
    clients = Clients(home)
    return slack_posting(settings, clients, SystemClock()), SlackQueue(lambda: clients.sqs, settings.queue_url)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Tell Slack of a batch.

    Args:
        event: An SQS event; each record's body is a notice in SNS's envelope, or a click handed over by approve.
        context: Lambda's context; its ARN tells the account.

    Returns:
        SQS's partial batch response: the messages to deliver again.
    """
    posting, queue = _parts(context.invoked_function_arn.split(":")[4])

    def handle(delivery: Delivery) -> None:
        fate = posting.handle(delivery)
        metrics.add_metric(name=f"Slack_{fate}", unit=MetricUnit.Count, value=1)

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > RESERVE

    again = deliver(event["Records"], handle, queue.put_off, has_time, context.aws_request_id)
    metrics.add_metric(name="Slack_put_off", unit=MetricUnit.Count, value=len(again))
    return {"batchItemFailures": [{"itemIdentifier": message} for message in again]}
