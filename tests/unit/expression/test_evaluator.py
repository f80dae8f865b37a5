from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from esker.errors import PredicateError, UnknownColumnError
from esker.expression import Expression, bind, evaluate, filter_batch, parse, simplify, to_sql

from .trees import answer, cases, connect


@pytest.fixture(scope="module")
def duck() -> Iterator[Any]:
    connection = connect()
    yield connection
    connection.close()


def ask(text: str, batch: pa.RecordBatch) -> list[bool | None]:
    return list(evaluate(bind(parse(text), batch.schema), batch).to_pylist())


@pytest.mark.parametrize("block", range(8))
def test_random_predicates_say_what_duckdb_says(duck: Any, block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        batch, tree = cases(seed)
        bound = bind(tree, batch.schema)
        expected = answer(duck, batch, tree)
        assert evaluate(bound, batch).to_pylist() == expected, (seed, to_sql(tree))
        assert evaluate(simplify(bound), batch).to_pylist() == expected, (seed, to_sql(simplify(bound)))
        assert filter_batch(bound, batch).num_rows == expected.count(True), seed


def test_a_predicate_written_as_sql_is_read_as_the_same() -> None:
    for seed in range(1000, 1300):
        batch, tree = cases(seed)
        bound = bind(tree, batch.schema)
        read = parse(to_sql(bound))
        assert bind(read, batch.schema) == bound, seed
        assert parse(to_sql(read)) == read, seed
        assert bind(bound, batch.schema) == bound, seed
