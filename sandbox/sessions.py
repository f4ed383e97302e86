"""Sessions whose credentials say who calls, and open nothing.

Making a client costs more than all calls that most tests make with it. A client keeps nothing of what it was used for
but its retry quota, so the clients of one caller are made once a process, and every sandbox refills their quotas.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

import boto3
import botocore.session
from botocore.loaders import create_loader
from botocore.retries import quota
from msgspec import Struct

SECRET: Final = "sandbox"  # noqa: S105 - it opens nothing

_Session = boto3.session.Session
_QUOTAS: Final[list[quota.RetryQuota]] = []


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


class CallerSession(boto3.Session):
    """The session of one caller, with its clients."""

    def __init__(self, access_key: str, region: str) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _loader())
        super().__init__(
            aws_access_key_id=access_key, aws_secret_access_key=SECRET, region_name=region, botocore_session=core
        )
        self._clients: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def client(self, service_name: str, region_name: str | None = None, **given: Any) -> Any:  # type: ignore[override]  # the stubs list every service
        """The client that was made with these arguments before, or a new one."""
        config = given.get("config")
        key = (service_name, region_name, id(config))
        if set(given) > {"config"}:
            return super().client(service_name, region_name, **given)  # type: ignore[call-overload]  # as above
        if key not in self._clients:
            with patch.object(quota, "RetryQuota", _counted):
                made = super().client(service_name, region_name, **given)  # type: ignore[call-overload]  # as above
            # With its configuration, so that no other one gets the same id.
            self._clients[key] = made, config
        return self._clients[key][0]


_RetryQuota: Final = quota.RetryQuota


def _counted(*arguments: Any, **named: Any) -> quota.RetryQuota:
    made = _RetryQuota(*arguments, **named)
    _QUOTAS.append(made)
    return made


def refill_quotas() -> None:
    """Let every client retry as often as a new one."""
    for each in _QUOTAS:
        each.release(_RetryQuota.INITIAL_CAPACITY)


@functools.cache
def session(access_key: str, region: str) -> CallerSession:
    """The session that signs with this access key, in a region."""
    return CallerSession(access_key, region)


@contextmanager
def only(own: CallerSession) -> Iterator[None]:
    """Within the block every session that is made without arguments is this one."""

    class Made(_Session):
        """A class, since annotations name it."""

        def __new__(cls, **given: Any) -> Any:
            """The caller's, or another where somebody says which."""
            return _Session(**given) if given else own

    with patch.object(boto3, "DEFAULT_SESSION", own), patch.object(boto3.session, "Session", Made):
        yield


@contextmanager
def one_reader() -> Iterator[None]:
    """Within the block every session of this process shares that reader: a function or a command makes its own."""
    with patch.object(botocore.session, "create_loader", lambda *_: _loader()):
        yield
