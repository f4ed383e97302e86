"""Writes the pages as HTML, and says what a browser may do with them: show them, and send their form back here."""

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"


def render(template: str, **content: Any) -> str:
    """A page. Everything in `content` is escaped where it is put in.

    Args:
        template: A file in `templates/`.
        content: What it names.
    """
    return _environment().get_template(template).render(content)


@functools.cache
def content_security_policy() -> str:
    """No script, no picture, no frame; the one style sheet that is in the page, and forms that come back here."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


@functools.cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> "Environment":
    # Loaded with the first page: Slack's route and the API have no use for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # A file of ours: escaped, its quotes would be no style.
    environment.globals["style"] = Markup(_style())  # noqa: S704
    return environment
