"""Links that name one version of a row, and that only this stack can make; and other texts sealed the same way.

There are two kinds of link. One lets whoever has it decide, where the stack is set up so: it goes to the approvers,
in the e-mail alone. The other only shows, for places where others read along.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

import msgspec
from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer
from msgspec import Struct

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant

REQUEST_SALT: Final = "request/1"
"""Keeps a token for a request from being taken for another sealed text, such as a cookie."""

LOOK_SALT: Final = "look/1"
"""As that, of a link that only shows."""

_LONGEST: Final = 4096


class Keys(Protocol):
    """Where the keys come from."""

    def newest(self) -> str:
        """The key that signs."""
        ...

    def keys(self, *, fresh: bool = False) -> tuple[str, ...]:
        """The keys, the newest first."""
        ...


class SealError(Exception):
    """The text was not sealed by this stack, or for something else; `expired` where it was, too long ago."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("expired" if expired else "not sealed by this stack")
        self.expired = expired


class LinkError(SealError):
    """There is no such link; `expired` where there was."""


class Ticket(Struct, frozen=True):
    """One version of a row: what a link, a button or a request's id stands for.

    `look_only` tells a link that only shows: by itself it lets nobody decide. `bearer` says that nothing but the link
    tells who decides: whoever holds it may have it from long ago.
    """

    pk: str
    sk: str
    version: int
    look_only: bool = False
    bearer: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The row's primary key."""
        return self.pk, self.sk


class _Signer(TimestampSigner):
    """Takes the time from the clock that everything else goes by."""

    def __init__(self, secret_key: Any, *, clock: Clock, **settings: Any) -> None:
        super().__init__(secret_key, **settings)
        self._clock = clock

    def get_timestamp(self) -> int:
        """Seconds since 1970."""
        return int(self._clock.now().timestamp())


class Sealer:
    """Seals values that must come back unchanged: readable by whoever has them, made by this stack only.

    Args:
        keys: The stack's keys.
        salt: What the text is for; a text sealed under another salt is refused.
        lasting: How long it is good for; None for ever.
        clock: Tells the time.
    """

    def __init__(self, keys: Keys, salt: str, lasting: timedelta | None, clock: Clock) -> None:
        self._keys = keys
        self._salt = salt
        self._lasting = lasting
        self._clock = clock

    @property
    def ageless(self) -> "Sealer":
        """The same, for which nothing is too old."""
        return Sealer(self._keys, self._salt, None, self._clock)

    def seal(self, value: Any) -> str:
        """The value (anything that JSON holds) as text for a URL or a cookie.

        Raises:
            RetryableError: The keys cannot be had at the moment.
        """
        return str(self._serializer((self._keys.newest(),)).dumps(value))

    def open(self, text: str) -> Any:
        """The value in a sealed text.

        Raises:
            SealError: It was not sealed so, or too long ago.
            RetryableError: The keys cannot be had at the moment.
        """
        return _opened(text, (self,), self._keys)[1]

    def load(self, text: str, keys: tuple[str, ...]) -> Any:
        """The value in a text that was sealed with one of these keys.

        Raises:
            SealError: It was not sealed so, or too long ago.
        """
        try:
            most = None if self._lasting is None else int(self._lasting.total_seconds())
            return self._serializer(keys).loads(text, max_age=most)
        except BadData as error:
            raise SealError(expired=isinstance(error, SignatureExpired)) from None

    def _serializer(self, keys: tuple[str, ...]) -> URLSafeTimedSerializer:
        # Its last key signs.
        return URLSafeTimedSerializer(
            list(reversed(keys)),
            salt=self._salt,
            signer=_Signer,
            signer_kwargs={"clock": self._clock, "digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )


class Links:
    """Makes and reads links to the page of a request.

    Args:
        keys: The stack's keys.
        base_url: The address of the HTTP API, without a slash at its end.
        lasting: How long a link is good for.
        clock: Tells the time.
    """

    def __init__(self, keys: Keys, base_url: str, lasting: timedelta, clock: Clock) -> None:
        self._keys = keys
        self._deciding = Sealer(keys, REQUEST_SALT, lasting, clock)
        self._looking = Sealer(keys, LOOK_SALT, lasting, clock)
        self._base_url = base_url.rstrip("/")

    def url(self, grant: Grant) -> str:
        """The link by which this version of the row can be decided: for the approvers alone.

        Raises:
            RetryableError: The keys cannot be had at the moment.
        """
        return self._url(Ticket(*grant.key, grant.version))

    def look_url(self, grant: Grant) -> str:
        """The link that only shows this version of the row.

        Raises:
            RetryableError: The keys cannot be had at the moment.
        """
        return self._url(Ticket(*grant.key, grant.version, look_only=True))

    def token(self, ticket: Ticket) -> str:
        """The last part of the link."""
        sealer = self._looking if ticket.look_only else self._deciding
        return sealer.seal([ticket.pk, ticket.sk, ticket.version])

    def read(self, token: str) -> Ticket:
        """What a link stands for.

        Raises:
            LinkError: This stack has made no such link, or too long ago.
            RetryableError: The keys cannot be had at the moment.
        """
        return self._read(token, (self._deciding, self._looking))

    def read_expired(self, token: str) -> Ticket:
        """What a link stands for, or stood for as long as it was good: for asking for a new one, and nothing else.

        Raises:
            LinkError: This stack has made no such link.
            RetryableError: The keys cannot be had at the moment.
        """
        return self._read(token, (self._deciding.ageless, self._looking.ageless))

    def _read(self, token: str, sealers: "tuple[Sealer, Sealer]") -> Ticket:
        try:
            sealer, value = _opened(token, sealers, self._keys)
            pk, sk, version = msgspec.convert(value, tuple[str, str, int])
        except SealError as error:
            raise LinkError(expired=error.expired) from None
        except msgspec.ValidationError:
            raise LinkError(expired=False) from None
        return Ticket(pk, sk, version, look_only=sealer is sealers[1])

    def _url(self, ticket: Ticket) -> str:
        return f"{self._base_url}/request/{self.token(ticket)}"


def _opened(text: str, sealers: Sequence[Sealer], source: Keys) -> tuple[Sealer, Any]:
    """The sealer that a text is of, and the value in it.

    Raises:
        SealError: It is of none, or its time is over.
    """
    if len(text) > _LONGEST or not text.isascii():
        raise SealError(expired=False)
    # Nearly always the newest: the others are read only where it is not.
    found = _tried(text, sealers, (source.newest(),)) or _opened_by_another(text, sealers, source)
    if found is None:
        raise SealError(expired=False)
    return found


def _opened_by_another(text: str, sealers: Sequence[Sealer], source: Keys) -> tuple[Sealer, Any] | None:
    keys = source.keys()
    found = _tried(text, sealers, keys)
    if found is not None:
        return found
    # Another function may have signed with a key that is newer than what is remembered here.
    newer = source.keys(fresh=True)
    return _tried(text, sealers, newer) if newer != keys else None


def _tried(text: str, sealers: Sequence[Sealer], keys: tuple[str, ...]) -> tuple[Sealer, Any] | None:
    for sealer in sealers:
        try:
            return sealer, sealer.load(text, keys)
        except SealError as error:
            if error.expired:
                raise
    return None
