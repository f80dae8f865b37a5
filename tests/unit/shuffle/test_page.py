"""Pages as bytes: the published format, and damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from esker.errors import PageCorruptError, UnsupportedTypeError
from esker.kernel import _kernel
from esker.shuffle.border import to_schema
from tests.unit.shuffle.pages import SCHEMA, batch, page_bytes

GOLDEN = Path(__file__).parents[2] / "golden" / "page-1.page"
HEADER = 64


def decoded(data: bytes, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    found = pa.record_batch(_kernel.decode_page(data, schema, "a test's page"))
    found.validate(full=True)
    return found


def test_a_page_of_version_1_is_read_as_it_was_written():
    assert to_schema(decoded(GOLDEN.read_bytes()), SCHEMA).equals(batch())


def test_the_kernel_writes_the_bytes_of_version_1():
    # How many rows a page has room for, and where long values lie, is the writer's choice: of a page that was read all
    # is said.
    stored = GOLDEN.read_bytes()
    assert _kernel.decode_page(stored, SCHEMA, "a test's page").encode(0) == stored
    assert decoded(page_bytes()).equals(decoded(stored))


def test_an_empty_and_a_one_row_batch_are_pages_too():
    one = batch().slice(3, 1)
    assert to_schema(decoded(page_bytes(one)), SCHEMA).equals(one)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 100, 4096])
def test_a_truncated_page_is_refused(length):
    data = page_bytes()
    assert length < len(data)
    with pytest.raises(PageCorruptError, match="a test's page"):
        decoded(data[:length])


def test_a_longer_page_is_refused():
    with pytest.raises(PageCorruptError, match="size"):
        decoded(page_bytes() + bytes(64))


def test_a_page_of_another_schema_is_refused():
    with pytest.raises(PageCorruptError, match="another schema"):
        decoded(page_bytes(), SCHEMA.set(0, pa.field("other", pa.int32(), nullable=False)))


def test_every_flipped_bit_of_the_header_is_seen():
    data = page_bytes()
    for bit in range(HEADER * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PageCorruptError):
            decoded(bytes(damaged))


def test_mutated_pages_are_refused_or_the_same_page():
    data = page_bytes()
    want = decoded(data)
    random = np.random.default_rng(20260101)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(int(random.integers(1, 5))):
            match int(random.integers(3)):
                case 0:
                    damaged[int(random.integers(HEADER))] = int(random.integers(256))
                case 1:
                    damaged[int(random.integers(len(damaged)))] ^= 1 << int(random.integers(8))
                case _:
                    start = int(random.integers(len(damaged)))
                    damaged[start : start + 64] = damaged[start : start + 64][::-1]
        try:
            found = decoded(bytes(damaged))
        except PageCorruptError:
            refused += 1
        else:
            assert found.equals(want)  # the change hit unused bytes
    assert refused > 1000


def forged(change: tuple[int, bytes]) -> bytes:
    """A page with bytes changed and a checksum that fits, as an enemy would write it."""
    place, value = change
    data = bytearray(page_bytes(text_batch()))
    data[place : place + len(value)] = value
    data[60:64] = bytes(4)
    crc = 0
    heap_begin = int.from_bytes(data[40:48], "little")
    views = VIEWS_AT
    for begin, end in ((0, 64), (views, views + 32), (heap_begin, len(data))):
        crc = crc32c(data[begin:end], crc)
    data[60:64] = crc.to_bytes(4, "little")
    return bytes(data)


TEXT = pa.schema([pa.field("t", pa.string(), nullable=False)])
VIEWS_AT = 64


def text_batch() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(["a", "a string on the heap"])], schema=TEXT)


def crc32c(data: bytes, crc: int = 0) -> int:
    crc = ~crc & 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return ~crc & 0xFFFFFFFF


def test_a_checksum_made_by_the_published_rule_is_accepted():
    assert decoded(forged((64, b"")), TEXT).column("t").to_pylist() == ["a", "a string on the heap"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((VIEWS_AT, (-1).to_bytes(4, "little", signed=True)), id="negative length"),
        pytest.param((VIEWS_AT + 6, b"x"), id="bytes after a short value"),
        pytest.param((VIEWS_AT + 4, b"\xff"), id="not UTF-8, short"),
        pytest.param((VIEWS_AT + 16, (1 << 30).to_bytes(4, "little")), id="too long"),
        pytest.param((VIEWS_AT + 16 + 4, b"zzzz"), id="another prefix"),
        pytest.param((VIEWS_AT + 16 + 8, b"\1\0\0\0"), id="another buffer"),
        pytest.param((VIEWS_AT + 16 + 12, bytes(4)), id="in the header"),
        pytest.param((VIEWS_AT + 16 + 12, (-20).to_bytes(4, "little", signed=True)), id="before the page"),
    ],
)
def test_a_view_that_leads_out_of_the_heap_is_refused(change):
    with pytest.raises(PageCorruptError, match=r"column 't', row [01]"):
        decoded(forged(change), TEXT)


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.int8()),
        pa.struct([("x", pa.int8())]),
        pa.map_(pa.string(), pa.int8()),
        pa.dictionary(pa.int8(), pa.string()),
        pa.run_end_encoded(pa.int32(), pa.int8()),
        pa.list_(pa.int8(), 2),
        pa.dense_union([pa.field("x", pa.int8())]),
    ],
    ids=str,
)
def test_a_type_that_pages_do_not_hold_is_named(type_):
    with pytest.raises(UnsupportedTypeError, match="'nested'.*cast"):
        _kernel.Shuffle(pa.schema([("k", pa.int8()), ("nested", type_)]), [0], 2, _kernel.PagePool(1 << 20))


def test_pages_stay_valid_while_a_batch_refers_to_them():
    pool = _kernel.PagePool(1 << 20)
    first = _kernel.Shuffle(SCHEMA, [0], 1, pool)
    first.push([batch()])
    first.finish()
    page = first.next(0)
    kept = pa.record_batch(page)
    text = kept.column("text")
    del page, kept
    first.free()
    del first
    assert pool.used_bytes > 0
    second = _kernel.Shuffle(SCHEMA, [0], 1, pool)
    second.push([batch().slice(20)])
    assert text.cast(pa.string()).equals(batch().column("text"))
    del text, second
    assert pool.used_bytes == 0
