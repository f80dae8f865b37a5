"""The rows the shuffle's cases move, in the widths figures are quoted for, and the digest their partitions come to.

Nothing here imports Esker at the top: the peers' interpreter, which has none, reads and checks these rows too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from benchmarks.case import Digest, Setting

PARTITIONS = 256
KEYS = 64 * PARTITIONS
CHUNK_ROWS = 1 << 20
FIXED_BYTES = 12
TEXT_BYTES = (64, 129)

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Width:
    """What a row is made of; `rows_divisor` makes wide rows fewer."""

    name: str
    columns: str
    rows_divisor: int
    key: pa.DataType
    values: Callable[[np.random.Generator, int], pa.Array] | None

    def write(self, folder: Path, rows: int) -> None:
        """Write `key`, `value` where the width has one, and the partition number some peers are handed."""
        from esker.core.seeded import generator

        keys_chance, chance = generator(3), generator(2)
        fields = [pa.field("key", self.key), pa.field("partition", pa.int16())]
        if self.values is not None:
            fields.insert(1, pa.field("value", self.values(chance, 1).type))
        with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, pa.schema(fields)) as writer:
            for begin in range(0, rows, CHUNK_ROWS):
                count = min(CHUNK_ROWS, rows - begin)
                keys = keys_chance.integers(0, KEYS, count)
                columns = {"key": pa.array(keys, self.key), "partition": pa.array((keys % PARTITIONS).astype(np.int16))}
                if self.values is not None:
                    columns["value"] = self.values(chance, count)
                writer.write_batch(pa.record_batch([columns[field.name] for field in fields], schema=pa.schema(fields)))


def _integers(chance: np.random.Generator, count: int) -> pa.Array:
    return pa.array(chance.integers(0, 2**62, count))


def _fixed(chance: np.random.Generator, count: int) -> pa.Array:
    return pa.Array.from_buffers(
        pa.binary(FIXED_BYTES), count, [None, pa.py_buffer(chance.integers(0, 256, FIXED_BYTES * count, np.uint8))]
    )


def _texts(chance: np.random.Generator, count: int) -> pa.Array:
    sizes = chance.integers(*TEXT_BYTES, count)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    letters = chance.integers(97, 123, int(offsets[-1]), dtype=np.uint8)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))


WIDTHS = (
    Width("16 bytes", "uint32 key + 12 fixed bytes", 1, pa.uint32(), _fixed),
    Width("100 bytes", "uint32 key + text of 64 to 128 letters", 4, pa.uint32(), _texts),
    Width("4 bytes", "uint32 key alone", 1, pa.uint32(), None),
    Width("two int64", "int64 key + int64 value", 1, pa.int64(), _integers),
)


def read_rows(setting: Setting, *, numbered: bool = False, words: bool = False) -> pa.Table:
    """Read the rows a case works on: `key` and `value`, and with `numbered` the partition number too.

    With `words` the 12 fixed bytes come as three uint32 columns, for engines that have no cheap fixed bytes.
    """
    with pa.OSFile(str(setting.data / "rows.arrow"), "rb") as source:
        rows = pa.ipc.open_file(source).read_all()
    rows = rows.slice(0, rows.num_rows // setting.share)
    if not numbered:
        rows = rows.drop_columns(["partition"])
    return _value_as_words(rows) if words else rows


def _value_as_words(rows: pa.Table) -> pa.Table:
    if "value" not in rows.column_names or not pa.types.is_fixed_size_binary(rows.schema.field("value").type):
        return rows
    batches = []
    for batch in rows.to_batches():
        words = np.frombuffer(_fixed_bytes(batch["value"]), np.uint32).reshape(-1, FIXED_BYTES // 4)
        columns = {"key": batch["key"]}
        columns |= {name: pa.array(np.ascontiguousarray(words[:, at])) for at, name in enumerate("abc")}
        if "partition" in batch.schema.names:
            columns["partition"] = batch["partition"]
        batches.append(pa.record_batch(columns))
    return pa.Table.from_batches(batches)


def _fixed_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    begin = FIXED_BYTES * values.offset
    return np.frombuffer(values.buffers()[1], np.uint8)[begin : begin + FIXED_BYTES * len(values)]


def cut_by_number(rows: pa.Table, numbers: npt.NDArray[Any]) -> Iterator[pa.Table]:
    """Yield the rows of each partition number; not timed: for results that come in one piece."""
    # numpy sorts 16-bit integers by radix: far faster here than pyarrow's own sort_indices.
    yield from cut(rows.take(pa.array(np.argsort(numbers, kind="stable"))), numbers)


def cut(sorted_rows: pa.Table, numbers: npt.NDArray[Any]) -> list[pa.Table]:
    """Slice rows that lie in the order of their partition numbers."""
    bounds = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=PARTITIONS))])
    return [sorted_rows.slice(bounds[part], bounds[part + 1] - bounds[part]) for part in range(PARTITIONS)]


@dataclass(frozen=True)
class Written:
    """A folder with one folder a partition, in a format pyarrow reads; removed once it is checked."""

    folder: Path
    format: str

    def partitions(self) -> Iterator[pa.Table]:
        """Yield each partition's rows, then remove the folder."""
        for folder in sorted(self.folder.iterdir()):
            yield pyarrow.dataset.dataset(folder, format=self.format).to_table()
        shutil.rmtree(self.folder)


def fresh_folders(setting: Setting, name: str) -> Callable[[], Path]:
    """Name another folder for each run: removing what the last one wrote is nobody's work to be timed."""
    numbers = iter(range(1 << 62))
    return lambda: setting.data / f"{name}-{next(numbers)}"


def digest(result: Written | Iterable[Any], data: Path) -> Digest:
    """Count rows and partitions, sum rows up whatever their order, and count keys in more than one partition."""
    owner = np.full(KEYS, -1)
    rows, partitions, checksum, misplaced = 0, 0, 0, 0
    for number, part in enumerate(result.partitions() if isinstance(result, Written) else result):
        table = _table(part)
        keys = np.flatnonzero(np.bincount(table["key"].to_numpy(), minlength=KEYS))
        misplaced += int(np.count_nonzero(owner[keys] != -1))
        owner[keys] = number
        rows += table.num_rows
        partitions += table.num_rows > 0
        for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
            checksum = (checksum + int(_row_sums(batch).sum(dtype=np.uint64))) % 2**64
    return {"rows": rows, "partitions": partitions, "checksum": checksum, "misplaced_keys": misplaced}


def _table(part: Any) -> pa.Table:
    if isinstance(part, list):
        part = pa.Table.from_batches(part)
    table = pa.table(part)
    unwanted = [name for name in table.column_names if name not in ("key", "value", "a", "b", "c")]
    table = table.drop_columns(unwanted)
    for at, field in enumerate(table.schema):
        if field.type in (pa.string(), pa.string_view()) or pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, table[field.name].cast(pa.large_string()))
    return _value_as_words(table)


def _row_sums(batch: pa.RecordBatch) -> Words:
    sums = mix(_words(batch["key"]))
    for name in sorted(set(batch.schema.names) - {"key"}):
        sums = mix(sums ^ _words(batch[name]))
    return sums


def _words(values: pa.Array) -> Words:
    if values.type == pa.large_string():
        return _text_sums(values)
    numbers = values.to_numpy(zero_copy_only=False)
    # Engines without unsigned integers hold the same bits as signed ones.
    unsigned: Words = numbers.view(f"u{numbers.dtype.itemsize}").astype(np.uint64)
    return unsigned


def _text_sums(values: pa.Array) -> Words:
    """Take the first and last eight bytes and the length: texts of 64 letters and more differ there."""
    sizes = pc.binary_length(values).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    offsets = np.frombuffer(values.buffers()[1], np.int64, count=len(values) + 1, offset=8 * values.offset)
    letters = np.frombuffer(values.buffers()[2], np.uint8)
    begins = offsets[0] + ends - sizes
    words = np.lib.stride_tricks.sliding_window_view(letters, 8)
    first = words[begins].copy().view(np.uint64).ravel()
    last = words[begins + sizes - 8].copy().view(np.uint64).ravel()
    sums: Words = mix(first) ^ last ^ sizes.astype(np.uint64)
    return sums


def mix(words: Words) -> Words:
    """Spread every bit over the word (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
