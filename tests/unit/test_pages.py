"""What the pages for people say, where it can be held to the code: links, names, numbers and examples."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedrock_remediator.core.allowlist import check
from bedrock_remediator.core.grant import DiagnosisKind, State

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "events").glob("*.md")])
PICTURES = sorted((ROOT / "docs/pictures").glob("*.svg"))
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
FACTS = (ROOT / "docs/aws-facts.md").read_text()
TEMPLATE = (ROOT / "template.yaml").read_text()
SOURCES = ("layers", "functions", "sandbox", "tests", "cli", "stacks")
CITED = re.compile(r"(?:aws-facts\.md |facts |\(|, |and )§(\d)(?:\.(\d+b?))?(?![\d.]*\d)")


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def citations() -> Iterator[tuple[str, str]]:
    """Every section of the facts that the code cites: section, and item or nothing."""
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".yaml"}]
    for path in (*files, ROOT / "template.yaml"):
        yield from CITED.findall(path.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this repository finds the file, and its heading where it names one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_facts_that_the_code_cites_are_there() -> None:
    """A citation without a fact behind it is a claim."""
    sections = dict(re.findall(r"^## §(\d) (.*?)(?=^## |\Z)", FACTS, re.MULTILINE | re.DOTALL))
    for section, item in citations():
        assert section in sections
        assert not item or re.search(rf"^{item}\. ", sections[section], re.MULTILINE), f"§{section}.{item}"


def test_facts_are_numbered_in_order() -> None:
    """A number is one fact, and the page shows it by that number: none is left out, and none comes after the pages."""
    for section in FACTS.split("\n## §")[1:]:
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert not re.search(r"^\d+\. ", section.partition("\nPages:")[2], re.MULTILINE)


def test_the_readme_explains_every_parameter() -> None:
    """Its table has the parameters of the template, in any order."""
    declared = TEMPLATE.split("\nParameters:\n")[1].split("\nRules:\n")[0]
    table = README.split("| parameter | default |")[1].split("\n\n")[0]
    named = [
        name for line in re.findall(r"^\| (`[^|]+)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    ]
    assert sorted(named) == sorted(re.findall(r"^  (\w+):$", declared, re.MULTILINE))


def test_the_readme_explains_every_alarm() -> None:
    """Whoever gets an alarm finds it there."""
    alarms = re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm", TEMPLATE, re.MULTILINE)
    assert set(re.findall(r"`(\w+Alarm)`", README)) == set(alarms)
    slack = re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm\n    Condition: HasSlack$", TEMPLATE, re.MULTILINE)
    assert f"{len(alarms) - len(slack)} alarms ({len(alarms)} with Slack)" in README
    assert f"{len(alarms) - len(slack)} alarms, {len(alarms)} with Slack" in ARCHITECTURE


def test_the_rule_in_the_readme_is_right() -> None:
    """The first rule that people copy has no mistake."""
    (rule,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert not check({"main": rule})


def test_the_architecture_explains_every_state_and_diagnosis() -> None:
    """Each state has its line, and each diagnosis its step."""
    assert set(re.findall(r"^\| `(\w+)` \| ", ARCHITECTURE, re.MULTILINE)) >= set(State)
    assert set(DiagnosisKind) <= set(re.findall(r"`(\w+)`", ARCHITECTURE))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_can_be_read_by_everybody(picture: Path) -> None:
    """They are well-formed, say in words what they show, and have colours for light and for dark."""
    text = picture.read_text()
    drawing = ET.fromstring(text)  # noqa: S314 - our own file
    names = {element.tag.rpartition("}")[2] for element in drawing}
    assert {"title", "desc"} <= names
    assert drawing.get("viewBox")
    assert "prefers-color-scheme: dark" in text


def test_the_picture_of_the_states_has_them_all() -> None:
    """No state is missing from the picture, and it shows none that there is not."""
    drawn = re.findall(r'<text class="state"[^>]*>([^<]+)<', (ROOT / "docs/pictures/states.svg").read_text())
    assert set(drawn) - {"a denial"} == set(State)
