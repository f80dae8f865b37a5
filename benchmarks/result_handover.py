"""How a worker's bytes come back: through the socket, in fresh shared memory, in pages used before.

`python -m benchmarks.result_handover` prints milliseconds, the least and the median, until every page was read.
"""

from __future__ import annotations

import mmap
import os
import socket

from esker.core.clock import SYSTEM_CLOCK
from esker.runtime import frames

SIZES = ((64 << 10, 60), (1 << 20, 40), (64 << 20, 8))
WAYS = ("socket", "fresh", "reused")


def serve(connection: socket.socket, data: bytes, way: str) -> None:
    """Hand `data` over each time a byte comes."""
    descriptor, mapped = -1, None
    while connection.recv(1):
        if way == "socket":
            frames.send(connection, frames.DONE, b"x", [data])
            continue
        if mapped is None or way == "fresh":
            if mapped is not None:
                os.close(descriptor)
            descriptor = os.memfd_create("result")
            os.ftruncate(descriptor, len(data))
            mapped = mmap.mmap(descriptor, len(data))
        mapped[:] = data
        socket.send_fds(connection, [b"x"], [descriptor])


def take(connection: socket.socket, way: str, size: int, kept: mmap.mmap | None) -> tuple[memoryview, mmap.mmap | None]:
    """Ask for the bytes and take them."""
    connection.send(b"g")
    if way == "socket":
        frame = frames.receive(connection)
        assert frame is not None
        return frame.buffers[0], None
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    mapped = kept if kept is not None and way == "reused" else mmap.mmap(descriptors[0], size)
    os.close(descriptors[0])
    return memoryview(mapped), mapped


def measure(way: str, size: int, rounds: int) -> list[float]:
    """Milliseconds of each round, the least first."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        serve(theirs, os.urandom(size), way)
        os._exit(0)
    theirs.close()
    found = []
    kept = None
    for _ in range(rounds):
        begin = SYSTEM_CLOCK.seconds()
        view, kept = take(ours, way, size, kept)
        _ = sum(view[::4096])
        found.append((SYSTEM_CLOCK.seconds() - begin) * 1000)
    ours.close()
    os.wait()
    return sorted(found)


def main() -> None:
    """Print a line for each size."""
    for size, rounds in SIZES:
        times = {way: measure(way, size, rounds) for way in WAYS}
        shown = [f"{way} {found[0]:.2f} {found[len(found) // 2]:.2f}" for way, found in times.items()]
        print(f"{size >> 10} KiB: {', '.join(shown)}")


if __name__ == "__main__":
    main()
