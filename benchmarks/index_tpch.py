"""Rows of selective queries on TPC-H lineitem: Esker's index against scans of Parquet, a DuckDB table and Lance.

    python -m benchmarks.index_tpch prepare FOLDER [--rows 6001215]   writes the files and builds every index
    python -m benchmarks.index_tpch run FOLDER [--rounds 7]           times the queries, rows included
    python -m benchmarks.index_tpch build FOLDER [--only balanced]    builds again, each in a process that is measured

The rows are generated from a seed with the value distributions of dbgen (specification 4.2.3), in the order of
l_orderkey, so that no other column is sorted. All contestants run in this process, on the same data, in turn within
each round; a figure is the median over the rounds of peer / Esker in the same round. Every result's rows are compared.
"opened anew" opens the index for every query, so that nothing is planned or read before.

`build` counts the time from the Parquet file to an index that answers, rows written and synced, and the most anonymous
memory of the process over an idle interpreter.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import esker
from benchmarks.machine import describe_machine
from esker.testing.peak_memory import run_measured

COLUMNS = ["l_orderkey", "l_extendedprice", "l_comment"]
INDEXED = ["l_shipdate", "l_suppkey", "l_quantity", "l_discount", "l_shipmode"]
PROFILES = ("speed", "balanced", "size")
BATCH = 1 << 19
DAY = np.datetime64("1992-01-02")
QUERIES = {
    "year, 3 discounts, qty < 24": "l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'"
    " AND l_discount IN (0.05, 0.06, 0.07) AND l_quantity < 24",
    "week, 2 modes, 6 quantities, 1 discount": "l_shipdate >= DATE '1995-03-06' AND l_shipdate < DATE '1995-03-13'"
    " AND l_shipmode IN ('AIR', 'RAIL') AND l_quantity IN (3, 9, 17, 25, 33, 41) AND l_discount = 0.04",
    "month, 10 suppliers": "l_shipdate >= DATE '1996-05-01' AND l_shipdate < DATE '1996-06-01'"
    " AND l_suppkey IN (11, 222, 1333, 2444, 3555, 4666, 5777, 6888, 7999, 9000)",
    "1 supplier, 1 discount": "l_suppkey = 4711 AND l_discount = 0.03",
    "day, 1 mode, 1 quantity": "l_shipdate = DATE '1997-02-14' AND l_shipmode = 'SHIP' AND l_quantity = 30",
    "qty <= 25 (half the rows)": "l_quantity <= 25",
}
_WORDS = [
    "furiously", "carefully", "quickly", "deposits", "requests", "packages", "accounts", "instructions", "foxes",
    "ideas", "theodolites", "pending", "final", "regular", "express", "special", "bold", "even", "silent", "ironic",
    "sleep", "haggle", "nag", "wake", "boost", "cajole", "along", "above", "according to", "the",
]  # fmt: skip


def lineitem(first: int, count: int, chance: np.random.Generator) -> pa.RecordBatch:
    """Rows `first` on; values as dbgen draws them, order keys sparse as its are."""
    cents = pa.decimal128(15, 2)

    def money(values: np.ndarray) -> pa.Array:
        words = np.zeros((len(values), 2), np.int64)
        words[:, 0] = values
        return pa.Array.from_buffers(cents, len(values), [None, pa.py_buffer(words.tobytes())])

    quantity = chance.integers(1, 51, count)
    part = chance.integers(1, 200_001, count)
    ship = chance.integers(0, 2_526, count)

    def pick(words: list[str]) -> pa.Array:
        codes = pa.array(chance.integers(0, len(words), count), pa.int8())
        return pa.DictionaryArray.from_arrays(codes, pa.array(words)).cast(pa.string())

    def dates(days: np.ndarray) -> pa.Array:
        return pa.array((DAY + days).astype("datetime64[D]"))

    order = np.arange(first, first + count) // 4
    comment = pc.binary_join_element_wise(pick(_WORDS), pick(_WORDS), pick(_WORDS), " ")
    return pa.RecordBatch.from_pydict(
        {
            "l_orderkey": pa.array(order // 8 * 32 + order % 8, pa.int64()),
            "l_partkey": pa.array(part, pa.int64()),
            "l_suppkey": pa.array((part + chance.integers(0, 4, count) * 2_500) % 10_000 + 1, pa.int64()),
            "l_linenumber": pa.array(np.arange(first, first + count) % 4 + 1, pa.int32()),
            "l_quantity": money(quantity * 100),
            "l_extendedprice": money(quantity * (90_000 + part // 10 % 20_001 + 100 * (part % 1_000)) // 1),
            "l_discount": money(chance.integers(0, 11, count)),
            "l_tax": money(chance.integers(0, 9, count)),
            "l_returnflag": pick(["A", "N", "R"]),
            "l_linestatus": pick(["F", "O"]),
            "l_shipdate": dates(ship),
            "l_commitdate": dates(ship + chance.integers(-60, 61, count)),
            "l_receiptdate": dates(ship + chance.integers(1, 31, count)),
            "l_shipinstruct": pick(["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]),
            "l_shipmode": pick(["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]),
            "l_comment": comment,
        }
    )


def prepare(folder: Path, rows: int) -> None:
    """Write the Parquet file, the DuckDB table, the indices, and Lance's where it is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(1)
    parquet = folder / "lineitem.parquet"
    if not parquet.exists():
        with pq.ParquetWriter(folder / "new", lineitem(0, 1, np.random.default_rng(0)).schema) as writer:
            for first in range(0, rows, BATCH):
                batch = lineitem(first, min(BATCH, rows - first), chance)
                writer.write_batch(batch, row_group_size=114_000)
        (folder / "new").rename(parquet)
    built = {}
    for profile in PROFILES:
        target = folder / f"{profile}.index"
        if not target.exists():
            built[target.name] = _build(parquet, target, profile, "arrow")
    if not (folder / "parquet.index").exists():
        built["parquet.index"] = _build(parquet, folder / "parquet.index", "speed", "parquet")
    print(json.dumps(built, indent=2))
    import duckdb

    if not (folder / "lineitem.duckdb").exists():
        with duckdb.connect(str(folder / "lineitem.duckdb")) as connection:
            connection.execute(f"CREATE TABLE lineitem AS SELECT * FROM '{parquet}'")
    _prepare_lance(folder, parquet)


def _build(parquet: Path, target: Path, profile: str, rows: str) -> dict[str, Any]:
    began = time.perf_counter()
    with esker.build_index(esker.read_parquet(parquet), target, INDEXED, profile=profile, rows=rows) as index:
        found = index.statistics()
    sizes = {name: one["bytes"] for name, one in found["columns"].items()}
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "index_bytes": found["index_bytes"],
        "row_bytes": found["row_bytes"],
        "columns": sizes,
    }


def _prepare_lance(folder: Path, parquet: Path) -> None:
    target = folder / "lineitem.lance"
    try:
        import lance
    except ImportError:
        print("pylance is not installed: Lance is not measured")
        return
    if not target.exists():
        began = time.perf_counter()
        data = lance.write_dataset(ds.dataset(parquet).scanner().to_reader(), str(target))
        for column in INDEXED:
            data.create_scalar_index(column, index_type="BITMAP")
        print(f"lance: written and indexed in {time.perf_counter() - began:.2f} s")


Contestant = Callable[[str], pa.Table]


def contestants(folder: Path) -> dict[str, Contestant]:
    """Everyone who gives the rows of a predicate, opened."""
    import duckdb
    import polars as pl

    parquet = folder / "lineitem.parquet"
    found: dict[str, Contestant] = {}
    for name in (*PROFILES, "parquet"):
        index = esker.open_index(folder / f"{name}.index")
        shown = "esker, 8,192-row-group Parquet" if name == "parquet" else f"esker, {name}"
        found[shown] = partial(index.find, columns=COLUMNS)
    found["esker, speed, opened anew"] = partial(_anew, folder / "speed.index")
    names = ", ".join(COLUMNS)
    files = duckdb.connect()
    found["DuckDB, Parquet"] = lambda predicate: files.execute(
        f"SELECT {names} FROM '{parquet}' WHERE {predicate}"
    ).to_arrow_table()
    table = duckdb.connect(str(folder / "lineitem.duckdb"), read_only=True)
    found["DuckDB, table"] = lambda predicate: table.execute(
        f"SELECT {names} FROM lineitem WHERE {predicate}"
    ).to_arrow_table()
    found["Polars, Parquet"] = lambda predicate: (
        pl.scan_parquet(parquet).filter(pl.sql_expr(predicate)).select(COLUMNS).collect().to_arrow()
    )
    dataset = ds.dataset(parquet)
    found["pyarrow, Parquet"] = lambda predicate: dataset.to_table(columns=COLUMNS, filter=_pyarrow(predicate))
    try:
        import lance

        lanced = lance.dataset(str(folder / "lineitem.lance"))
        found["Lance, bitmap indices"] = lambda predicate: lanced.to_table(columns=COLUMNS, filter=_lance(predicate))
    except (ImportError, ValueError):
        pass
    return found


def _anew(path: Path, predicate: str) -> pa.Table:
    with esker.open_index(path) as index:
        return index.find(predicate, columns=COLUMNS)


def build_one(folder: Path, name: str, target: Path) -> int:
    """Build one contestant's index of the Parquet file at `target`; gives the bytes it takes, rows included."""
    parquet = folder / "lineitem.parquet"
    if name == "Lance":
        import lance

        data = lance.write_dataset(ds.dataset(parquet).scanner().to_reader(), str(target))
        for column in INDEXED:
            data.create_scalar_index(column, index_type="BITMAP")
    else:
        profile, _, rows = name.partition(", ")
        esker.build_index(esker.read_parquet(parquet), target, INDEXED, profile=profile, rows=rows).close()
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


_BUILD = """
import sys, time
from pathlib import Path
from benchmarks.index_tpch import build_one
began = time.perf_counter()
size = build_one(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
print(time.perf_counter() - began, size)
"""


def build(folder: Path, only: str) -> None:
    """Build every index again in a process of its own; print seconds, peak memory and bytes."""
    print(json.dumps(describe_machine(), indent=2, default=str))
    for name in (*(f"{profile}, arrow" for profile in PROFILES), "balanced, parquet", "Lance"):
        if only not in name:
            continue
        target = folder / "built"
        shutil.rmtree(target, ignore_errors=True)
        found = run_measured(_BUILD, [str(folder), name, str(target)], timeout_seconds=1_800)
        shutil.rmtree(target, ignore_errors=True)
        if found.returncode:
            print(f"  {name}: not measured: {found.stderr.strip().splitlines()[-1]}")
            continue
        seconds, size = (float(word) for word in found.stdout.split())
        print(f"  {name:18} {seconds:7.1f} s   {found.over_idle_bytes / 2**20:6.0f} MiB   {size / 1e6:6.0f} MB")


def _pyarrow(predicate: str) -> Any:
    """The same predicate in pyarrow's words."""
    from decimal import Decimal

    from esker.expression import And, Column, Compare, InList, parse

    def value(literal: Any, column: str) -> Any:
        plain = literal.value.as_py()
        return Decimal(str(plain)) if column in ("l_quantity", "l_discount") else plain

    def read(node: Any) -> Any:
        if isinstance(node, And):
            parts = [read(part) for part in node.parts]
            joined = parts[0]
            for part in parts[1:]:
                joined = joined & part
            return joined
        if isinstance(node, InList):
            assert isinstance(node.part, Column), "IN on a column"
            name = node.part.name
            type_ = pa.decimal128(15, 2) if name in ("l_quantity", "l_discount") else None
            return pc.field(name).isin(pa.array([value(one, name) for one in node.values], type_))
        assert isinstance(node, Compare) and isinstance(node.left, Column), "a comparison of a column"
        left, right = pc.field(node.left.name), value(node.right, node.left.name)
        if isinstance(right, Decimal):
            right = pa.scalar(right, pa.decimal128(15, 2))
        return {"=": left == right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
            node.op
        ]

    return read(parse(predicate))


def _lance(predicate: str) -> str:
    """Lance takes no 0.05 for a decimal, and its index only what it can fold into one."""
    return re.sub(r"\b0\.\d\d\b", lambda number: f"arrow_cast('{number[0]}', 'Decimal128(15, 2)')", predicate)


def run(folder: Path, rounds: int, only: str) -> None:
    """Time every query in every round; print medians of ratios."""
    found = contestants(folder)
    reference = "esker, speed"
    print(json.dumps(describe_machine(), indent=2, default=str))
    for query, predicate in QUERIES.items():
        if only and only not in query:
            continue
        seconds: dict[str, list[float]] = {name: [] for name in found}
        rows: dict[str, int] = {}
        for number in range(rounds + 1):
            for name, contestant in found.items():
                began = time.perf_counter()
                table = contestant(predicate)
                if number:  # the first round warms up
                    seconds[name].append(time.perf_counter() - began)
                rows[name] = len(table)
        wrong = {name: count for name, count in rows.items() if count != rows[reference]}
        assert not wrong, f"{query}: {rows}"
        print(f"\n{query}: {rows[reference]:,} rows")
        for name, times in seconds.items():
            ratios = [one / base for one, base in zip(times, seconds[reference], strict=True)]
            print(
                f"  {name:32} {1000 * statistics.median(times):9.2f} ms   {statistics.median(ratios):8.2f} x of"
                f" {reference}"
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["prepare", "run", "build"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=6_001_215)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="of build: only indices with this text in their name")
    parser.add_argument("--query", default="", help="only queries with this text in their name")
    given = parser.parse_args()
    if given.action == "prepare":
        prepare(given.folder, given.rows)
    elif given.action == "build":
        build(given.folder, given.only)
    else:
        run(given.folder, given.rounds, given.query)


if __name__ == "__main__":
    main()
