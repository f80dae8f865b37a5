"""Every Arrow type through the shuffle: nested values as encoded rows, dictionaries as their values, and back."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.core.spill import SpillFolder
from esker.errors import InputError, PageCorruptError, UnsupportedTypeError
from esker.kernel import _kernel
from esker.shuffle.border import to_page_batch, to_page_schema, to_schema
from esker.shuffle.operator import ShuffleOperator
from esker.shuffle.partition_function import hash_rows, partition_ids
from esker.testing import NESTED, arrays, streams

MEMORY = 16 << 20
UNION_TAGS = pa.array([0, 1, 0, 1, 1], pa.int8())
UNION_FIELDS = [pa.array([1, None]), pa.array(["a", None, "a string that no view holds inline"])]
BY_HAND = [
    pa.UnionArray.from_dense(UNION_TAGS, pa.array([0, 0, 1, 1, 2], pa.int32()), UNION_FIELDS, ["n", "s"], [0, 1]),
    pa.UnionArray.from_sparse(UNION_TAGS, [pa.array([1, 2, None, 4, 5]), pa.array(["a", "b", None, None, "e"])]),
    pa.RunEndEncodedArray.from_arrays(pa.array([1, 4, 9], pa.int16()), pa.array([[1], None, []])),
    pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 0], pa.uint8()), pa.array([["a"], None])),
    pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int16()), pa.array(["a", "b"]).cast(pa.string_view())),
    pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([1], pa.decimal32(3, 1))),
    pa.ListArray.from_arrays([0, 2, 2, 3], pa.array(["x", "y", "x"]).dictionary_encode()),
    pa.array([[1, 2], None, [], [3]], pa.large_list_view(pa.int16())),
    pa.ListViewArray.from_arrays(pa.array([2, 0, 1], pa.int32()), pa.array([1, 2, 1], pa.int32()), pa.array([7, 8, 9])),
    pa.array([[None, None], [], None], pa.list_(pa.null())),
    pa.array([{}, None, {}], pa.struct([])),
    pa.array([[], None], pa.list_(pa.int8(), 0)),
    pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2, 2]), pa.array([[1, 2, 3, 4], None], pa.list_(pa.float32(), 4))
    ),
]


def through_pages(array: pa.Array) -> pa.Array:
    batch = pa.record_batch([array], ["x"])
    held = to_page_batch(batch)
    assert held.schema == to_page_schema(batch.schema)
    return to_schema(held, batch.schema).column(0)


def regrouped(schema: pa.Schema, batches: list[pa.RecordBatch], by: list[str], count: int) -> list[list[str]]:
    """The rows of each partition as text: NaN is nan, and -0.0 is not 0.0."""
    with ShuffleOperator(schema, by, count, memory_bytes=MEMORY) as shuffle:
        for batch in batches:
            shuffle.push(batch)
        shuffle.finish()
        out = []
        for partition in range(count):
            found = list(shuffle.partition(partition))
            for batch in found:
                batch.validate(full=True)
                assert batch.schema == schema
            out.append([repr(row) for batch in found for row in rows_of(batch)])
        return out


def rows_of(batch: pa.RecordBatch) -> list[tuple[object, ...]]:
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


@given(data=streams(NESTED, rows_max=30), count=st.integers(1, 9), cut=st.integers(0, 2), keys=st.integers(1, 2))
def test_nested_rows_arrive_once_in_order_where_their_key_puts_them(data, count, cut, keys):
    schema, batches = data
    batches = [batch.slice(cut) for batch in batches]
    by = schema.names[:keys]
    want: list[list[str]] = [[] for _ in range(count)]
    for batch in batches:
        for partition, row in zip(partition_ids(batch, by, count), rows_of(batch), strict=True):
            want[partition].append(repr(row))
    assert regrouped(schema, batches, by, count) == want


@pytest.mark.parametrize("array", BY_HAND, ids=lambda array: str(array.type))
def test_types_that_only_hands_build_pass_whole_sliced_and_empty(array):
    for part in (array, array.slice(1), array.slice(1, 1), array.slice(0, 0)):
        found = through_pages(part)
        found.validate(full=True)
        assert found.type == array.type
        assert found.to_pylist() == part.to_pylist()


@given(data=st.data(), type_=st.sampled_from(NESTED))
def test_equal_nested_keys_hash_alike_whatever_lies_beside_them(data, type_):
    array = data.draw(arrays(type_, 6))
    again = through_pages(pa.array(array.to_pylist(), type_) if rebuilds(type_) else array)
    hashes = hash_rows(pa.record_batch([array], ["k"]), ["k"])
    for row in range(6):
        assert hash_rows(pa.record_batch([again.slice(row, 1)], ["k"]), ["k"]).tolist() == [hashes[row]]


def rebuilds(type_: pa.DataType) -> bool:
    """Whether pyarrow makes such an array from Python's values: with other bytes under the nulls."""
    return bool(pa.types.is_list(type_) or pa.types.is_struct(type_))


def test_zeros_are_one_key_and_nans_are_one_but_the_rows_keep_their_bits():
    odd_nan = np.frombuffer(np.uint64(0x7FF8_0000_0000_0123).tobytes())[0]
    values = pa.array([0.0, -0.0, odd_nan, float("nan")])
    batch = pa.record_batch([pa.ListArray.from_arrays([0, 1, 2, 3, 4], values), pa.array(range(4))], ["k", "n"])
    zero, minus_zero, odd, nan = hash_rows(batch, ["k"])
    assert zero == minus_zero
    assert odd == nan
    with ShuffleOperator(batch.schema, ["k"], 3, memory_bytes=MEMORY) as shuffle:
        shuffle.push(batch)
        shuffle.finish()
        found = pa.Table.from_batches([b for p in range(3) for b in shuffle.partition(p)]).sort_by("n")
    kept = np.concatenate([np.asarray(row.values) for row in found["k"]])
    assert kept.tobytes() == np.asarray(values).tobytes()


def test_a_null_key_and_an_empty_list_are_told_apart():
    batch = pa.record_batch({"k": pa.array([None, [], [None], [0], []], pa.list_(pa.int8()))})
    hashes = hash_rows(batch, ["k"]).tolist()
    assert len(set(hashes)) == 4
    assert hashes[1] == hashes[4]


def test_nested_rows_over_the_memory_are_spilled(tmp_path):
    numbers = np.arange(150_000)
    table = pa.table(
        {
            "n": numbers,
            "tags": pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(numbers, 12)), 12),
            "who": pa.StructArray.from_arrays([pa.array(numbers.astype(str)), pa.array(numbers % 2 == 0)], ["s", "b"]),
        }
    )
    with SpillFolder(root=tmp_path, limit="1GB") as spill:
        with ShuffleOperator(table.schema, ["who"], 8, memory_bytes=MEMORY, spill=spill) as shuffle:
            for batch in table.to_batches(max_chunksize=10_000):
                shuffle.push(batch)
            shuffle.finish()
            assert shuffle.statistics()["spilled_bytes"] > 0
            found = pa.Table.from_batches([b for p in range(8) for b in shuffle.partition(p)])
    assert found.sort_by("n").equals(table)


def test_a_dictionary_comes_out_in_the_order_of_its_first_rows():
    array = pa.DictionaryArray.from_arrays(pa.array([2, 0, None, 2], pa.int8()), pa.array(["a", "b", "c"]))
    found = through_pages(array)
    assert found.dictionary.to_pylist() == ["c", "a"]
    assert found.indices.to_pylist() == [0, 1, None, 0]
    assert found.type == array.type


@pytest.mark.parametrize("value_type", [pa.int32(), pa.list_(pa.int32())], ids=str)
def test_a_dictionary_with_more_values_than_its_indices_reach_is_an_error(value_type):
    type_ = pa.dictionary(pa.int8(), value_type)
    batch = pa.record_batch(
        [pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([None], value_type))], ["d"]
    )
    values = pa.array([[n] for n in range(129)] if pa.types.is_nested(value_type) else range(129), value_type)
    wide = pa.record_batch([pa.DictionaryArray.from_arrays(pa.array(range(129), pa.int32()), values)], ["d"])
    assert batch.schema.field("d").type == type_
    with pytest.raises(UnsupportedTypeError, match="wider indices"):
        to_schema(to_page_batch(wide), batch.schema)


def test_nulls_in_a_nested_column_declared_without_are_refused():
    schema = pa.schema([pa.field("k", pa.list_(pa.int8()), nullable=False)])
    with ShuffleOperator(schema, ["k"], 2, memory_bytes=MEMORY) as shuffle:
        with pytest.raises(InputError, match="'k' has nulls"):
            shuffle.push(pa.RecordBatch.from_arrays([pa.array([[1], None], pa.list_(pa.int8()))], schema=schema))


def damaged(rows: list[bytes], chance: random.Random) -> list[bytes]:
    """One row with a byte changed, cut off, or added."""
    place = chance.randrange(len(rows))
    row = bytearray(rows[place])
    at = chance.randrange(len(row))
    match chance.randrange(3):
        case 0:
            row[at] ^= 1 << chance.randrange(8)
        case 1:
            del row[at:]
        case _:
            row.insert(at, chance.randrange(256))
    return [*rows[:place], bytes(row), *rows[place + 1 :]]


@pytest.mark.parametrize(
    "type_", [*NESTED[:8], BY_HAND[0].type, BY_HAND[1].type, BY_HAND[2].type, BY_HAND[3].type], ids=str
)
def test_damaged_rows_are_an_error_or_a_valid_array(type_):
    by_hand = [array for array in BY_HAND if array.type == type_]
    array = by_hand[0] if by_hand else sample(type_)
    rows = to_page_batch(pa.record_batch([array], ["x"])).column(0).to_pylist()
    refused = 0
    chance = random.Random(str(type_))
    for _ in range(400):
        batch = pa.record_batch([pa.array(damaged(rows, chance), pa.large_binary())], ["x"])
        try:
            found = to_schema(batch, pa.schema([("x", type_)]))
        except PageCorruptError as error:
            assert "column 'x', encoded row" in str(error)
            refused += 1
        else:
            found.validate()
    assert refused > 100


def sample(type_: pa.DataType) -> pa.Array:
    values = {
        0: [[1, None, 3], None, []],
        1: [["a", None], None, [], ["a long string, beyond any inline view"]],
        2: [[1.5, None], None, [2.0, 3.0]],
        3: [{"a": 1, "b": "x", "c": True}, None, {"a": None, "b": None, "c": False}],
        4: [[("k", [1.0]), ("l", None)], None, []],
        5: [[True, None, False], None, []],
        6: [[{"x": [b"", None], "y": [None]}, None], None, []],
        7: [{"deep": [[None], [], None]}, None, {"deep": None}],
    }
    return pa.array(values[NESTED.index(type_)], type_)


def test_encoded_rows_of_another_version_are_refused():
    rows = pa.record_batch([pa.array([b"\x02\x00\x00"])], ["tags"])
    with pytest.raises(PageCorruptError, match=r"'tags'.*row 0.*version"):
        _kernel.decode_rows(pa.list_(pa.int8()), rows)
