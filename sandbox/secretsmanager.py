"""Secrets Manager, as far as functions read it: the secrets that the template makes, and what a test puts there."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.calls import ApiError, Call
from sandbox.template import Stack


class SecretStore:
    """The secrets of the account: ARN -> the values it has had, the current one last."""

    def __init__(self, stack: Stack) -> None:
        self.values: dict[str, list[str]] = {
            stack.ref(name): [_generated(stack.ref(name), properties)]
            for name, properties in stack.of_type("AWS::SecretsManager::Secret").items()
        }
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {"GetSecretValue": self._get}

    def put(self, arn: str, text: str) -> None:
        """Give a secret another value, or make one."""
        self.values.setdefault(arn, []).append(text)

    def _get(self, call: Call) -> Mapping[str, Any]:
        arn, stage = call.parameters["SecretId"], call.parameters.get("VersionStage", "AWSCURRENT")
        place = {"AWSCURRENT": -1, "AWSPREVIOUS": -2}.get(stage, 0)
        values = self.values.get(arn, [])
        if not place or len(values) < -place:
            raise ApiError(
                "ResourceNotFoundException",
                f"Secrets Manager can't find the specified secret value for staging label: {stage}",
            )
        return {"ARN": arn, "Name": arn.rpartition(":")[2], "SecretString": values[place], "VersionStages": [stage]}


def _generated(arn: str, properties: Mapping[str, Any]) -> str:
    """What CloudFormation would generate, the same in every run."""
    if "SecretString" in properties:
        return str(properties["SecretString"])
    wanted = properties.get("GenerateSecretString", {})
    text = hashlib.sha512(arn.encode()).hexdigest()[: int(wanted.get("PasswordLength", 32))]
    if "GenerateStringKey" not in wanted:
        return text
    return json.dumps(json.loads(wanted.get("SecretStringTemplate", "{}")) | {wanted["GenerateStringKey"]: text})
