"""The message that SNS takes: a text for each kind of subscriber, together small enough."""

from collections.abc import Mapping
from typing import Final

import msgspec

from bedrock_remediator.notices import body, email
from bedrock_remediator.notices.notice import Notice

LARGEST: Final = 240_000
"""Bytes of the encoded message. SNS takes 262,144, the attributes and their names included."""

_SMALLER: Final[tuple[frozenset[str], ...]] = (
    frozenset(),
    frozenset({"policy"}),
    frozenset({"policy", "snippets"}),
    frozenset({"policy", "snippets", "statement"}),
    frozenset(
        {
            "policy",
            "snippets",
            "statement",
            "resources",
            "allowed_already",
            "candidates",
            "next_steps",
            "commands",
            "as_sent_by_the_caller",
        }
    ),
)
"""What is left out of a message that is too large, step by step; what the last step keeps is limited in its length."""


def message(notice: Notice) -> Mapping[str, str]:
    """The texts by protocol: `email` for people, all others the same JSON for programs.

    None but the e-mail to approvers holds a token or anything else that would let its reader decide.
    """
    for leave_out in _SMALLER[:-1]:
        texts = _texts(notice, leave_out)
        if len(msgspec.json.encode(texts)) <= LARGEST:
            return texts
    return _texts(notice, _SMALLER[-1])


def _texts(notice: Notice, leave_out: frozenset[str]) -> dict[str, str]:
    structured = body.structured(notice, leave_out=leave_out)
    return {
        "default": structured,
        "email": email.text(notice, leave_out=leave_out),
        "https": structured,
        "sqs": structured,
        "lambda": structured,
    }
