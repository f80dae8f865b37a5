"""A shuffle between processes: Esker on Ray beside Ray Data and Dask's peer-to-peer shuffle, on the same cores.

Rows of about 100 bytes lie in Parquet. Each engine starts its cluster before the clock, then reads the files, sends
every row to one of 256 partitions by its key and looks at each partition where it lies; what comes back are a few
numbers a batch. Each run starts from nothing and is watched: anonymous and shared memory of all processes together.
Nothing here imports Esker at the top: the peers' interpreter has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import dask_workers, ray_data
from benchmarks.case import Case, Digest, Setting, Workload
from benchmarks.text_rows import TextRows

PARTITIONS = 256
# So that a partition has some hundred of them, and a piece of the input nearly all.
KEYS = 64 * PARTITIONS
FILES = 16
ROW_GROUP_ROWS = 1 << 17
TEXT_BYTES = (60, 101)
ROUNDS = 3
# A budget for Esker's tasks together; the others have none to set but for what their clusters are started with.
BUDGET = "128MiB"
OBJECT_STORE_BYTES = 3 << 30

LOOKED = pa.schema({"rows": pa.int64(), "keys": pa.int64(), "mixed": pa.uint64(), "letters": pa.int64()})

_HERE = "benchmarks.scale_out"
_CASES = (
    Case(
        "esker on ray",
        f"{_HERE}:prepare_esker",
        f"connect('ray'); stages as Ray tasks within memory={BUDGET} a node, pages in files of the node",
        ("ray",),
    ),
    Case(
        "esker processes",
        f"{_HERE}:prepare_esker_processes",
        f"connect('processes'): the same tasks in Esker's own worker processes, memory={BUDGET}",
    ),
    Case(
        "ray data",
        f"{_HERE}:prepare_ray_data",
        "hash shuffle of blocks in the object store by aggregator actors",
        ("ray", "pandas"),
    ),
    Case(
        "dask p2p",
        f"{_HERE}:prepare_dask",
        "two worker processes, pandas frames with Arrow's texts, peer to peer through files",
        ("dask", "distributed", "pandas"),
    ),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give one workload of `rows` rows."""
    yield Workload(
        name="scale out",
        title=f"scale-out shuffle: {rows:,} rows of about {16 + sum(TEXT_BYTES) // 2} bytes in {FILES} Parquet files "
        f"into {PARTITIONS} partitions, {threads} CPUs",
        generate=partial(write, rows=rows),
        cases=_CASES,
        reference="esker on ray",
        subject="esker on ray",
        digest=f"{_HERE}:digest",
        memory_bytes=memory_bytes,
        threads=threads,
        fresh=True,
        rounds_max=ROUNDS,
        facts={"rows": rows, "partitions": PARTITIONS, "budget": BUDGET},
    )


def write(folder: Path, rows: int) -> None:
    """Write `key`, `value` and `text` in files of equal size."""
    writer = TextRows(6, KEYS, TEXT_BYTES, ROW_GROUP_ROWS)
    for number in range(FILES):
        begin, stop = rows * number // FILES, rows * (number + 1) // FILES
        writer.write(folder / f"rows-{number:02}.parquet", stop - begin)


def look(batch: pa.RecordBatch | pa.Table) -> pa.Table:
    """See rows, distinct keys and all bytes of a batch of one partition."""
    keys, values = (np.asarray(batch[name]).astype(np.uint64) for name in ("key", "value"))
    letters = pc.sum(pc.binary_length(batch["text"])).as_py() or 0
    mixed = int((keys * values).sum(dtype=np.uint64))
    found = [[len(keys)], [len(np.unique(keys))], [mixed], [letters]]
    return pa.table([pa.array(cell, field.type) for cell, field in zip(found, LOOKED, strict=True)], schema=LOOKED)


def prepare_esker(setting: Setting) -> Callable[[], Any]:
    """Let Esker shuffle on a Ray cluster of its own."""
    os.environ.update(ray_data.QUIET)
    return _esker(setting, "ray")


def prepare_esker_processes(setting: Setting) -> Callable[[], Any]:
    """Let Esker shuffle between its own worker processes."""
    return _esker(setting, "processes")


def _esker(setting: Setting, where: str) -> Callable[[], Any]:
    import esker

    esker.connect(where, workers=setting.threads, spill_folder=setting.data)
    rows = esker.read_parquet(sorted(setting.data.glob("rows-*.parquet"))).with_options(memory=BUDGET)
    return lambda: rows.shuffle("key", PARTITIONS).map_batches(look, LOOKED).to_arrow()


def prepare_ray_data(setting: Setting) -> Callable[[], Any]:
    """Let Ray Data shuffle by the key's hash."""
    ray = ray_data.start(setting.threads, OBJECT_STORE_BYTES)
    paths = [str(path) for path in sorted(setting.data.glob("rows-*.parquet"))]

    def run() -> pa.Table:
        rows = ray.data.read_parquet(paths).repartition(PARTITIONS, keys=["key"])
        looked = rows.map_batches(look, batch_format="pyarrow", batch_size=None)
        return pa.concat_tables(ray.get(reference) for reference in looked.to_arrow_refs()).select(LOOKED.names)

    return run


def prepare_dask(setting: Setting) -> Callable[[], Any]:
    """Let worker processes of Dask shuffle by the key, peer to peer."""
    import dask.dataframe
    import pandas

    dask_workers.start(setting.threads, setting.data)
    rows = dask.dataframe.read_parquet(sorted(map(str, setting.data.glob("rows-*.parquet"))), split_row_groups=1)
    like = pandas.DataFrame({field.name: pandas.Series([], dtype=field.type.to_pandas_dtype()) for field in LOOKED})

    def run() -> pa.Table:
        shuffled = rows.shuffle("key", npartitions=PARTITIONS, shuffle_method="p2p")
        return pa.Table.from_pandas(shuffled.map_partitions(_of_frame, meta=like).compute(), preserve_index=False)

    return run


def _of_frame(frame: Any) -> Any:
    return look(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()


def digest(result: pa.Table, data: Path) -> Digest:
    """Sum up what was seen of all partitions, and say whether each batch had the keys of one partition only."""
    columns = {name: result[name].to_numpy() for name in LOOKED.names}
    sums = {name: int(columns[name].astype(np.uint64).sum(dtype=np.uint64)) for name in ("rows", "mixed", "letters")}
    # By a hash a partition gets 64 keys, give or take; a batch that was not regrouped has nearly all 16,384.
    return {**sums, "grouped": int(columns["keys"].max() < 4 * KEYS // PARTITIONS)}
