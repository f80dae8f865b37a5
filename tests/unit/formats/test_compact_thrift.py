"""Thrift's compact protocol: what is written is read back; damaged bytes give a value or a typed error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.errors import PayloadCorruptError
from esker.formats.compact_thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    Reader,
    ThriftList,
    Typed,
    integer_of,
    struct_of,
    structs_of,
    write_struct,
)

integers = st.integers(-(1 << 63), (1 << 63) - 1)
leaves = st.one_of(
    st.builds(Typed, st.just(I64), integers),
    st.builds(Typed, st.just(I32), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.builds(Typed, st.just(TRUE), st.booleans()),
    st.builds(Typed, st.just(BINARY), st.binary(max_size=40)),
    st.builds(Typed, st.just(BYTE), st.integers(0, 255)),
    st.builds(Typed, st.just(DOUBLE), st.floats(allow_nan=False)),
    st.builds(Typed, st.just(LIST), st.builds(ThriftList, st.just(I64), st.lists(integers, max_size=20))),
    st.builds(Typed, st.just(LIST), st.builds(ThriftList, st.just(TRUE), st.lists(st.booleans(), max_size=20))),
)


def structs(values: st.SearchStrategy[Typed]) -> st.SearchStrategy[dict[int, Typed]]:
    return st.dictionaries(st.integers(1, 300), values, max_size=6)


values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Typed, st.just(STRUCT), structs(inner)),
        st.builds(Typed, st.just(LIST), st.builds(ThriftList, st.just(STRUCT), st.lists(structs(inner), max_size=18))),
    ),
    max_leaves=20,
)


@given(structs(values))
def test_a_struct_comes_back_as_it_was(fields: dict[int, Typed]) -> None:
    data = write_struct(fields)
    reader = Reader(data)
    assert reader.struct() == fields
    assert reader.position == len(data)


@given(structs(values), st.data())
def test_a_struct_that_is_cut_off_is_refused(fields: dict[int, Typed], data: st.DataObject) -> None:
    whole = write_struct(fields)
    with pytest.raises(PayloadCorruptError):
        Reader(whole[: data.draw(st.integers(0, len(whole) - 1))]).struct()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_typed_error(data: bytes) -> None:
    try:
        found = Reader(data).struct()
    except PayloadCorruptError:
        return
    assert all(isinstance(field, int) for field in found)


def test_no_claim_makes_the_reader_reserve_what_is_not_there() -> None:
    lists = bytes([0x19, 0xF5]) + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    texts = bytes([0x18]) + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    deep = bytes([0x1C]) * 10_000
    wide = bytes([0x16]) + b"\xff" * 11
    for data, what in ((lists, "list of"), (texts, "text of"), (deep, "deep"), (wide, "more than 64 bits")):
        with pytest.raises(PayloadCorruptError, match=what):
            Reader(data).struct()


def test_a_field_of_another_kind_is_refused() -> None:
    fields = {1: Typed(BINARY, b"a")}
    for ask in (integer_of, struct_of, structs_of):
        with pytest.raises(PayloadCorruptError, match="field 1"):
            ask(fields, 1)
        with pytest.raises(PayloadCorruptError, match="field 2"):
            ask(fields, 2)
