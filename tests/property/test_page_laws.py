"""Laws of the pages: whatever the caller and the approver wrote is text on them, and nothing else."""

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.notices.web.messages import decided_before, refused
from bedrock_remediator.notices.web.readable import moment, readable
from bedrock_remediator.notices.web.render import render
from tests.builders.grants import NOON
from tests.builders.notices import SIGHTING, granted
from tests.builders.shown import shown, written

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "aside", "div"),
    *("h1", "h2", "h3", "p", "ul", "ol", "li", "dl", "dt", "dd", "span", "strong", "bdi", "code", "wbr", "time"),
    *("pre", "ins", "del", "figure", "figcaption", "details", "summary", "a"),
    *("form", "fieldset", "legend", "label", "input", "textarea", "button"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "class", "id", "href", "datetime", "role", "hidden", "disabled"),
    *("method", "action", "autocomplete", "type", "value", "for", "rows", "maxlength", "required", "checked", "open"),
    *("aria-hidden", "aria-labelledby", "aria-label", "aria-describedby", "aria-current"),
}
UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</textarea></title></style><img src=x onerror=alert(1)>",
            '" onmouseover="alert(1)',
            "' autofocus onfocus='alert(1)",
            "{{ 7 * 7 }}{% raw %}{{ form.csrf }}",
            "javascript:alert(1)",
            "\u202e\u2066gnitset\x00\r\n<!channel>",
            "${aws:username} * ?",
            "&lt;b&gt;",
            "]]><!--",
            "W" * 10_000,
        ]
    ),
)


class Reader(HTMLParser):
    """What is in a page: its elements, attributes, addresses and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.text: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in {"href", "action", "src"}}

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text.append(data)


def harmless(source: str) -> Reader:
    """Make sure of a page that it has no element, attribute or address but those of the templates."""
    reader = Reader(source)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert reader.addresses <= {"/request/t", "#decision"}
    assert not UNSEEN.search(source)
    return reader


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """Rows in every state, with hostile text wherever somebody outside can put some."""
    text: dict[str, Any] = {name: draw(HOSTILE) for name in ("reason", "reason_code", "model_id", "evidence", "region")}
    said = {name: draw(HOSTILE) for name in ("session", "user_agent", "message", "source_ip", "event_id")}
    sighting = replace(SIGHTING, **said)
    by, why = draw(HOSTILE), draw(HOSTILE)
    return granted(
        state=draw(st.sampled_from(State)),
        diagnosis=draw(st.sampled_from(DiagnosisKind)),
        layer=draw(st.sampled_from(Layer)),
        sighting=sighting,
        candidates=tuple(draw(st.lists(HOSTILE, max_size=3))),
        denying_policy=draw(HOSTILE),
        history=(Event(at=NOON, state=State.APPROVED, by=by, reason=why),),
        **text,
    )


@settings(max_examples=60, deadline=None)
@given(grants(), HOSTILE, st.booleans())
def test_hostile_text_is_text_on_every_page(grant: Grant, typed: str, open_: bool) -> None:  # noqa: FBT001 - drawn
    """No element, attribute or address comes from it, and no mark that turns the page around stays in it."""
    source = written(shown(grant, open=open_), problem=readable(typed, 100), notice=readable(typed, 100))
    harmless(source)


@settings(max_examples=60, deadline=None)
@given(grants())
def test_what_the_caller_said_can_be_read(grant: Grant) -> None:
    """Escaped, cut where it is endless, and still there."""
    text = "".join(harmless(written(shown(grant))).text)
    beginning = (grant.sighting.session or "")[:20]
    if beginning.isascii() and beginning.isprintable():
        assert beginning in text


@settings(max_examples=60, deadline=None)
@given(HOSTILE, st.sampled_from(State), st.booleans())
def test_a_name_on_a_message_is_text(name: str, state: State, lost: bool) -> None:  # noqa: FBT001 - drawn
    """Whoever was first may have typed anything for a name."""
    message = decided_before(name, moment(NOON, NOON), state, lost=lost)
    harmless(render("message.html", message=message, address="/request/t", visitor=readable(name, 100), form=None))
    harmless(
        render("message.html", message=refused(readable(name, 500)), address="/request/t", visitor=None, form="seal")
    )


@given(HOSTILE)
def test_readable_text_stays_as_it_is(text: str) -> None:
    """What was made readable once is not changed again, and is one line."""
    once = readable(text, 200)
    assert readable(once, 1000) == once
    assert "\n" not in once
