"""The allowlist's documents as files: names, mistakes with their lines, and what a push changes in which order."""

from pathlib import Path
from typing import Final

import pytest

from bedrock_remediator_cli.allowlist.change import Standing, changes
from bedrock_remediator_cli.allowlist.documents import Document, problems, read, remarks
from bedrock_remediator_cli.trouble import EnvironmentTrouble

RULE: Final = (
    'version: 1\nrules:\n  - {{name: {}, effect: {}, principals: ["arn:aws:iam::*:role/app"], profiles: ["us.*"]}}\n'
)
AUTO: Final = RULE.format("opens", "auto")
NEVER: Final = RULE.format("shuts", "never")
SCOPES: Final = 'version: 1\nscopes:\n  team: {principals: ["arn:aws:iam::*:role/app"], profiles: ["us.*"]}\n'


def written(folder: Path, **files: str) -> None:
    """Write files; `__` in a name stands for a slash."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_file_s_name_is_its_document_s(tmp_path: Path) -> None:
    """Of a folder, the path within it; and NAME=FILE names a file otherwise."""
    written(tmp_path, main=AUTO, research__vision=AUTO)
    assert {each.name for each in read([str(tmp_path)])} == {"main", "research/vision"}
    (one,) = read([f"team={tmp_path / 'main.yaml'}"])
    assert (one.name, one.text) == ("team", AUTO)


@pytest.mark.parametrize("given", [("missing.yaml",), ("main.yaml", "main=main.yaml"), ("empty",), ("binary.yaml",)])
def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]) -> None:
    """No such file, two files for one document, a folder without any, bytes that are no text."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, main=AUTO)
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EnvironmentTrouble):
        read(given)


def test_a_mistake_has_its_file_and_line(tmp_path: Path) -> None:
    """And says what was probably meant."""
    written(tmp_path, main=AUTO.replace("effect", "efect"))
    found = [str(each) for each in problems(read([str(tmp_path)]))]
    assert found == [
        f"{tmp_path}/main.yaml:3: rule 'opens': unknown key 'efect'; did you mean \"effect\"?",
        f"{tmp_path}/main.yaml:3: rule 'opens': `effect:` is missing",
    ]


def test_mistakes_that_stand_already_are_not_the_pushed_document_s() -> None:
    """What stands in Parameter Store is told only where the new document makes it wrong."""
    new = Document("main", Path("main.yaml"), AUTO)
    assert problems([new], {"team": "version: 2"}) == []


def test_a_document_too_large_for_a_parameter_is_a_problem() -> None:
    """An advanced parameter holds 8 KB; above 4 KB there is a remark."""
    large = Document("main", Path("main.yaml"), AUTO + "#" * 8192)
    assert "split it" in str(problems([large])[0])
    fair = Document("main", Path("main.yaml"), AUTO + "#" * 5000)
    assert problems([fair]) == []
    assert "advanced parameter" in remarks([fair])[0]


def test_teams_without_scopes_are_remarked_upon() -> None:
    """Their rules concern nobody."""
    team = Document("team", Path("team.yaml"), AUTO)
    assert "its rules concern nobody" in remarks([team])[0]
    assert remarks([team], {"_scopes": SCOPES}) == []


def test_a_push_shuts_doors_before_it_opens_any() -> None:
    """The document that gains a prohibition goes first, the one that loses one last."""
    before = {"main": Standing(NEVER, 1, secure=False), "same": Standing(AUTO, 1, secure=False)}
    documents = [
        Document("main", Path("m"), AUTO),
        Document("same", Path("s"), AUTO),
        Document("new", Path("n"), NEVER),
    ]
    wanted = changes(documents, before)
    assert [(each.document.name, each.kind) for each in wanted] == [
        ("new", "new"),
        ("same", "unchanged"),
        ("main", "changed"),
    ]
    assert wanted[-1].difference[:2] == ["--- main (Parameter Store)", "+++ main (file)"]
