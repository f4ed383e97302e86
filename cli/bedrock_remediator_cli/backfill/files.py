"""Records from CloudTrail's own files: `.json.gz`, plain JSON or JSON lines, in a folder or under a prefix of S3."""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from bedrock_remediator_cli.trouble import EnvironmentTrouble

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of one file, unpacked. CloudTrail's have some megabytes."""

_SUFFIXES: Final = (".json.gz", ".json", ".jsonl", ".jsonl.gz")
_DAY: Final = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError)
_LAG: Final = timedelta(days=1)


class _File(Struct):
    records: list[msgspec.Raw] | None = msgspec.field(default=None, name="Records")
    detail: msgspec.Raw = msgspec.Raw()


_files = msgspec.json.Decoder(_File)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class S3(Protocol):
    """What is asked of S3."""

    def list_objects_v2(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of keys."""
        ...

    def get_object(self, **arguments: Any) -> Mapping[str, Any]:
        """An object."""
        ...


def from_folder(path: Path, advance: Callable[[], None]) -> Iterator[bytes]:
    """The records of a file, or of every file of CloudTrail's kinds in a folder and below it.

    Raises:
        EnvironmentTrouble: There is none, or one cannot be read.
    """
    files = sorted(each for each in path.rglob("*") if each.name.endswith(_SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise EnvironmentTrouble(f"{path} holds no file that ends in {', '.join(_SUFFIXES)}.")
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise EnvironmentTrouble(f"{file} cannot be read: {error.strerror}") from error
        yield from records_of(content, str(file))
        advance()


def from_bucket(client: S3, address: str, since: datetime, advance: Callable[[], None]) -> Iterator[bytes]:
    """The records under `s3://BUCKET/PREFIX`. Keys of days before `since` are not read: CloudTrail's name their day.

    Raises:
        EnvironmentTrouble: The address is none, or an object is no file of CloudTrail's.
        botocore.exceptions.ClientError: S3 refused.
    """
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise EnvironmentTrouble(f"{address} names no bucket: write s3://BUCKET/PREFIX")
    token: dict[str, str] = {}
    while True:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
        for each in page.get("Contents", ()):
            key = each["Key"]
            if key.endswith(_SUFFIXES) and not _before(key, since):
                body = client.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST + 1)
                yield from records_of(body, f"s3://{bucket}/{key}")
                advance()
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def records_of(content: bytes, name: str) -> Iterator[bytes]:
    """The records in a file's bytes, packed or not; `name` is what an error calls it.

    Raises:
        EnvironmentTrouble: It is no JSON, or too large.
    """
    text = _unpacked(content, name)
    try:
        yield from _of_value(text)
    except _UNREADABLE:
        try:
            for line in text.splitlines():
                if line.strip():
                    yield from _of_value(line)
        except _UNREADABLE as error:
            raise EnvironmentTrouble(f"{name} is neither a file of CloudTrail's nor JSON lines: {error}") from error


def _of_value(text: bytes) -> Iterator[bytes]:
    """The records of one JSON value: a file's `Records`, a list, an EventBridge event, or a record itself."""
    if text.lstrip()[:1] == b"[":
        for each in _lists.decode(text):
            yield from _of_value(bytes(each))
        return
    file = _files.decode(text)
    if file.records is not None:
        yield from map(bytes, file.records)
    else:
        yield bytes(file.detail) or text


def _unpacked(content: bytes, name: str) -> bytes:
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise EnvironmentTrouble(f"{name} cannot be unpacked: {error}") from error
    if len(content) > LARGEST:
        raise EnvironmentTrouble(f"{name} has more than {LARGEST} bytes.")
    return content


def _before(key: str, since: datetime) -> bool:
    """Whether a key names a day whose records are all earlier; a file may hold some of the day before it."""
    found = _DAY.search(key)
    return found is not None and "-".join(found.groups()) < f"{since - _LAG:%Y-%m-%d}"
