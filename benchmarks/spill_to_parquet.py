"""Parquet in, one Parquet file a partition out, in less memory than the rows take.

20 million rows of a uint32 key and a text of 64 to 128 bytes, 2 GB, go into 256, 1024 and 4096 partitions with a limit
of 2 GiB, and into 256 and 1024 with one of 300 MB. The limit is on anonymous memory as it is sampled, 5 % more and what
an idle interpreter has are allowed; a case that takes more is stopped. With fewer rows the limits shrink as much.

DuckDB is handed the partition by an expression that costs next to nothing, Esker hashes the key. DuckDB's memory_limit
is the limit: what it was seen to take over an idle interpreter was within 1 % of that.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.case import Case, Digest, Setting, Workload
from benchmarks.shuffle_rows import mix
from esker.core.seeded import generator

ROWS = 20_000_000
ROWS_OF_A_GROUP = 1 << 17
TEXT_BYTES = (64, 129)
# Enough that each of 4096 partitions has some, few enough for a table of who owns which.
KEYS = 1 << 18
CELLS = (
    (256, 2 << 30),
    (1024, 2 << 30),
    (4096, 2 << 30),
    (256, 300_000_000),
    (1024, 300_000_000),
)
LIMIT_MIN_BYTES = 192 << 20
# More than an interpreter holds that has imported a case's packages, and what checking the result takes.
IDLE_BYTES = 128 << 20
ALLOWANCE = 1.05
BATCH_ROWS = 1 << 16

_HERE = "benchmarks.spill_to_parquet"
_CASES = (
    Case(
        "duckdb copy",
        f"{_HERE}:prepare_duckdb",
        "COPY ... PARTITION_BY (key % n) of the file; spills, order not kept, files not synced",
        ("duckdb",),
    ),
    Case(
        "esker",
        f"{_HERE}:prepare_esker",
        "shuffle(key, n).write_partitions(); spills, order kept, files synced before the folder appears",
    ),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give each cell of partitions and limit; `memory_bytes` does not count, since each has a limit of its own."""
    with tempfile.TemporaryDirectory(prefix="esker-bench-rows-") as folder:
        source = Path(folder) / "rows.parquet"
        for partitions, full_limit in CELLS:
            limit = max(LIMIT_MIN_BYTES, full_limit * rows // ROWS)
            yield Workload(
                name=f"spill {partitions} {full_limit >> 20} MiB",
                title=f"spill: {rows:,} rows of 100 bytes, Parquet to {partitions} Parquet files,"
                f" {limit / 2**20:,.0f} MiB, {threads} threads",
                generate=partial(_generate, source=source, rows=rows, partitions=partitions, limit=limit),
                cases=_CASES,
                reference="duckdb copy",
                digest=f"{_HERE}:digest",
                memory_bytes=int(limit * ALLOWANCE) + IDLE_BYTES,
                threads=threads,
                facts={"rows": rows, "partitions": partitions, "limit_bytes": limit},
            )


def _generate(folder: Path, source: Path, rows: int, partitions: int, limit: int) -> None:
    if not source.exists():
        write_rows(source, rows)
    (folder / "rows.parquet").symlink_to(source)
    (folder / "cell.json").write_text(json.dumps({"partitions": partitions, "limit": limit}), encoding="ascii")


def write_rows(path: Path, rows: int) -> None:
    """Write `key`, uint32, and `value`, a text of 64 to 128 letters, uncompressed."""
    chance = generator(4)
    schema = pa.schema({"key": pa.uint32(), "value": pa.string()})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for begin in range(0, rows, ROWS_OF_A_GROUP):
            count = min(ROWS_OF_A_GROUP, rows - begin)
            keys = pa.array(chance.integers(0, KEYS, count, dtype=np.uint32))
            writer.write_table(pa.table([keys, _texts(chance, count)], schema=schema))


def _texts(chance: np.random.Generator, count: int) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(chance.integers(*TEXT_BYTES, count))]).astype(np.int32)
    letters = chance.integers(97, 123, int(offsets[-1]), dtype=np.uint8)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))


def _cell(setting: Setting) -> tuple[int, int]:
    cell = json.loads((setting.data / "cell.json").read_text(encoding="ascii"))
    return int(cell["partitions"]), int(cell["limit"])


def prepare_esker(setting: Setting) -> Callable[[], Any]:
    """Shuffle by the key and write a file a partition."""
    import esker

    partitions, limit = _cell(setting)
    out, spill = _folders(setting, "esker")

    def run() -> list[Path]:
        shutil.rmtree(out, ignore_errors=True)
        rows = esker.read_parquet(setting.data / "rows.parquet").with_options(
            memory=limit, threads=setting.threads, spill_folder=spill
        )
        rows.shuffle("key", partitions).write_partitions(out, compression="none")
        return sorted(out.iterdir())

    return run


def prepare_duckdb(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB write a folder a partition; a new connection each time, as the memory of one is not given back."""
    import duckdb

    partitions, limit = _cell(setting)
    out, spill = _folders(setting, "duckdb")
    config = {
        "threads": setting.threads,
        "preserve_insertion_order": False,
        "temp_directory": str(spill),
        "memory_limit": f"{limit}B",
        "partitioned_write_max_open_files": partitions,
    }

    def run() -> list[Path]:
        shutil.rmtree(out, ignore_errors=True)
        with closing(duckdb.connect(config=config)) as connection:
            connection.execute(
                f"COPY (SELECT key, value, key % {partitions} AS part FROM '{setting.data / 'rows.parquet'}')"
                f" TO '{out}' (FORMAT parquet, COMPRESSION uncompressed, PARTITION_BY (part))"
            )
        return sorted(out.iterdir())

    return run


def _folders(setting: Setting, name: str) -> tuple[Path, Path]:
    spill = setting.data / f"spill-{name}-{os.getpid()}"
    spill.mkdir()
    return setting.data / f"out-{name}-{os.getpid()}", spill


def digest(result: Iterable[Path], data: Path) -> Digest:
    """Count rows, sum them up whatever their order, count keys that lie in more than one partition."""
    owner = np.full(KEYS, -1, np.int32)
    total_rows, checksum, misplaced = 0, 0, 0
    for number, partition in enumerate(result):
        for path in sorted(partition.iterdir()) if partition.is_dir() else [partition]:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=["key", "value"], use_threads=False):
                    keys = batch["key"].to_numpy()
                    misplaced += int(np.count_nonzero((owner[keys] != -1) & (owner[keys] != number)))
                    owner[keys] = number
                    total_rows += batch.num_rows
                    checksum = (checksum + row_sum(batch)) % 2**64
    return {"rows": total_rows, "checksum": checksum, "misplaced_keys": misplaced}


def row_sum(batch: pa.RecordBatch) -> int:
    """Sum the rows: their key beside the first and last letters and the length of the text."""
    values = batch["value"]
    offsets = np.frombuffer(values.buffers()[1], np.int32, count=len(values) + 1, offset=4 * values.offset)
    sizes = np.diff(offsets).astype(np.int64)
    words = np.lib.stride_tricks.sliding_window_view(np.frombuffer(values.buffers()[2], np.uint8), 8)
    first = words[offsets[:-1]].copy().view(np.uint64).ravel()
    last = words[offsets[1:] - 8].copy().view(np.uint64).ravel()
    texts = mix(first) ^ last ^ sizes.astype(np.uint64)
    return int(mix(mix(batch["key"].to_numpy().astype(np.uint64)) ^ texts).sum(dtype=np.uint64))
