"""What the MAC on an approval and that on a note have in common: what they are made of, and how a row keeps them."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Fields as JSON that is the same whenever they are."""
    return msgspec.json.encode(fields, order="sorted")


def digest(purpose: bytes, content: bytes) -> bytes:
    """What a MAC is made of: a digest, since KMS takes no more than 4,096 bytes, after what it is for."""
    return purpose + hashlib.sha256(content).hexdigest().encode()


def kept(mac: bytes) -> str:
    """A MAC as a row holds it."""
    return base64.b64encode(mac).decode()


def read(text: str | None) -> bytes | None:
    """The MAC that a row holds; None for none, or for what cannot be one."""
    try:
        return base64.b64decode(text, validate=True) if text is not None else None
    except ValueError:
        return None
