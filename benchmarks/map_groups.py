"""Any Python per group over 1, 3, 6 and 12 times the data at one memory budget: time beside Dask, Daft and Polars.

The data lies in Parquet, groups of 100 rows spread over all of it. The function is plain Python: it sorts the group's
values and goes through its texts. Each run is a process of its own that starts from nothing, and is watched: what is
asked is whether memory stays flat while the data grows. Nothing here imports Esker at the top: the peers' interpreter
has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks import dask_workers
from benchmarks.case import Case, Digest, Setting, Workload
from benchmarks.text_rows import TextRows

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.harness import Figure, Outcome

SCALES = (1, 3, 6, 12)
BUDGET = "512MiB"
# A worker of Dask that nears its limit is killed: each gets the whole budget, and as much again for what it is made of.
DASK_WORKER_BYTES = 1 << 30
GROUP_ROWS = 100
ROW_GROUP_ROWS = 1 << 16
TEXT_BYTES = (448, 577)
# So that --rows 20000000 means twelve times half a million rows of 528 bytes: six times the budget.
ROWS_DIVISOR = 40
ROUNDS = 2

RESULT = pa.schema({"key": pa.int64(), "rows": pa.int64(), "median": pa.int64(), "letters": pa.int64()})

_HERE = "benchmarks.map_groups"
_CASES = (
    Case(
        "esker", f"{_HERE}:prepare_esker", f"group_by.map_groups with memory={BUDGET}; native shuffle, spills to disk"
    ),
    Case(
        "dask",
        f"{_HERE}:prepare_dask",
        "groupby.apply on pandas frames; two worker processes of 1 GiB each, shuffled peer to peer through files",
        ("dask", "distributed", "pandas"),
    ),
    Case(
        "daft",
        f"{_HERE}:prepare_daft",
        "groupby.map_groups, native runner; no memory limit to set, nothing spilled; all result rows are taken",
        ("daft",),
    ),
    Case(
        "polars",
        f"{_HERE}:prepare_polars",
        "lazy group_by.map_groups; no memory limit to set, rows collected first, groups one after another",
        ("polars",),
    ),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give the four scales, the smallest first; `rows` over 40 are one."""
    for scale in SCALES:
        row_count = scale * max(rows // ROWS_DIVISOR, GROUP_ROWS)
        yield Workload(
            name=f"map_groups {scale}x",
            title=f"map_groups {scale}x: {row_count:,} rows of {16 + sum(TEXT_BYTES) // 2} bytes, "
            f"groups of {GROUP_ROWS}, budget {BUDGET}, {threads} threads",
            generate=partial(write, rows=row_count),
            cases=_CASES,
            reference="esker",
            subject="esker",
            digest=f"{_HERE}:digest",
            memory_bytes=memory_bytes,
            threads=threads,
            fresh=True,
            rounds_max=ROUNDS,
            facts={"rows": row_count, "scale": scale, "budget": BUDGET},
        )


def write(folder: Path, rows: int) -> None:
    """Write `key`, `value` and `text`; the rows of a group lie everywhere."""
    TextRows(5, max(1, rows // GROUP_ROWS), TEXT_BYTES, ROW_GROUP_ROWS).write(folder / "rows.parquet", rows)


def summarise(key: int, values: Sequence[int], texts: Sequence[str]) -> dict[str, int]:
    """Do the work of a group: any Python that no engine could see through.

    >>> summarise(7, [5, 1, 9], ["ab", "cd", "e"])
    {'key': 7, 'rows': 3, 'median': 5, 'letters': 6}
    """
    ordered = sorted(zip(values, texts, strict=True))
    letters = 0
    for _, text in ordered:
        letters += len(text) + text.count("a")
    return {"key": key, "rows": len(ordered), "median": ordered[len(ordered) // 2][0], "letters": letters}


def prepare_esker(setting: Setting) -> Callable[[], Any]:
    """Let Esker call the function within its budget."""
    import esker

    rows = esker.read_parquet(setting.data / "rows.parquet").with_options(memory=BUDGET, threads=setting.threads)

    def of_group(group: pa.Table) -> dict[str, int]:
        return summarise(group["key"][0].as_py(), group["value"].to_pylist(), group["text"].to_pylist())

    return lambda: rows.group_by("key").map_groups(of_group, RESULT).to_arrow()


def prepare_dask(setting: Setting) -> Callable[[], Any]:
    """Let two workers of Dask apply the function to pandas frames."""
    import dask.dataframe
    import pandas

    dask_workers.start(setting.threads, setting.data, DASK_WORKER_BYTES)
    # One piece a row group: by default it would read files of some gigabytes whole.
    rows = dask.dataframe.read_parquet(setting.data / "rows.parquet", split_row_groups=1)
    like = pandas.Series([], dtype=object, name="result")

    def run() -> pa.Table:
        results = rows.groupby("key").apply(_of_frame, meta=like).compute()
        return pa.Table.from_pylist(list(results), RESULT)

    return run


def _of_frame(frame: Any) -> dict[str, int]:
    # What groups are of is left out of them by pandas 3, but is their name.
    return summarise(int(frame.name), frame["value"].tolist(), frame["text"].tolist())


def prepare_daft(setting: Setting) -> Callable[[], Any]:
    """Let Daft call the function with series."""
    os.environ["DAFT_PROGRESS_BAR"] = "0"
    import daft

    daft.set_runner_native(num_threads=setting.threads)
    rows = daft.read_parquet(str(setting.data / "rows.parquet"))
    result = daft.DataType.struct({name: daft.DataType.int64() for name in RESULT.names})

    def of_series(keys: Any, values: Any, texts: Any) -> list[dict[str, int]]:
        return [summarise(keys.to_pylist()[0], values.to_pylist(), texts.to_pylist())]

    # Daft reads the types of arguments, and would not know these.
    of_series.__annotations__.clear()
    function = daft.func.batch(return_dtype=result)(of_series)

    def run() -> pa.Table:
        groups = rows.groupby("key").map_groups(function(rows["key"], rows["value"], rows["text"]).alias("result"))
        # Taken, not counted: a function whose results are only counted it does not call.
        found = groups.to_arrow()
        return pa.Table.from_batches(pa.RecordBatch.from_struct_array(part) for part in found["result"].chunks)

    return run


def prepare_polars(setting: Setting) -> Callable[[], Any]:
    """Let Polars call the function with frames."""
    os.environ["POLARS_MAX_THREADS"] = str(setting.threads)
    import polars

    rows = polars.scan_parquet(setting.data / "rows.parquet")

    def of_frame(frame: Any) -> Any:
        found = summarise(frame["key"][0], frame["value"].to_list(), frame["text"].to_list())
        return polars.DataFrame({name: [value] for name, value in found.items()})

    schema = dict.fromkeys(RESULT.names, polars.Int64)
    return lambda: rows.group_by("key").map_groups(of_frame, schema=schema).collect().to_arrow()


def digest(result: pa.Table, data: Path) -> Digest:
    """Count groups and keys, and sum every column up, whatever the order."""
    columns = {name: result[name].to_numpy() for name in RESULT.names}
    sums = {name: int(column.astype(np.uint64).sum()) for name, column in columns.items()}
    mixed = int((columns["key"].astype(np.uint64) * columns["median"].astype(np.uint64)).sum(dtype=np.uint64))
    return {"groups": result.num_rows, "keys": len(np.unique(columns["key"])), "mixed": mixed, **sums}


def print_scales(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print how time and memory grow with the data, engine by engine."""
    from rich.table import Table

    scales = [f"{outcome.workload.facts['scale']}x" for outcome in outcomes]
    title = "all scales\npeak anonymous MiB over the prepared process; times Esker's seconds"
    table = Table(title=title, title_justify="left")
    table.add_column("case")
    for heading in (*(f"MiB {scale}" for scale in scales), *(f"time {scale}" for scale in scales)):
        table.add_column(heading, justify="right")
    for figures in zip(*(outcome.figures for outcome in outcomes), strict=True):
        table.add_row(figures[0].case.name, *map(_peak, figures), *map(_times, figures))
    console.print(table)


def _peak(figure: Figure) -> str:
    if not figure.ratios:
        return "over limit" if figure.failure.startswith("took more") else "-"
    return f"{max(sample.anonymous_peak_bytes - sample.idle_bytes for sample in figure.samples) / 2**20:,.0f}"


def _times(figure: Figure) -> str:
    return f"{median(figure.behind):.2f}" if figure.behind else "-"
