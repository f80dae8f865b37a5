"""Byte ranges put together into requests: merged where a gap is cheaper than a request, cut where one is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from esker.core.extent import ByteRange
from esker.storage.tier import ReadRequest


def split_range(part: ByteRange, bytes_max: int) -> Sequence[ByteRange]:
    """Cut a range into equal ones of at most `bytes_max`.

    >>> split_range(ByteRange(0, 10), 4)
    [ByteRange(start=0, stop=3), ByteRange(start=3, stop=6), ByteRange(start=6, stop=10)]
    """
    count = max(-(-part.length // bytes_max), 1)
    cuts = [part.start + part.length * number // count for number in range(count + 1)]
    return [ByteRange(start, stop) for start, stop in pairwise(cuts)]


@dataclass
class Run:
    """Requests of one object that are read together: `parts` are the GETs, in order and without a gap."""

    key: str
    parts: Sequence[ByteRange]
    requests: list[ReadRequest] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The first byte."""
        return self.parts[0].start

    @property
    def stop(self) -> int:
        """One past the last byte."""
        return self.parts[-1].stop


def runs(requests: Iterable[ReadRequest], gap_bytes: int, part_bytes: int) -> Iterator[Run]:
    """Put requests together, object by object; each lies in one run, and only one that is longer than a part is cut.

    >>> asked = [ReadRequest(key, ByteRange(*part)) for key, part in [("a", (0, 10)), ("a", (12, 20)), ("b", (0, 9))]]
    >>> [(run.key, run.start, run.stop, len(run.requests)) for run in runs(asked, gap_bytes=5, part_bytes=100)]
    [('a', 0, 20, 2), ('b', 0, 9, 1)]
    """
    for key, group in groupby(sorted(requests), key=lambda request: request.key):
        held: list[ReadRequest] = []
        span = ByteRange(0, 0)
        for request in group:
            if held and not _joins(span, request.range, gap_bytes, part_bytes):
                yield Run(key, split_range(span, part_bytes), held)
                held = []
            span = ByteRange(span.start, max(span.stop, request.range.stop)) if held else request.range
            held.append(request)
        if held:
            yield Run(key, split_range(span, part_bytes), held)


def _joins(before: ByteRange, part: ByteRange, gap_bytes: int, bytes_max: int) -> bool:
    """Whether `part`, which starts no earlier, goes into one request with `before`."""
    if part.start < before.stop:
        return True
    return part.start <= before.stop + gap_bytes and part.stop - before.start <= bytes_max
