"""What `explain` is given: text of the command line, files, compressed or not, or what comes in by a pipe."""

import gzip
import io
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bedrock_remediator_cli.trouble import EnvironmentTrouble

LARGEST: Final = 256 * 1024 * 1024
"""Bytes that are read of one file, unpacked."""

_FILE_NAME: Final = re.compile(r"\S+\.(?:jsonl?|ndjson|gz|log|txt)")
"""What is meant as a file's name, even if there is no such file."""
_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


class Source(Struct, frozen=True):
    """A text and what it is called; `name` is empty for the text of the command line."""

    name: str
    text: str


def read(given: Sequence[str]) -> list[Source]:
    """Read what the command line names: `-` is stdin, a word that is a file's name is the file, the rest is text.

    Raises:
        EnvironmentTrouble: A file cannot be read, or there is nothing to read.
    """
    if not given:
        if sys.stdin.isatty():
            raise EnvironmentTrouble("Nothing to explain: give a text or a file, or pipe one in (see --help).")
        given = ("-",)
    if not any(each == "-" or _is_file(each) or _FILE_NAME.fullmatch(each) for each in given):
        return [Source("", " ".join(given))]
    return [_source(each) for each in given]


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def _source(word: str) -> Source:
    if word == "-":
        return Source("stdin", _text(sys.stdin.buffer.read(LARGEST + 1), "stdin"))
    if not _is_file(word):
        raise EnvironmentTrouble(f"There is no file {word}.")
    try:
        with Path(word).open("rb") as file:
            return Source(word, _text(file.read(LARGEST + 1), word))
    except OSError as error:
        raise EnvironmentTrouble(f"{word} cannot be read: {error.strerror}") from error


def _text(data: bytes, name: str) -> str:
    if data.startswith(_GZIP):
        data = _unpacked(data, name)
    if len(data) > LARGEST:
        raise EnvironmentTrouble(f"{name} is longer than {LARGEST // 1024 // 1024} MiB: split it.")
    return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig", errors="replace")


def _unpacked(data: bytes, name: str) -> bytes:
    """What a gzip file holds, up to one byte more than is allowed: a small file can hold a lot."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise EnvironmentTrouble(f"{name} is no whole gzip file: {error}") from error
