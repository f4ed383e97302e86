"""A grant is ended before it is said to be in force: by somebody else, or since it was tried for hours.

Nothing of it is left in IAM, and until then a row, or a message on its way, stands for it. The long profile tries it at
every call, as it does with every story's (test_deaths.py, test_errors.py).
"""

from typing import Final

import pytest

from sandbox.faults import Way
from tests.builders.small_world import APP, profile_arn
from tests.builders.trials import die, undisturbed, writes_of
from tests.conftest import Count

STORIES: Final = ("a grant that another ends, managed", "a grant that is given up, managed")


@pytest.mark.parametrize("name", STORIES)
def test_it_ends_as_failed_wherever_its_worker_dies(name: str, count: Count) -> None:
    """Before and after each write that takes it out; the grant that stood beside it stands."""
    rows = undisturbed(name).ending.ledger
    ended, beside = (rows[f"{APP} profile#{profile_arn(number)}"] for number in (2, 0))
    assert (ended["state"], ended["reason_code"], ended.get("written")) == ("failed", "not_applied", None)
    assert beside["state"] == "active"
    # Before its last two writes it is written itself, or was hours ago: then it is taken out, and the row's end noted.
    places = [place for place, _ in writes_of(name)][-2:]
    for place in places:
        for way in (Way.KILLED_BEFORE, Way.KILLED_AFTER):
            die(name, place, way)
    count("a grant that is ended: deaths at a write", 2 * len(places))
