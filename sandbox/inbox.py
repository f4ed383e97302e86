"""The page at `/` of `python -m sandbox serve`: what waits, what was decided, and every notice with its links."""

import html
import re
from typing import Any, Final

from sandbox.deciding import links_in
from sandbox.stack import Sandbox
from sandbox.story import counted

_LINK: Final = re.compile(r"https://[^\s<>\"]+")
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .4rem .6rem }
tr + tr td { border-top: 1px solid #d0d7de } td { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f8fa; padding: .8rem }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3 } pre { background: #161b22 }
a { color: #58a6ff } tr + tr td { border-color: #30363d } }
"""


def inbox(sandbox: Sandbox) -> str:
    """The page as HTML. Links lead to the API's address on AWS; the server puts its own in the place."""
    rows = [item for item in sandbox.ledger.items() if "state" in item]
    links = links_in(sandbox)
    latest = {(pk, sk): link for (pk, sk, _), link in sorted(links.items())}
    requests = "".join(_request(row, latest.get((row["pk"], row["sk"]))) for row in rows)
    notices = "".join(_notice(notice.topic, notice.subject, notice.message) for notice in sandbox.outbox.notices)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Sandbox inbox</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>Sandbox inbox</h1>"
        f"<p>{counted(len(rows), 'row')}, {counted(len(sandbox.outbox.notices), 'notice')}. "
        "Reload the page to see what has changed. Send more events with <code>POST /events</code>.</p>"
        "<h2>Requests and grants</h2>"
        + (
            f"<table><tr><th>State</th><th>Who</th><th>Called</th><th>Why</th><th>Page</th></tr>{requests}</table>"
            if rows
            else "<p>None yet.</p>"
        )
        + f"<h2>Notices</h2>{notices or '<p>None yet.</p>'}</main></body></html>"
    )


def _request(row: dict[str, Any], link: str | None) -> str:
    who = row.get("principal") or row["pk"]
    called = row.get("profile") or row.get("model_id") or row["sk"]
    page = f'<a href="{html.escape(link)}">open</a>' if link else "in the notice below"
    cells = (row["state"], str(who).rpartition("/")[2], str(called).rpartition("/")[2], row["reason"])
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}<td>{page}</td></tr>"


def _notice(topic: str, subject: str | None, message: dict[str, Any]) -> str:
    text = html.escape(str(message.get("email") or message.get("default") or ""), quote=False)
    linked = _LINK.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', text)
    title = html.escape(subject or "(no subject)")
    return f"<details><summary>{html.escape(topic)}: {title}</summary><pre>{linked}</pre></details>"
