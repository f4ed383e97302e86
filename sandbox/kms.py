"""KMS, as far as the service uses it: message authentication codes by the stack's HMAC keys."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.template import Stack

LONGEST_MESSAGE: Final = 4096
_HASHES: Final = {"HMAC_256": ("HMAC_SHA_256", "sha256")}
"""A key's spec -> the one algorithm that it knows, and that algorithm's hash."""


class MacKeys:
    """The stack's keys that make MACs. A key's material is the same in every run: nothing here is secret."""

    def __init__(self, stack: Stack) -> None:
        self._keys: dict[str, Mapping[str, Any]] = {}
        for name, properties in stack.of_type("AWS::KMS::Key").items():
            for reference in (stack.ref(name), stack.arn(name)):
                self._keys[reference] = {"Arn": stack.arn(name), **properties}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GenerateMac": self._generate,
            "VerifyMac": self._verify,
        }

    def _generate(self, call: Call) -> Mapping[str, Any]:
        key = self._key(call)
        return {"Mac": _mac(key, call), "MacAlgorithm": call.parameters["MacAlgorithm"], "KeyId": key["Arn"]}

    def _verify(self, call: Call) -> Mapping[str, Any]:
        key = self._key(call)
        if not hmac.compare_digest(_mac(key, call), _bytes(call.parameters["Mac"])):
            raise ApiError("KMSInvalidMacException", "")
        return {"MacValid": True, "MacAlgorithm": call.parameters["MacAlgorithm"], "KeyId": key["Arn"]}

    def _key(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["KeyId"]
        if name not in self._keys:
            raise ApiError("NotFoundException", f"Key {name!r} does not exist")
        key = self._keys[name]
        algorithm, _ = _HASHES.get(key.get("KeySpec", ""), ("", ""))
        if key.get("KeyUsage") != "GENERATE_VERIFY_MAC" or call.parameters["MacAlgorithm"] != algorithm:
            raise ApiError("InvalidKeyUsageException", f"{key['Arn']} does not make such codes")
        if not 1 <= len(_bytes(call.parameters["Message"])) <= LONGEST_MESSAGE:
            raise ApiError("ValidationException", f"a message has 1 to {LONGEST_MESSAGE} bytes")
        return key


def _mac(key: Mapping[str, Any], call: Call) -> bytes:
    _, name = _HASHES[key["KeySpec"]]
    material = hashlib.sha256(key["Arn"].encode()).digest()
    return hmac.new(material, _bytes(call.parameters["Message"]), name).digest()


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
