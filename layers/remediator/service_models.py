"""Cuts AWS's service descriptions, as botocore has them, down to the operations that the functions call.

The layer's Makefile runs it: `python service_models.py BOTOCORE/data TARGET`. Documentation goes, and so does every
shape that none of the operations needs; rules for endpoints stay as they are. `bedrock_remediator/aws/clients.py`
reads what it makes.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "bedrock": ("GetFoundationModel", "GetInferenceProfile", "ListInferenceProfiles"),
    "dynamodb": ("BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"),
    "iam": (
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreatePolicy",
        "CreatePolicyVersion",
        "DeletePolicy",
        "DeletePolicyVersion",
        "DeleteRolePolicy",
        "DeleteUserPolicy",
        "DetachRolePolicy",
        "DetachUserPolicy",
        "GetGroupPolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "GetUserPolicy",
        "ListAttachedGroupPolicies",
        "ListAttachedRolePolicies",
        "ListAttachedUserPolicies",
        "ListEntitiesForPolicy",
        "ListGroupPolicies",
        "ListGroupsForUser",
        "ListPolicies",
        "ListPolicyVersions",
        "ListRolePolicies",
        "ListUserPolicies",
        "PutRolePolicy",
        "PutUserPolicy",
        "SetDefaultPolicyVersion",
        "SimulatePrincipalPolicy",
        "TagPolicy",
    ),
    "iam-toolbox": ("GetRequestAuthorizationDetails",),
    "kms": ("GenerateMac", "VerifyMac"),
    "organizations": ("DescribeAccount",),
    "secretsmanager": ("GetSecretValue",),
    "sns": ("ListSubscriptionsByTopic", "Publish"),
    "sqs": ("ChangeMessageVisibility", "SendMessage"),
    "ssm": ("GetParametersByPath",),
    "sts": ("AssumeRole",),
}
"""All that the functions call. Anything else fails: tests/unit/test_service_models.py keeps the list whole."""

_WHOLE: Final = ("partitions", "sdk-default-configuration")


def main(data: Path, target: Path) -> None:
    """Write the descriptions for the layer.

    Args:
        data: botocore's `data` folder.
        target: The folder to write.
    """
    for service, operations in OPERATIONS.items():
        version = max(found.parent.name for found in (data / service).glob("*/service-2.json*"))
        place = Path(service, version)
        model = _read(data / place / "service-2")
        extras = data / place / "service-2.sdk-extras.json"
        if extras.exists():
            model = _merged(model, json.loads(extras.read_text())["merge"])
        _write(target / place / "service-2", reduced(model, operations))
        _write(target / place / "endpoint-rule-set-1", _undocumented(_read(data / place / "endpoint-rule-set-1")))
    endpoints = _read(data / "endpoints")
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in OPERATIONS}
    _write(target / "endpoints", endpoints)
    for name in _WHOLE:
        _write(target / name, _read(data / name))


def reduced(model: Mapping[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """A service's description with these operations, and the shapes that they need."""
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    needed = list(_shapes(kept))
    while needed:
        name = needed.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            needed += _shapes(shapes[name])
    found: dict[str, Any] = _undocumented({**model, "operations": kept, "shapes": shapes})
    return found


def _shapes(part: Any) -> Iterator[str]:
    """The names of the shapes that a part refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _shapes(each)


def _undocumented(part: Any) -> Any:
    if isinstance(part, dict):
        # A member may be called `documentation` too; it is no text.
        return {
            name: _undocumented(each)
            for name, each in part.items()
            if not (name == "documentation" and isinstance(each, str))
        }
    return [_undocumented(each) for each in part] if isinstance(part, list) else part


def _merged(base: Any, more: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    return {**base, **{name: _merged(base.get(name), each) for name, each in more.items()}}


def _read(path: Path) -> Any:
    plain = path.with_name(f"{path.name}.json")
    if plain.exists():
        return json.loads(plain.read_text(encoding="utf-8"))
    return json.loads(gzip.decompress(plain.with_name(f"{plain.name}.gz").read_bytes()))


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.json").write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
