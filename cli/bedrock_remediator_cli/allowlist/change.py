"""What a push changes in Parameter Store, and the push itself."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from bedrock_remediator.core.allowlist import parse
from bedrock_remediator.core.allowlist.rules import RuleEffect
from bedrock_remediator_cli.allowlist.documents import STANDARD, Document
from bedrock_remediator_cli.trouble import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_SECURE: Final = "SecureString"


class Standing(Struct, frozen=True):
    """A document as it stands in Parameter Store."""

    text: str
    version: int
    secure: bool


class Change(Struct, frozen=True, kw_only=True):
    """What becomes of a document."""

    document: Document
    before: Standing | None

    @property
    def kind(self) -> Literal["new", "changed", "unchanged"]:
        """What is done to it."""
        if self.before is None:
            return "new"
        return "unchanged" if self.before.text == self.document.text else "changed"

    @property
    def difference(self) -> list[str]:
        """The lines of a unified difference."""
        before = self.before.text.splitlines() if self.before else []
        name = self.document.name
        after = self.document.text.splitlines()
        return list(difflib.unified_diff(before, after, f"{name} (Parameter Store)", f"{name} (file)", lineterm=""))

    @property
    def prohibitions(self) -> int:
        """How many prohibitions it adds; below nought, how many it takes away."""
        return _prohibitions(self.document.text) - _prohibitions(self.before.text if self.before else "")


def _prohibitions(text: str) -> int:
    return sum(rule.effect is RuleEffect.NEVER for rule in parse({"main": text}).rules) if text else 0


def standing(ssm: "SSMClient", path: str) -> dict[str, Standing]:
    """Every document under the path, by name."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    return {
        each["Name"].removeprefix(f"{path}/"): Standing(each["Value"], each["Version"], each["Type"] == _SECURE)
        for page in pages
        for each in page["Parameters"]
    }


def changes(documents: Sequence[Document], before: Mapping[str, Standing]) -> list[Change]:
    """What a push does, in the order in which it does it: what adds prohibitions first, what takes them away last."""
    found = [Change(document=each, before=before.get(each.name)) for each in documents]
    return sorted(found, key=lambda change: -change.prohibitions)


def push(ssm: "SSMClient", path: str, wanted: Sequence[Change]) -> list[str]:
    """Write the documents that are new or changed; gives the names of those written.

    Raises:
        RefusedError: Somebody changed one since it was read; what comes after it is not written.
    """
    written: list[str] = []
    for change in wanted:
        if change.kind == "unchanged":
            continue
        _require_unchanged(ssm, path, change, written)
        text = change.document.text
        ssm.put_parameter(
            Name=f"{path}/{change.document.name}",
            Value=text,
            Type=_SECURE if change.before and change.before.secure else "String",
            Tier="Advanced" if len(text.encode()) > STANDARD else "Intelligent-Tiering",
            Overwrite=change.before is not None,
        )
        written.append(change.document.name)
    return written


def _require_unchanged(ssm: "SSMClient", path: str, change: Change, written: Sequence[str]) -> None:
    name = change.document.name
    answer = ssm.get_parameters(Names=[f"{path}/{name}"])["Parameters"]
    version = answer[0]["Version"] if answer else None
    if version != (change.before.version if change.before else None):
        done = f" Written already: {', '.join(written)}." if written else " Nothing was written."
        raise RefusedError(f"Somebody changed {name} in the meantime: look at it and push again.{done}")
