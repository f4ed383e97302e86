"""AWS managed policies: looked up in moto's copy of AWS's, only for the few that a world or the template names."""

import functools
import json
from typing import Any

from sandbox.documents import BadInputError


def aws_managed_document(arn: str) -> dict[str, Any]:
    """The document of an AWS managed policy.

    Raises:
        BadInputError: There is none of that ARN.
    """
    entry = _entry(arn)
    document: dict[str, Any] = entry["Document"]
    return document


def aws_managed_path(arn: str) -> str:
    """The path of an AWS managed policy.

    Raises:
        BadInputError: There is none of that ARN.
    """
    path: str = _entry(arn)["Path"]
    return path


def _entry(arn: str) -> dict[str, Any]:
    _, _, place = arn.partition(":iam::aws:policy/")
    entry = _catalogue().get(place.rpartition("/")[2])
    if not place or entry is None or entry["Path"] != f"/{place[: -len(place.rpartition('/')[2])]}":
        raise BadInputError(f"there is no AWS managed policy {arn}")
    return entry


@functools.cache
def _catalogue() -> dict[str, dict[str, Any]]:
    # Imported here: reading a thousand policies takes longer than everything else that a small world needs.
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415

    catalogue: dict[str, dict[str, Any]] = json.loads(aws_managed_policies_data)
    return catalogue
