"""Numbered bitmap vectors in a folder: put, get, range queries over their numbers (source 004, Client Interface)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from esker.bitmap import Bitmap, union
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import InputError, PredicateError
from esker.expression import And, Expression, Not, Or, VectorRange, parse
from esker.frozen.records import IndexSegment
from esker.index.catalog import StoreContents
from esker.index.encode import Encoder
from esker.index.segment import ReadCount, SegmentFile
from esker.index.segment_file import Block, Entry, Meta, write_segment
from esker.index.store import VECTORS_FOLDER, IndexStore, StoreOptions, StoreWriter, looks_indexed

KIND = "vectors"
# A segment is merged with the one before it while that has no more than twice its vectors.
MERGE_FACTOR = 2


class VectorIndex:
    """Vectors by number, each of `row_count` rows; a put replaces what the number had.

    >>> import tempfile
    >>> with VectorIndex.open(Path(tempfile.mkdtemp()) / "vectors", row_count=5) as vectors:
    ...     vectors.put_many({2: Bitmap.from_positions([0, 2], 5), 3: Bitmap.from_positions([3], 5)})
    ...     vectors.put(4, Bitmap.from_positions([0, 3, 4], 5))
    ...     vectors.query("R:[2,3]&[4,4]").to_numpy().tolist()
    [0, 3]

    Opening reads no vector, and of a directory only the root; a query reads the vectors it names. A put is durable
    when it returns: a new file is written, synced and renamed, then one transaction refers to it. Small files are
    merged as they come, so that n puts leave about log n files.
    """

    def __init__(self, folder: Path, store: IndexStore, encoder: Encoder, file_system: FileSystem) -> None:
        """Use `open`."""
        self.folder = folder
        self._encoder = encoder
        self._file_system = file_system
        self._count = ReadCount()
        self._store = store
        self._segments: list[SegmentFile] = []
        self._load(store)

    @classmethod
    def open(
        cls,
        path: Path | str,
        row_count: int | None = None,
        *,
        encoding: str = "auto",
        profile: str = "balanced",
        file_system: FileSystem = LOCAL,
    ) -> VectorIndex:
        """Open the vectors in the folder `path`, or make them where `row_count` is given and nothing is there."""
        folder = Path(path)
        if row_count is not None and not looks_indexed(folder):
            options = StoreOptions({}, encoding, profile, vector_rows=row_count)
            with QueryContext() as context:
                StoreWriter(folder, context, file_system).build(iter(()), pa.schema([]), options)
        store = IndexStore.open(folder)
        stated = store.options.vector_rows
        if stated is None or (row_count is not None and row_count != stated):
            store.close()
            what = "an index of rows" if stated is None else f"vectors of {stated:,} rows"
            raise InputError(f"{folder} holds {what}, not vectors of {row_count} rows")
        encoder = Encoder(store.options.encoding, store.options.profile)
        return cls(folder, store, encoder, file_system)

    @property
    def row_count(self) -> int:
        """Rows of every vector."""
        return self._row_count

    def put(self, number: int, vector: Bitmap) -> None:
        """Store a vector under a number, in place of the one it had."""
        self.put_many({number: vector})

    def put_many(self, vectors: Mapping[int, Bitmap]) -> None:
        """Store vectors, all or none of them."""
        if not vectors:
            return
        for number, vector in vectors.items():
            if number < 0 or number >= 1 << 63:
                raise InputError(f"vector number {number} is outside 0 to 2^63 - 1")
            if vector.row_count != self._row_count:
                raise InputError(f"vector {number} has {vector.row_count:,} rows; these have {self._row_count:,}")
        # Our own reading must not keep the files that this merges from being collected.
        self.close()
        try:
            with QueryContext() as context:
                writer = StoreWriter(self.folder, context, self._file_system)
                writer.change(lambda before: self._with(before, sorted(vectors.items())))
        finally:
            self._load(IndexStore.open(self.folder))

    def get(self, number: int) -> Bitmap:
        """Give a vector; InputError when the number has none."""
        found = self._find(number)
        if found is None:
            raise InputError(f"no vector {number} in {self.folder}")
        segment, place = found
        return segment.read(place, self._count)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._find(number) is not None

    def __len__(self) -> int:
        return len(self.numbers())

    def numbers(self) -> list[int]:
        """Give the numbers that have a vector, ascending; reads directories whole."""
        found: set[int] = set()
        for segment in self._segments:
            found.update(segment.labels().to_pylist())
        return sorted(found)

    def query(self, query: str | Expression) -> Bitmap:
        """Answer `R:[2,3]&[4,6]`: OR the vectors of each range, AND the ranges; cut short when nothing is left.

        A number without a vector is an error: the source's engine has all of a range.
        """
        return self._evaluate(parse(query) if isinstance(query, str) else query)

    def statistics(self) -> dict[str, int]:
        """Count segments, their bytes, and what was read since opening."""
        return {
            "segments": len(self._segments),
            "bytes": sum(segment.info.bytes for segment in self._segments),
            "vectors_stored": sum(segment.vector_count for segment in self._segments),
            "vectors_read": self._count.vectors,
            "bytes_read": self._count.bytes,
            "directory_bytes_read": self._count.directory_bytes
            + sum(segment.opening.directory_bytes for segment in self._segments),
            "requests": self._count.requests + sum(segment.opening.requests for segment in self._segments),
        }

    def refresh(self) -> None:
        """See what was put since, by this process or another."""
        self.close()
        self._load(IndexStore.open(self.folder))

    def close(self) -> None:
        """Close the files; calling it again does nothing."""
        for segment in self._segments:
            segment.close()
        self._store.close()

    def __enter__(self) -> VectorIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, store: IndexStore) -> None:
        self._store = store
        self._row_count = store.options.vector_rows or 0
        listed = sorted(store.contents.segments.items())
        self._segments = [SegmentFile(self.folder / VECTORS_FOLDER, one) for _, found in listed for one in found]

    def _find(self, number: int) -> tuple[SegmentFile, int] | None:
        """The newest segment that has the number, and its place there."""
        for segment in reversed(self._segments):
            place = _place(segment, number)
            if place is not None:
                return segment, place
        return None

    def _evaluate(self, query: Expression) -> Bitmap:
        if isinstance(query, VectorRange):
            return union(self.get(number) for number in range(query.first, query.last + 1))
        if isinstance(query, Not):
            return ~self._evaluate(query.part)
        if isinstance(query, Or):
            return union(self._evaluate(part) for part in query.parts)
        if isinstance(query, And):
            rows = self._evaluate(query.parts[0])
            for part in query.parts[1:]:
                if not rows:
                    break
                rows = rows & self._evaluate(part)
            return rows
        raise PredicateError("vectors are asked for by number: R:[2,3]&[4,6]")

    def _with(self, before: StoreContents, vectors: list[tuple[int, Bitmap]]) -> StoreContents:
        """Write a segment of new vectors, joined with those of the newest small ones."""
        segments = dict(before.segments)
        merged: dict[int, Bitmap] = {}
        opened: list[SegmentFile] = []
        for number in sorted(segments, reverse=True):
            (info,) = segments[number]
            segment = SegmentFile(self.folder / VECTORS_FOLDER, info)
            opened.append(segment)
            if segment.vector_count > MERGE_FACTOR * (len(vectors) + len(merged)):
                break
            places = zip(segment.labels().to_pylist(), _each(segment), strict=True)
            merged = {**dict(places), **merged}
            del segments[number]
        merged.update(vectors)
        for segment in opened:
            segment.close()
        made = self._write(sorted(merged.items()))
        number = max([*before.segments, -1]) + 1
        return replace(before, segments={**segments, number: (made,)})

    def _write(self, vectors: list[tuple[int, Bitmap]]) -> IndexSegment:
        file = f"vectors.{secrets.token_hex(6)}.seg"
        labels = pa.array([number for number, _ in vectors], pa.int64())
        entries = (Entry(self._encoder.of_bitmap(vector)) for _, vector in vectors)
        meta = Meta("", KIND, KIND, "numbers", 0)
        written = write_segment(
            self.folder / VECTORS_FOLDER / file, meta, [Block(labels, entries)], pa.int64(), self._row_count,
            self._file_system,
        )  # fmt: skip
        return IndexSegment(file, "", KIND, written.bytes, written.checksum, {"vectors": written.vectors})


def _each(segment: SegmentFile) -> Iterator[Bitmap]:
    count = ReadCount()
    return (segment.read(place, count) for place in range(segment.vector_count))


def _place(segment: SegmentFile, number: int) -> int | None:
    """Find a number among the sorted labels, looking into one block."""
    block = int(np.searchsorted(segment.root.lasts.to_numpy(), number))
    if block == len(segment.root.lasts):
        return None
    labels = segment.block(block).labels.to_numpy()
    at = int(np.searchsorted(labels, number))
    return int(segment.starts[block]) + at if at < len(labels) and labels[at] == number else None
