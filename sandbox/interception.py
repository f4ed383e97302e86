"""Stands between a process of its own and AWS: a proxy that ends TLS, and has the sandbox's endpoint answer.

A function that runs as a process, with nothing of the sandbox in it, calls `https://dynamodb.us-east-1.amazonaws.com`
as on AWS. HTTPS_PROXY leads it here, and it trusts the authority that certifies each host on the way. What it sends is
read by AWS's descriptions of the operations; a host that is not AWS's and stands for nothing is refused.
"""

import contextlib
import functools
import http.client
import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from sandbox.endpoint import Endpoint
from sandbox.http_server import QuietHandler

_SERVICE: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_AWS: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
_LIFE: Final = timedelta(days=2)
_CONNECTION: Final = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})
"""Headers that belong to one connection, which this one is not."""


class Interception:
    """The proxy, on this machine only. A context manager: it serves within it.

    Args:
        endpoint: Gives what answers the calls of AWS.
        folder: Where the authority's certificate is written.
        others: Host -> the address that stands for it.
    """

    def __init__(self, endpoint: Callable[[], Endpoint], folder: Path, others: Mapping[str, str] | None = None) -> None:
        self.certificate = folder / "ca.pem"
        authority = Authority(folder)
        self.certificate.write_bytes(authority.pem)
        parts = {"endpoint": staticmethod(endpoint), "authority": authority, "others": dict(others or {})}
        handler = type("_Handler", (_Handler,), parts)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Authority:
    """Certifies hosts, with a key that is nowhere but in this process and the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
        self._lock = threading.Lock()
        made = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), ())
        self.pem = made.public_bytes(serialization.Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """What serves TLS as that host."""
        with self._lock:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certify(host))
            return context

    @functools.cache  # noqa: B019 - an authority lives as long as its server
    def certify(self, host: str) -> Path:
        """A file with a key for that host, and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox host")])
        made = self._certificate(name, key, x509.BasicConstraints(ca=False, path_length=None), (host,))
        path = self._folder / f"{host}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        hosts: tuple[str, ...],
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        certifies = constraints.ca
        usage = x509.KeyUsage(
            digital_signature=not certifies,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=certifies,
            crl_sign=certifies,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class _Handler(QuietHandler):
    endpoint: ClassVar[Callable[[], Endpoint]]
    authority: ClassVar[Authority]
    others: ClassVar[Mapping[str, str]]
    protocol_version = "HTTP/1.1"
    host = ""

    def do_CONNECT(self) -> None:  # noqa: N802 - http.server's name
        """Let the client speak TLS with the host that it names, and answer as that host from here on."""
        host = self.path.partition(":")[0]
        if host not in self.others and not _AWS.fullmatch(host):
            self.send(HTTPStatus.FORBIDDEN, [], f"nothing stands for {host}".encode())
            return
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.host = host
        self.connection = self.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile.close()
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def finish(self) -> None:
        """Close what speaks TLS, too: the server knows only the connection beneath it."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.connection.close()

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._answer()

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.host:
            self.send(HTTPStatus.FORBIDDEN, [], b"only through TLS")
        elif self.host in self.others:
            self._forward(body)
        else:
            self._serve(body)
        self.wfile.flush()

    def _serve(self, body: bytes) -> None:
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        request = AWSPreparedRequest(
            method=self.command,
            url=f"https://{self.host}{self.path}",
            headers=headers,
            body=body,
            stream_output=False,
        )
        operation, parameters = read_call(request)
        answer = type(self).endpoint().serve(operation, parameters, request)
        kept = [(name, str(value)) for name, value in answer.headers.items() if name.lower() not in _CONNECTION]
        self.send(answer.status_code, kept, answer.content)

    def _forward(self, body: bytes) -> None:
        address = urlsplit(self.others[self.host])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _CONNECTION}
        connection.request(self.command, self.path, body, kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _CONNECTION]
        self.send(answer.status, headers, content)


def read_call(request: AWSPreparedRequest) -> tuple[str, Mapping[str, Any]]:
    """The operation that a request asks for, and its parameters as botocore's clients take them.

    Raises:
        ValueError: It asks for no operation.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = _SERVICE.search(headers.get("authorization", ""))
    if found is None:
        raise ValueError(f"an unsigned request to {request.url}")
    model = get_service_model(found[1])
    asked = Request.from_primitives(request.method, request.url, request.headers, request.body)
    target = headers.get("x-amz-target")
    place: dict[str, Any] = {}
    if target:
        operation = target.rpartition(".")[2]
    elif "Action" in asked.values:
        operation = str(asked.values["Action"])
    else:
        try:
            matched, found_place = get_service_router(model.service_name).match(asked)
            place = dict(found_place)
        except HTTPException as error:
            raise ValueError(f"{request.method} {request.url} is no operation of {found[1]}") from error
        operation = matched.name
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, asked.content_type)]
    parameters: Mapping[str, Any] = parser(model.operation_model(operation)).parse(
        {
            "method": asked.method,
            "values": asked.values,
            "headers": asked.headers,
            "body": asked.data or json.dumps({}),
            "url_path": asked.path,
            "url_params": place,
        }
    )
    return operation, parameters
