"""Sessions whose credentials say who calls, and open nothing."""

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import boto3
import botocore.session
from botocore.loaders import create_loader
from msgspec import Struct

SECRET: Final = "sandbox"  # noqa: S105 - it opens nothing


class AssumedRole(Struct, frozen=True, kw_only=True):
    """A function's session as another role.

    `caller` is the function's logical id, `role` the role's ARN, `name` the session's, `token` what its requests must
    carry, `policy` the session policy if one was given; the session holds until `expires`.
    """

    caller: str
    role: str
    name: str
    token: str
    expires: datetime
    policy: Mapping[str, Any] | None = None

    @property
    def account(self) -> str:
        """The role's account."""
        return self.role.split(":")[4]


@functools.cache
def _loader() -> Any:
    """The reader of botocore's service descriptions, shared, since each reads a service's only once."""
    return create_loader()


def session(access_key: str, region: str) -> boto3.Session:
    """A session that signs with this access key, in a region."""
    core = botocore.session.Session()
    core.register_component("data_loader", _loader())
    return boto3.Session(
        aws_access_key_id=access_key, aws_secret_access_key=SECRET, region_name=region, botocore_session=core
    )
