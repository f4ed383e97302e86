"""Parameter Store, for the service and for an operator. A stand-in only because moto's takes a second to import."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import ApiError, Call

PAGE_LENGTH: Final = 10
"""GetParametersByPath gives ten at most, whatever is asked for."""
STANDARD: Final = 4096
ADVANCED: Final = 8192
"""Bytes in a parameter of each tier."""


class Parameter(Struct, frozen=True):
    """A parameter's value, type (`String` or `SecureString`) and version."""

    value: str
    type: str = "String"
    version: int = 1


class ParameterStore:
    """The parameters of the account, by name."""

    def __init__(self, account: str, partition: str) -> None:
        self._account = account
        self._partition = partition
        self.parameters: dict[str, Parameter] = {}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetParameter": self._get,
            "GetParameters": self._get_several,
            "PutParameter": self._put,
            "GetParametersByPath": self._get_by_path,
        }

    def put(self, name: str, value: str, kind: str = "String") -> None:
        """Write a parameter, over one that is there."""
        before = self.parameters.get(name)
        self.parameters[name] = Parameter(value, kind, before.version + 1 if before else 1)

    def _put(self, call: Call) -> Mapping[str, Any]:
        name, value = call.parameters["Name"], call.parameters["Value"]
        if name in self.parameters and not call.parameters.get("Overwrite", False):
            raise ApiError("ParameterAlreadyExists", "The parameter already exists.")
        advanced = call.parameters.get("Tier", "Standard") != "Standard"
        if len(value.encode()) > (ADVANCED if advanced else STANDARD):
            raise ApiError("ValidationException", "The value exceeds the maximum size of its tier.")
        self.put(name, value, call.parameters.get("Type", "String"))
        return {"Version": self.parameters[name].version, "Tier": "Advanced" if advanced else "Standard"}

    def _get_several(self, call: Call) -> Mapping[str, Any]:
        names = call.parameters["Names"]
        return {
            "Parameters": [self._described(name, call) for name in names if name in self.parameters],
            "InvalidParameters": [name for name in names if name not in self.parameters],
        }

    def _get(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["Name"]
        if name not in self.parameters:
            raise ApiError("ParameterNotFound", f"Parameter {name} not found.")
        return {"Parameter": self._described(name, call)}

    def _get_by_path(self, call: Call) -> Mapping[str, Any]:
        path = call.parameters["Path"].rstrip("/") + "/"
        if not path.startswith("/"):
            raise ApiError("ValidationException", "The parameter path must begin with a forward slash.")
        deep = call.parameters.get("Recursive", False)
        names = sorted(
            name for name in self.parameters if name.startswith(path) and (deep or "/" not in name[len(path) :])
        )
        start = int(call.parameters.get("NextToken", "0"))
        end = start + min(call.parameters.get("MaxResults", PAGE_LENGTH), PAGE_LENGTH)
        page: dict[str, Any] = {"Parameters": [self._described(name, call) for name in names[start:end]]}
        return page | ({"NextToken": str(end)} if end < len(names) else {})

    def _described(self, name: str, call: Call) -> dict[str, Any]:
        parameter = self.parameters[name]
        secret = parameter.type == "SecureString" and not call.parameters.get("WithDecryption", False)
        return {
            "Name": name,
            "Type": parameter.type,
            "Value": f"encrypted:{len(parameter.value)}" if secret else parameter.value,
            "Version": parameter.version,
            "LastModifiedDate": datetime(2026, 1, 1, tzinfo=UTC),
            "ARN": f"arn:{self._partition}:ssm:{call.region}:{self._account}:parameter{name}",
            "DataType": "text",
        }
