"""Upkeep: by the clock, what is due in the ledger, and whether what was granted still stands."""

from datetime import timedelta
from functools import cache
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bedrock_remediator.clock import SystemClock
from bedrock_remediator.flows.upkeep.upkeep import IncompleteError, Upkeep
from bedrock_remediator.flows.upkeep.wiring import Task, upkeep
from bedrock_remediator.settings import UpkeepSettings

logger = Logger()
metrics = Metrics()
settings = UpkeepSettings.read()
clock = SystemClock()

RESERVE: Final = timedelta(seconds=20)
"""Kept for the row or principal at hand when time is nearly up, and for the last words."""


@cache
def _upkeep(task: Task, home: str) -> Upkeep:
    return upkeep(task, settings, home, clock)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make a round.

    Args:
        event: `{"task": "upkeep"}` or `{"task": "digest"}`.
        context: Lambda's context; its ARN tells the account.

    Returns:
        What each chore did how often.

    Raises:
        IncompleteError: A chore failed; all others have run. The next round tries again.
    """
    round_made = _upkeep(event["task"], context.invoked_function_arn.split(":")[4]).run(
        lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()) > RESERVE
    )
    for chore, tally in round_made.tallies.items():
        for what, times in {"failed": 0, **tally}.items():
            metrics.add_metric(name=f"Upkeep_{chore}_{what}", unit=MetricUnit.Count, value=times)
    if round_made.failed:
        raise IncompleteError(round_made.failed)
    return {chore: dict(tally) for chore, tally in round_made.tallies.items()}
