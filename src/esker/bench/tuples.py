"""Tuples to measure with: a 32-bit key and data of fixed or variable size, from the kernel's generator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from esker.core.seeded import generator
from esker.errors import OptionError
from esker.kernel import _kernel

KEY_BYTES = 4
# Text of 64 to 128 letters: with its key and offset 104 bytes on average, the 100-byte tuple of variable size.
TEXT_BYTES = (64, 128)
BATCH_ROWS = 1 << 18
# Rows that the generator makes at a time.
GENERATED_ROWS = 4096
SKEWED_SHARE = 0.98


@dataclass(frozen=True)
class Width:
    """How wide a tuple is: a fixed number of bytes, or None for a text of variable size."""

    name: str
    value_bytes: int | None

    @classmethod
    def of(cls, name: str) -> Width:
        """Read `4`, `16`, `100` or `var`.

        >>> Width.of("16").value_bytes, Width.of("var").value_bytes
        (12, None)
        """
        if name == "var":
            return cls(name, None)
        if not name.isdigit() or int(name) < KEY_BYTES:
            raise OptionError(f"--widths {name!r}: write bytes of a tuple, 4 at least (its key), or var")
        return cls(name, int(name) - KEY_BYTES)

    @property
    def tuple_bytes(self) -> int:
        """Bytes of a tuple as Arrow holds it, on average."""
        return KEY_BYTES + (sum(TEXT_BYTES) // 2 + 4 if self.value_bytes is None else self.value_bytes)

    @property
    def schema(self) -> pa.Schema:
        """The key, and the data if there is any."""
        fields = [pa.field("key", pa.uint32(), nullable=False)]
        if self.value_bytes != 0:
            type_ = pa.string() if self.value_bytes is None else pa.binary(self.value_bytes)
            fields.append(pa.field("data", type_, nullable=False))
        return pa.schema(fields)


@dataclass(frozen=True)
class Tuples:
    """Tuples in batches, as they would come."""

    width: Width
    whole: pa.RecordBatch

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.whole.num_rows)

    @cached_property
    def batches(self) -> list[pa.RecordBatch]:
        """Batches of some rows each."""
        return [self.whole.slice(begin, BATCH_ROWS) for begin in range(0, self.rows, BATCH_ROWS)]

    @cached_property
    def size(self) -> int:
        """Bytes that a copy of them moves."""
        return int(self.whole.nbytes)

    def skewed(self) -> Tuples:
        """The same, but 98 % of the keys are one."""
        keys = self.whole.column(0).to_numpy(zero_copy_only=False).copy()
        keys[generator(5).random(self.rows) < SKEWED_SHARE] = 7
        return Tuples(self.width, self.whole.set_column(0, self.whole.schema.field(0), pa.array(keys)))

    def placed(self, partition_count: int) -> Tuples:
        """With a last column that says the partition: one after the other, round robin."""
        partitions = pa.array(np.arange(self.rows, dtype=np.uint32) % partition_count)
        field = pa.field("partition", pa.uint32(), nullable=False)
        return Tuples(self.width, self.whole.append_column(field, partitions))


class Room:
    """Memory that tuples are generated into, again and again."""

    def __init__(self, width: Width, rows: int, seed: int = 1) -> None:
        self.width = width
        self.rows = rows
        self._seed = seed
        self._keys = np.empty(rows, np.uint32)
        self._offsets: np.ndarray[tuple[int], np.dtype[np.int32]] | None = None
        value_bytes = rows * (width.value_bytes or 0)
        if width.value_bytes is None:
            self._offsets = np.empty(rows + 1, np.int32)
            value_bytes = _kernel.generate_offsets(self._offsets, *TEXT_BYTES, seed)
        self._values = np.empty(value_bytes, np.uint8)

    @property
    def size(self) -> int:
        """Bytes of all tuples."""
        return int(self._keys.nbytes + self._values.nbytes + (0 if self._offsets is None else self._offsets.nbytes))

    def generate(self, thread_count: int = 1) -> None:
        """Make the tuples."""
        if self._offsets is not None:
            _kernel.generate_offsets(self._offsets, *TEXT_BYTES, self._seed)
        _kernel.generate_tuples(self._keys, self._values, self._offsets, self._seed, GENERATED_ROWS, thread_count)

    def tuples(self) -> Tuples:
        """What was generated, without a copy."""
        columns = [pa.array(self._keys)]
        if self.width.value_bytes != 0:
            values = pa.py_buffer(self._values)
            type_ = self.width.schema.field("data").type
            offsets = [] if self._offsets is None else [pa.py_buffer(self._offsets)]
            columns.append(pa.Array.from_buffers(type_, self.rows, [None, *offsets, values]))
        return Tuples(self.width, pa.RecordBatch.from_arrays(columns, schema=self.width.schema))


def make_tuples(width: Width, rows: int, seed: int = 1) -> Tuples:
    """Generate tuples.

    >>> make_tuples(Width.of("16"), 3).whole.num_rows
    3
    """
    room = Room(width, rows, seed)
    room.generate()
    return room.tuples()
