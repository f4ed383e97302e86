"""The deployed stack: its outputs and parameters, as CloudFormation tells them."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click
from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator_cli.connection import Connection
from bedrock_remediator_cli.trouble import EnvironmentTrouble

STACK_NAME: Final = "bedrock-access-remediator"

Command = TypeVar("Command", bound=Callable[..., Any])


class Deployment(Struct, frozen=True, kw_only=True):
    """A stack as it is deployed."""

    name: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    def output(self, name: str, without: str) -> str:
        """One of its outputs.

        Raises:
            EnvironmentTrouble: The stack has none of that name; `without` says what that means and what to do.
        """
        if name not in self.outputs:
            raise EnvironmentTrouble(f"The stack {self.name} has no output {name}. {without}")
        return self.outputs[name]

    def parameter(self, name: str, default: str) -> str:
        """One of its parameters, or the default where an older template did not have it."""
        return self.parameters.get(name, default)


def not_an_operator(error: ClientError) -> EnvironmentTrouble | None:
    """What it means that the denials queue does not take a message; None where it is something else."""
    if "AccessDenied" not in error.response.get("Error", {}).get("Code", ""):
        return None
    return EnvironmentTrouble(
        "The denials queue takes messages from the rule and from the roles of OperatorRoleArns only. Be in a session "
        "of one of them."
    )


def stack_option(command: Command) -> Command:
    """Add --stack-name."""
    option = click.option(
        "--stack-name", default=STACK_NAME, show_default=True, metavar="NAME", help="The stack that is deployed."
    )
    return option(command)


def read_deployment(aws: Connection, name: str) -> Deployment:
    """The stack of that name, in the connection's account and region.

    Raises:
        EnvironmentTrouble: There is none.
        botocore.exceptions.ClientError: CloudFormation refused.
    """
    try:
        (stack,) = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response.get("Error", {}).get("Message", ""):
            raise EnvironmentTrouble(
                f"There is no stack {name} in {aws.region}. Name it with --stack-name, or its region with --region."
            ) from error
        raise
    return Deployment(
        name=name,
        status=stack["StackStatus"],
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())},
        parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", ())},
    )
