"""Joins of wide Parquet files on a local disk in less memory than they take: Esker against DuckDB at its own limits.

R and S have an int64 key and a text of 400 bytes, uncompressed, keys in no order; S has twice R's rows. Two workloads:

- `ten times`: each S row finds one of R, so all come out; the limit is a tenth of both files (300 MB at 2.45 million
  rows of R), the same for both.
- `wide`: 1.2 GB at a million rows of R; a tenth of S finds a partner, and it lies in 20 stretches. Esker has 200 MB
  over an idle interpreter, DuckDB 256 MB, the least at which DuckDB 2.0 does this join at all (it stops at 200 MB).

The result is streamed: each batch is reduced to counts and sums and let go. Memory is anonymous memory, sampled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.case import Case, Digest, Setting, Workload
from esker.core.seeded import generator

# Rows of R at which the limits are those of the text above.
TEN_TIMES_ROWS = 2_450_000
WIDE_ROWS = 1_000_000
TEXT_BYTES = 400
GROUP_ROWS = 1 << 17
STRETCHES = 20
# More than an interpreter holds that has imported a case's packages, and a tenth for what is sampled late.
IDLE_BYTES = 224 << 20
ALLOWANCE = 1.05

_HERE = "benchmarks.join_out_of_core"
_CASES = (
    Case("duckdb", f"{_HERE}:prepare_duckdb", "the same join by its own choice, spilling to a folder", ("duckdb",)),
    Case("esker", f"{_HERE}:prepare_esker", "join of two files, algorithm auto"),
    Case("esker asj", f"{_HERE}:prepare_esker_asj", "the same, keys first"),
    Case("esker hash", f"{_HERE}:prepare_esker_hash", "the same, divided by key"),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give both workloads; `rows` are the rows of S, and limits shrink with them, but not below what works."""
    scale = min(rows / (2 * TEN_TIMES_ROWS), 1.0)
    cells = (
        ("ten times", int(TEN_TIMES_ROWS * scale), 300_000_000, 300_000_000, "all"),
        ("wide", int(min(rows / 2, WIDE_ROWS)), 200_000_000, 256_000_000, "clustered"),
    )
    for name, left_rows, esker_limit, duckdb_limit, matches in cells:
        cell = {
            "rows": left_rows,
            "matches": matches,
            "esker": int(esker_limit * (scale if matches == "all" else 1)),
            "duckdb": int(duckdb_limit * (scale if matches == "all" else 1)),
        }
        yield Workload(
            name=f"join {name}",
            title=f"join {name}: {left_rows:,} and {2 * left_rows:,} rows of 408 bytes, Parquet, {threads} threads",
            generate=partial(_generate, cell=cell),
            cases=_CASES,
            reference="duckdb",
            digest=f"{_HERE}:digest",
            memory_bytes=int(max(esker_limit, duckdb_limit) * ALLOWANCE) + IDLE_BYTES,
            threads=threads,
            facts=cell,
        )


def _generate(folder: Path, cell: dict[str, Any]) -> None:
    rows = int(cell["rows"])
    chance = generator(3)
    right = np.arange(rows)
    left = chance.integers(0, rows, 2 * rows)
    if cell["matches"] == "clustered":
        # Keys above R's match nothing, except in some stretches of S; those that match are the last tenth of R.
        left = left + rows
        length = 2 * rows // 10 // STRETCHES
        for start in range(0, 2 * rows, 2 * rows // STRETCHES):
            left[start : start + length] = chance.integers(rows - rows // 10, rows, len(left[start : start + length]))
    else:
        right = chance.permutation(right)
    write_rows(folder / "R.parquet", right, "r")
    write_rows(folder / "S.parquet", left, "s")
    (folder / "cell.json").write_text(json.dumps(cell), encoding="ascii")


def write_rows(path: Path, keys: np.ndarray[Any, Any], name: str) -> None:
    """Write `k`, int64, and a text of 400 letters, uncompressed, without statistics of the text."""
    chance = generator(len(keys))
    schema = pa.schema({"k": pa.int64(), f"{name}_text": pa.string()})
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=["k"], write_page_index=True
    ) as writer:
        for start in range(0, len(keys), GROUP_ROWS):
            some = keys[start : start + GROUP_ROWS]
            letters = chance.integers(97, 123, TEXT_BYTES * len(some), dtype=np.uint8)
            offsets = np.arange(0, TEXT_BYTES * (len(some) + 1), TEXT_BYTES, dtype=np.int32)
            text = pa.StringArray.from_buffers(len(some), pa.py_buffer(offsets), pa.py_buffer(letters))
            writer.write_table(pa.table([pa.array(some, pa.int64()), text], schema=schema), row_group_size=GROUP_ROWS)


def _cell(setting: Setting) -> dict[str, Any]:
    cell: dict[str, Any] = json.loads((setting.data / "cell.json").read_text(encoding="ascii"))
    return cell


def prepare_esker(setting: Setting, algorithm: str = "auto") -> Callable[[], Any]:
    """Join S with R and reduce the batches as they come."""
    import esker

    limit = int(_cell(setting)["esker"])
    spill = setting.data / f"spill-esker-{os.getpid()}"
    spill.mkdir()

    def run() -> dict[str, int]:
        left, right = (
            esker.read_parquet(setting.data / f"{name}.parquet").with_options(
                memory=limit, threads=setting.threads, spill_folder=spill
            )
            for name in "SR"
        )
        return reduced(left.join(right, on="k", algorithm=algorithm))

    return run


prepare_esker_asj = partial(prepare_esker, algorithm="asj")
prepare_esker_hash = partial(prepare_esker, algorithm="hash")


def prepare_duckdb(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB join the files; a new connection each time, as the memory of one is not given back."""
    import duckdb

    spill = setting.data / f"spill-duckdb-{os.getpid()}"
    spill.mkdir()
    config = {
        "threads": setting.threads,
        "preserve_insertion_order": False,
        "temp_directory": str(spill),
        "memory_limit": f"{int(_cell(setting)['duckdb'])}B",
    }

    def run() -> dict[str, int]:
        with closing(duckdb.connect(config=config)) as connection:
            left, right = (setting.data / f"{name}.parquet" for name in "SR")
            found = connection.sql(f"SELECT k, s_text, r_text FROM '{left}' JOIN '{right}' USING (k)")
            return reduced(found.to_arrow_reader(1 << 15))

    return run


def reduced(batches: Iterable[pa.RecordBatch]) -> dict[str, int]:
    """Count rows, sum keys, and the keys times a letter of either text, whatever the order."""
    rows = total = letters = 0
    for batch in batches:
        keys = batch["k"].to_numpy()
        rows += batch.num_rows
        total = (total + int(keys.sum())) % 2**63
        for number, name in enumerate(("s_text", "r_text")):
            letters = (letters + int((keys * (number + 1) * _middle_letters(batch[name])).sum())) % 2**63
    return {"rows": rows, "keys": total, "letters": letters}


def _middle_letters(text: pa.Array) -> np.ndarray[Any, Any]:
    """A letter of each text: all of it was put there, so one tells a wrong row."""
    plain = text if pa.types.is_string(text.type) else text.cast(pa.string())
    offsets = np.frombuffer(plain.buffers()[1], np.int32, count=len(plain) + 1, offset=4 * plain.offset)
    letters = np.frombuffer(plain.buffers()[2], np.uint8)
    return letters[offsets[:-1] + TEXT_BYTES // 2].astype(np.int64)


def digest(result: dict[str, int], data: Path) -> Digest:
    """What the runs reduced their batches to."""
    return dict(result)
