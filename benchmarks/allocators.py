"""What Arrow's allocators keep resident: a Parquet scan in two threads, one process an allocator.

Run it: `python -m benchmarks.allocators`. Prints peak anonymous memory over an idle interpreter and the time as a
ratio to jemalloc's; `esker.core.arrow_memory` rests on it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.byte_size import format_bytes
from esker.testing.peak_memory import run_measured

ROWS = 3_500_000
GROUP_ROWS = 1 << 17
SCAN = """
import sys, esker
data = esker.read_parquet(sys.argv[1]).with_options(memory="192MiB", threads=2)
print(sum(batch.num_rows for batch in data))
"""


def write_rows(path: Path) -> None:
    """A number and a hundred characters a row, in row groups of 15 MB."""
    random = np.random.default_rng(7)
    schema = pa.schema({"k": pa.int32(), "text": pa.string()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, ROWS, GROUP_ROWS):
            count = min(GROUP_ROWS, ROWS - start)
            text = np.char.ljust(random.integers(0, 10**9, count).astype("U9"), 96, "x")
            keys = random.integers(0, 10_000, count).astype(np.int32)
            writer.write_table(pa.table({"k": keys, "text": pa.array(text)}, schema))


def main() -> None:
    """Measure each allocator three times, in turn, and print the best of each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path)
        allocators = ["jemalloc", *(name for name in pa.supported_memory_backends() if name != "jemalloc")]
        peaks: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for _ in range(3):
            for name in allocators:
                started = time.perf_counter()
                run = run_measured(SCAN, [str(path)], {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": name})
                assert run.returncode == 0, run.stderr
                assert int(run.stdout) == ROWS
                seconds[name] = min(seconds.get(name, float("inf")), time.perf_counter() - started)
                peaks[name] = min(peaks.get(name, 1 << 62), run.over_idle_bytes)
        for name in allocators:
            print(
                f"{name:10} {format_bytes(peaks[name]):>10} over idle, {seconds[name] / seconds['jemalloc']:.2f} x time"
            )


if __name__ == "__main__":
    main()
