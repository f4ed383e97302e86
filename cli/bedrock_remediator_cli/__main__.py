"""`python -m bedrock_remediator_cli`, and what the installed command runs."""

from bedrock_remediator_cli.program import cli

PROGRAM = "bedrock-remediator"


def main() -> None:
    """Run the command line of this process."""
    cli(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
