"""Rows of a mapped file, taken by the kernel: compared with pyarrow's own take."""

from __future__ import annotations

import datetime
import decimal
import random

import numpy as np
import pyarrow as pa
import pytest

import esker.index.row_formats.arrow as arrow_rows
from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL
from esker.core.row_set import RowSet
from esker.errors import InputError, PayloadCorruptError
from esker.index.row_formats.arrow import ArrowRows
from esker.kernel import _kernel

COUNT = 3_000


def table(seed: int) -> pa.Table:
    """Every kind of column, with nulls in every other."""
    chance = random.Random(seed)

    def column(make, type_, nulls):
        return pa.array([None if nulls and chance.random() < 0.2 else make() for _ in range(COUNT)], type_)

    def text():
        return "".join(chance.choices("ab\u00e9", k=chance.choice([0, 1, 5, 90])))

    day = datetime.date(2020, 1, 1)
    makers = {
        "bool": (lambda: chance.random() < 0.5, pa.bool_()),
        "int8": (lambda: chance.randrange(-99, 99), pa.int8()),
        "uint16": (lambda: chance.randrange(9_999), pa.uint16()),
        "date": (lambda: day + datetime.timedelta(chance.randrange(999)), pa.date32()),
        "float": (chance.random, pa.float64()),
        "money": (lambda: decimal.Decimal(chance.randrange(10**9)) / 100, pa.decimal128(15, 2)),
        "wide": (lambda: decimal.Decimal(chance.randrange(10**9)), pa.decimal256(50, 0)),
        "fixed": (lambda: chance.randbytes(5), pa.binary(5)),
        "text": (text, pa.string()),
        "long": (text, pa.large_string()),
        "bytes": (lambda: chance.randbytes(chance.randrange(20)), pa.binary()),
        "list": (lambda: [chance.randrange(9)] * chance.randrange(3), pa.list_(pa.int32())),
        "none": (lambda: None, pa.null()),
    }
    return pa.table(
        {
            name + ("?" if nulls else ""): column(make, type_, nulls)
            for name, (make, type_) in makers.items()
            for nulls in (False, True)
        }
    )


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A file of several batches, so that rows asked for lie in some of them."""
    monkeypatch.setattr(arrow_rows, "BATCH_ROWS", 700)
    rows = table(1)
    with QueryContext() as context:
        file = ArrowRows().write(iter(rows.to_batches()), rows.schema, tmp_path / "r.arrow", context, LOCAL)
    assert len(file.detail["batches"]) > 3
    reader = ArrowRows().open(tmp_path, file, rows.schema)
    yield rows, reader
    reader.close()


@pytest.mark.parametrize("share", [0.002, 0.1, 0.9, 1.0])
def test_rows_taken_are_those_that_pyarrow_takes(written, share):
    rows, reader = written
    chance = np.random.default_rng(3)
    ids = np.flatnonzero(chance.random(COUNT) < share).astype(np.uint64)
    flat = [name for name in rows.column_names if not name.startswith(("list", "none"))]
    for columns in (rows.column_names, flat, ["text?", "int8"], ["bool?"]):
        wanted = rows.select(columns).take(pa.array(ids))
        for batch_rows in (256, 65_536):
            with QueryContext(batch_rows=batch_rows) as context:
                by_set = list(reader.fetch(RowSet.of(ids), columns, context))
                by_bitmap = list(reader.fetch_bitmap(Bitmap.from_positions(ids, COUNT, "auto"), columns, context))
            for found in (by_set, by_bitmap):
                assert all(batch.num_rows <= batch_rows for batch in found)
                taken = pa.Table.from_batches(found, wanted.schema)
                taken.validate(full=True)
                assert taken.equals(wanted)


def test_no_rows_give_no_batch(written):
    _, reader = written
    with QueryContext() as context:
        assert list(reader.fetch(RowSet.empty(), ["text"], context)) == []
        assert list(reader.fetch_bitmap(Bitmap.none(COUNT), ["text"], context)) == []


@pytest.mark.parametrize("offset", [-1, 2**30])
def test_an_offset_of_a_row_taken_is_not_followed_out_of_the_file(tmp_path, offset):
    rows = table(2).select(["int8", "text"])
    with QueryContext() as context:
        file = ArrowRows().write(iter(rows.to_batches()), rows.schema, tmp_path / "r.arrow", context, LOCAL)
        path = tmp_path / "r.arrow"
        content = bytearray(path.read_bytes())
        offsets = rows["text"].chunk(0).buffers()[1].to_pybytes()[: 4 * (COUNT + 1)]
        place = content.index(offsets) + 4 * 150
        content[place : place + 4] = offset.to_bytes(4, "little", signed=True)
        path.write_bytes(content)
        reader = ArrowRows().open(tmp_path, file, rows.schema)
        with pytest.raises(PayloadCorruptError, match="column 'text' is damaged"):
            list(reader.fetch(RowSet.of([7, 149, 150, 900]), ["text"], context))
        assert [b.num_rows for b in reader.fetch(RowSet.of([7, 900]), ["text", "int8"], context)] == [2]
        assert [b.num_rows for b in reader.fetch(RowSet.of([7, 149, 150]), ["int8"], context)] == [3]


def test_the_kernel_refuses_batches_and_rows_that_are_not_there():
    batch = pa.record_batch({"n": [1, 2, 3]})
    gather = _kernel.BatchGather(batch.schema, [0, 3, 5])
    rows = np.array([0, 4], np.uint64)
    assert gather.missing(rows) == [0, 1]
    with pytest.raises(InputError, match="batch 0 was not added"):
        gather.take(rows, [0])
    with pytest.raises(InputError, match="other rows"):
        gather.add(1, batch, [0])
    gather.add(0, batch, [0])
    with pytest.raises(InputError, match="other rows"):
        gather.add(0, batch, [0])
    assert gather.missing(rows) == [1]
    with pytest.raises(InputError, match="row 5 is past"):
        gather.take(np.array([5], np.uint64), [0])
    with pytest.raises(InputError, match="ascend"):
        gather.take(np.array([1, 0], np.uint64), [0])
    with pytest.raises(InputError, match="no column 1"):
        gather.take(np.array([1], np.uint64), [1])
    with pytest.raises(InputError, match="begin at row 0"):
        _kernel.BatchGather(batch.schema, [1, 3])
