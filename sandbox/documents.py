"""Reads what people write for the sandbox: YAML or JSON files, and events in the forms they come in."""

import gzip
import io
import json
import zlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

LARGEST: Final = 256 * 1024 * 1024
"""Bytes that a packed file may unpack to."""
_GZIP: Final = b"\x1f\x8b"


class BadInputError(Exception):
    """What was given cannot be used; the message says where and why, for a person at a terminal. Exit code 2."""


class _Reader(yaml.SafeLoader):
    """YAML in which `2012-10-17` is text, as every policy means it, and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the base class's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {str(key) for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"repeated key: {', '.join(sorted(repeated))}", node.start_mark
            )
        return super().construct_mapping(node, deep)


_Reader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(path: Path) -> str:
    """A file's text; what is packed as gzip, as CloudTrail's log files are, is unpacked.

    Raises:
        BadInputError: It cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = _unpacked(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _unpacked(content: bytes) -> bytes:
    """The content of a gzip file.

    Raises:
        OSError: It unpacks to more than a log file of CloudTrail's can hold.
    """
    with gzip.open(io.BytesIO(content)) as file:
        unpacked = file.read(LARGEST + 1)
    if len(unpacked) > LARGEST:
        raise OSError(f"it unpacks to more than {LARGEST} bytes")
    return unpacked


def read_document(path: Path) -> Any:
    """A YAML or JSON file's content.

    Raises:
        BadInputError: It cannot be read or parsed.
    """
    text = read_text(path)
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.load(text, Loader=_Reader)  # noqa: S506 - a SafeLoader, by its base class
    except (ValueError, yaml.YAMLError) as error:
        raise BadInputError(f"{path}: {error}") from error
    except RecursionError as error:
        raise BadInputError(f"{path}: nested too deeply") from error


def read_objects(text: str, name: str) -> list[Any]:
    """The objects of a text: one JSON value, an array of them, or JSON lines.

    Raises:
        BadInputError: It is none of these; `name` says whose text it was.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return _read_lines(text, name)
    except RecursionError as error:
        raise BadInputError(f"{name}: nested too deeply") from error
    return value if isinstance(value, list) else [value]


def _read_lines(text: str, name: str) -> list[Any]:
    objects = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise BadInputError(f"{name}: empty")
    for number, line in lines:
        try:
            objects.append(json.loads(line))
        except ValueError as error:
            raise BadInputError(f"{name}: neither JSON nor JSON lines (line {number}: {error})") from error
        except RecursionError as error:
            raise BadInputError(f"{name}: nested too deeply (line {number})") from error
    return objects
