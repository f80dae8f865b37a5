"""Bins, exhaustively: every literal and operator around the edges, against every value a column may hold."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.expression import And, Arithmetic, Column, Compare, Literal, Not, evaluate
from esker.index import Bins, Equality, Index, build_index

INTS = [None, *range(-2, 8)]
FLOATS = [None, float("nan"), float("-inf"), -1.0, -0.0, 0.0, 0.5, 2.0, 3.0, 4.0, 5.0, float("inf")]
OPERATORS = ["=", "!=", "<", "<=", ">", ">="]


def indexed(folder, values, type_, spec):
    batch = pa.RecordBatch.from_arrays([pa.array(values, type_)], ["v"])
    with QueryContext() as context:
        infos = build_index([batch], len(values), {"v": spec}, folder, context=context)
    return batch, Index.open(folder, infos)


def rows_where(predicate, batch):
    return np.flatnonzero(evaluate(predicate, batch).fill_null(False).to_numpy(zero_copy_only=False)).tolist()


@pytest.mark.parametrize(
    ("values", "type_", "edges"),
    [(INTS, pa.int8(), [0, 2, 4]), (INTS, pa.int64(), [1]), (INTS, pa.int32(), [-2, -1, 7]),
     (FLOATS, pa.float64(), [0.0, 2.0, 4.0]), (FLOATS, pa.float32(), [float("-inf"), 0.5, float("inf")])],
)  # fmt: skip
def test_bins_keep_every_match_and_say_truly_when_nothing_is_left_to_check(tmp_path, values, type_, edges):
    batch, index = indexed(tmp_path, values, type_, Bins(edges))
    literals = [Literal(pa.scalar(value, type_)) for value in values]
    with index:
        for op, literal in itertools.product(OPERATORS, literals):
            for predicate in (
                Compare(op, Column("v"), literal),
                Compare(op, literal, Column("v")),
                Not(Compare(op, Column("v"), literal)),
            ):
                answer = index.evaluate(predicate)
                expected = rows_where(predicate, batch)
                assert set(expected) <= set(answer.rows.to_numpy().tolist()), predicate
                if answer.exact:
                    assert answer.rows.to_numpy().tolist() == expected, predicate


@pytest.mark.parametrize(
    ("op", "value", "exact"),
    [
        (">=", 4, True),
        (">", 4, False),
        (">", 3, True),
        ("<=", 3, True),
        ("<", 4, True),
        ("=", 0, False),
        ("!=", 9, False),
    ],
)
def test_an_integer_range_that_ends_at_an_edge_is_exact(tmp_path, op, value, exact):
    _, index = indexed(tmp_path, [*range(-5, 20)], pa.int32(), Bins([0, 2, 4]))
    with index:
        assert index.evaluate(Compare(op, Column("v"), Literal(pa.scalar(value, pa.int32())))).exact is exact


def test_every_number_is_below_nan(tmp_path):
    _, index = indexed(tmp_path, [1.0, float("nan"), float("inf"), None], pa.float64(), Bins([0.0, 5.0]))
    with index:
        answer = index.evaluate(Compare("<", Column("v"), Literal(pa.scalar(float("nan")))))
    assert (answer.exact, answer.rows.to_numpy().tolist()) == (True, [0, 2])


def test_a_bin_of_one_integer_decides_equality(tmp_path):
    _, index = indexed(tmp_path, [4, 5, 6, 5, None], pa.int32(), Bins([5, 6]))
    with index:
        answer = index.evaluate(Compare("=", Column("v"), Literal(pa.scalar(5, pa.int32()))))
    assert (answer.exact, answer.rows.to_numpy().tolist()) == (True, [1, 3])


def test_edges_at_the_ends_of_the_type_lose_no_row(tmp_path):
    batch, index = indexed(tmp_path, [-128, -127, 126, 127], pa.int8(), Bins([-128, 127]))
    with index:
        for op, value in itertools.product(OPERATORS, [-128, -127, 126, 127]):
            predicate = Compare(op, Column("v"), Literal(pa.scalar(value, pa.int8())))
            assert set(rows_where(predicate, batch)) <= set(index.evaluate(predicate).rows.to_numpy().tolist())


def test_a_range_on_one_column_is_one_question(tmp_path):
    _, index = indexed(tmp_path, [*range(100)], pa.int32(), Bins([10, 20, 30, 40]))
    five, thirty = (Literal(pa.scalar(value, pa.int32())) for value in (20, 30))
    with index:
        answer = index.evaluate(And((Compare(">=", Column("v"), five), Compare("<", Column("v"), thirty))))
    assert (answer.exact, answer.vectors_read, len(answer.rows)) == (True, 1, 10)


def test_an_expression_the_bins_cannot_decide_still_leaves_out_the_nulls(tmp_path):
    _, index = indexed(tmp_path, [1, None, 3, None], pa.int64(), Bins([2]))
    sum_ = Arithmetic("+", Column("v"), Literal(pa.scalar(1, pa.int64())))
    predicate = Compare("=", sum_, Literal(pa.scalar(4, pa.int64())))
    with index:
        answer = index.evaluate(predicate)
    assert answer.rows.to_numpy().tolist() == [0, 2]
    assert answer.residual == predicate


def test_an_equality_index_decides_any_expression_on_its_column(tmp_path):
    batch, index = indexed(tmp_path, [1, None, 3, 7], pa.int64(), Equality())
    rest = Arithmetic("%", Column("v"), Literal(pa.scalar(3, pa.int64())))
    predicate = Compare("=", rest, Literal(pa.scalar(1, pa.int64())))
    with index:
        answer = index.evaluate(predicate)
    assert answer.exact
    assert answer.rows.to_numpy().tolist() == rows_where(predicate, batch) == [0, 3]
