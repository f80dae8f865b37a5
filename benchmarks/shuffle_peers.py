"""The shuffle beside its peers: rows of 16 bytes, and rows with a text of about 100 bytes, into 256 partitions.

Every case leaves its rows in 256 partitions by key. Peers are handed the partition number as a column, so that none of
them pays for a hash; Esker hashes the key. memcpy of the same bytes with the same threads is the reference.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.case import Case, Digest, Setting, Workload
from esker.core.seeded import generator

PARTITIONS = 256
KEYS = 64 * PARTITIONS
CHUNK_ROWS = 1 << 20
TEXT_BYTES = (60, 124)

_HERE = "benchmarks.shuffle_peers"
_CASES = (
    Case("memcpy", f"{_HERE}:prepare_memcpy", "copies the columns once, into memory already in use", busy=True),
    Case(
        "esker",
        f"{_HERE}:prepare_esker",
        "hash of the key; rows copied into pages of fresh memory, in order",
        busy=True,
    ),
    Case(
        "pyarrow take", f"{_HERE}:prepare_pyarrow", "stable sort of the partition numbers, take, 256 slices; one thread"
    ),
    Case(
        "polars partition_by",
        f"{_HERE}:prepare_polars",
        "256 frames by partition number; texts shared, not copied",
        ("polars",),
    ),
    Case(
        "duckdb copy",
        f"{_HERE}:prepare_duckdb",
        "COPY ... PARTITION_BY to uncompressed Parquet in a temporary folder",
        ("duckdb",),
    ),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give both widths: `rows` of 16 bytes, and a quarter as many with a text."""
    for name, row_count, write in (("16 bytes", rows, write_numbers), ("100 bytes", rows // 4, write_texts)):
        yield Workload(
            name=f"shuffle {name}",
            title=f"shuffle: {row_count:,} rows of {name} into {PARTITIONS} partitions, {threads} threads",
            generate=partial(write, rows=row_count),
            cases=_CASES,
            reference="memcpy",
            digest=f"{_HERE}:digest",
            memory_bytes=memory_bytes,
            threads=threads,
            facts={"rows": row_count, "partitions": PARTITIONS, "keys": KEYS},
        )


def write_numbers(folder: Path, rows: int) -> None:
    """Write `key` and `value`, both int64, and the partition number the peers are handed."""
    chance = generator(1)
    _write(folder, rows, lambda count: pa.array(chance.integers(0, 2**62, count)))


def write_texts(folder: Path, rows: int) -> None:
    """Write `key`, int64, and `value`, a text of 60 to 123 letters."""
    chance = generator(2)

    def texts(count: int) -> pa.Array:
        sizes = chance.integers(*TEXT_BYTES, count)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        letters = chance.integers(97, 123, int(offsets[-1]), dtype=np.uint8)
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))

    _write(folder, rows, texts)


def _write(folder: Path, rows: int, values: Callable[[int], pa.Array]) -> None:
    chance = generator(3)
    schema = pa.schema({"key": pa.int64(), "value": values(1).type, "partition": pa.int16()})
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for begin in range(0, rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, rows - begin)
            keys = chance.integers(0, KEYS, count)
            writer.write_batch(
                pa.record_batch([keys, values(count), (keys % PARTITIONS).astype(np.int16)], schema=schema)
            )


def _read(folder: Path) -> pa.Table:
    with pa.OSFile(str(folder / "rows.arrow"), "rb") as source:
        return pa.ipc.open_file(source).read_all()


def prepare_memcpy(setting: Setting) -> Callable[[], Any]:
    """Copy the bytes of `key` and `value`, split evenly among the threads."""
    table = _read(setting.data).select(["key", "value"])
    sources = [np.frombuffer(buffer, np.uint8) for buffer in _buffers(table)]
    targets = [np.zeros_like(source) for source in sources]

    def copy(part: int) -> None:
        for source, target in zip(sources, targets, strict=True):
            bounds = np.linspace(0, len(source), setting.threads + 1).astype(int)
            np.copyto(target[bounds[part] : bounds[part + 1]], source[bounds[part] : bounds[part + 1]])

    pool = ThreadPoolExecutor(setting.threads)

    def run() -> list[pa.Table]:
        list(pool.map(copy, range(setting.threads)))
        return [table]

    return run


def _buffers(table: pa.Table) -> Iterator[pa.Buffer]:
    for column in table.columns:
        for chunk in column.chunks:
            yield from (buffer for buffer in chunk.buffers() if buffer is not None)


def prepare_esker(setting: Setting) -> Callable[[], Any]:
    """Partition by the key's hash; the input has the same two columns as memcpy's."""
    from esker.shuffle.partition import partition

    table = _read(setting.data).select(["key", "value"])
    return lambda: partition(table, "key", PARTITIONS, threads=setting.threads)


def prepare_pyarrow(setting: Setting) -> Callable[[], Any]:
    """Sort the partition numbers, take the rows in that order, cut where the number changes."""
    pa.set_cpu_count(setting.threads)
    table = _read(setting.data)

    def run() -> list[pa.Table]:
        numbers = table["partition"].to_numpy()
        # numpy sorts 16-bit integers by radix: far faster here than pyarrow's own sort_indices.
        taken = table.select(["key", "value"]).take(pa.array(np.argsort(numbers, kind="stable")))
        bounds = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=PARTITIONS))])
        return [taken.slice(bounds[part], bounds[part + 1] - bounds[part]) for part in range(PARTITIONS)]

    return run


def prepare_polars(setting: Setting) -> Callable[[], Any]:
    """Let Polars make one frame a partition."""
    import os

    os.environ["POLARS_MAX_THREADS"] = str(setting.threads)
    import polars

    frame = polars.from_arrow(_read(setting.data))
    assert isinstance(frame, polars.DataFrame)
    return lambda: frame.partition_by("partition", include_key=False, maintain_order=True)


def prepare_duckdb(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB write one folder of Parquet a partition; from its own table, so that no Arrow is converted."""
    import duckdb

    connection = duckdb.connect(config={"threads": setting.threads, "preserve_insertion_order": False})
    connection.register("rows", _read(setting.data))
    connection.execute("CREATE TABLE stored AS SELECT * FROM rows")
    connection.unregister("rows")
    folder = Path(tempfile.mkdtemp(prefix="written-", dir=setting.data)) / "out"

    def run() -> list[Path]:
        shutil.rmtree(folder, ignore_errors=True)
        connection.execute(
            f"COPY stored TO '{folder}' (FORMAT parquet, COMPRESSION uncompressed, PARTITION_BY (partition), OVERWRITE)"
        )
        return sorted(folder.iterdir())

    return run


def digest(result: Iterable[Any], data: Path) -> Digest:
    """Count rows, sum them up whatever their order, and count keys that lie in more than one partition."""
    owner = np.full(KEYS, -1)
    total_rows, checksum, misplaced = 0, 0, 0
    for number, partition in enumerate(result):
        table = _table(partition)
        keys = np.unique(table["key"].to_numpy())
        misplaced += int(np.count_nonzero(owner[keys] != -1))
        owner[keys] = number
        total_rows += table.num_rows
        for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
            checksum = (checksum + int(_row_sums(batch).sum(dtype=np.uint64))) % 2**64
    return {"rows": total_rows, "checksum": checksum, "misplaced_keys": misplaced}


def _table(partition: Any) -> pa.Table:
    if isinstance(partition, Path):
        import pyarrow.dataset

        partition = pyarrow.dataset.dataset(partition, format="parquet").to_table(["key", "value"])
    table = pa.table(partition)
    value = table["value"]
    return table if value.type == pa.int64() else table.set_column(1, "value", value.cast(pa.large_string()))


def _row_sums(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    keys, values = batch["key"], batch["value"]
    value_sums = values.to_numpy().astype(np.uint64) if values.type == pa.int64() else _text_sums(values)
    return mix(mix(keys.to_numpy().astype(np.uint64)) ^ value_sums)


def _text_sums(values: pa.Array) -> npt.NDArray[np.uint64]:
    """Take the first and last eight bytes and the length: texts of 60 letters and more differ there."""
    sizes = pc.binary_length(values).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    offsets = np.frombuffer(values.buffers()[1], np.int64, count=len(values) + 1, offset=8 * values.offset)
    letters = np.frombuffer(values.buffers()[2], np.uint8)
    begins = offsets[0] + ends - sizes
    words = np.lib.stride_tricks.sliding_window_view(letters, 8)
    first = words[begins].copy().view(np.uint64).ravel()
    last = words[begins + sizes - 8].copy().view(np.uint64).ravel()
    sums: npt.NDArray[np.uint64] = mix(first) ^ last ^ sizes.astype(np.uint64)
    return sums


def mix(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread every bit over the word (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
