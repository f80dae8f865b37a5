"""The worked example of the distributed bitmap engine of Risner and Burdick: a census, its bins, one query."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from esker.bitmap import ranges
from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.expression import And, Column, Compare, Literal, conjuncts, evaluate
from esker.index import Bins, Index, build_index
from esker.index.segment import ReadCount
from esker.index.slots import FIRST_SLOT

# Table 1. Salary bins of Table 2 are closed above (60 < S <= 100): with whole dollars, [60001, 100001).
CENSUS = pa.RecordBatch.from_pydict(
    {
        "salary": pa.array([65_000, 25_000, 130_000], pa.int32()),
        "age": pa.array([20, 76, 42], pa.int32()),
        "city": ["Tacoma", "Spokane", "Seattle"],
        "name": ["Julia", "Tim", "Maria"],
    }
)
SPECS = {"salary": Bins([60_001, 100_001, 300_001]), "age": Bins([18, 21, 66])}


def where(column: str, op: str, value: int) -> Compare:
    return Compare(op, Column(column), Literal(pa.scalar(value, pa.int32())))


# SELECT * FROM CENSUS WHERE SALARY > 100000 AND AGE < 50
QUERY = And((where("salary", ">", 100_000), where("age", "<", 50)))


@pytest.fixture
def census_index(tmp_path):
    def build(batch: pa.RecordBatch) -> Index:
        with QueryContext() as context:
            return Index.open(tmp_path, build_index([batch], batch.num_rows, SPECS, tmp_path, context=context))

    return build


def test_the_bins_are_tables_2_and_3(census_index):
    with census_index(CENSUS) as index:
        vectors = bins_of(index)
    table = [[vector.to_numpy().tolist() for vector in vectors[first:stop]] for first, stop in ((0, 4), (4, 8))]
    assert table == [[[1], [0], [2], []], [[], [0], [2], [1]]]


def test_the_query_is_two_ranges_of_vectors_anded(census_index):
    with census_index(CENSUS) as index:
        vectors = bins_of(index)
        assert ranges(vectors, [(2, 3), (4, 6)]).to_numpy().tolist() == [2]
        answer = index.evaluate(QUERY)
    assert answer.rows.to_numpy().tolist() == [2]
    # Salary ends at an edge; 50 lies within [21, 66), so age has to be looked at.
    assert conjuncts(answer.residual) == [where("age", "<", 50)]


def test_the_bins_give_a_superset_and_the_check_the_exact_answer(census_index):
    chance = generator(2018)
    count = 50_000
    batch = pa.RecordBatch.from_pydict(
        {
            "salary": pa.array(chance.integers(5_000, 400_000, count), pa.int32()),
            "age": pa.array(chance.integers(0, 100, count), pa.int32()),
        }
    )
    salary, age = (batch.column(i).to_numpy() for i in range(2))
    with census_index(batch) as index:
        answer = index.evaluate(QUERY)
        # No row is in no bin of salary; two vectors for salary, three for age (or what is not in them).
        assert 0 < answer.vectors_read <= 5
    superset = answer.rows.to_numpy()
    assert superset.tolist() == np.flatnonzero((salary > 100_000) & (age < 66)).tolist()
    matches = evaluate(answer.residual, batch.take(pa.array(superset))).to_numpy(zero_copy_only=False)
    assert superset[matches].tolist() == np.flatnonzero((salary > 100_000) & (age < 50)).tolist()


def bins_of(index: Index) -> list:
    """Number the bins as the tables do: v0 to v3 of salary, v4 to v7 of age."""
    segments = [index.segment(column) for column in ("salary", "age")]
    return [segment.read(slot, ReadCount()) for segment in segments for slot in range(FIRST_SLOT, segment.slot_count)]
