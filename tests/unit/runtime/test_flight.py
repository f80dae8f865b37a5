"""Flight servers: nobody without the token, nothing beyond a limit, errors that say who and what."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import flight

from esker.errors import (
    AuthenticationError,
    DeadlineExceededError,
    InputFileError,
    MessageTooLargeError,
    OptionError,
    PeerError,
    PeerUnreachableError,
    TlsError,
)
from esker.runtime.flight import (
    Limits,
    Security,
    ServerAddress,
    call_options,
    new_token,
    open_client,
    peer_errors,
    read_token,
    server_options,
    write_token,
)


class Echo(flight.FlightServerBase):  # type: ignore[misc]
    def do_action(self, context: Any, action: Any) -> Iterator[bytes]:
        if action.type == "fail":
            raise ValueError("this is wrong\nand this is its stack")
        while action.type == "wait":
            pass
        yield action.body.to_pybytes()

    def do_get(self, context: Any, ticket: Any) -> Any:
        raise AssertionError("a call without a token came through")

    do_put = do_exchange = list_flights = get_flight_info = get_schema = list_actions = do_get


def call(location: str, security: Security, seconds: float | None = 10.0) -> bytes:
    client = open_client(location, security)
    with client, peer_errors(location):
        (result,) = client.do_action(flight.Action("echo", b"hello"), call_options(security, seconds))
        return bytes(result.body)


@pytest.fixture
def served() -> Iterator[tuple[str, Security]]:
    security = Security(new_token())
    server = Echo(ServerAddress("127.0.0.1:0").location(security), **server_options(security))
    try:
        yield f"grpc://127.0.0.1:{server.port}", security
    finally:
        server.shutdown()


def test_the_token_opens_the_door(served: tuple[str, Security]) -> None:
    assert call(*served) == b"hello"


@pytest.mark.parametrize("token", [None, "", "wrong", new_token()], ids=["none", "empty", "wrong", "another"])
def test_no_method_is_reached_without_the_token(served: tuple[str, Security], token: str | None) -> None:
    location, _ = served
    security = Security(token)
    options = call_options(security, 10)
    descriptor = flight.FlightDescriptor.for_command(b"")
    with open_client(location, security) as client:
        for attempt in (
            lambda: call(location, security),
            lambda: client.do_get(flight.Ticket(b""), options).read_all(),
            lambda: list(client.list_flights(b"", options)),
            lambda: client.get_flight_info(descriptor, options),
            lambda: client.get_schema(descriptor, options),
            lambda: list(client.list_actions(options)),
            lambda: client.do_exchange(descriptor, options)[1].read_chunk(),
        ):
            with pytest.raises(AuthenticationError, match="does not take the token"), peer_errors(location):
                attempt()


def test_errors_name_the_peer_and_one_line(served: tuple[str, Security]) -> None:
    location, security = served
    options = call_options(security, 10)
    with open_client(location, security) as client:
        with pytest.raises(PeerError, match="^node 3 failed: this is wrong[^\n]*$"), peer_errors("node 3"):
            list(client.do_action(flight.Action("fail", b""), options))
    with pytest.raises(PeerUnreachableError, match="127.0.0.1:9"):
        call("grpc://127.0.0.1:9", security)


def test_a_deadline_ends_a_call() -> None:
    class Slow(Echo):
        def do_action(self, context: Any, action: Any) -> Iterator[bytes]:
            while not context.is_cancelled():
                pass
            yield b""

    with Slow("grpc://127.0.0.1:0") as server, pytest.raises(DeadlineExceededError, match="in time"):
        call(f"grpc://127.0.0.1:{server.port}", Security(), 0.2)


def test_tls_hides_the_token_and_wants_the_right_authority(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        capture_output=True,
        check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    write_token(tmp_path / "token")
    security = Security.from_files(tmp_path / "token", certificate, key, certificate)
    with Echo(ServerAddress("localhost:0").location(security), **server_options(security)) as server:
        assert call(f"grpc+tls://localhost:{server.port}", security) == b"hello"
        with pytest.raises(TlsError, match="no authority that is trusted"):
            call(f"grpc+tls://localhost:{server.port}", Security(security.token))
        with pytest.raises(TlsError, match=r"speaks TLS: write grpc\+tls"):
            call(f"grpc://localhost:{server.port}", security)
    plain = Security(security.token, authority=security.authority)
    with Echo("grpc://localhost:0") as server, pytest.raises(TlsError, match="does not speak TLS"):
        call(f"grpc+tls://localhost:{server.port}", plain)


def test_a_token_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(InputFileError, match="chmod 600"):
        read_token(path)
    for content in [b"", b"short\n", b"two words of a token", "é".encode() * 20]:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(InputFileError, match="no token"):
            read_token(path)
    with pytest.raises(InputFileError, match="cannot be read"):
        read_token(tmp_path / "missing")


def test_nobody_is_listened_to_beyond_this_machine_without_a_token() -> None:
    for text in ["127.0.0.1:0", "localhost:80", "[::1]:0"]:
        assert ServerAddress(text).location(Security())
    for text in ["0.0.0.0:7070", "[::]:0", "example.org:80", "10.0.0.7:1"]:
        with pytest.raises(OptionError, match="only with a token"):
            ServerAddress(text).location(Security())
        assert ServerAddress(text).location(Security(new_token()))
    for text in ["", "localhost", ":80", "localhost:http", "localhost:70000", "localhost:-1"]:
        with pytest.raises(OptionError, match="HOST:PORT"):
            ServerAddress(text)


def test_secrets_are_not_shown() -> None:
    assert repr(Security("a" * 40, b"c", b"k", b"r")) == "Security()"
    with pytest.raises(OptionError, match="both"):
        Security.from_files(certificate=Path("cert.pem"))


def test_a_message_beyond_the_limit_is_refused() -> None:
    Limits(message_bytes=10).check(10, "a put")
    with pytest.raises(MessageTooLargeError, match="a put has 11 bytes"):
        Limits(message_bytes=10).check(11, "a put")
