"""The period that a person names: `7d`, `36h`, or a moment."""

from datetime import UTC, datetime

import click

from bedrock_remediator.core.lengths import WITHOUT_END, parse_length


def moment(text: str, now: datetime, option: str) -> datetime:
    """A moment: so long before now (`90m`, `36h`, `7d`), or ISO 8601, in UTC unless it says otherwise.

    Raises:
        click.BadParameter: It is neither.
    """
    try:
        length = None if text == WITHOUT_END else parse_length(text)
    except ValueError:
        length = None
    if length is not None:
        return now - length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no period and no time: write 7d, 36h or 2026-11-19T00:00:00Z", param_hint=option
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def period(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The two ends.

    Raises:
        click.BadParameter: One is no moment, or the period ends before it begins.
    """
    first = moment(since, now, "--since")
    last = moment(until, now, "--until") if until else now
    if first >= last:
        raise click.BadParameter("the period ends before it begins", param_hint="--until")
    return first, last
