"""Arrow Flight between Esker's processes: tokens, TLS, limits and deadlines, the same for every server and client."""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import flight

from esker.core.file_system import LOCAL
from esker.errors import (
    AuthenticationError,
    CancelledError,
    DeadlineExceededError,
    EskerError,
    InputFileError,
    MessageTooLargeError,
    OptionError,
    PeerError,
    PeerUnreachableError,
    TlsError,
)

TOKEN_BYTES_LEAST = 16
_TOKEN_BYTES = 32
_TOKEN_FILE_BYTES = 4096
_HEADER = "authorization"
_SCHEME = "Bearer "
_PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """What a peer may cost: bytes of one message, seconds of one call."""

    message_bytes: int = 256 << 20
    deadline_seconds: float = 30.0

    def check(self, size: int, what: str) -> None:
        """Raise MessageTooLargeError for more than `message_bytes`.

        >>> Limits(message_bytes=10).check(11, "a put")
        Traceback (most recent call last):
            ...
        esker.errors.MessageTooLargeError: a put has 11 bytes, and the limit is 10 [ESK-704]
        """
        if size > self.message_bytes:
            raise MessageTooLargeError(f"{what} has {size:,} bytes, and the limit is {self.message_bytes:,}")


@dataclass(frozen=True)
class Security:
    """Who may call, and how it is hidden. Servers want `certificate` and `key` for TLS, clients the `authority`.

    Without a token only this machine is listened to, and only when that is asked for.
    """

    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    authority: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_files(
        cls,
        token: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
    ) -> Security:
        """Read them from files.

        Raises OptionError when there is a certificate without a key, or the other way round, InputFileError for files
        that hold something else.
        """
        if (certificate is None) != (key is None):
            raise OptionError("TLS needs both a certificate and its key")
        _check_tls(certificate, key, authority)
        read = [None if path is None else _read(path) for path in (certificate, key, authority)]
        return cls(None if token is None else read_token(token), *read)

    @property
    def scheme(self) -> str:
        """Of a server's address."""
        return "grpc+tls" if self.certificate is not None else "grpc"


def new_token() -> str:
    """Draw a token."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def write_token(path: Path) -> str:
    """Draw a token and write it into a new file that only its owner may read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "token"
    >>> write_token(path) == read_token(path)
    True
    """
    token = new_token()
    with LOCAL.write_aside(path, mode=0o600) as file:
        file.write(token.encode() + b"\n")
    return token


def read_token(path: Path) -> str:
    """Read a token; InputFileError when others may read the file, or when it holds no token."""
    data = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputFileError(f"{path} can be read by others than its owner; chmod 600 it, and draw a new token")
    try:
        token = data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise InputFileError(f"{path} holds no token: it is not ASCII") from error
    if len(token) < TOKEN_BYTES_LEAST or any(letter.isspace() or not letter.isprintable() for letter in token):
        raise InputFileError(f"{path} holds no token: that is one line of at least {TOKEN_BYTES_LEAST} characters")
    return token


class ServerAddress:
    """Where a server listens: a name or address of this machine, and a port (0: any that is free).

    >>> ServerAddress("127.0.0.1:0").is_loopback, ServerAddress("[::1]:7070").port
    (True, 7070)
    """

    def __init__(self, text: str) -> None:
        """Read HOST:PORT; OptionError for other texts."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise OptionError(f"{text!r} is no address to listen at; write HOST:PORT")
        self.host = host
        self.port = int(port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def location(self, security: Security) -> str:
        """As Flight wants it; OptionError when more than this machine could call without a token."""
        if security.token is None and not self.is_loopback:
            raise OptionError(f"{self.host} can be reached from other machines: listen there only with a token")
        return f"{security.scheme}://{_bracketed(self.host)}:{self.port}"


def server_options(security: Security) -> dict[str, Any]:
    """What a `FlightServerBase` is to be made with, beside its location."""
    options: dict[str, Any] = {}
    if security.token is not None:
        options["middleware"] = {"token": _TokenCheck(security.token)}
    if security.certificate is not None:
        options["tls_certificates"] = [(security.certificate, security.key)]
    return options


class FlightAsker(Protocol):
    """What readers want of a client: a stream for a ticket, of which each chunk has its batch as `data`."""

    def do_get(self, ticket: Any, options: Any) -> Any:
        """Ask for what a ticket names."""
        ...

    def close(self) -> None:
        """Close the connection."""


def open_client(location: str, security: Security) -> flight.FlightClient:
    """Make a client of the server at a `grpc://` or `grpc+tls://` address; it connects with the first call."""
    options: dict[str, Any] = {}
    if location.startswith("grpc+tls://") and security.authority is not None:
        options["tls_root_certs"] = security.authority
    try:
        return flight.FlightClient(location, **options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise OptionError(f"{location!r} is no Flight address: {error}") from error


def call_options(security: Security, seconds: float | None = None) -> flight.FlightCallOptions:
    """What a call says beside its arguments: the token, and after how many seconds it ends (None: not by itself)."""
    headers = [] if security.token is None else [(_HEADER.encode(), (_SCHEME + security.token).encode())]
    return flight.FlightCallOptions(timeout=seconds, headers=headers)


@contextmanager
def peer_errors(where: str) -> Iterator[None]:
    """Turn Flight's errors into ours; `where` names the peer."""
    try:
        yield
    except EskerError:
        raise
    except (flight.FlightError, pa.ArrowException, OSError) as error:
        raise _ours(error, where) from error


@contextmanager
def flight_errors() -> Iterator[None]:
    """Turn our errors into Flight's, for clients that know no others; the code is their extra information, too."""
    try:
        yield
    except EskerError as error:
        raise _theirs(error) from error


def _theirs(error: EskerError) -> flight.FlightError:
    kind = flight.FlightServerError
    if isinstance(error, AuthenticationError):
        kind = flight.FlightUnauthenticatedError
    elif isinstance(error, DeadlineExceededError):
        kind = flight.FlightTimedOutError
    elif isinstance(error, CancelledError):
        kind = flight.FlightCancelledError
    elif error.temporary:
        kind = flight.FlightUnavailableError
    return kind(str(error), error.code.encode())


def _ours(error: Exception, where: str) -> PeerError:
    wrong = _tls_wrong(str(error), where)
    if wrong is not None:
        return TlsError(f"{where} {wrong}")
    if _is(error, flight.FlightUnauthenticatedError, "Unauthenticated"):
        return AuthenticationError(f"{where} does not take the token; give it the one that its servers read")
    if _is(error, flight.FlightTimedOutError, "TimedOut"):
        return DeadlineExceededError(f"{where} did not answer in time")
    if _is(error, flight.FlightUnavailableError, "Unavailable") or _is(error, flight.FlightCancelledError, "Cancelled"):
        return PeerUnreachableError(f"{where} cannot be reached: {_first_line(error)}")
    return PeerError(f"{where} failed: {_first_line(error)}")


def _tls_wrong(said: str, where: str) -> str | None:
    """What is wrong about TLS, by what gRPC says of a handshake; None when that is not the matter."""
    if "certificate verify failed" in said:
        return (
            "has a certificate of no authority that is trusted here: name the one that signed it (--tls-ca, authority=)"
        )
    if "wrong version number" in said:
        return "does not speak TLS: write grpc://, or start it with --tls-cert and --tls-key"
    if "is not in peer certificate" in said or "Hostname Verification" in said:
        return "has a certificate that is for other names: reach it by one of them, or have one made for this"
    if "Ssl handshake failed" in said:
        return f"and this process do not agree on TLS: {said[said.index('Ssl handshake failed') :][:200]}"
    if "Socket closed" in said and where.startswith("grpc://") and _speaks_tls(where):
        return "speaks TLS: write grpc+tls://, and name the authority of its certificate (--tls-ca, authority=)"
    return None


def _speaks_tls(location: str) -> bool:
    """Whether a server begins with TLS when it is asked to: to one that is asked without, it says nothing."""
    parts = urlsplit(location)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent to it, so it does not matter who it is.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 0), _PROBE_SECONDS) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except (OSError, ValueError):
        return False


def _check_tls(certificate: Path | None, key: Path | None, authority: Path | None) -> None:
    """Read certificates as TLS will: gRPC says of what it cannot read that a server did not start, and no more."""
    if certificate is not None and key is not None:
        try:
            # A password would be asked for at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        except OSError as error:
            raise InputFileError(f"{certificate} and {key} are no certificate and its key (PEM): {error}") from error
    if authority is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
        except OSError as error:
            raise InputFileError(f"{authority} holds no certificate (PEM) to trust: {error}") from error


def _is(error: Exception, kind: type[Exception], detail: str) -> bool:
    """Whether it is such an error; reading a stream gives some of them as OSError with the kind in the text."""
    return isinstance(error, kind) or f"Detail: {detail}" in str(error)


class _TokenCheck(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    """Refuses each call, of whatever kind, that does not bring the token."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._wanted = (_SCHEME + token).encode()

    def start_call(self, info: Any, headers: Any) -> None:
        given = [value for name, values in headers.items() if name.lower() == _HEADER for value in values]
        # Compared in constant time: how far a guess is right must not show.
        if len(given) != 1 or not hmac.compare_digest(str(given[0]).encode(), self._wanted):
            raise flight.FlightUnauthenticatedError("the token is missing or wrong")


def _read(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            data = file.read(_TOKEN_FILE_BYTES * 16 + 1)
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _TOKEN_FILE_BYTES * 16:
        raise InputFileError(f"{path} is too big for a token, certificate or key")
    return data


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
