"""Explaining with AWS's help where there are credentials for it, and without where there are none."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from bedrock_remediator_cli.explain.explanation import Explanation, explain
from bedrock_remediator_cli.explain.refusals import Refusal
from bedrock_remediator_cli.options import Program
from bedrock_remediator_cli.trouble import told

if TYPE_CHECKING:
    from bedrock_remediator_cli.explain.inquiry import Inquiry


def explained(program: Program, found: Sequence[Refusal], *, offline: bool) -> list[Explanation]:
    """Explain the refusals, in order; why AWS was not asked goes to stderr."""
    explanations = [explain(each) for each in found]
    inquiry = None if offline or not explanations else _inquiry(program)
    if inquiry is None:
        return explanations
    with program.output.progress("asking AWS", len(explanations)) as advance:
        asked = []
        for each in explanations:
            asked.append(_asked(program, inquiry, each))
            advance()
    return asked


def _inquiry(program: Program) -> "Inquiry | None":
    """The way to AWS, if there are credentials and they are good."""
    try:
        if program.aws.session.get_credentials() is None:
            return None
        account, clients = program.aws.account, program.aws.clients
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ProfileNotFound) and program.aws.profile_named:
            raise
        program.output.note(f"AWS was not asked. {told(error)}")
        return None
    from bedrock_remediator_cli.explain.inquiry import Inquiry  # noqa: PLC0415 - costly, and offline it is not needed

    noted: set[str] = set()

    def note(text: str) -> None:
        if text not in noted:
            program.output.note(text)
        noted.add(text)

    return Inquiry(account, clients, program.aws.session.region_name, datetime.now(UTC), note)


def _asked(program: Program, inquiry: "Inquiry", explanation: Explanation) -> Explanation:
    try:
        return inquiry.ask(explanation)
    except (ClientError, BotoCoreError) as error:
        program.output.note(f"AWS could not be asked about {explanation.refusal.where or 'this'}. {told(error)}")
        return explanation
