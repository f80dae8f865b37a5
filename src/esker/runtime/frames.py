"""Frames on a socket between processes: a kind, some bytes, and large buffers that are neither joined nor copied.

+------+-------------+---------------+--------------------+-------+-------------+
| kind | buffers: u32| payload: u64  | bytes of each: u64 | data  | the buffers |
+------+-------------+---------------+--------------------+-------+-------------+
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from esker.runtime.pickled import Bytes

_HEAD = struct.Struct("<BIQ")
# The kernel takes at most 1024 pieces in one call.
_PIECES_MAX = 512

# To a worker
TASK, CREDIT, STOP = range(1, 4)
# From a worker
ITEM, DONE, FAILED, STOPPED = range(11, 15)


class Frame(NamedTuple):
    """What was received."""

    kind: int
    data: memoryview
    buffers: list[memoryview]


def send(connection: socket.socket, kind: int, data: Bytes = b"", buffers: Sequence[Bytes] = ()) -> None:
    """Send one frame, whole; OSError when the other side is gone."""
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    payload = memoryview(data)
    head = _HEAD.pack(kind, len(views), payload.nbytes) + b"".join(view.nbytes.to_bytes(8, "little") for view in views)
    if payload.nbytes <= 4096 and not views:
        connection.sendall(head + bytes(payload))
        return
    pieces = [memoryview(head), payload, *views]
    while pieces:
        sent = connection.sendmsg(pieces[:_PIECES_MAX])
        while pieces and sent >= pieces[0].nbytes:
            sent -= pieces.pop(0).nbytes
        if sent:
            pieces[0] = pieces[0][sent:]


def receive(connection: socket.socket) -> Frame | None:
    """Receive one frame, whole; None when the other side is gone."""
    head = _exactly(connection, _HEAD.size)
    if head is None:
        return None
    kind, buffer_count, payload_bytes = _HEAD.unpack(head)
    sizes = _exactly(connection, 8 * buffer_count) if buffer_count else memoryview(b"")
    data = _exactly(connection, payload_bytes)
    if sizes is None or data is None:
        return None
    buffers = []
    for size in struct.unpack(f"<{buffer_count}Q", sizes):
        buffer = _exactly(connection, size)
        if buffer is None:
            return None
        buffers.append(buffer)
    return Frame(kind, data, buffers)


def _exactly(connection: socket.socket, size: int) -> memoryview | None:
    view = memoryview(bytearray(size))
    have = 0
    while have < size:
        try:
            got = connection.recv_into(view[have:])
        except ConnectionError:
            return None
        if not got:
            return None
        have += got
    return view
