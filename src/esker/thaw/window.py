"""Windows: how much is read before it is decoded. Row-id order between them, the tier's order within."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from esker.core.extent import ByteRange, Extent
from esker.storage import ReadRequest
from esker.thaw.group_read import GroupRead
from esker.thaw.layout import Layout
from esker.thaw.parquet_ranges import Spans


@dataclass(frozen=True)
class Window:
    """Row groups, ascending, that are asked of the tier at once; their raw bytes are held together."""

    groups: Sequence[GroupRead]
    columns: Sequence[str]
    gap_bytes: int

    @cached_property
    def ranges(self) -> Mapping[str, Sequence[ByteRange]]:
        """What is read of each object. A whole object in one range can be checked against its own checksum."""
        found: dict[str, Sequence[ByteRange]] = {}
        for layout, reads in self.by_extent():
            leaf_count = len({leaf for column in self.columns for leaf in layout.leaves(column)})
            everything = len(reads) == layout.group_count and leaf_count == layout.footer.num_columns
            if everything and all(read.whole for read in reads):
                found[layout.extent.key] = [ByteRange(0, layout.extent.bytes)]
            else:
                found[layout.extent.key] = Spans.of([read.spans for read in reads]).merged(self.gap_bytes)
        return found

    @property
    def requests(self) -> Sequence[ReadRequest]:
        """What is asked of the tier."""
        return [ReadRequest(key, part) for key, parts in self.ranges.items() for part in parts]

    @cached_property
    def raw_bytes(self) -> int:
        """Bytes held between reading and decoding."""
        return sum(part.length for parts in self.ranges.values() for part in parts)

    @cached_property
    def decoded_bytes(self) -> int:
        """Bytes of the largest row group when it is decoded."""
        return max((read.decoded_bytes for read in self.groups), default=0)

    @property
    def memory_bytes(self) -> int:
        """What running this window takes of the budget."""
        return self.raw_bytes + self.decoded_bytes

    def by_extent(self) -> Iterator[tuple[Layout, Sequence[GroupRead]]]:
        """Give the row groups, extent by extent."""
        for _, reads in groupby(self.groups, key=lambda read: id(read.layout)):
            together = [*reads]
            yield together[0].layout, together

    @property
    def extents(self) -> Sequence[Extent]:
        """The extents it reads."""
        return [layout.extent for layout, _ in self.by_extent()]

    def halves(self) -> tuple[Window, Window]:
        """Give two windows that do the same with less memory at a time."""
        middle = len(self.groups) // 2
        return (
            Window(self.groups[:middle], self.columns, self.gap_bytes),
            Window(self.groups[middle:], self.columns, self.gap_bytes),
        )


def windows(
    reads: Iterable[GroupRead], columns: Sequence[str], gap_bytes: int, raw_bytes: int, *, by_extent: bool = False
) -> Iterator[Window]:
    """Cut row groups, ascending, into windows of at most `raw_bytes` (or one row group).

    With `by_extent` no window has row groups of two extents, so that one can be read while the other is still cold.
    """
    held: list[GroupRead] = []
    held_bytes = 0
    for read in reads:
        parts = read.spans.merged(gap_bytes)
        read_bytes = sum(part.length for part in parts)
        # What is read over between this row group and the one before is held, too.
        gap = _gap(held[-1], parts) if held and held[-1].layout is read.layout else 0
        bridge = gap if gap <= gap_bytes else 0
        begins = by_extent and held and held[-1].layout is not read.layout
        if held and (begins or held_bytes + bridge + read_bytes > raw_bytes):
            yield Window(held, columns, gap_bytes)
            held, held_bytes, bridge = [], 0, 0
        held.append(read)
        held_bytes += bridge + read_bytes
    if held:
        yield Window(held, columns, gap_bytes)


def _gap(before: GroupRead, parts: Sequence[ByteRange]) -> int:
    """Measure what lies between the bytes of a row group and those of the next one read of its extent."""
    stops = before.spans.stops
    return max(parts[0].start - int(stops.max()), 0) if parts and len(stops) else 0
