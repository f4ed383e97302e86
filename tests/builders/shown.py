"""Pages for tests: what a request's page is made from, and how it is written out."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from bedrock_remediator.core.approval import possible
from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.suspicion import risks
from bedrock_remediator.flows.approval.forms import Form
from bedrock_remediator.notices.notice import Denials, request_id
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.web.page import Shown, page
from bedrock_remediator.notices.web.render import render
from tests.builders.grants import NOON
from tests.builders.notices import EXTRA_ACTIONS

LATER = NOON + timedelta(hours=2)


def shown(grant: Grant, rows: Iterable[Grant] = (), **changes: Any) -> Shown:
    """What the page of a row is made from, two hours after noon; `rows` are the principal's others."""
    others = tuple(rows)
    made = Shown(
        grant=grant,
        open=grant.state is State.PENDING,
        now=LATER,
        denials=Denials(count=37, first_at=NOON - timedelta(days=1), last_at=NOON),
        plan=plan(grant, lambda: others, EXTRA_ACTIONS),
        risks=risks(grant, others),
        lengths=offered(grant, None),
        verbs=possible(grant),
        request_id=request_id(grant),
        lapses_at=NOON + timedelta(hours=72),
        standing=tuple(row for row in (grant, *others) if row.state is State.ACTIVE),
    )
    return replace(made, **changes)


def written(what: Shown, **changes: Any) -> str:
    """The page as HTML, with a form that asks for a name."""
    form = Form(csrf="seal", asks_name=True)
    content = {
        "form": form,
        "address": "/request/t",
        "visitor": None,
        "problem": None,
        "notice": None,
        "old_link": None,
    }
    return render("request.html", page=page(what), **content | changes)
