"""Whether the stack works: its state, its version, what waits in dead letters, the allowlist, and whether it grants."""

import logging
from typing import Final

from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator_cli import __version__
from bedrock_remediator_cli.backfill.settings import policy_settings
from bedrock_remediator_cli.doctor.check import Check, Ward, broken, look, ok

_DEAD: Final = "DeadLettersUrl"


def stack(ward: Ward) -> Check:
    """Whether the last deployment went through."""
    status = ward.stack.status
    if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return ok("stack", f"{ward.stack.name} is {status}.")
    return look("stack", f"{ward.stack.name} is {status}.", "See its events in CloudFormation, and deploy again.")


def version(ward: Ward) -> Check:
    """Whether the stack and this command are of one release."""
    deployed = ward.stack.outputs.get("Version")
    if deployed == __version__:
        return ok("version", f"The stack and this command are both {deployed}.")
    if deployed is None:
        found = f"The stack does not tell its version, so it is older than this command ({__version__})."
    else:
        found = f"The stack is {deployed}, and this command {__version__}."
    return look("version", found, "Bring the older one up to date: `sam build && sam deploy`, or this command.")


def mode(ward: Ward) -> Check:
    """How far it may go by itself."""
    now = ward.stack.parameter("Mode", "approve")
    if ward.stack.parameter("Paused", "false") == "true":
        return look("mode", "Grants are paused.", "Deploy with Paused=false when the reason is gone.")
    return ok("mode", f"The mode is {now}.")


def dead_letters(ward: Ward) -> Check:
    """Whether something waits that nobody handles."""
    client = ward.aws.client("sqs")
    waiting: dict[str, int] = {}
    for name, url in sorted(ward.stack.outputs.items()):
        if name.endswith(_DEAD):
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            count = int(answer["Attributes"]["ApproximateNumberOfMessages"])
            if count:
                waiting[name.removesuffix("Url")] = count
    if not waiting:
        return ok("dead letters", "No dead letters wait.")
    listed = ", ".join(f"{name}: {count}" for name, count in waiting.items())
    return look(
        "dead letters",
        f"Dead letters wait ({listed}).",
        "`bedrock-remediator redrive` shows each with its reason. Remove the cause, then put them back with --send.",
    )


def allowlist(ward: Ward) -> Check:
    """Whether every document can be read."""
    path = policy_settings(ward.stack).allowlist_path
    logger = logging.getLogger("bedrock_remediator.aws.parameters")
    before, logger.disabled = logger.disabled, True  # what it would log is the answer
    try:
        found = AllowlistReader(lambda: ward.aws.ssm, path, ward.clock).read()
    finally:
        logger.disabled = before
    if found.alerts:
        return broken(
            "allowlist",
            f"The allowlist has mistakes, and what they concern is not automatic: {'; '.join(found.alerts[:3])}",
            "`bedrock-remediator allowlist check` says where the mistake is.",
        )
    if not found.rules:
        return ok("allowlist", f"There are no rules under {path}: everything asks.")
    return ok("allowlist", f"{len(found.rules)} rules under {path} can be read.")
