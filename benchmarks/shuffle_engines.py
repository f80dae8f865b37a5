"""The shuffle by engines that work in one process: copy, Esker, pyarrow, DataFusion, Polars, DuckDB.

Each `prepare_*` returns the function that is timed. What is returned is finished, or is cut into partitions only when
it is checked, as its sentence in the table of cases says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset

from benchmarks.case import Setting
from benchmarks.shuffle_rows import PARTITIONS, Written, cut, cut_by_number, fresh_folders, read_rows


def prepare_memcpy(setting: Setting) -> Callable[[], Any]:
    """Copy the bytes of all columns, split evenly among the threads, into memory already in use.

    They lie in one piece, as in a benchmark of memory: glibc streams past the caches only what is larger than they
    are, so chunk by chunk the same copy took 1.7 times as long, and every ratio would have looked that much better.
    """
    table = read_rows(setting)
    source = joined_bytes(table)
    target = np.ones_like(source)
    bounds = np.linspace(0, len(source), setting.threads + 1).astype(int)
    pieces = [slice(*bounds[part : part + 2]) for part in range(setting.threads)]
    pool = ThreadPoolExecutor(setting.threads)

    def run() -> Iterator[pa.Table]:
        list(pool.map(lambda piece: np.copyto(target[piece], source[piece]), pieces))
        # A generator: the copy is cut into partitions when it is checked, after the clock has stopped.
        return cut_copy(table, target)

    return run


def joined_bytes(table: pa.Table) -> npt.NDArray[np.uint8]:
    """Lay the bytes of all buffers one behind another."""
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    buffers = [np.frombuffer(buffer, np.uint8) for chunk in chunks for buffer in chunk.buffers() if buffer]
    return np.concatenate(buffers)


def cut_copy(table: pa.Table, copied: npt.NDArray[np.uint8]) -> Iterator[pa.Table]:
    """Make the table again from a copy of its joined bytes, and cut it into partitions."""
    end = 0

    def next_bytes(size: int) -> pa.Buffer:
        nonlocal end
        end += size
        return pa.py_buffer(copied[end - size : end].tobytes())

    def again(chunk: pa.Array) -> pa.Array:
        buffers = [next_bytes(buffer.size) if buffer else None for buffer in chunk.buffers()]
        return pa.Array.from_buffers(chunk.type, len(chunk), buffers, offset=chunk.offset)

    columns = [pa.chunked_array([again(chunk) for chunk in column.chunks]) for column in table.columns]
    rows = pa.table(columns, schema=table.schema)
    yield from cut_by_number(rows, (rows["key"].to_numpy() % PARTITIONS).astype(np.int16))


def prepare_esker(setting: Setting, *, views: bool = False) -> Callable[[], Any]:
    """Partition by the key's hash and take every partition's batches; the input has the same columns as memcpy's."""
    from esker.shuffle.partition import partition

    table = read_rows(setting)

    def run() -> list[list[pa.RecordBatch]]:
        parts = partition(table, "key", PARTITIONS, threads=setting.threads, views=views)
        return [list(part.batches()) for part in parts]

    return run


def prepare_esker_views(setting: Setting) -> Callable[[], Any]:
    """Do the same with texts given as views into the pages they were moved to."""
    return prepare_esker(setting, views=True)


def prepare_pyarrow_take(setting: Setting) -> Callable[[], Any]:
    """Sort the partition numbers, take the rows in that order, cut where the number changes."""
    pa.set_cpu_count(setting.threads)
    table = read_rows(setting, numbered=True)
    rows = table.drop_columns(["partition"])

    def run() -> list[pa.Table]:
        numbers = table["partition"].to_numpy()
        return cut(rows.take(pa.array(np.argsort(numbers, kind="stable"))), numbers)

    return run


def prepare_pyarrow_dataset(setting: Setting) -> Callable[[], Any]:
    """Let pyarrow write one folder of uncompressed Arrow files a partition."""
    pa.set_cpu_count(setting.threads)
    table = read_rows(setting, numbered=True)
    folders = fresh_folders(setting, "pyarrow")

    def run() -> Written:
        written = Written(folders(), "ipc")
        pyarrow.dataset.write_dataset(
            table,
            written.folder,
            format="ipc",
            partitioning=pyarrow.dataset.partitioning(pa.schema({"partition": pa.int16()}), flavor="hive"),
        )
        return written

    return run


def prepare_datafusion(setting: Setting) -> Callable[[], Any]:
    """Let DataFusion repartition both halves of the rows by the key's hash.

    `repartition_by_hash` alone is taken out by its optimiser, without a word. An anti-join with an empty table keeps
    all rows and needs them hashed into the target partitions; that the plan does so is checked here.
    """
    # Read by the runtime DataFusion starts at its first query.
    os.environ["TOKIO_WORKER_THREADS"] = str(setting.threads)
    import datafusion

    config = datafusion.SessionConfig().with_target_partitions(PARTITIONS).with_repartition_joins(True)
    for threshold in ("hash_join_single_partition_threshold", "hash_join_single_partition_threshold_rows"):
        config = config.set(f"datafusion.optimizer.{threshold}", "0")
    context = datafusion.SessionContext(config)
    batches = read_rows(setting).to_batches()
    inputs = [batches[part :: setting.threads] for part in range(setting.threads)]
    context.register_record_batches("rows", [part for part in inputs if part])
    nothing = pa.RecordBatch.from_pylist([], pa.schema([batches[0].schema.field("key")]))
    context.register_record_batches("nothing", [[nothing]])

    def query() -> Any:
        return context.sql("SELECT rows.* FROM rows LEFT ANTI JOIN nothing ON rows.key = nothing.key")

    plan = query().execution_plan()
    if f"RepartitionExec: partitioning=Hash([key@0], {PARTITIONS})" not in plan.display_indent():
        raise AssertionError(f"DataFusion plans no repartition: {plan.display_indent()}")

    def run() -> list[list[pa.RecordBatch]]:
        partitions: list[list[pa.RecordBatch]] = query().collect_partitioned()
        return [part for part in partitions if part]

    return run


def _polars_frame(setting: Setting) -> Any:
    os.environ["POLARS_MAX_THREADS"] = str(setting.threads)
    import polars

    return polars.from_arrow(read_rows(setting, numbered=True, words=True))


def prepare_polars_partition_by(setting: Setting) -> Callable[[], Any]:
    """Let Polars make one frame a partition."""
    frame = _polars_frame(setting)
    return lambda: frame.partition_by("partition", include_key=False, maintain_order=True)


def prepare_polars_sink_ipc(setting: Setting) -> Callable[[], Any]:
    """Let Polars' streaming engine write one Arrow file a partition."""
    return _polars_sink(setting, "ipc")


def prepare_polars_sink_parquet(setting: Setting) -> Callable[[], Any]:
    """Let Polars' streaming engine write one Parquet file a partition."""
    return _polars_sink(setting, "parquet")


def _polars_sink(setting: Setting, file_format: str) -> Callable[[], Any]:
    frame = _polars_frame(setting)
    import polars

    folders = fresh_folders(setting, f"polars-{file_format}")

    def run() -> Written:
        written = Written(folders(), file_format)
        target = polars.PartitionBy(written.folder, key="partition", include_key=False)
        sink = getattr(frame.lazy(), f"sink_{file_format}")
        sink(target, compression="uncompressed", mkdir=True, engine="streaming")
        return written

    return run


def _duckdb_with_rows(setting: Setting, **options: Any) -> Any:
    """Store the rows in a table of DuckDB's own, so that no Arrow is converted while the clock runs."""
    import duckdb

    connection = duckdb.connect(config={"threads": setting.threads, **options})
    connection.register("rows", read_rows(setting, numbered=True, words=True))
    connection.execute("CREATE TABLE stored AS SELECT * FROM rows")
    connection.unregister("rows")
    return connection


def prepare_duckdb_copy(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB write one folder of Parquet a partition."""
    connection = _duckdb_with_rows(setting, preserve_insertion_order=False)
    # Its default of 100 open files would have it close and open files all the time.
    connection.execute(f"SET partitioned_write_max_open_files = {PARTITIONS}")
    folders = fresh_folders(setting, "duckdb")

    def run() -> Written:
        written = Written(folders(), "parquet")
        connection.execute(
            f"COPY stored TO '{written.folder}' (FORMAT parquet, COMPRESSION uncompressed, PARTITION_BY (partition))"
        )
        return written

    return run


def prepare_duckdb_order(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB sort the rows by their partition number into a table in memory."""
    return _duckdb_table(_duckdb_with_rows(setting), "SELECT * FROM stored ORDER BY partition")


def prepare_duckdb_window(setting: Setting) -> Callable[[], Any]:
    """Let DuckDB group the rows for a window function, and keep them with their place in a table in memory."""
    query = "SELECT *, row_number() OVER (PARTITION BY partition) AS place FROM stored"
    return _duckdb_table(_duckdb_with_rows(setting), query)


def _duckdb_table(connection: Any, query: str) -> Callable[[], Any]:
    def run() -> Iterator[pa.Table]:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE regrouped AS {query}")
        return _cut_table(connection)

    return run


def _cut_table(connection: Any) -> Iterator[pa.Table]:
    rows = connection.sql("SELECT * FROM regrouped").to_arrow_table()
    connection.execute("DROP TABLE regrouped")
    yield from cut_by_number(rows, rows["partition"].to_numpy())
