"""`sample` keeps a share of the rows that depends on the seed alone."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

import esker
from esker.errors import OptionError
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)
MANY = esker.from_arrow(pa.table({"n": range(400_000)}))


def test_a_sample_does_not_depend_on_threads_and_batches() -> None:
    expected = MANY.sample(0.25, seed=3).to_arrow(threads=1)["n"].to_pylist()
    assert MANY.sample(0.25, seed=3).to_arrow(threads=4)["n"].to_pylist() == expected
    assert MANY.sample(0.25, seed=3).to_arrow(threads=1, memory="16MiB")["n"].to_pylist() == expected
    assert MANY.sample(0.25, seed=4).to_arrow()["n"].to_pylist() != expected


def test_a_sample_has_its_share_of_distinct_rows() -> None:
    kept = MANY.sample(0.25, seed=3).to_arrow()["n"].to_pylist()
    assert len(set(kept)) == len(kept)
    assert math.isclose(len(kept), 100_000, rel_tol=0.02)
    assert math.isclose(sum(kept) / len(kept), 200_000, rel_tol=0.02)


def test_all_and_none_are_samples() -> None:
    assert rows_of(esker.from_arrow(TABLE).sample(1).to_arrow()) == rows_of(TABLE)
    assert esker.from_arrow(TABLE).sample(0).count() == 0
    assert esker.from_arrow(TABLE.slice(0, 0)).sample(0.5).count() == 0


def test_a_filter_above_a_sample_sees_the_same_rows() -> None:
    sampled = esker.from_arrow(TABLE).sample(0.5)
    expected = [n for n in sampled.to_arrow()["id"].to_pylist() if n % 2]
    assert sampled.filter("id % 2 = 1").to_arrow()["id"].to_pylist() == expected


def test_explain_says_the_fraction_and_the_seed() -> None:
    text = str(esker.from_arrow(TABLE).sample(0.5, seed=9).explain())
    assert "sample" in text and "0.5" in text


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(OptionError, match="from 0 to 1"):
        esker.from_arrow(TABLE).sample(fraction)
