"""Denials in member accounts and in other regions, and the worlds that they happen in."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sandbox.running import Given
from sandbox.world import World, parse_world
from tests.builders import records

HUB: Final = "123456789012"
HOME: Final = "us-east-1"
MEMBER: Final = "111122223333"
FRANKFURT: Final = "eu-central-1"
ROLE: Final = "llm-app"
MODEL: Final = "amazon.nova-2-lite-v1:0"

EVERYTHING: Final = """
version: 1
rules:
  - name: everything
    effect: auto
    principals: ["arn:aws:iam::*:role/**"]
    profiles: ["*"]
"""


def principal(account: str = MEMBER) -> str:
    """The ARN of the role that every account has."""
    return f"arn:aws:iam::{account}:role/service/{ROLE}"


def profile(account: str = MEMBER, region: str = FRANKFURT) -> str:
    """The ARN of the profile that every account has in a region."""
    return f"arn:aws:bedrock:{region}:{account}:inference-profile/{_profile_id(region)}"


def denial(account: str = MEMBER, region: str = FRANKFURT, /, **envelope: Any) -> Given:
    """The event of a call to the profile, denied to the role of an account in a region; `envelope` is the event's."""
    text = json.dumps(records.event())
    unique = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{region}"))
    for old, new in (
        (records.PROFILE_ID, _profile_id(region)),
        (records.ACCOUNT, account),
        (records.REGION, region),
        (records.record()["eventID"], unique),
        (records.event()["id"], unique),
    ):
        text = text.replace(old, new)
    return Given("member", {**json.loads(text), **envelope})


def world(members: Mapping[str, Mapping[str, Any]], regions: Sequence[str] = (HOME, FRANKFURT)) -> World:
    """A hub and these members, all with the same role, and the same profile in the regions."""
    content = {"roles": [{"name": ROLE, "path": "/service/"}], "inference_profiles": dict(map(_profiles, regions))}
    accounts = {account: {**content, **member} for account, member in members.items()}
    return parse_world({"account": HUB, "region": HOME, **content, "accounts": accounts})


def accounts(count: int) -> Iterable[str]:
    """Ids of member accounts."""
    return [str(int(MEMBER) + number) for number in range(count)]


def _profiles(region: str) -> tuple[str, list[dict[str, Any]]]:
    models = [f"arn:aws:bedrock:{region}::foundation-model/{MODEL}"]
    return region, [{"id": _profile_id(region), "type": "SYSTEM_DEFINED", "models": models}]


def _profile_id(region: str) -> str:
    return f"{region.partition('-')[0]}.{MODEL}"
