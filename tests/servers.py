"""Servers that tests talk to, one of each for a whole run; the interpreter's end stops them."""

from __future__ import annotations

import atexit
from functools import cache

from esker.testing.range_server import RangeServer


@cache
def range_server() -> RangeServer:
    """A server of our own that speaks S3."""
    server = RangeServer().start()
    atexit.register(server.stop)
    return server
