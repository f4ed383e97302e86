"""Approve: the page, the API and Slack's buttons, by which people decide on requests."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from bedrock_remediator.approval_settings import ApproveSettings
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.flows.approval.routes import failed, routes
from bedrock_remediator.flows.web.http import Request, Response, Route, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
settings = ApproveSettings.read()


@cache
def _routes(home: str) -> "Mapping[str, Route]":
    return routes(settings, Clients(home, quick=True), SystemClock())


def _failed(request: Request, error: Exception) -> Response:
    passing = isinstance(error, RetryableError)
    if passing:
        logger.warning("AWS does not answer", extra={"route": request.route, "reason": str(error)})
    else:
        logger.error("a request failed", extra={"route": request.route}, exc_info=error)
    return failed(request, passing=passing)


# The event is never logged: its path and its headers hold links and cookies.
@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one request.

    Args:
        event: An HTTP API's event, payload version 2.0.
        context: Lambda's context; its ARN tells the account.

    Returns:
        The response, as API Gateway takes it.
    """
    reply = answer(_routes(context.invoked_function_arn.split(":")[4]), event, _failed)
    metrics.add_metric(name=f"Answers_{reply['statusCode']}", unit=MetricUnit.Count, value=1)
    return reply
