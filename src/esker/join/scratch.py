"""Scratch objects on tape: partitions that a join writes there and reads back, gone when it ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.extent import ByteRange
from esker.core.spill import sweep
from esker.errors import EskerError, PayloadCorruptError
from esker.join.account import Work
from esker.storage import Tier

# Keys: this, the host, the spill folder of the query (whose lock says whether it lives), a number.
_PREFIX = "esker-scratch/"
_NUMBERS = count()


class ScratchTape:
    """Objects of one query on a tape tier: Arrow streams, written once, deleted on `close`.

    A tape gives the room of deleted objects back only when the cartridge is rewritten, as always. What a killed
    query left is deleted by the next one that needs scratch there.
    """

    def __init__(self, tier: Tier, context: QueryContext) -> None:
        self.tier = tier
        self._sizes: dict[str, int] = {}
        owner = f"{quote(socket.gethostname(), safe='')}/{quote(str(context.spill.path), safe='')}"
        self._prefix = f"{_PREFIX}{owner}/{next(_NUMBERS)}"
        self._count = 0
        _sweep(tier)

    def write(self, batches: Sequence[pa.RecordBatch], schema: pa.Schema, work: Work) -> str:
        """Write batches as an object; gives its key."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        data = sink.getvalue().to_pybytes()
        key = f"{self._prefix}-{self._count:06}"
        self._count += 1
        self._sizes[key] = len(data)
        with work.on(self.tier):
            self.tier.write(key, data)
        return key

    def read(self, key: str, work: Work) -> Iterator[pa.RecordBatch]:
        """Yield the batches of an object."""
        with work.on(self.tier):
            (data,) = self.tier.read(key, [ByteRange(0, self._sizes[key])])
        try:
            with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise PayloadCorruptError(f"the scratch object {key!r} on {self.tier.uri} is damaged: {error}") from error

    def close(self) -> None:
        """Delete all objects; calling it again does nothing."""
        sizes, self._sizes = self._sizes, {}
        for key in sizes:
            with suppress(EskerError):  # an error of the join itself must be the one that is seen
                self.tier.delete(key)


def _sweep(tier: Tier) -> None:
    """Delete what queries of this host left whose spill folder is gone."""
    prefix = f"{_PREFIX}{quote(socket.gethostname(), safe='')}/"
    swept: set[Path] = set()
    for stored in [*tier.list(prefix)]:
        folder = Path(unquote(stored.key[len(prefix) :].partition("/")[0]))
        if folder.parent not in swept:
            sweep(folder.parent)
            swept.add(folder.parent)
        if not folder.exists():
            tier.delete(stored.key)
