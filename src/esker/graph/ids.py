"""The ids of a graph's vertices in order: an id's number is its place, from 0."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.spill import SpillFolder
from esker.graph.edge_files import ColumnFile
from esker.graph.sorter import Sorter
from esker.graph.workspace import Array, Workspace, distinct

# Vertices are numbered in 32 bits; this one is no vertex.
NO_VERTEX = np.uint32(0xFFFF_FFFF)
VERTICES_MAX = 0xFFFF_FFFF
# A table from id to number is made where at most this many ids of its range are not there for each that is.
_SPARE = 8


class Ids(ABC):
    """Sorted ids without duplicates, mapped from a private file."""

    type: pa.DataType
    count: int

    @abstractmethod
    def slice(self, start: int, stop: int) -> pa.Array:
        """The ids with numbers from `start` up to `stop`."""

    @abstractmethod
    def take(self, numbers: Array) -> pa.Array:
        """The ids with these numbers."""

    @abstractmethod
    def finder(self, workspace: Workspace) -> Finder:
        """What finds the numbers of many ids."""


class Finder(ABC):
    """Finds the numbers of ids."""

    @abstractmethod
    def find(self, column: pa.Array) -> Array:
        """The number of each id, uint32; NO_VERTEX where it is no vertex."""


def is_whole_type(type_: pa.DataType) -> bool:
    """Whether ids of a type are whole numbers to a machine: integers, dates, times."""
    return bool(pa.types.is_integer(type_) or pa.types.is_temporal(type_))


def whole_dtype(type_: pa.DataType) -> np.dtype[np.int64] | np.dtype[np.uint64]:
    """Which whole numbers stand for ids of `type_`."""
    return np.dtype(np.uint64) if type_ == pa.uint64() else np.dtype(np.int64)


def to_whole(column: pa.Array, type_: pa.DataType) -> Array:
    """The whole numbers that stand for a column of ids, in the same order; it has no nulls."""
    cast = column if column.type == type_ else column.cast(type_)
    if pa.types.is_temporal(type_):
        cast = cast.view(pa.int32() if type_.bit_width == 32 else pa.int64())
    return np.asarray(cast.to_numpy(zero_copy_only=False)).astype(whole_dtype(type_), copy=False)


def from_whole(values: Array, type_: pa.DataType) -> pa.Array:
    """The ids that whole numbers stand for.

    >>> from_whole(np.array([1, 2]), pa.date32())[0].as_py().isoformat()
    '1970-01-02'
    """
    if not pa.types.is_temporal(type_):
        return pa.array(values).cast(type_)
    narrow = pa.int32() if type_.bit_width == 32 else pa.int64()
    return pa.array(values).cast(narrow).view(type_)


class WholeIds(Ids):
    """Ids that are whole numbers, as an array."""

    def __init__(self, values: Array, type_: pa.DataType) -> None:
        self.type = type_
        self.count = len(values)
        self.values = values

    def slice(self, start: int, stop: int) -> pa.Array:
        return from_whole(self.values[start:stop], self.type)

    def take(self, numbers: Array) -> pa.Array:
        return from_whole(self.values[numbers], self.type)

    def finder(self, workspace: Workspace) -> Finder:
        if self.count and int(self.values[-1]) - int(self.values[0]) + 1 <= _SPARE * self.count + (1 << 16):
            return _TableFinder(self, workspace)
        return _SearchFinder(self)


class _TableFinder(Finder):
    """A table over the range of the ids."""

    def __init__(self, ids: WholeIds, workspace: Workspace) -> None:
        self._type = ids.type
        self._first, self._last = int(ids.values[0]), int(ids.values[-1])
        # Subtracting wraps, in either direction, and the difference is right again as an unsigned number.
        self._base = ids.values[:1].view(np.uint64)
        self._dense = self._last - self._first + 1 == ids.count
        if not self._dense:
            self._table = workspace.array(self._last - self._first + 1, np.uint32, int(NO_VERTEX))
            for part in workspace.parts(ids.count):
                places = ids.values[part].view(np.uint64) - self._base
                self._table[places] = np.arange(part.start, part.stop, dtype=np.uint32)

    def find(self, column: pa.Array) -> Array:
        values = to_whole(column, self._type)
        places = values.view(np.uint64) - self._base
        outside = places > np.uint64(self._last - self._first)
        if outside.any():
            places[outside] = 0
        found = places.astype(np.uint32) if self._dense else self._table[places]
        found[outside] = NO_VERTEX
        return found


class _SearchFinder(Finder):
    """A binary search: with the ids sorted, neighbours in a search are neighbours in memory."""

    def __init__(self, ids: WholeIds) -> None:
        self._ids = ids

    def find(self, column: pa.Array) -> Array:
        values = to_whole(column, self._ids.type)
        found = np.full(len(values), NO_VERTEX, np.uint32)
        if self._ids.count:
            order = np.argsort(values)
            ordered = values[order]
            places = np.minimum(np.searchsorted(self._ids.values, ordered), self._ids.count - 1)
            known = self._ids.values[places] == ordered
            found[order[known]] = places[known]
        return found


class ArrowIds(Ids):
    """Ids of any other type, as Arrow batches of a mapped file."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.type = column.type
        self.count = len(column)
        self.column = column

    def slice(self, start: int, stop: int) -> pa.Array:
        return _one_array(self.column.slice(start, stop - start))

    def take(self, numbers: Array) -> pa.Array:
        return _one_array(self.column.take(pa.array(numbers)))

    @property
    def finder_bytes(self) -> int:
        """What a hash table of all ids takes: Arrow copies them, beside a slot of some words for each."""
        return int(self.column.nbytes) + 64 * self.count

    def finder(self, workspace: Workspace) -> Finder:
        return _HashFinder(self)


class _HashFinder(Finder):
    """Arrow's hash table, made anew for each call: so calls are for many ids."""

    def __init__(self, ids: ArrowIds) -> None:
        self._ids = ids

    def find(self, column: pa.Array) -> Array:
        cast = column if column.type == self._ids.type else column.cast(self._ids.type)
        # Most edges of a column share their ends: each distinct one is looked up once.
        encoded = cast.dictionary_encode()
        places = pc.index_in(encoded.dictionary, value_set=self._ids.column)
        numbers = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64).astype(np.uint32)
        found: Array = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
        return found


def whole_ids(blocks: Iterable[Array], type_: pa.DataType, workspace: Workspace, folder: SpillFolder) -> WholeIds:
    """Sort whole numbers, which may come more than once, into `folder`, and map them."""
    with (
        Sorter(workspace, [whole_dtype(type_)], unique=True) as sorter,
        ColumnFile(folder, "ids", whole_dtype(type_)) as file,
    ):
        for block in blocks:
            sorter.add(distinct(block))
        for (ordered,) in sorter.sorted():
            file.append(ordered)
        return WholeIds(file.read(), type_)


def arrow_ids(batches: Iterator[pa.Array], type_: pa.DataType, folder: SpillFolder) -> ArrowIds:
    """Write sorted ids without duplicates into `folder`, and map them."""
    path, fd = folder.new_file("ids")
    schema = pa.schema({"id": type_})
    try:
        with open(fd, "wb") as file, pa.ipc.new_stream(file, schema) as writer:  # noqa: PTH123  # a descriptor
            for batch in batches:
                writer.write_batch(pa.record_batch([batch], schema=schema))
        return ArrowIds(_mapped_column(path, schema))
    except OSError as error:
        raise folder.failure(error) from error


def _mapped_column(path: Path, schema: pa.Schema) -> pa.ChunkedArray:
    with pa.ipc.open_stream(pa.memory_map(str(path))) as reader:
        return pa.Table.from_batches(list(reader), schema).column(0)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
