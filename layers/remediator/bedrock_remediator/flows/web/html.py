"""Answers that are pages."""

from typing import Any

from bedrock_remediator.flows.web.http import Response
from bedrock_remediator.notices.web.messages import Message
from bedrock_remediator.notices.web.render import content_security_policy, render


def html(template: str, status: int = 200, **content: Any) -> Response:
    """A page of a template, with the one policy under which it shows as it should."""
    return Response(
        status=status,
        body=render(template, **content),
        headers={"content-security-policy": content_security_policy()},
    )


def message_page(message: Message, address: str | None = None, visitor: str | None = None) -> Response:
    """A page that says what happened. `address` is where its button leads; without, it has none."""
    return html("message.html", message.status, message=message, address=address, visitor=visitor)
