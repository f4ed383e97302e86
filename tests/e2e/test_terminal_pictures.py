"""The pictures of the operator's command show what it prints: `make pictures` renews them."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

PICTURES: Final = Path(__file__).parents[2] / "docs" / "pictures"


@pytest.fixture(scope="module")
def terminal() -> ModuleType:
    """The script that draws them."""
    spec = importlib.util.spec_from_file_location("terminal_pictures", PICTURES / "terminal.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli-help", "cli-explain"])
def test_a_picture_is_what_the_command_prints(terminal: ModuleType, name: str, tmp_path: Path) -> None:
    """Word for word; each picture tells its words in its description."""
    (picture,) = (each for each in terminal.PICTURES if each.name == name)
    drawn = terminal.draw(picture, tmp_path)
    kept = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    words = [re.search(r"(?s)<desc>(.*?)</desc>", each) for each in (drawn, kept)]
    assert words[0]
    assert words[1]
    assert words[0][1] == words[1][1], "run `make pictures`"


def test_every_picture_of_the_script_is_there(terminal: ModuleType) -> None:
    """And none is kept that nothing draws any more."""
    kept = {path.stem for path in PICTURES.glob("cli-*.svg")}
    assert kept == {each.name for each in terminal.PICTURES}


def test_a_picture_fetches_nothing() -> None:
    """No font and no image of another site, so that it can be shown anywhere."""
    for path in PICTURES.glob("cli-*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "@font-face" not in text
        assert "@import" not in text
        assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?https?:", text)
