"""What a button under a request in a chat carries: which row it is about, at which version. It decides nothing."""

import json
from typing import Final, Self

import msgspec
from msgspec import Struct

LONGEST: Final = 2000
"""Characters of a button's value that Slack takes."""


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """The row that was shown, and the length of the grant if nobody chooses another (`30d`); empty where one must."""

    pk: str
    sk: str
    version: int
    length: str

    @property
    def value(self) -> str | None:
        """The button's value; None if it is too long for one."""
        value = json.dumps(msgspec.to_builtins(self), separators=(",", ":"))
        return value if len(value) <= LONGEST else None

    @classmethod
    def read(cls, value: str) -> Self:
        """The button of a value.

        Raises:
            ValueError: It is none of ours.
        """
        return msgspec.json.decode(value, type=cls)
