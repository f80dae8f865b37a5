"""The shuffle beside its peers, into 256 partitions by key; memcpy of the same bytes with the same threads is 1.

Two suites: what runs in one process and takes a second, and what brings processes of its own and takes many. Rows of
4, 16 and 100 bytes. Esker, DataFusion, Dask, PySpark and Ray hash the key; the others are handed the partition number
as a column, so that none of them pays for a hash. Every result is consumed and checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.case import Case, Workload
from benchmarks.shuffle_rows import KEYS, PARTITIONS, WIDTHS

_ENGINES = "benchmarks.shuffle_engines"
_CLUSTERS = "benchmarks.shuffle_clusters"

_MEMCPY = Case("memcpy", f"{_ENGINES}:prepare_memcpy", "copies the columns once, into memory already in use", busy=True)
_ESKER = Case(
    "esker",
    f"{_ENGINES}:prepare_esker",
    "hash of the key; rows copied into pages, in order; all partitions taken as Arrow batches, by one thread",
)
_QUICK = (
    _MEMCPY,
    _ESKER,
    Case(
        "esker views",
        f"{_ENGINES}:prepare_esker_views",
        "the same, texts given as string_view into the pages they were moved to; numbers as above",
    ),
    Case(
        "datafusion",
        f"{_ENGINES}:prepare_datafusion",
        "RepartitionExec by hash of the key, collected; kept from its optimiser by an anti-join with no rows",
        ("datafusion",),
    ),
    Case(
        "polars sink_ipc",
        f"{_ENGINES}:prepare_polars_sink_ipc",
        "streaming; writes an uncompressed Arrow file a partition to memory (tmpfs)",
        ("polars",),
    ),
    Case(
        "polars sink_parquet",
        f"{_ENGINES}:prepare_polars_sink_parquet",
        "streaming; writes an uncompressed Parquet file a partition to memory (tmpfs), numbers dictionary-encoded",
        ("polars",),
    ),
    Case(
        "polars partition_by",
        f"{_ENGINES}:prepare_polars_partition_by",
        "256 frames in memory; text is NOT moved, all frames share its heaps: no part can be sent or freed alone",
        ("polars",),
    ),
    Case(
        "pyarrow take",
        f"{_ENGINES}:prepare_pyarrow_take",
        "stable radix sort of the partition numbers, take, 256 slices; one thread",
    ),
    Case(
        "pyarrow write_dataset",
        f"{_ENGINES}:prepare_pyarrow_dataset",
        "groups each batch, takes each group, writes uncompressed Arrow files to memory (tmpfs)",
        share=4,
        rounds_max=3,
    ),
    Case(
        "duckdb copy",
        f"{_ENGINES}:prepare_duckdb_copy",
        "COPY ... PARTITION_BY to uncompressed Parquet in memory (tmpfs), from its own table",
        ("duckdb",),
    ),
    Case(
        "duckdb order by",
        f"{_ENGINES}:prepare_duckdb_order",
        "full sort by partition number into its own table in memory",
        ("duckdb",),
    ),
    Case(
        "duckdb window",
        f"{_ENGINES}:prepare_duckdb_window",
        "radix-partitions in memory for row_number() OVER (PARTITION BY ...), all rows into its own table",
        ("duckdb",),
    ),
)
_SLOW = (
    _MEMCPY,
    _ESKER,
    Case(
        "dask tasks",
        f"{_CLUSTERS}:prepare_dask_tasks",
        "dataframe shuffle in stages of tasks, threads of one process; 256 pandas frames in memory",
        ("dask", "pandas"),
        rounds_max=3,
    ),
    Case(
        "dask disk",
        f"{_CLUSTERS}:prepare_dask_disk",
        "dataframe shuffle through partd files in memory (tmpfs), threads; 256 pandas frames in memory",
        ("dask", "pandas", "partd"),
        share=4,
        rounds_max=2,
    ),
    Case(
        "dask p2p",
        f"{_CLUSTERS}:prepare_dask_p2p",
        "dataframe shuffle between two worker processes, always through files (tmpfs); 256 pandas frames",
        ("dask", "distributed", "pandas"),
        share=4,
        rounds_max=2,
    ),
    Case(
        "dask bag groupby",
        f"{_CLUSTERS}:prepare_dask_bag",
        "bag.groupby of Python tuples in stages of tasks, threads; 256 lists of tuples",
        ("dask",),
        share=100,
        rounds_max=2,
    ),
    Case(
        "pyspark",
        f"{_CLUSTERS}:prepare_pyspark",
        "repartition(256, key), local[n], from Parquet; writes and reads shuffle files (tmpfs), rows go to the noop"
        " sink; the same plan is written once more to be checked",
        ("pyspark",),
        rounds_max=3,
    ),
    Case(
        "ray data",
        f"{_CLUSTERS}:prepare_ray",
        "hash shuffle: an actor a group of partitions, blocks through the object store; 256 blocks in it",
        ("ray",),
        rounds_max=2,
    ),
    Case(
        "daft write_parquet",
        f"{_CLUSTERS}:prepare_daft",
        "partitioned write of uncompressed Parquet to memory (tmpfs); its repartition alone does nothing locally",
        ("daft",),
        rounds_max=3,
    ),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give every width beside the engines of one process; a quarter as many rows where they have a text."""
    yield from _workloads("shuffle", _QUICK, rows, threads, memory_bytes)


def slow_workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give the widths of 16 and 100 bytes beside engines that take seconds or bring processes of their own."""
    workloads = _workloads("shuffle, slow peers,", _SLOW, rows, threads, memory_bytes)
    return (workload for workload in workloads if workload.name.endswith((" 16 bytes", " 100 bytes")))


def _workloads(title: str, cases: tuple[Case, ...], rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    for width in WIDTHS:
        row_count = rows // width.rows_divisor
        yield Workload(
            name=f"{title} {width.name}",
            title=f"{title} {row_count:,} rows of {width.name} ({width.columns}), {PARTITIONS} partitions, "
            f"{threads} threads",
            generate=partial(width.write, rows=row_count),
            cases=cases,
            reference="memcpy",
            subject="esker",
            digest="benchmarks.shuffle_rows:digest",
            memory_bytes=memory_bytes,
            threads=threads,
            in_memory=True,
            facts={"rows": row_count, "partitions": PARTITIONS, "keys": KEYS, "columns": width.columns},
        )
