"""The join pairs of TPC-H give the rows that DuckDB gives."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import esker
from esker.testing.tpch import write_tpch

PAIRS = {
    "lineitem-orders": ("lineitem", "orders", [("l_orderkey", "o_orderkey")]),
    "orders-customer": ("orders", "customer", [("o_custkey", "c_custkey")]),
    "customer-orders": ("customer", "orders", [("c_custkey", "o_custkey")]),
    "part-partsupp": ("part", "partsupp", [("p_partkey", "ps_partkey")]),
    "lineitem-partsupp": ("lineitem", "partsupp", [("l_partkey", "ps_partkey"), ("l_suppkey", "ps_suppkey")]),
}
SUMMED = "count(*), sum(hash({columns})::HUGEINT)"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tpch")
    write_tpch(folder, 0.01)
    return folder


def by_duckdb(folder: Path, pair: str, how: str) -> Any:
    left, right, on = PAIRS[pair]
    condition = " AND ".join(f"l.{a} = r.{b}" for a, b in on)
    with closing(duckdb.connect()) as connection:
        tables = f"'{folder / left}.parquet' l {how} JOIN '{folder / right}.parquet' r ON {condition}"
        keys = {b for _, b in on}
        names = [
            f"{side}.{name}"
            for side, file in (("l", left), ("r", right))
            for (name,) in connection.sql(f"SELECT column_name FROM (DESCRIBE '{folder / file}.parquet')").fetchall()
            if name not in keys
        ]
        return connection.execute(f"SELECT {SUMMED.format(columns=', '.join(names))} FROM {tables}").fetchone()


def by_esker(folder: Path, pair: str, how: str, algorithm: str, memory: str) -> Any:
    left, right, on = PAIRS[pair]
    sides = [esker.read_parquet(folder / f"{name}.parquet").with_options(memory=memory) for name in (left, right)]
    left_on, right_on = zip(*on, strict=True)
    joined = sides[0].join(sides[1], left_on=list(left_on), right_on=list(right_on), how=how, algorithm=algorithm)
    rows = pa.RecordBatchReader.from_stream(joined)
    with closing(duckdb.connect()) as connection:
        connection.register("joined", rows)
        names = ", ".join(f'"{name}"' for name in joined.schema.names)
        return connection.execute(f"SELECT {SUMMED.format(columns=names)} FROM joined").fetchone()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("algorithm", ["auto", "asj", "hash", "sort_merge", "nested_loop", "cdt_gh", "in_memory"])
def test_pairs_at_a_hundredth(pair: str, algorithm: str, small: Path) -> None:
    assert by_esker(small, pair, "inner", algorithm, "64MiB") == by_duckdb(small, pair, "inner")


@pytest.mark.parametrize("algorithm", ["auto", "hash"])
def test_customers_without_orders_come_out_of_a_left_join(algorithm: str, small: Path) -> None:
    found = by_esker(small, "customer-orders", "left", algorithm, "64MiB")
    assert found == by_duckdb(small, "customer-orders", "left")
    assert found[0] > 15_000


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["lineitem-orders", "orders-customer", "part-partsupp"])
@pytest.mark.parametrize("scale", [1, 10])
def test_pairs_at_full_scale(pair: str, scale: int, tmp_path: Path) -> None:
    write_tpch(tmp_path, scale)
    assert by_esker(tmp_path, pair, "inner", "auto", "512MiB") == by_duckdb(tmp_path, pair, "inner")
