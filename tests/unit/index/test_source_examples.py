"""The source's example at size, and its kind of test data: supersets by vectors, exact answers after the check."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

import esker
from esker.testing.census import AGE_BINS, SALARY_BINS, TABLE_1, census
from esker.testing.tpcc import customers

QUERY = "salary > 100000 AND age < 50"


def test_tables_1_to_3_are_answered_as_the_source_says(tmp_path):
    with esker.build_index(TABLE_1, tmp_path / "t.index", {"salary": SALARY_BINS, "age": AGE_BINS}) as index:
        table = [index.vectors(number, number).to_numpy().tolist() for number in range(8)]
        assert table == [[1], [0], [2], [], [], [0], [2], [1]]
        assert index.find("R:[2,3]&[4,6]", ["name"])["name"].to_pylist() == ["Maria"]
        assert index.find(QUERY, ["name"])["name"].to_pylist() == ["Maria"]


def test_the_bins_of_a_census_give_a_superset_and_the_check_the_answer(tmp_path):
    rows = census(30_000)
    salary, age = rows["salary"].to_numpy(), rows["age"].to_numpy()
    with esker.build_index(rows, tmp_path / "c.index", {"salary": SALARY_BINS, "age": AGE_BINS}) as index:
        superset = index.row_set("R:[2,3]&[4,6]").to_numpy()
        assert superset.tolist() == np.flatnonzero((salary > 100_000) & (age < 66)).tolist()
        exact = np.flatnonzero((salary > 100_000) & (age < 50))
        assert index.row_set(QUERY).to_numpy().tolist() == exact.tolist()
        assert 0 < len(exact) < len(superset)
        steps = index.explain(QUERY, run=True).detail["steps"]
        assert any("for sure" in step for step in steps)


@pytest.mark.parametrize("encoding", ["auto", "wah32", "bbc", "val"])
def test_range_queries_over_customers_of_tpcc_are_those_of_duckdb(tmp_path, encoding):
    rows = customers(12_000)  # DuckDB finds it by its name
    kinds = {"c_d_id": "equality", "c_credit": "equality", "c_last": "equality", "c_payment_cnt": "range"}
    predicates = [
        "c_d_id BETWEEN 2 AND 3 AND c_credit = 'BC'",
        "c_last LIKE 'BAR%' AND c_payment_cnt >= 3",
        "c_last IN ('BARBARBAR', 'PRICALLYOUGHT') OR c_discount > 0.49",
    ]
    with esker.build_index(rows, tmp_path / "c.index", kinds, encoding=encoding) as index:
        for predicate in predicates:
            ((expected,),) = duckdb.sql(f"SELECT count(*) FROM rows WHERE {predicate}").fetchall()
            assert index.count(predicate) == expected
        # Vectors v0 to v3 are the districts, v4 and v5 the credits BC and GC.
        ((expected,),) = duckdb.sql("SELECT count(*) FROM rows WHERE c_d_id IN (2, 3) AND c_credit = 'BC'").fetchall()
        assert index.count("R:[1,2]&[4,4]") == expected
