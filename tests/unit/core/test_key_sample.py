"""The largest key is found, and its share is about right, in little time and memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from esker.core.key_sample import BATCHES_EVERY, KEYS_KEPT, ROWS_SEEN, KeySample


@pytest.mark.parametrize("batch_rows", [50, 1000, 20_000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_the_largest_key_is_about_right(batch_rows: int, share: float) -> None:
    chance = np.random.default_rng(3)
    sample = KeySample(["k"], seed=0)
    for _ in range(400):
        keys = np.where(chance.random(batch_rows) < share, 0, chance.integers(1, 1000, batch_rows))
        sample.see(pa.record_batch({"k": keys}))
    found = sample.largest()
    assert found is not None and found[0] == (0,)
    assert found[1] == pytest.approx(share, abs=0.05)
    assert sample.rows_seen <= ROWS_SEEN * (400 // BATCHES_EVERY + 8)


def test_batches_that_alternate_are_judged_alike() -> None:
    sample = KeySample(["k"], seed=0)
    for number in range(1600):
        sample.see(pa.record_batch({"k": [number % 8 == 3] * 100}))
    found = sample.largest()
    assert found is not None and found[0] == (False,)
    assert found[1] == pytest.approx(7 / 8, abs=0.08)


def test_many_keys_take_little_memory_and_hide_no_large_one() -> None:
    sample = KeySample(["k"], seed=0)
    for start in range(0, 2_000_000, 1000):
        keys = np.where(np.arange(1000) % 3 == 0, -1, np.arange(start, start + 1000))
        sample.see(pa.record_batch({"k": keys}))
    assert len(sample._weights) <= KEYS_KEPT
    found = sample.largest()
    assert found is not None and found[0] == (-1,)
    assert found[1] == pytest.approx(1 / 3, abs=0.05)


def test_nulls_lists_and_several_columns_are_keys() -> None:
    sample = KeySample(["a", "b"], seed=0)
    sample.see(pa.record_batch({"a": [None, None, 1], "b": [[1], [1], [2]]}))
    assert sample.largest() == ((None, "[1]"), pytest.approx(2 / 3))


def test_no_rows_have_no_key() -> None:
    sample = KeySample(["k"], seed=0)
    sample.see(pa.record_batch({"k": pa.array([], pa.int64())}))
    assert sample.largest() is None
