"""The custom notification of Amazon Q Developer in chat applications, which puts it into Slack, Teams or Chime.

It tells and links; nothing can be decided in that chat, since no message from it carries an identity that this
service could verify. `threadId` keeps what belongs to one request together.

The schema: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html. A message that breaks it is
dropped without a word, so the texts are kept well below the limits that it names.
"""

import json
from typing import Any, Final

from bedrock_remediator.core.grant import Grant, thread_id
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices import wording
from bedrock_remediator.notices.advice import next_steps
from bedrock_remediator.notices.mrkdwn import code, escaped
from bedrock_remediator.notices.notice import Notice, last_step, target, who
from bedrock_remediator.notices.subject import subject
from bedrock_remediator.notices.untrusted_text import confirmed, known_names, unlinked, utc, visible

_TITLE: Final = 200
_SENTENCE: Final = 600
_STEP: Final = 300
_STEPS: Final = 3


def custom_notification(notice: Notice, page: str | None = None) -> str:
    """The notification as JSON.

    Args:
        notice: What to tell.
        page: The address of the request's page, if it has one. Everybody in the channel can open it, so it must be one
            that decides nothing by itself.
    """
    grant = notice.grant
    content: dict[str, Any] = {
        "version": "1.0",
        "source": "custom",
        "id": notice.request_id,
        "content": {
            "textType": "client-markdown",
            "title": escaped(subject(notice), _TITLE),
            "description": _description(notice),
            "nextSteps": _next_steps(grant, page),
            "keywords": [notice.occasion, notice.severity, code(grant.account, 32), code(grant.region, 32)],
        },
        "metadata": {
            "threadId": thread_id(grant),
            "summary": escaped(subject(notice), _TITLE),
            "eventType": f"bedrock-access-{notice.occasion}",
            "additionalContext": {"request": notice.request_id, "state": grant.state, "version": str(grant.version)},
        },
    }
    return json.dumps(content, separators=(",", ":"))


def _description(notice: Notice) -> str:
    grant = notice.grant
    lines = [
        f"{code(who(grant), 200)} was denied {code(_called(grant))} in {code(grant.region, 64)}.",
        code(_unlinked(grant, grant.reason), _SENTENCE),
        wording.OUTCOMES[notice.occasion],
    ]
    if notice.denials and notice.denials.count > 1:
        lines.append(f"{notice.denials.count:,} times, first {utc(notice.denials.first_at)}.")
    if step := last_step(grant):
        lines.append(f"{step.state} by {code(_unlinked(grant, step.by), 128)}, {utc(step.at)}.")
    if remark := remark_of(grant):
        lines.append(f"Noticed {utc(remark.at)}: {code(_unlinked(grant, remark.reason), _SENTENCE)}")
    if grant.expires_at:
        lines.append(f"Ends {utc(grant.expires_at)}.")
    if notice.may_be_duplicate:
        lines.append("This may be a duplicate.")
    return "\n".join(lines)


def _unlinked(grant: Grant, text: str) -> str:
    """Text in which somebody else's words may stand: the chats differ in what they make a link of."""
    return unlinked(visible(text), known_names(grant))


def _called(grant: Grant) -> str:
    return (grant.model_id if confirmed(grant) else None) or target(grant) or "a Bedrock model"


def _next_steps(grant: Grant, page: str | None) -> list[str]:
    steps = [escaped(_unlinked(grant, step), _STEP) for step in next_steps(grant)[:_STEPS]]
    # The bare address, which each of the chats makes a link of: their markups for links differ.
    return [*([f"Look at the request: {page}"] if page else ()), *steps]
