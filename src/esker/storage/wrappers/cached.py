"""A cache before a tier, with read-ahead: what was read a while ago is not read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.storage.tier import ReadRequest, Tier
from esker.storage.wrapped import WrappedTier


class CachedTier(WrappedTier):
    """Keep up to `cache_bytes` of blocks of `block_bytes` in memory, the least lately used leaves first.

    Reads whole blocks, and `prefetch_blocks` after the last of a request: a drive that is there reads on for nothing.
    Source: caching and prefetching between tape and disk, among source 003's references on positioning time.

    >>> from esker.storage import open_tier
    >>> cached = CachedTier(open_tier("memory:cached"), block_bytes=4)
    >>> _ = cached.write("a", b"every byte of it")
    >>> [bytes(cached.read("a", [ByteRange(0, 5)])[0]) for _ in range(3)], cached.hits
    ([b'every', b'every', b'every'], 4)
    """

    def __init__(
        self, inner: Tier, *, cache_bytes: int = 64 << 20, block_bytes: int = 1 << 20, prefetch_blocks: int = 0
    ) -> None:
        super().__init__(inner)
        self._cache_bytes = cache_bytes
        self._block_bytes = block_bytes
        self._prefetch = prefetch_blocks
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._held_bytes = 0
        self._sizes: dict[str, int] = {}
        self.hits = 0
        self._cache_lock = threading.RLock()

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        for request in self.order(requests):
            yield request, self._serve(request)

    def _serve(self, request: ReadRequest) -> bytes:
        with self._cache_lock:
            missing = self._missing(request)
            fresh = {
                part.range.start // self._block_bytes: bytes(data)
                for part, data in self.inner.fetch(self._request(request.key, block) for block in missing)
            }
            return self._join(request, fresh)

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        missing = {(request.key, block) for request in requests for block in self._missing(request)}
        return self.inner.estimate(self._request(key, block) for key, block in sorted(missing))

    def delete(self, key: str) -> None:
        self.inner.delete(key)
        self._sizes.pop(key, None)
        for place in [place for place in self._blocks if place[0] == key]:
            self._held_bytes -= len(self._blocks.pop(place))

    def _missing(self, request: ReadRequest) -> Sequence[int]:
        """Number the blocks to read for a request; none when all that it needs is held."""
        size = self._size(request.key)
        part = request.range
        if not 0 <= part.start <= part.stop <= size:
            self.inner.read(request.key, [part])  # raises, in the words of the tier
        wanted = self._blocks_of(part)
        if all((request.key, block) in self._blocks for block in wanted):
            return []
        last = min(wanted[-1] + self._prefetch, (size - 1) // self._block_bytes)
        every = range(wanted[0], last + 1)
        return [block for block in every if (request.key, block) not in self._blocks]

    def _blocks_of(self, part: ByteRange) -> range:
        if part.start == part.stop:
            return range(0)
        return range(part.start // self._block_bytes, (part.stop - 1) // self._block_bytes + 1)

    def _request(self, key: str, block: int) -> ReadRequest:
        start = block * self._block_bytes
        return ReadRequest(key, ByteRange(start, min(start + self._block_bytes, self._size(key))))

    def _join(self, request: ReadRequest, fresh: dict[int, bytes]) -> bytes:
        part = request.range
        found: list[bytes] = []
        for block in self._blocks_of(part):
            data = fresh[block] if block in fresh else self._hit(request.key, block)
            first = block * self._block_bytes
            found.append(data[max(part.start - first, 0) : part.stop - first])
        for block, data in fresh.items():
            self._keep(request.key, block, data)
        return found[0] if len(found) == 1 else b"".join(found)

    def _hit(self, key: str, block: int) -> bytes:
        self.hits += 1
        self._blocks.move_to_end((key, block))
        return self._blocks[key, block]

    def _keep(self, key: str, block: int, data: bytes) -> None:
        self._blocks[key, block] = data
        self._held_bytes += len(data)
        while self._held_bytes > self._cache_bytes:
            _, dropped = self._blocks.popitem(last=False)
            self._held_bytes -= len(dropped)

    def _size(self, key: str) -> int:
        if key not in self._sizes:
            self._sizes[key] = self.inner.stat(key).bytes
        return self._sizes[key]
