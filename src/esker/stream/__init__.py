"""Streams: sources, flows and sinks in one event loop, where nothing is read before it is asked for.

    Stream.file("big.bin")  ->  map_async, buffer, throttle, ...  ->  Sink.file("out.bin")

An element moves because the sink asked its neighbour for one, which asked its own, up to the source. A step that works
ahead (a buffer, concurrent calls) says by how many elements, and asks for no more.
"""

from __future__ import annotations

from esker.stream.consumer import Consumer, Record
from esker.stream.failure import Backoff
from esker.stream.kill_switch import KillSwitch
from esker.stream.sink import Sink
from esker.stream.stream import Stream

__all__ = ["Backoff", "Consumer", "KillSwitch", "Record", "Sink", "Stream"]
