"""What a stream between two processes begins with: who calls, in which version of the protocol."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pyarrow import flight

from esker.errors import PeerError

PROTOCOL = 2
_GREETING_BYTES = 4096
NODE, CLIENT = "node", "client"


class Caller(NamedTuple):
    """Who calls: a node with where it listens and which folder it has, or a client."""

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
    if caller.role not in (NODE, CLIENT) or (caller.number < 0) != (caller.role == CLIENT) or caller.number == -1:
        raise PeerError(f"the caller says to be {caller.role} {caller.number}")
    return caller
