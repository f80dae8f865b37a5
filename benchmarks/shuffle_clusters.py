"""The shuffle by engines that take seconds or bring processes of their own: Dask, PySpark, Ray Data, Daft.

They are imported in the peers' interpreter, which has no Esker: nothing of it may be used here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import dask_workers, ray_data
from benchmarks.case import Setting
from benchmarks.shuffle_rows import PARTITIONS, Written, fresh_folders, read_rows

HEAP = "2g"
OBJECT_STORE_BYTES = 3 << 30
# A piece of the input: what engines made for many small tasks like to start from.
INPUT_ROWS = 1 << 20


def _dask_frame(setting: Setting) -> Any:
    """Give Dask's dataframe of the rows, in pieces of a million, in memory as pandas frames with Arrow's texts."""
    import dask
    import dask.dataframe
    import pandas

    # Its files go where the data lies: to memory.
    dask.config.set(temporary_directory=str(setting.data))
    rows = read_rows(setting, words=True)
    texts = {pa.large_string(): pandas.ArrowDtype(pa.large_string()), pa.string(): pandas.ArrowDtype(pa.string())}
    frame = rows.to_pandas(types_mapper=texts.get)
    return dask.dataframe.from_pandas(frame, npartitions=max(1, rows.num_rows // INPUT_ROWS), sort=False)


def _finished(parts: Iterator[Any]) -> Iterator[pa.Table]:
    """Turn pandas frames into Arrow when they are checked."""
    for part in parts:
        yield pa.Table.from_pandas(part, preserve_index=False)


def prepare_dask_tasks(setting: Setting) -> Callable[[], Any]:
    """Let Dask shuffle by the key in stages of tasks, in threads."""
    return _dask_in_threads(setting, "tasks")


def prepare_dask_disk(setting: Setting) -> Callable[[], Any]:
    """Let Dask shuffle by the key through partd, in threads."""
    return _dask_in_threads(setting, "disk")


def _dask_in_threads(setting: Setting, method: str) -> Callable[[], Any]:
    import dask

    frame = _dask_frame(setting)

    def run() -> Iterator[pa.Table]:
        shuffled = frame.shuffle("key", npartitions=PARTITIONS, shuffle_method=method)
        parts = dask.compute(*shuffled.to_delayed(), scheduler="threads", num_workers=setting.threads)
        return _finished(iter(parts))

    return run


def prepare_dask_p2p(setting: Setting) -> Callable[[], Any]:
    """Let two worker processes of Dask shuffle by the key, peer to peer."""
    import dask.distributed

    frame = _dask_frame(setting)
    client = dask_workers.start(setting.threads, setting.data)
    # Where the rows lie before the clock starts: in the workers.
    frame = client.persist(frame)
    dask.distributed.wait(frame)

    def run() -> Iterator[pa.Table]:
        shuffled = client.persist(frame.shuffle("key", npartitions=PARTITIONS, shuffle_method="p2p"))
        dask.distributed.wait(shuffled)
        return _finished(client.compute(part).result() for part in shuffled.to_delayed())

    return run


def prepare_dask_bag(setting: Setting) -> Callable[[], Any]:
    """Let Dask's bag group tuples by the partition number, in stages of tasks, in threads."""
    import dask.bag

    rows = read_rows(setting, numbered=True, words=True)
    names = rows.column_names
    place = names.index("partition")
    tuples = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    bag = dask.bag.from_sequence(tuples, npartitions=16)

    def run() -> Iterator[pa.Table]:
        groups = bag.groupby(lambda row: row[place], shuffle="tasks", npartitions=PARTITIONS)
        found = groups.compute(scheduler="threads", num_workers=setting.threads)
        return (pa.Table.from_arrays([*map(_as, zip(*group, strict=True), rows.schema)], names) for _, group in found)

    def _as(values: Any, field: pa.Field) -> pa.Array:
        return pa.array(values, field.type)

    return run


def prepare_pyspark(setting: Setting) -> Callable[[], Any]:
    """Let Spark repartition by the key from a Parquet file, and count the rows into its noop sink."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    from pyspark.sql import SparkSession

    folder = tempfile.mkdtemp(prefix="spark-", dir=setting.data)
    path = f"{folder}/rows.parquet"
    pq.write_table(_signed(read_rows(setting, words=True)), path, compression="none", row_group_size=INPUT_ROWS)
    # The limit is of both processes together: what only wrote the file is given back.
    pa.default_memory_pool().release_unused()
    options = {
        "spark.driver.memory": HEAP,
        "spark.local.dir": folder,
        "spark.sql.adaptive.enabled": "false",  # it would merge the 256 partitions again
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local[{setting.threads}]")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    frame = session.read.parquet(path).repartition(PARTITIONS, "key")

    def run() -> Iterator[pa.Table]:
        frame.write.format("noop").mode("overwrite").save()
        return partitions()

    def partitions() -> Iterator[pa.Table]:
        # One task a partition, one file a task.
        written = Path(folder, "partitions")
        frame.write.mode("overwrite").parquet(str(written))
        yield from map(pq.read_table, sorted(written.glob("part-*.parquet")))

    return run


def _signed(rows: pa.Table) -> pa.Table:
    """See uint32 columns as int32: Spark has no unsigned integers and would make twice as wide ones of them."""
    fields = [pa.field(field.name, pa.int32() if field.type == pa.uint32() else field.type) for field in rows.schema]
    batches = [
        pa.record_batch(
            [column.view(field.type) for column, field in zip(batch.columns, fields, strict=True)],
            names=rows.column_names,
        )
        for batch in rows.to_batches()
    ]
    return pa.Table.from_batches(batches)


def prepare_ray(setting: Setting) -> Callable[[], Any]:
    """Let Ray Data shuffle by the key's hash, from blocks in its object store to blocks in its object store."""
    ray = ray_data.start(setting.threads, OBJECT_STORE_BYTES, setting.data / "ray")
    rows = read_rows(setting)
    blocks = [pa.Table.from_batches([batch]) for batch in rows.to_batches(max_chunksize=INPUT_ROWS)]
    dataset = ray.data.from_arrow(blocks).materialize()

    def run() -> Iterator[pa.Table]:
        shuffled = dataset.repartition(PARTITIONS, keys=["key"]).materialize()
        return (table for reference in shuffled.to_arrow_refs() if (table := ray.get(reference)).num_rows)

    return run


def prepare_daft(setting: Setting) -> Callable[[], Any]:
    """Let Daft write one folder of Parquet a partition."""
    os.environ["DAFT_PROGRESS_BAR"] = "0"
    import daft

    daft.set_runner_native(num_threads=setting.threads)
    frame = daft.from_arrow(read_rows(setting, numbered=True, words=True))
    folders = fresh_folders(setting, "daft")

    def run() -> Written:
        written = Written(folders(), "parquet")
        frame.write_parquet(str(written.folder), compression="none", partition_cols=["partition"])
        return written

    return run
