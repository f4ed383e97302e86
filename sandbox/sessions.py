"""Sessions whose credentials say who calls, and open nothing.

Making a client costs more than all calls that most tests make with it. A client keeps nothing of what it was used for
but its retry quota, so the clients of one caller are made once a process, whether by boto3 or by the service's own
session; every sandbox, and every new environment of a function, refills their quotas.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

import boto3
import botocore.session
from botocore.retries import quota
from msgspec import Struct

from bedrock_remediator.aws import clients
from bedrock_remediator.aws.clients import MODELS, ModelLoader, new_session

SECRET: Final = "sandbox"  # noqa: S105 - it opens nothing

_Session = boto3.session.Session
_RetryQuota: Final = quota.RetryQuota


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
def _loader() -> ModelLoader:
    """The reader of botocore's service descriptions, shared, since each reads a service's only once."""
    return ModelLoader(MODELS)


class _Shelf:
    """Clients, by what they were made with. One that somebody listens to is theirs: the next to ask gets another."""

    def __init__(self) -> None:
        self._clients: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self.quotas: list[quota.RetryQuota] = []

    def client(self, make: Callable[..., Any], service: str, region: str | None, given: Mapping[str, Any]) -> Any:
        """The client that was made with these arguments before, or a new one; one of other credentials is new."""
        if set(given) > {"config"}:
            return make(service, region_name=region, **given)
        config = given.get("config")
        key = (service, region, id(config))
        if key not in self._clients:
            with patch.object(quota, "RetryQuota", self._counted):
                made = make(service, region_name=region, **given)
            # With its configuration, so that no other one gets the same id.
            self._clients[key] = made, config
            self._give_up_when_heard(key, made)
        return self._clients[key][0]

    def _give_up_when_heard(self, key: tuple[Any, ...], made: Any) -> None:
        def heard(register: Callable[..., None], *arguments: Any, **named: Any) -> None:
            self._clients.pop(key, None)
            register(*arguments, **named)

        events = made.meta.events
        for name in ("register", "register_first", "register_last"):
            setattr(events, name, functools.partial(heard, getattr(events, name)))

    def refill(self) -> None:
        """Let every client retry as often as a new one."""
        for each in self.quotas:
            each.release(_RetryQuota.INITIAL_CAPACITY)

    def _counted(self, *arguments: Any, **named: Any) -> quota.RetryQuota:
        made = _RetryQuota(*arguments, **named)
        self.quotas.append(made)
        return made


class ServiceSession:
    """The session that the service makes for itself in a function (`aws/clients.py`), with its clients."""

    def __init__(self) -> None:
        self._session = new_session()
        self._session.register_component("data_loader", _loader())
        self.shelf = _Shelf()

    def create_client(self, service_name: str, region_name: str | None = None, **given: Any) -> Any:
        """The client that was made with these arguments before, or a new one."""
        return self.shelf.client(self._session.create_client, service_name, region_name, given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class CallerSession(boto3.Session):
    """The session of one caller, with its clients."""

    def __init__(self, access_key: str, region: str) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _loader())
        super().__init__(
            aws_access_key_id=access_key, aws_secret_access_key=SECRET, region_name=region, botocore_session=core
        )
        self._shelf = _Shelf()
        self._service: dict[frozenset[tuple[str, str]], ServiceSession] = {}

    def client(self, service_name: str, region_name: str | None = None, **given: Any) -> Any:  # type: ignore[override]  # the stubs list every service
        """The client that was made with these arguments before, or a new one."""
        return self._shelf.client(super().client, service_name, region_name, given)

    def of_service(self) -> ServiceSession:
        """The service's own session in the environment as it is: botocore reads what begins with AWS there."""
        environment = frozenset(each for each in os.environ.items() if each[0].startswith("AWS_"))
        if environment not in self._service:
            self._service[environment] = ServiceSession()
        return self._service[environment]

    def refill_quotas(self) -> None:
        """Let every client of the caller retry as often as a new one."""
        for shelf in (self._shelf, *(each.shelf for each in self._service.values())):
            shelf.refill()


@functools.cache
def session(access_key: str, region: str) -> CallerSession:
    """The session that signs with this access key, in a region."""
    made = CallerSession(access_key, region)
    _SESSIONS.append(made)
    return made


_SESSIONS: Final[list[CallerSession]] = []


def refill_quotas() -> None:
    """Let every client retry as often as a new one."""
    for each in _SESSIONS:
        each.refill_quotas()


@contextmanager
def only(own: CallerSession) -> Iterator[None]:
    """Within the block every session that is made without arguments is this one, and the service's own is its."""

    class Made(_Session):
        """A class, since annotations name it."""

        def __new__(cls, **given: Any) -> Any:
            """The caller's, or another where somebody says which."""
            return _Session(**given) if given else own

    with (
        patch.object(boto3, "DEFAULT_SESSION", own),
        patch.object(boto3.session, "Session", Made),
        patch.object(clients, "new_session", own.of_service),
    ):
        yield


@contextmanager
def one_reader() -> Iterator[None]:
    """Within the block every session of this process shares that reader: a function or a command makes its own."""
    with patch.object(botocore.session, "create_loader", lambda *_: _loader()):
        yield
