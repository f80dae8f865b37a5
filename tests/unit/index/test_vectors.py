"""Numbered vectors: a dict of sets says what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.bitmap import Bitmap
from esker.core.seeded import generator
from esker.errors import InputError, PredicateError
from esker.index.vectors import VectorIndex

ROWS = 300
PUTS = st.lists(
    st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, ROWS - 1), max_size=20), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15)
@given(puts=PUTS, encoding=st.sampled_from(["auto", "wah32", "gap_run"]))
def test_the_last_put_counts_and_ranges_are_unions(tmp_path_factory, puts, encoding):
    path = tmp_path_factory.mktemp("v") / "v"
    model: dict[int, set[int]] = {}
    with VectorIndex.open(path, ROWS, encoding=encoding) as vectors:
        for put in puts:
            vectors.put_many({number: Bitmap.from_positions(sorted(rows), ROWS) for number, rows in put.items()})
            model.update(put)
        assert vectors.numbers() == sorted(model)
        assert {number: set(vectors.get(number).to_numpy().tolist()) for number in model} == model
    with VectorIndex.open(path) as vectors:
        first = min(model)
        last = first
        while last + 1 in model:
            last += 1
        united = set().union(*(model[number] for number in range(first, last + 1)))
        found = vectors.query(f"R:[{first},{last}]&[{last},{last}]")
        assert set(found.to_numpy().tolist()) == united & model[last]


def test_many_puts_leave_few_files(tmp_path):
    with VectorIndex.open(tmp_path / "v", ROWS) as vectors:
        for number in range(40):
            vectors.put(number, Bitmap.from_positions([number], ROWS))
        assert vectors.statistics()["segments"] <= 7
        assert len(list((tmp_path / "v" / "vectors").iterdir())) == vectors.statistics()["segments"]
        assert [int(vectors.get(number).select(0)) for number in range(40)] == list(range(40))


def test_opening_many_vectors_reads_the_directory_s_root_and_a_query_the_vectors_it_names(tmp_path):
    chance = generator(3)
    many = {number: Bitmap.from_positions(np.unique(chance.integers(0, ROWS, 5)), ROWS) for number in range(20_000)}
    with VectorIndex.open(tmp_path / "v", ROWS) as vectors:
        vectors.put_many(many)
    with VectorIndex.open(tmp_path / "v") as vectors:
        opened = vectors.statistics()
        assert (opened["vectors_read"], opened["requests"]) == (0, 2)
        assert opened["directory_bytes_read"] < 4_000
        found = vectors.query("R:[7,9]&[19990,19999]")
        assert vectors.statistics()["vectors_read"] == 13
        left = many[7] | many[8] | many[9]
        right = many[19_990].union(many[number] for number in range(19_991, 20_000))
        assert found == left & right


def test_nothing_more_is_read_once_no_row_is_left(tmp_path):
    with VectorIndex.open(tmp_path / "v", ROWS) as vectors:
        vectors.put_many({0: Bitmap.none(ROWS), 1: Bitmap.all(ROWS), 2: Bitmap.all(ROWS)})
        assert vectors.query("R:[0,0]&[1,2]").count() == 0
        assert vectors.statistics()["vectors_read"] == 0


def test_errors_name_the_vector(tmp_path):
    with VectorIndex.open(tmp_path / "v", ROWS) as vectors:
        with pytest.raises(InputError, match="no vector 3"):
            vectors.get(3)
        with pytest.raises(InputError, match="has 7 rows; these have 300"):
            vectors.put(1, Bitmap.none(7))
        with pytest.raises(InputError, match="outside 0"):
            vectors.put(-1, Bitmap.none(ROWS))
        with pytest.raises(PredicateError, match="by number"):
            vectors.query("age > 5")
        assert 1 not in vectors
    with pytest.raises(InputError, match="vectors of 300 rows"):
        VectorIndex.open(tmp_path / "v", 7)
