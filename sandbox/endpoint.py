"""Stands where AWS's endpoints would: every request that a client sends in this process arrives here first.

It counts the attempt, asks whether the template allows it, and has a stand-in or moto answer. Nothing leaves the
machine: with an endpoint installed, botocore's own way to the network is closed.
"""

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from xml.sax.saxutils import escape

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import MockRawResponse
from moto.core.model_instances import reset_model_data
from moto.core.models import botocore_stubber
from moto.core.request import determine_request_protocol
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model

from sandbox.calls import ApiError, Call, Tally
from sandbox.faults import Faults
from sandbox.interleaving import Interleaving
from sandbox.sessions import SECRET

if TYPE_CHECKING:
    from sandbox.sessions import AssumedRole

_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_TOOLBOX: Final = "//iam-toolbox."
_OK: Final = 200
_NOBODY: Final = {"AWS_ACCESS_KEY_ID": "AKIAANYBODY", "AWS_SECRET_ACCESS_KEY": SECRET}
"""What a client signs with that was given no credentials: the calls of a person at this machine."""

Answer = Callable[[Call], Mapping[str, Any]]
Check = Callable[[Call], bool]
Refuse = Callable[[Call], None]


class NetworkClosedError(RuntimeError):
    """Something tried to reach the network from the sandbox."""


class Endpoint:
    """Takes the requests of all clients.

    Attributes:
        account: The account of the functions.
        callers: Access key -> the function's logical id.
        roles: Access key -> the session of a function that has assumed a role, maybe of another account.
        tally: The count of the functions' attempts.
        refusals: Asked in turn before anything is done; each may raise an ApiError.
        checks: By service; each says whether moto has anything left to do.
        answers: `service:Operation` -> the stand-in's answer.
        turns: Told before each request, where several invocations work at once.
        faults: Stands between a call and its answer, where something is to fail.
        observers: `service:Operation` -> told of each call that went through.
    """

    def __init__(self, account: str, turns: Interleaving | None = None, faults: Faults | None = None) -> None:
        self.account = account
        self.faults = faults
        self.callers: dict[str, str] = {}
        self.roles: Mapping[str, AssumedRole] = {}
        self.tally = Tally()
        self.refusals: list[Refuse] = []
        self.checks: dict[str, Check] = {}
        self.answers: dict[str, Answer] = {}
        self.turns = turns
        self.observers: dict[str, Callable[[Call], None]] = {}
        self._lock = threading.RLock()

    def serve(self, operation: str, parameters: Mapping[str, Any], request: AWSPreparedRequest) -> AWSResponse:
        """Answer one attempt."""
        key, region, service = _signature(request)
        role = self.roles.get(key)
        call = Call(
            service=service,
            operation=operation,
            parameters=parameters,
            region=region,
            account=self.account if role is None else role.account,
            caller=self.callers.get(key) if role is None else role.caller,
            role=role,
        )
        if self.turns is not None:
            self.turns.pause()
        with self._lock:
            self.tally.add(call)
            try:
                if self.faults is None:
                    return self._effect(call, request)
                return self.faults.around(call, lambda: self._effect(call, request))
            except ApiError as error:
                return _refused(call, request, error)

    def _effect(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        """Do what the call asks for, and tell those who want to know."""
        response = self._response(call, request)
        if response.status_code == _OK and call.name in self.observers:
            self.observers[call.name](call)
        return response

    def _response(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        if call.role is not None and _text(request.headers.get("X-Amz-Security-Token")) != call.role.token:
            raise ApiError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        for refuse in self.refusals:
            refuse(call)
        if call.name in self.answers:
            return _serialized(call, request, self.answers[call.name](call))
        check = self.checks.get(call.service)
        if check is not None and not check(call):
            return _serialized(call, request, {})
        request.headers["x-moto-account-id"] = call.account
        # moto reads the partition from the region in the host name, and IAM's in GovCloud has none.
        request.url = request.url.replace("//iam.us-gov.", "//iam.us-gov-west-1.")
        answered = botocore_stubber.process_request(request)
        if answered is None:
            raise NetworkClosedError(request.url)
        status, headers, body = answered
        return _http(request, status, headers, body)


def _signature(request: AWSPreparedRequest) -> tuple[str, str, str]:
    found = _CREDENTIAL.search(_text(request.headers.get("Authorization")))
    if not found:
        raise NetworkClosedError(f"an unsigned request to {request.url}")
    # IAM Toolbox signs as IAM does, and is a service of its own.
    service = found[3] if _TOOLBOX not in request.url else "iam-toolbox"
    return found[1], found[2], service


def _serialized(call: Call, request: AWSPreparedRequest, result: Mapping[str, Any]) -> AWSResponse:
    """A result in the form of the service's own protocol."""
    model = get_service_model(call.service)
    serializer = get_serializer_class(model.service_name, _protocol(call, request))(
        operation_model=model.operation_model(call.operation),
        pretty_print=False,
        value_picker=XFormedAttributePicker(response_transformers=None),
    )
    written = serializer.serialize(result)
    return _http(request, written["status_code"], written["headers"], written["body"])


def _refused(call: Call, request: AWSPreparedRequest, error: ApiError) -> AWSResponse:
    """An error in the form of the service's own protocol."""
    if _protocol(call, request) == "query":
        parts = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        body = f"<ErrorResponse><Error><Type>Sender</Type>{parts}</Error></ErrorResponse>"
        return _http(request, error.status, {"Content-Type": "text/xml"}, body)
    body = json.dumps({"__type": error.code, "message": error.message, **error.details})
    return _http(request, error.status, {"Content-Type": "application/json", "x-amzn-errortype": error.code}, body)


def _protocol(call: Call, request: AWSPreparedRequest) -> str:
    return determine_request_protocol(get_service_model(call.service), _text(request.headers.get("Content-Type")))


def _text(header: bytes | str | None) -> str:
    return header.decode() if isinstance(header, bytes) else header or ""


def _http(request: AWSPreparedRequest, status: int, headers: Mapping[str, Any], body: Any) -> AWSResponse:
    carried = HTTPHeaders()
    for name, value in {"x-amzn-requestid": "sandbox", **headers}.items():
        carried[name] = str(value)
    return AWSResponse(request.url, status, carried, MockRawResponse(body))


class _Switchboard:
    """The two botocore handlers, installed once a process; they do nothing while no endpoint is connected."""

    def __init__(self) -> None:
        self.endpoint: Endpoint | None = None
        self._pending = threading.local()

    def parameters(self, params: Mapping[str, Any], **_: Any) -> None:
        """Remember what the call that is being built was given."""
        self._pending.parameters = dict(params)

    def send(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """Answer the request."""
        if self.endpoint is None:
            return None
        return self.endpoint.serve(event_name.rpartition(".")[2], self._pending.parameters, request)


_SWITCHBOARD: Final = _Switchboard()
handlers.BUILTIN_HANDLERS.append(("before-parameter-build", _SWITCHBOARD.parameters, handlers.REGISTER_FIRST))
handlers.BUILTIN_HANDLERS.append(("before-send", _SWITCHBOARD.send, handlers.REGISTER_FIRST))


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """Within the block the network is closed to botocore."""

    def send(_: URLLib3Session, request: AWSPreparedRequest) -> None:
        raise NetworkClosedError(request.url)

    with patch.object(URLLib3Session, "send", send):
        yield


@contextlib.contextmanager
def connected(endpoint: Endpoint) -> Iterator[None]:
    """Within the block the endpoint answers the clients of this process, and the network is closed to botocore."""
    before, _SWITCHBOARD.endpoint = _SWITCHBOARD.endpoint, endpoint
    try:
        # botocore asks every handler, though it takes the first answer: moto's own would do everything again.
        with (
            patch.dict(os.environ, _NOBODY),
            closed(),
            patch.object(botocore_stubber, "enabled", new=False),
        ):
            yield
    finally:
        _SWITCHBOARD.endpoint = before


@contextlib.contextmanager
def emptied() -> Iterator[None]:
    """Within the block moto knows nothing from before, and after it nothing of what was within.

    In the place of `mock_aws`, which would set up its own ways to be reached: an endpoint is the only one here.
    """
    _forget()
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    BackendDict.reset()
    reset_model_data()
