"""`python -m bedrock_remediator_cli`, and what the installed command runs."""

import logging

from bedrock_remediator_cli.program import cli

PROGRAM = "bedrock-remediator"


def main() -> None:
    """Run the command line of this process."""
    # The layer logs for functions; a person gets sentences, and no log on the terminal between them.
    logging.getLogger("bedrock_remediator").addHandler(logging.NullHandler())
    cli(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
