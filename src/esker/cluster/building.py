"""An index of rows in a cluster: values are numbered in one pass, blocks cut and put in a second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.cluster.blocks import ALIGN_ROWS
from esker.cluster.layout import IndexedColumn, Layout, block_rows_for, check_name
from esker.cluster.messages import Write
from esker.core.batch import cast_batch, plain_schema, require_columns
from esker.errors import InputError, OptionError
from esker.index.slots import FIRST_SLOT, ValueSlots, indexed_type, plain_values

if TYPE_CHECKING:
    from esker.cluster.client import Cluster

CHUNK_ROWS = ALIGN_ROWS
_PUT_BYTES = 32 << 20
_IPC = pa.ipc.IpcWriteOptions(compression="zstd")


def build(
    cluster: Cluster,
    source: Any,
    by: list[str],
    index: str,
    placement: str,
    block_rows: int | None,
    nodes: int,
    *,
    keep_rows: bool,
) -> None:
    """Put an index of `source`; what its name stood for before is replaced with the last put."""
    check_name(index)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="esker-build-")))
        spool = _Spool(folder, source, by, stack)
        rows = block_rows or block_rows_for(spool.row_count, nodes)
        layout = Layout.new(
            index, placement, spool.row_count, rows, spool.columns(), spool.schema, CHUNK_ROWS if keep_rows else 0
        )
        if layout.in_blocks:
            for part in layout.blocks.parts(0):
                for writes in _batches(_block(spool, layout, part.unit, part.start, part.stop)):
                    cluster._write_new(writes)
        else:
            for writes in _batches(_vectors(spool, layout)):
                cluster._write_new(writes)
        cluster._store_layout(layout)


class _Spool:
    """The rows of a source on disk, and the slot of each value of the indexed columns."""

    def __init__(self, folder: Path, source: Any, by: Sequence[str], stack: ExitStack) -> None:
        reader = _reader(source)
        self.schema: pa.Schema = plain_schema(reader.schema)
        if not by or len(set(by)) < len(by):
            raise OptionError("by= names the columns to index, each once")
        require_columns(by, self.schema, "the source")
        self._types = {name: indexed_type(name, self.schema.field(name).type) for name in by}
        self._slots = {name: ValueSlots(name, type_, None) for name, type_ in self._types.items()}
        self.row_count = 0
        files = {name: stack.enter_context((folder / f"{number}.slots").open("w+b")) for number, name in enumerate(by)}
        with pa.ipc.new_file(folder / "rows.arrow", self.schema) as writer:
            for given in reader:
                batch = cast_batch(given, self.schema)
                for name in by:
                    values = plain_values(batch.column(name), self._types[name])
                    files[name].write(self._slots[name].assign(values).tobytes())
                writer.write_batch(batch)
                self.row_count += batch.num_rows
        for file in files.values():
            file.flush()
        self._codes = {
            name: np.memmap(file.name, np.int32, "r") if self.row_count else np.zeros(0, np.int32)
            for name, file in files.items()
        }
        mapped = stack.enter_context(pa.memory_map(str(folder / "rows.arrow")))
        self._table = pa.ipc.open_file(mapped).read_all()
        # As first seen -> in order of values.
        self._places: dict[str, npt.NDArray[np.int32]] = {}
        for name, slots in self._slots.items():
            places = np.empty(slots.slot_count, np.int32)
            places[slots.order()] = np.arange(slots.slot_count, dtype=np.int32)
            self._places[name] = places

    def columns(self) -> list[IndexedColumn]:
        """The indexed columns, their vectors numbered one column after the other."""
        found, first = [], 0
        for name, slots in self._slots.items():
            column = IndexedColumn(name, first, slots.labels()[FIRST_SLOT:])
            found.append(column)
            first += column.slot_count
        return found

    def slots(self, name: str, start: int, stop: int) -> npt.NDArray[np.int32]:
        """The slots of rows."""
        return self._places[name][self._codes[name][start:stop]]

    def rows(self, start: int, stop: int) -> pa.Table:
        """The rows themselves, mapped."""
        return self._table.slice(start, stop - start)


def _block(spool: _Spool, layout: Layout, unit: str, start: int, stop: int) -> Iterator[Write]:
    """What a block has: the vectors of all slots that occur in it, and its rows, chunk by chunk, column by column."""
    # A block without rows, or whose rows are not kept, is a unit all the same.
    yield Write(unit, -(1 << 61), b"", False)
    for column in layout.columns:
        for slot, vector in _bitmaps(spool.slots(column.name, start, stop), stop - start):
            yield Write(unit, column.first + slot, vector.serialize(), False)
    if layout.chunk_rows:
        counted_from = 0 if layout.is_dynamic else start
        for first in range(start, stop, layout.chunk_rows):
            rows = spool.rows(first, min(first + layout.chunk_rows, stop))
            chunk = (first - counted_from) // layout.chunk_rows
            for number in range(len(layout.schema)):
                yield Write(unit, layout.chunk_vector(chunk, number), _column_bytes(rows.column(number)), False)


def _vectors(spool: _Spool, layout: Layout) -> Iterator[Write]:
    for column in layout.columns:
        found = dict(_bitmaps(spool.slots(column.name, 0, spool.row_count), spool.row_count))
        none = Bitmap.none(spool.row_count, "auto")
        for slot in range(column.slot_count):
            number = column.first + slot
            yield Write(f"{layout.prefix}/{number}", number, found.get(slot, none).serialize(), True)


def _bitmaps(slots: npt.NDArray[np.int32], row_count: int) -> Iterator[tuple[int, Bitmap]]:
    """The rows of each slot that occurs."""
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    for first, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(ordered)], strict=True):
        yield int(ordered[first]), Bitmap.from_positions(order[first:stop].astype(np.uint64), row_count, "auto")


def _batches(writes: Iterator[Write]) -> Iterator[list[Write]]:
    """Puts of a size that travels well."""
    batch: list[Write] = []
    size = 0
    for write in writes:
        if batch and size + len(write.value) > _PUT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += len(write.value) + 64
    if batch:
        yield batch


def _column_bytes(column: pa.ChunkedArray) -> bytes:
    batch = pa.RecordBatch.from_arrays([column.combine_chunks()], ["values"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_IPC) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _reader(source: Any) -> pa.RecordBatchReader:
    if isinstance(source, dict):
        source = pa.table(source)
    if not hasattr(source, "__arrow_c_stream__"):
        raise InputError(f"a {type(source).__name__} has no Arrow stream; read it first: esker.read(...)")
    return pa.RecordBatchReader.from_stream(source)
