"""What an index in a cluster consists of: kept as a unit of the cluster itself, so that every client can read it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from esker.cluster.blocks import ALIGN_ROWS, COLUMNS_MOST, block_of, every_block, row_vector
from esker.cluster.messages import Term, Write
from esker.cluster.placement import Part, Placement
from esker.cluster.placements import PLACEMENTS
from esker.cluster.placements.dynamic import DynamicPlacement
from esker.cluster.placements.row_block import RowBlockPlacement
from esker.errors import CatalogCorruptError, InputError, OptionError
from esker.index.slots import FIRST_SLOT

LAYOUT_VERSION = 1
DOCUMENT, SCHEMA, LABELS = -1, -2, -3
"""Vectors of the unit of a layout: its JSON, its Arrow schema, and from -3 down the values of each indexed column."""

DELETED: Term = ((1 << 62, (1 << 63) - 1),)
"""Vectors of a block that are no index's: each has rows that were deleted at once. Numbers of others are below."""

NAMES_MOST = 200


@dataclass(frozen=True)
class IndexedColumn:
    """A column with a vector for each of its slots (null, NaN, values in order), numbered from `first`."""

    name: str
    first: int
    values: pa.Array

    @property
    def slot_count(self) -> int:
        """Slots there are."""
        return FIRST_SLOT + len(self.values)


@dataclass(frozen=True)
class Layout:
    """An index: its rows, how they are cut, which vectors stand for what.

    `generation` is in the name of every unit, so that an index that is built anew shares none with the one before.
    With `chunk_rows` the rows themselves are there, in chunks of so many: column c of chunk i of a block is vector
    -1 - (i * columns + c) of the block; of dynamic partitioning, esker.cluster.blocks.row_vector of the chunk's first
    row. There `block_rows` is what the index began with.
    """

    name: str
    generation: str
    placement: str
    row_count: int
    block_rows: int
    columns: tuple[IndexedColumn, ...] = ()
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    chunk_rows: int = 0

    @classmethod
    def new(
        cls, name: str, placement: str, row_count: int, block_rows: int, columns: Sequence[IndexedColumn] = (),
        schema: pa.Schema | None = None, chunk_rows: int = 0,
    ) -> Layout:  # fmt: skip
        """Make a layout with a new generation; OptionError for a name or numbers that cannot be."""
        check_name(name)
        if placement not in PLACEMENTS:
            raise OptionError(f"placement={placement!r}; there is: {', '.join(PLACEMENTS)}")
        if row_count < 0 or block_rows < 1:
            raise OptionError(f"{row_count:,} rows in blocks of {block_rows:,}: a block has at least one row")
        if placement == "dynamic":
            block_rows = -(-block_rows // ALIGN_ROWS) * ALIGN_ROWS
            if schema is not None and len(schema) > COLUMNS_MOST:
                raise OptionError(f"{len(schema):,} columns: with placement='dynamic' {COLUMNS_MOST:,} at most")
        return cls(
            name, secrets.token_hex(6), placement, row_count, block_rows, tuple(columns),
            pa.schema([]) if schema is None else schema, chunk_rows,
        )  # fmt: skip

    @property
    def unit(self) -> str:
        """The unit that the layout itself is in."""
        return layout_unit(self.name)

    @property
    def prefix(self) -> str:
        """What names of units begin with."""
        return f"{self.name}/{self.generation}"

    @property
    def deletions(self) -> str:
        """The unit that is put with every deletion: who asks for its version knows whether there was one."""
        return f"{self.prefix}/-"

    @property
    def in_blocks(self) -> bool:
        """Whether each block of rows has all vectors."""
        return self.placement != "vector"

    @property
    def is_dynamic(self) -> bool:
        """Whether blocks are divided and joined as time goes on: which there are the coordinator knows."""
        return self.placement == "dynamic"

    @cached_property
    def blocks(self) -> Placement:
        """The blocks of rows, as the index began."""
        kind = DynamicPlacement if self.is_dynamic else RowBlockPlacement
        return kind(self.prefix, self.row_count, self.block_rows)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """What to ask: the units of whole blocks; none where vectors are placed one by one."""
        if self.is_dynamic:
            return (every_block(self.prefix),)
        return tuple(part.unit for part in self.blocks.parts(0)) if self.in_blocks else ()

    @cached_property
    def starts(self) -> dict[str, int]:
        """The first row of each unit that stays."""
        return {part.unit: part.start for part in self.blocks.parts(0)} if self.units else {"": 0}

    def start_of(self, unit: str) -> int:
        """Give the first row of a unit that answered."""
        block = block_of(unit) if self.is_dynamic else None
        return self.starts[unit] if block is None else block.start

    def row_parts(self) -> list[Part]:
        """Parts of rows within which chunks are counted."""
        return [Part("", 0, self.row_count)] if self.is_dynamic else self.blocks.parts(0)

    def chunk_unit(self, part: Part, chunk: int) -> str:
        """Name what has a chunk of a part."""
        first = chunk * self.chunk_rows
        return every_block(self.prefix, first, first + 1) if self.is_dynamic else part.unit

    def chunk_vector(self, chunk: int, column: int) -> int:
        """Number a column's rows of a chunk."""
        if self.is_dynamic:
            return row_vector(chunk * self.chunk_rows, column)
        return -1 - (chunk * len(self.schema) + column)

    def column(self, name: str) -> IndexedColumn | None:
        """An indexed column, if it is one."""
        return next((column for column in self.columns if column.name == name), None)

    def ranges_of_values(self, first: int, last: int) -> tuple[tuple[int, int], ...]:
        """Turn numbers that count values alone (see esker.index.VectorNumbers) into ranges of ours."""
        if not self.columns:
            return ((first, last),)
        found, start = [], 0
        for column in self.columns:
            low, high = max(first - start, 0), min(last - start, len(column.values) - 1)
            if low <= high:
                found.append((column.first + FIRST_SLOT + low, column.first + FIRST_SLOT + high))
            start += len(column.values)
        if not 0 <= first <= last < start:
            raise InputError(f"vectors [{first},{last}] are not all there: {self.name} has v0 to v{start - 1}")
        return tuple(found)

    def writes(self) -> tuple[Write, ...]:
        """What makes this the layout of its name."""
        document = {
            "version": LAYOUT_VERSION,
            "name": self.name,
            "generation": self.generation,
            "placement": self.placement,
            "row_count": self.row_count,
            "block_rows": self.block_rows,
            "chunk_rows": self.chunk_rows,
            "columns": [{"name": column.name, "first": column.first} for column in self.columns],
        }
        values = [(DOCUMENT, json.dumps(document).encode()), (SCHEMA, self.schema.serialize().to_pybytes())]
        values += [(LABELS - number, array_bytes(column.values)) for number, column in enumerate(self.columns)]
        writes = [Write(self.unit, vector, value, True) for vector, value in values]
        if self.is_dynamic:
            # From now on all of it is there, and blocks may be divided.
            writes.append(Write(every_block(self.prefix), 0, b"", True))
        return tuple(writes)

    @classmethod
    def read(cls, values: dict[int, bytes]) -> Layout:
        """Make a layout of what its unit holds; CatalogCorruptError for what is none."""
        try:
            said = json.loads(values[DOCUMENT])
            if said["version"] != LAYOUT_VERSION:
                raise ValueError(f"version {said['version']}, written by a later Esker")
            if said["placement"] not in PLACEMENTS:
                raise ValueError(f"placement {said['placement']!r}, written by a later Esker")
            columns = tuple(
                IndexedColumn(str(column["name"]), int(column["first"]), array_of(values[LABELS - number]))
                for number, column in enumerate(said["columns"])
            )
            return cls(
                str(said["name"]), str(said["generation"]), str(said["placement"]),
                int(said["row_count"]), int(said["block_rows"]), columns,
                pa.ipc.read_schema(pa.py_buffer(values[SCHEMA])), int(said["chunk_rows"]),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
            raise CatalogCorruptError(
                f"the cluster's index is described in a way that cannot be read: {error}"
            ) from error


def layout_unit(name: str) -> str:
    """Name the unit of an index's layout."""
    return f"@{name}"


def check_name(name: str) -> None:
    """Raise OptionError for a name that an index cannot have."""
    if not name or len(name) > NAMES_MOST or not name.isprintable() or set(name) & set("/@?#"):
        raise OptionError(f"{name!r} is no name for an index: printable letters without / @ ? #, {NAMES_MOST} at most")


def array_bytes(values: pa.Array) -> bytes:
    """An Arrow array as an IPC stream."""
    batch = pa.RecordBatch.from_arrays([values], ["values"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def array_of(data: bytes) -> pa.Array:
    """Read it back, checked whole; ValueError for other bytes."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        batches = list(reader)
    if len(batches) != 1 or batches[0].num_columns != 1:
        raise ValueError("an array is one batch of one column")
    batches[0].validate(full=True)
    return batches[0].column(0)


def block_rows_for(row_count: int, nodes: int) -> int:
    """Choose how many rows a block has: as many blocks as nodes, from 2^16 to 2^22 rows, a multiple of 64.

    Fewer blocks have a query ask fewer nodes; more move in smaller pieces.

    >>> block_rows_for(4_277_806, 6), block_rows_for(100, 3)
    (713024, 65536)
    """
    return int(np.clip(-(-row_count // max(nodes, 1) // 64) * 64, 1 << 16, 1 << 22))


def describe(layout: Layout, blocks: int) -> dict[str, Any]:
    """Say what an index is, for people; it has so many blocks now."""
    return {
        "name": layout.name,
        "rows": layout.row_count,
        "placement": layout.placement,
        "blocks": blocks,
        "columns": {column.name: len(column.values) for column in layout.columns},
        "rows_stored": bool(layout.chunk_rows),
    }
