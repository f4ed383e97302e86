"""The options that every command takes, and the environment that they make.

```python
@click.command(cls=Command, examples=("bedrock-remediator backfill --since 7d",))
@shared_options
@click.option("--since", ...)
def command(program: Program, since: str) -> None:
    ...
```
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import click
from msgspec import Struct

from bedrock_remediator_cli.connection import Connection
from bedrock_remediator_cli.output import Output


class Program(Struct, frozen=True):
    """What a command works with."""

    aws: Connection
    output: Output


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --json and --no-color, --profile and --region; the command's first argument is then the `Program`."""

    @click.option("--profile", metavar="NAME", help="AWS profile; else AWS_PROFILE and the usual chain.")
    @click.option("--region", metavar="REGION", help="AWS region; else AWS_REGION and the profile's.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")
    @click.option("--no-color", is_flag=True, help="No colour, on a terminal either; NO_COLOR does the same.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        profile: str | None,
        region: str | None,
        as_json: bool,
        no_color: bool,
        **options: Any,
    ) -> None:
        # boto3 reads AWS_DEFAULT_REGION only; the command line of AWS, and people, use AWS_REGION.
        aws = Connection(profile, region or os.environ.get("AWS_REGION"))
        command(Program(aws=aws, output=Output.made(as_json=as_json, no_color=no_color)), *args, **options)

    return wrapped
