"""The allowlist's documents as files: a file's name is its document's, and a folder holds all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.allowlist import check, parse, warnings
from bedrock_remediator_cli.trouble import EnvironmentTrouble

STANDARD: Final = 4096
LARGEST: Final = 8192
"""Bytes that a standard and an advanced parameter hold."""

_ENDINGS: Final = (".yaml", ".yml", ".json")


class Document(Struct, frozen=True):
    """A document: its name under the allowlist's path, the file it comes from, and its text."""

    name: str
    file: Path
    text: str


class Problem(Struct, frozen=True):
    """A mistake; `line` counts from 1, None where it cannot be told."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


def read(given: Sequence[str]) -> list[Document]:
    """Read files (`FILE` or `NAME=FILE`) and folders, whose files go by their paths within it.

    Raises:
        EnvironmentTrouble: One cannot be read, or two give the same document.
    """
    found: dict[str, Document] = {}
    for each in given:
        for name, path in _named(each):
            if name in found:
                raise EnvironmentTrouble(f"{found[name].file} and {path} both give the document {name}.")
            found[name] = Document(name, path, _text(path))
    return list(found.values())


def _named(given: str) -> list[tuple[str, Path]]:
    path = Path(given)
    name, sign, file = given.partition("=")
    if sign and not path.exists():
        return [(name, Path(file))]
    if not path.is_dir():
        return [(path.name.removesuffix(path.suffix) if path.suffix in _ENDINGS else path.name, path)]
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.suffix in _ENDINGS)
    if not files:
        raise EnvironmentTrouble(f"{given} holds no {', '.join(_ENDINGS)} file.")
    return [(str(each.relative_to(path).with_suffix("").as_posix()), each) for each in files]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EnvironmentTrouble(f"{path} is not UTF-8.") from error
    except OSError as error:
        raise EnvironmentTrouble(f"{path} cannot be read: {error.strerror}") from error


def problems(documents: Sequence[Document], beside: Mapping[str, str] | None = None) -> list[Problem]:
    """What is wrong with the documents, by file and line.

    Args:
        documents: Those to be checked.
        beside: Documents that stand already, by name; only what the new ones make wrong in them is told.
    """
    files = {each.name: str(each.file) for each in documents}
    before = {str(error) for error in check(beside or {})}
    every = {**(beside or {}), **{each.name: each.text for each in documents}}
    found = [
        Problem(files.get(error.document, error.document), error.line, error.message)
        for error in check(every)
        if error.document in files or str(error) not in before
    ]
    for each in documents:
        size = len(each.text.encode())
        if size > LARGEST:
            message = f"it has {size} bytes, and a parameter holds {LARGEST}: split it among documents"
            found.append(Problem(str(each.file), None, message))
    return found


def remarks(documents: Sequence[Document], beside: Mapping[str, str] | None = None) -> list[str]:
    """What is no mistake and worth knowing."""
    every = {**(beside or {}), **{each.name: each.text for each in documents}}
    said = [f"{stray}." for stray in parse(every).strays]
    said += [
        f"{Problem(str(each.file), warning.line, warning.message)}."
        for each in documents
        for warning in warnings({each.name: each.text})
    ]
    said += [
        f"{each.file} has more than {STANDARD} bytes: it becomes an advanced parameter, which costs a little."
        for each in documents
        if STANDARD < len(each.text.encode()) <= LARGEST
    ]
    return said
