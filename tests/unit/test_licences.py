"""The licences of what ships are listed, and are ones that may ship."""

import re
from importlib.metadata import version

import pytest

from tests.builders.licences import PERMISSIVE, ROOT, licence, locked, page

LOCKS = sorted(
    path.relative_to(ROOT) for path in (*ROOT.glob("requirements/*.txt"), *ROOT.glob("*/*/requirements.txt"))
)


def test_the_page_is_what_the_lock_says() -> None:
    """Run `make licences` after `make lock`."""
    assert (ROOT / "docs" / "licences.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("package", locked())
def test_every_package_may_ship(package: str) -> None:
    """Under a licence that asks for no more than its text; read from the version that is locked."""
    assert version(package) == locked()[package]
    assert set(re.split(r" OR | AND ", licence(package))) <= PERMISSIVE


@pytest.mark.parametrize(
    "lock",
    sorted(path.relative_to(ROOT) for path in [*ROOT.glob("requirements/*.txt"), *ROOT.glob("*/*/requirements.txt")]),
    ids=str,
)
def test_every_requirement_is_locked_by_hash(lock: str) -> None:
    """Each one, and no file names where it comes from."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9_.-]+(\[[a-z0-9, _-]+\])?==\S+", block), block
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block)) >= 1, block
