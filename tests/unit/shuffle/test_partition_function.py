"""Key hashes and partition numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.errors import OptionError, UnknownColumnError
from esker.shuffle.partition_function import hash_rows, partition_ids

MASK = (1 << 64) - 1


def mix(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def hash_bytes(data: bytes) -> int:
    state = len(data) * 0x9E3779B97F4A7C15 & MASK
    whole = len(data) // 8 * 8
    for start in range(0, whole, 8):
        state = (state ^ int.from_bytes(data[start : start + 8], "little")) * 0xD6E8FEB86659FD93 & MASK
        state ^= state >> 32
    if len(data) > whole:
        state = (state ^ int.from_bytes(data[whole:], "little")) * 0xD6E8FEB86659FD93 & MASK
    return mix(state)


def hash_of(column: pa.Array, seed: int = 0) -> list[int]:
    return hash_rows(pa.record_batch([column], ["k"]), ["k"], seed).tolist()


@given(st.lists(st.none() | st.binary(max_size=30), max_size=20), st.integers(0, MASK))
def test_hashes_of_bytes_are_those_published(values, seed):
    start = mix(seed + 0x9E3779B97F4A7C15 & MASK)
    want = [mix(start + (0x6A09E667F3BCC908 if v is None else hash_bytes(v)) & MASK) for v in values]
    for type_ in (pa.binary(), pa.large_binary(), pa.binary_view()):
        assert hash_of(pa.array(values, type_), seed) == want


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20), st.integers(0, MASK))
def test_hashes_of_integers_are_those_published(values, seed):
    start = mix(seed + 0x9E3779B97F4A7C15 & MASK)
    want = [mix(start + (0x6A09E667F3BCC908 if v is None else v) & MASK) for v in values]
    assert hash_of(pa.array(values, pa.int64()), seed) == want


@given(st.lists(st.text(max_size=20), max_size=10))
def test_strings_hash_alike_however_arrow_holds_them(values):
    want = hash_of(pa.array(values, pa.string()))
    assert hash_of(pa.array(values, pa.large_string())) == want
    assert hash_of(pa.array(values, pa.string_view())) == want


def test_columns_count_in_their_order():
    batch = pa.record_batch({"a": [1, 2], "b": [2, 1]})
    first, second = hash_rows(batch, ["a", "b"]).tolist()
    assert first != second
    assert hash_rows(batch, ["b", "a"]).tolist() == [second, first]


def test_modulo_is_never_negative_and_puts_null_first():
    batch = pa.record_batch({"k": pa.array([-1, -7, None, 6, 2**40], pa.int64())})
    assert partition_ids(batch, ["k"], 7, function="modulo").tolist() == [6, 0, 0, 6, 2**40 % 7]
    largest = pa.record_batch({"k": pa.array([2**64 - 1], pa.uint64())})
    assert partition_ids(largest, ["k"], 10, function="modulo").tolist() == [(2**64 - 1) % 10]


@pytest.mark.parametrize("value", [-1, 3, None])
def test_an_id_out_of_range_is_refused(value):
    with pytest.raises(OptionError, match="0 to 2"):
        partition_ids(pa.record_batch({"k": pa.array([0, value], pa.int32())}), ["k"], 3, function="id")


@pytest.mark.parametrize(
    ("by", "count", "options", "error", "words"),
    [
        (["nokey"], 2, {}, UnknownColumnError, "did you mean"),
        ([], 2, {}, OptionError, "no column"),
        (["key"], 0, {}, OptionError, "partitions=0"),
        (["key"], 1 << 21, {}, OptionError, "out of range"),
        (["key"], 2, {"function": "range"}, OptionError, "hash, modulo, id"),
        (["text"], 2, {"function": "modulo"}, OptionError, "integers"),
    ],
)
def test_options_that_cannot_be_are_named(by, count, options, error, words):
    with pytest.raises(error, match=words):
        partition_ids(pa.record_batch({"key": [1], "text": ["x"]}), by, count, **options)


def test_hashes_spread_keys_over_any_number_of_partitions():
    batch = pa.record_batch({"k": np.arange(200_000)})
    for count in (3, 100, 256):
        sizes = np.bincount(partition_ids(batch, ["k"], count), minlength=count)
        mean = 200_000 / count
        assert abs(sizes - mean).max() < 6 * mean**0.5
