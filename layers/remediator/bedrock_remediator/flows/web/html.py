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


def message_page(
    message: Message, address: str | None = None, visitor: str | None = None, form: str | None = None
) -> Response:
    """A page that says what happened.

    Args:
        message: What it says.
        address: Where its button leads; without, it has none.
        visitor: Who is signed in.
        form: The seal of a form, where the button sends one and does not only lead there.
    """
    return html("message.html", message.status, message=message, address=address, visitor=visitor, form=form)
