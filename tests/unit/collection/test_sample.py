"""`sample` keeps a share of the rows that depends on the seed alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.errors import OptionError, SpillError
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


def test_a_number_of_rows_is_kept_exactly_and_in_order() -> None:
    expected = MANY.sample(n=1000, seed=3).to_arrow(threads=1)["n"].to_pylist()
    assert len(expected) == len(set(expected)) == 1000
    assert expected == sorted(expected)
    assert math.isclose(sum(expected) / 1000, 200_000, rel_tol=0.05)
    assert MANY.sample(n=1000, seed=3).to_arrow(threads=4)["n"].to_pylist() == expected
    assert MANY.sample(n=1000, seed=3).to_arrow(memory="16MiB")["n"].to_pylist() == expected
    assert MANY.sample(n=1000, seed=4).to_arrow()["n"].to_pylist() != expected


def test_every_row_is_as_likely_as_another() -> None:
    rows = esker.from_arrow(pa.table({"n": range(20)}))
    seen = np.zeros(20)
    for seed in range(400):
        seen[rows.sample(n=5, seed=seed).to_arrow()["n"].to_numpy()] += 1
    assert seen.sum() == 2000
    assert ((seen > 60) & (seen < 140)).all()  # 100 expected, with a deviation of 9


@pytest.mark.parametrize("n", [0, 1, 399, 400, 401])
def test_as_many_rows_are_kept_as_there_are(n: int) -> None:
    kept = esker.from_arrow(TABLE).sample(n=n).to_arrow()
    assert kept.num_rows == min(n, TABLE.num_rows) and kept.schema.equals(TABLE.schema)
    assert esker.from_arrow(TABLE.slice(0, 0)).sample(n=n).count() == 0


def test_a_sample_of_more_rows_than_the_budget_is_spooled(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(400_000), "text": ["x" * 100] * 400_000})
    rows = esker.from_arrow(table).sample(n=300_000).with_options(memory="16MiB", spill_folder=tmp_path)
    found = np.concatenate([batch["n"].to_numpy() for batch in rows])
    assert len(found) == 300_000 and (np.diff(found) > 0).all()
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_spools_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(400_000), "text": ["x" * 100] * 400_000})
    rows = esker.from_arrow(table).sample(n=300_000)
    with pytest.raises(SpillError, match="sample spools more than the 1,048,576 bytes allowed"):
        rows.to_arrow(memory="16MiB", spill_folder=tmp_path, spill_limit="1MiB")
    assert list(tmp_path.iterdir()) == []


def test_a_sample_is_a_fraction_or_a_number() -> None:
    for wrong in ({}, {"fraction": 0.5, "n": 5}):
        with pytest.raises(OptionError, match=r"sample\(n=100\)"):
            MANY.sample(**wrong)
    with pytest.raises(OptionError, match="or n= for a number of rows"):
        MANY.sample(100)
    with pytest.raises(OptionError, match="n=0.5"):
        MANY.sample(n=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(OptionError, match="from 0 to 1"):
        esker.from_arrow(TABLE).sample(fraction)
