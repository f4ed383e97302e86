import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import bedrock_remediator_cli
from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator_cli.doctor.arrival import logs_reads
from bedrock_remediator_cli.doctor.synthetic import NAME, synthetic_denial
from tests.builders.grants import NOON

ROOT = Path(__file__).parents[3]


def advanced(*fields: dict[str, Any]) -> dict[str, Any]:
    """A trail with one advanced selector of these fields."""
    return {"AdvancedEventSelectors": [{"FieldSelectors": list(fields)}]}


MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}


@pytest.mark.parametrize(
    ("selectors", "logs"),
    [
        ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}]}, True),
        ({"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]}, True),
        ({"EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]}, False),
        ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": False}]}, False),
        (
            {
                "EventSelectors": [
                    {"ReadWriteType": "ReadOnly", "ExcludeManagementEventSources": ["bedrock.amazonaws.com"]},
                    {"ReadWriteType": "All", "IncludeManagementEvents": True},
                ]
            },
            True,
        ),
        ({}, False),
        (advanced(MANAGEMENT), True),
        (advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}), False),
        (advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["bedrock.amazonaws.com"]}), False),
        (advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}), True),
        (advanced(MANAGEMENT, {"Field": "eventName", "StartsWith": ["Invoke"]}), True),
        (advanced(MANAGEMENT, {"Field": "eventName", "NotStartsWith": ["Invoke"]}), False),
        (advanced({"Field": "eventCategory", "Equals": ["Data"]}), False),
        (advanced({"Field": "readOnly", "Equals": ["true"]}), False),
    ],
)
def test_what_a_trail_logs(selectors: dict[str, Any], *, logs: bool) -> None:
    """Reading management events of Bedrock, by plain and by advanced selectors."""
    assert logs_reads(selectors) is logs


def test_the_synthetic_denial_is_one_and_is_marked() -> None:
    """Triage reads it as it reads any, it says that a person put it in, and each has a principal of its own."""
    first, second = (synthetic_denial("123456789012", "aws", "us-east-1", NOON) for _ in range(2))
    denial = cloudtrail.read(first.body)
    assert isinstance(denial, Denial)
    assert (denial.backfill, denial.certain, denial.time) == (True, True, NOON)
    assert denial.caller.partition_key == first.principal
    assert NAME in first.principal != second.principal
    assert json.loads(first.body)["detail"]["userAgent"] == "bedrock-remediator doctor"


def test_the_release_has_one_number() -> None:
    """The command, the package and the stack's output say the same version: doctor compares them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    deployed = re.search(
        r"(?m)^  Version:\n    Description: .*\n    Value: (\S+)$", (ROOT / "template.yaml").read_text()
    )
    assert deployed is not None
    assert bedrock_remediator_cli.__version__ == project == deployed[1]
