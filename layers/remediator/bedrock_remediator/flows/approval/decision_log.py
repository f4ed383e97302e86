"""The line in the log that each decision leaves, whichever way it came and whatever became of it."""

import logging

from bedrock_remediator.core.approvers import Approver
from bedrock_remediator.flows.approval.results import NotFound, Result

logger = logging.getLogger(__name__)


def log_decision(verb: str, approver: Approver, result: Result) -> None:
    """Note who decided what, and the result in a word. No link, seal or cookie is in it."""
    row = {} if isinstance(result, NotFound) else {"pk": result.grant.pk, "sk": result.grant.sk}
    version = None if isinstance(result, NotFound) else result.grant.version
    logger.info(
        "a decision",
        extra={
            "decision": str(verb),
            "result": type(result).__name__,
            "by": approver.name,
            "via": str(approver.via),
            "version": version,
            **row,
        },
    )
