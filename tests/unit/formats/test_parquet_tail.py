"""Offset indexes: every page where the file has it, and no trust in what damaged bytes say."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from esker.core.extent import ByteRange
from esker.errors import PayloadCorruptError
from esker.formats.compact_thrift import I32, I64, LIST, STRUCT, ThriftList, Typed, write_struct
from esker.formats.parquet_tail import ParquetTail, _read_any, _read_regular, read_offset_index

ROWS = 3000
TABLE = pa.table(
    {
        "number": range(ROWS),
        "text": [f"row {row}" * (row % 9) for row in range(ROWS)],
        "list": [[row] * (row % 3) for row in range(ROWS)],
        "pair": [{"x": row, "y": [str(row)]} for row in range(ROWS)],
    }
)


def written(**options: object) -> bytes:
    sink = io.BytesIO()
    chosen = {"row_group_size": 1000, "data_page_size": 700, "write_batch_size": 20, "write_page_index": True}
    pq.write_table(TABLE, sink, **{**chosen, **options})
    return sink.getvalue()


FILE = written()


def footer_of(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") :]


def chunk_range(footer: pq.FileMetaData, group: int, leaf: int) -> ByteRange:
    column = footer.row_group(group).column(leaf)
    start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    return ByteRange(start, start + column.total_compressed_size)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_pages_of_a_chunk_fill_it_and_their_rows_its_row_group(version: str, dictionary: bool) -> None:
    data = written(data_page_version=version, use_dictionary=dictionary)
    start = ParquetTail(footer_of(data), len(data)).index_start()
    assert start is not None
    tail = ParquetTail(data[start:], len(data))
    footer = pq.read_metadata(io.BytesIO(data))
    for group in range(footer.num_row_groups):
        for leaf in range(footer.num_columns):
            chunk = chunk_range(footer, group, leaf)
            pages = tail.pages(group, leaf, chunk)
            assert pages is not None and len(pages) > 3
            assert (pages.offsets[1:] == pages.offsets[:-1] + pages.sizes[:-1]).all()
            assert pages.offsets[-1] + pages.sizes[-1] == chunk.stop
            assert pages.offsets[0] == footer.row_group(group).column(leaf).data_page_offset
            assert pages.first_rows[0] == 0 and pages.first_rows[-1] == 1000


def test_the_footer_is_read_whole_and_its_leaves_have_their_paths() -> None:
    tail = ParquetTail(FILE, len(FILE))
    assert write_struct(tail.footer) == footer_of(FILE)[:-8]
    schema = pq.read_metadata(io.BytesIO(FILE)).schema
    paths = [".".join(element[4].value.decode() for element in leaf.elements) for leaf in tail.leaves]
    assert paths == [schema.column(leaf).path for leaf in range(len(schema))]
    levels = [leaf.max_repetition for leaf in tail.leaves]
    assert levels == [schema.column(leaf).max_repetition_level for leaf in range(len(schema))]


def test_a_file_or_tail_without_an_offset_index_has_no_pages() -> None:
    plain = written(write_page_index=False)
    for data in (plain, footer_of(FILE)):
        tail = ParquetTail(data, len(FILE) if data is not plain else len(plain))
        assert tail.pages(0, 0, ByteRange(0, 1 << 40)) is None
    assert ParquetTail(plain, len(plain)).index_start() is None


locations = st.lists(
    st.tuples(st.integers(-5, (1 << 62) - 1), st.integers(-5, (1 << 31) - 1), st.integers(-5, (1 << 62) - 1)),
    max_size=40,
)


def index_of(found: list[tuple[int, int, int]], **more: Typed) -> bytes:
    items = [{1: Typed(I64, offset), 2: Typed(I32, size), 3: Typed(I64, row)} for offset, size, row in found]
    texts = {2: more["texts"]} if more else {}
    return write_struct({1: Typed(LIST, ThriftList(STRUCT, items)), **texts})


@given(found=locations, texts=st.booleans())
def test_both_ways_to_read_an_index_agree(found: list[tuple[int, int, int]], texts: bool) -> None:
    more = {"texts": Typed(LIST, ThriftList(I64, [1, 2, 3]))} if texts else {}
    data = index_of(found, **more)
    slow, fast = _read_any(data), _read_regular(data)
    assert [values.tolist() for values in slow] == [[row[place] for row in found] for place in range(3)]
    if fast is None:
        assert not found
    else:
        assert all(np.array_equal(one, other) for one, other in zip(slow, fast, strict=True))


@given(data=st.binary(max_size=120))
@example(index_of([(4, 10, 0), (14, 10, 5)]))
def test_any_bytes_give_pages_within_their_column_or_a_typed_error(data: bytes) -> None:
    try:
        pages = read_offset_index(data, ByteRange(4, 100), 50)
    except PayloadCorruptError:
        return
    assert pages.offsets.min() >= 4 and (pages.offsets + pages.sizes).max() <= 100
    assert (np.diff(pages.first_rows) >= 0).all() and pages.first_rows[-1] == 50


@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_of_an_index_gives_pages_within_their_column_or_a_typed_error(place: int, value: int) -> None:
    found = [(4 + 10 * number, 10, 5 * number) for number in range(20)]
    data = bytearray(index_of(found))
    data[place % len(data)] = value
    try:
        pages = read_offset_index(bytes(data), ByteRange(4, 204), 100)
    except PayloadCorruptError:
        return
    assert pages.offsets.min() >= 4 and (pages.offsets + pages.sizes).max() <= 204
    assert (np.diff(pages.first_rows) >= 0).all()


@pytest.mark.parametrize(
    "found",
    [
        [],
        [(4, 10, 1)],
        [(4, 10, 0), (14, 10, 9), (24, 10, 8)],
        [(4, 10, 0), (13, 10, 5)],
        [(3, 10, 0)],
        [(4, 0, 0)],
        [(4, 197, 0)],
        [((1 << 62), (1 << 31) - 1, 0)],
        [(4, 10, 0), (14, 10, 101)],
    ],
    ids=["none", "starts late", "backwards", "overlap", "before", "empty", "past the end", "huge", "past the rows"],
)
def test_pages_that_cannot_be_are_refused(found: list[tuple[int, int, int]]) -> None:
    with pytest.raises(PayloadCorruptError, match="offset index"):
        read_offset_index(index_of(found), ByteRange(4, 200), 100)


@settings(max_examples=200)
@given(place=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_a_changed_byte_of_a_tail_gives_a_value_or_a_typed_error(place: int, value: int) -> None:
    start = ParquetTail(footer_of(FILE), len(FILE)).index_start()
    assert start is not None
    data = bytearray(FILE[start:])
    data[place % len(data)] = value
    try:
        tail = ParquetTail(bytes(data), len(FILE))
        for leaf in range(len(tail.leaves)):
            tail.pages(1, leaf, ByteRange(0, len(FILE)))
            tail.metadata(1, leaf)
        tail.index_start()
    except PayloadCorruptError:
        return


def test_what_is_no_tail_is_refused() -> None:
    for data in (b"", b"PAR1", b"\xff\xff\xff\xffPAR1", FILE[:-1], b"\0" * 40 + (41).to_bytes(4, "little") + b"PAR1"):
        with pytest.raises(PayloadCorruptError):
            ParquetTail(data, len(FILE))
    with pytest.raises(PayloadCorruptError):
        ParquetTail(FILE, len(FILE) - 1)
