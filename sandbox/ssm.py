"""Parameter Store, as far as the service reads it. A stand-in only because moto's takes a second to import."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import ApiError, Call

PAGE_LENGTH: Final = 10
"""GetParametersByPath gives ten at most, whatever is asked for."""


class Parameter(Struct, frozen=True):
    """A parameter's value and type (`String` or `SecureString`)."""

    value: str
    type: str = "String"


class ParameterStore:
    """The parameters of the account, by name."""

    def __init__(self, account: str, partition: str) -> None:
        self._account = account
        self._partition = partition
        self.parameters: dict[str, Parameter] = {}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetParameter": self._get,
            "GetParametersByPath": self._get_by_path,
        }

    def put(self, name: str, value: str, kind: str = "String") -> None:
        """Write a parameter, over one that is there."""
        self.parameters[name] = Parameter(value, kind)

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
            "Version": 1,
            "LastModifiedDate": datetime(2026, 1, 1, tzinfo=UTC),
            "ARN": f"arn:{self._partition}:ssm:{call.region}:{self._account}:parameter{name}",
            "DataType": "text",
        }
