"""What a stream between two processes begins with: who calls, in which version of the protocol."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pyarrow import flight

from esker.errors import PeerError

PROTOCOL = 3
_GREETING_BYTES = 4096
NODE, CLIENT = "node", "client"
NEW = -1
"""The number of a client that has none yet: the coordinator gives it one, and says it in its first word."""


class Caller(NamedTuple):
    """Who calls: a node with where it listens and which folder it has, or a client; NEW when it has no number."""

    role: str
    number: int
    address: str = ""
    identity: str = ""


def greeting(caller: Caller) -> flight.FlightDescriptor:
    """Give what a call begins with."""
    return flight.FlightDescriptor.for_command(json.dumps({"protocol": PROTOCOL, **caller._asdict()}).encode())


def read_greeting(descriptor: Any) -> Caller:
    """Read it; PeerError when it is not ours."""
    data = bytes(descriptor.command or b"")
    try:
        if len(data) > _GREETING_BYTES:
            raise ValueError(f"{len(data)} bytes")
        said = json.loads(data)
        protocol = said.pop("protocol")
        caller = Caller(**said)
        if [type(field) for field in caller] != [str, int, str, str]:
            raise TypeError("a field of the wrong type")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PeerError("the caller does not greet as Esker's nodes and clients do") from error
    if protocol != PROTOCOL:
        raise PeerError(f"the caller speaks protocol {protocol}, this process {PROTOCOL}: update the older one")
    if caller.role not in (NODE, CLIENT) or (caller.number < 0) != (caller.role == CLIENT):
        raise PeerError(f"the caller says to be {caller.role} {caller.number}")
    return caller


def write_number(number: int) -> bytes:
    """Give the first word for a client."""
    return number.to_bytes(8, "little", signed=True)


def read_number(word: bytes | None) -> int:
    """Read it; PeerError when it is none."""
    number = int.from_bytes(word, "little", signed=True) if word is not None and len(word) == 8 else 0
    if number >= NEW:
        raise PeerError("the coordinator does not say a client's number as Esker's do")
    return number
