"""The pages without a request: each says what happened, that nothing was changed, and what to do instead."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.grant import State
from bedrock_remediator.notices.web.readable import Moment, readable

_NAME_LENGTH: Final = 256
_DECISIONS: Final[Mapping[State, str]] = {
    State.APPROVED: "Approved",
    State.REJECTED: "Rejected",
    State.REVOKING: "Taken back",
}


class Message(Struct, frozen=True, kw_only=True):
    """A page of a heading and a few sentences. `link` is what leads back to the request, where there is a way."""

    status: int
    title: str
    paragraphs: tuple[str, ...]
    pill: str = "Nothing was changed"
    tone: str = "plain"
    link: str = "Look at the request"


UNKNOWN_LINK: Final = Message(
    status=HTTPStatus.NOT_FOUND,
    title="This link does not work",
    paragraphs=(
        "It is not a link of this service, or a part of it is missing.",
        "Open it again from the message, or copy it as a whole.",
    ),
)

EXPIRED_LINK: Final = Message(
    status=HTTPStatus.GONE,
    title="This link has expired",
    paragraphs=(
        "It is genuine, and too old to show or decide anything.",
        (
            "To see what became of the request, or to take a grant back, let the approvers be sent a new link. It goes "
            "to their mailbox, and nowhere else."
        ),
        "If access is still needed, the next denied call opens a new request by itself.",
    ),
    link="Send the approvers a new link",
)

EXPIRED_SIGNED_IN: Final = Message(
    status=HTTPStatus.GONE,
    title="This link has expired",
    paragraphs=("It is genuine, and too old. You are signed in as somebody who may decide, so here is a new one.",),
)

LINK_ASKED: Final = Message(
    status=HTTPStatus.ACCEPTED,
    title="A new link is asked for",
    pill="Nothing else was changed",
    paragraphs=(
        "If there is still something to decide or to take back, the approvers find it in their mailbox in a minute.",
        "They are sent one an hour at most for each request. For safety's sake this page tells no more.",
    ),
)

STALE_PAGE: Final = Message(
    status=HTTPStatus.CONFLICT,
    title="The request has changed since you opened the page",
    paragraphs=("What you looked at is no longer what would be decided on. Look at it as it is now.",),
)

EXPIRED_FORM: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="The page was open for too long",
    paragraphs=("Its form is no longer good. Open the request again and decide then; what you typed is lost.",),
)

FOREIGN_FORM: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="This did not come from the page of the request",
    paragraphs=("A decision counts only when it is sent from the page itself. Open the request and decide there.",),
)

ONLY_SHOWS: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="This link only shows the request",
    paragraphs=("It was given out for reading. Decide in Slack, or by the link in the e-mail.",),
)

SIGNED_OUT: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="You are not signed in any more",
    paragraphs=("Open the request again: you are sent to sign in, and back to it.",),
    link="Sign in again",
)

SIGNED_OUT_NOW: Final = Message(
    status=HTTPStatus.OK,
    title="You are signed out",
    pill="Signed out",
    paragraphs=(
        "This browser has forgotten your session here. Open a link from a message to sign in again.",
        "You may still be signed in at the identity provider, which then lets you in without asking: sign out there.",
    ),
)

SIGN_IN_LOST: Final = Message(
    status=HTTPStatus.BAD_REQUEST,
    title="This sign-in was not begun here",
    pill="Not signed in",
    paragraphs=(
        "It was begun in another browser or another tab, or it took too long. Open the link from the message again.",
    ),
    link="Try again",
)

SIGN_IN_REFUSED: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="The identity provider did not sign you in",
    pill="Not signed in",
    paragraphs=("It gave no proof of who you are that holds. Try again; if it stays so, tell the administrators.",),
    link="Try again",
)

NOT_AN_APPROVER: Final = Message(
    status=HTTPStatus.FORBIDDEN,
    title="You may not decide on requests",
    pill="Signed in",
    tone="bad",
    paragraphs=("You are signed in, but not as a member of the group whose members decide. Ask an administrator.",),
)

BUSY: Final = Message(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Please try again in a moment",
    paragraphs=("AWS did not answer in time. Whether your decision counted is on the page of the request.",),
    pill="Not sure",
    tone="wait",
)

BROKEN: Final = Message(
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="Something went wrong here",
    paragraphs=("The details are in the function's log. Whether a decision counted is on the page of the request.",),
    pill="Not sure",
    tone="bad",
)


def refused(sentence: str, status: int = HTTPStatus.FORBIDDEN) -> Message:
    """A decision that is not accepted, and why."""
    return Message(status=status, title="This cannot be decided so", paragraphs=(sentence,))


def decided_before(by: str, at: Moment, state: State, *, lost: bool) -> Message:
    """Somebody was first: who, when, and what they decided. `lost` says that it was in the very same moment."""
    when = f"{at.words} ({at.distance})"
    return Message(
        status=HTTPStatus.CONFLICT,
        title="Somebody was faster" if lost else "This has been decided already",
        pill="Your decision changed nothing",
        paragraphs=(f"{_DECISIONS.get(state, 'Decided')} by {readable(by, _NAME_LENGTH)}, {when}.",),
    )


def revoked_all(grants: int, left: int) -> Message:
    """Grants of one principal that are taken back together; `left` are those that are being changed, or just were."""
    sentences = [
        f"{grants} {'grant is' if grants == 1 else 'grants are'} being taken back, which takes a minute or so."
    ]
    if left:
        are = "is" if left == 1 else "are"
        sentences.append(f"{left} {are} being changed at this moment and could not be: look again in a minute.")
    return Message(status=HTTPStatus.OK, title="Taking back", pill="Done", tone="good", paragraphs=tuple(sentences))
