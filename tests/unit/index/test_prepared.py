"""Vectors of batches, joined, are the index that the rows themselves would give: byte for byte."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.errors import BitmapCorruptError, InputError, OptionError
from esker.index import (
    Bins,
    BitSliced,
    ColumnSpec,
    Equality,
    Index,
    Interval,
    Range,
    TimeQuantum,
    build_index,
    sorted_build,
    vector_parts,
)
from esker.index.encode import Encoder
from esker.index.prepared import PreparedColumns
from esker.index.vector_parts import BYTES_ALWAYS, VectorParts

SPECS: dict[str, ColumnSpec] = {
    "word": Equality(),
    "number": Range(),
    "half": Interval(),
    "bin": Bins([-1.0, 0.0, 2.5]),
    "range of bins": Bins([-1.0, 0.0, 2.5], layout="range"),
    "day": TimeQuantum(),
    "flag": Equality(),
}
SCHEMA = pa.schema(
    {
        "word": pa.string(),
        "number": pa.int16(),
        "half": pa.decimal128(7, 2),
        "bin": pa.float64(),
        "range of bins": pa.float32(),
        "day": pa.date32(),
        "flag": pa.bool_(),
    }
)


def table_of(seed: int, row_count: int, run: int) -> pa.Table:
    """Rows whose values stay for about `run` rows; some are null, some NaN, some minus zero."""
    chance = np.random.default_rng(seed)
    picks = np.repeat(chance.integers(0, 40, row_count // run + 1), run)[:row_count].tolist()
    floats = [None if n % 9 == 0 else [float("nan"), -0.0, 0.0, 2.5, n / 7 - 3][n % 5] for n in picks]
    columns = {
        "word": [None if n % 7 == 0 else f"word {n}" for n in picks],
        "number": [n - 20 for n in picks],
        "half": [Decimal(n // 2) for n in picks],
        "bin": floats,
        "range of bins": floats,
        "day": [date(2024, 12, 20) + timedelta(n) if n % 8 else None for n in picks],
        "flag": [None if n % 5 == 0 else n % 2 == 0 for n in picks],
    }
    return pa.table(columns, schema=SCHEMA)


def batches_of(table: pa.Table, seed: int) -> list[pa.RecordBatch]:
    chance = np.random.default_rng(seed)
    batches, at = [], 0
    while at < table.num_rows:
        batches += table.slice(at, size := int(chance.integers(1, 400))).to_batches()
        at += size
    return batches


def contents(folder: Path, infos: list) -> dict[str, bytes]:
    return {info.column: (folder / info.file).read_bytes() for info in infos}


def built_of_parts(
    folder: Path,
    batches: list[pa.RecordBatch],
    specs: dict[str, ColumnSpec],
    context: QueryContext,
    without: frozenset[int] = frozenset(),
) -> tuple[dict[str, bytes], set[str]]:
    """The files of an index whose columns were prepared where that can be, and which were."""
    folder.mkdir()
    schema = batches[0].schema
    parts = pickle.loads(pickle.dumps(VectorParts(specs, schema)))
    row_count = sum(batch.num_rows for batch in batches)
    with PreparedColumns(parts, specs, schema, Encoder("auto"), context) as prepared:
        for number, batch in enumerate(batches):
            prepared.add(batch.num_rows, None if number in without else parts.encode(batch))
        taken = prepared.take(row_count)
    names = set(taken)
    rest = [name for name in specs if name not in taken]
    infos = build_index(
        (batch.select(rest) for batch in batches) if rest else iter(()),
        row_count,
        specs,
        folder,
        context=context,
        encoding="auto",
        prepared=taken,
    )
    assert [info.column for info in infos] == list(specs)
    return contents(folder, infos), names


def built_of_rows(
    folder: Path, batches: list[pa.RecordBatch], specs: dict[str, ColumnSpec], context: QueryContext
) -> dict[str, bytes]:
    folder.mkdir()
    count = sum(batch.num_rows for batch in batches)
    return contents(folder, build_index(batches, count, specs, folder, context=context, encoding="auto"))


@given(seed=st.integers(0, 1 << 30), row_count=st.integers(1, 4_000), run=st.sampled_from([1, 3, 500]))
def test_vectors_of_batches_joined_are_the_index_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, row_count: int, run: int
) -> None:
    folder = tmp_path_factory.mktemp("index")
    batches = batches_of(table_of(seed, row_count, run), seed)
    with QueryContext() as context:
        expected = built_of_rows(folder / "rows", batches, SPECS, context)
        found, prepared = built_of_parts(folder / "parts", batches, SPECS, context)
        assert found == expected
        assert prepared == set(SPECS)
        # A batch without vectors: all of its columns are built of the rows.
        without = frozenset({seed % len(batches)})
        assert built_of_parts(folder / "some", batches, SPECS, context, without) == (expected, set())


def test_a_column_of_too_many_values_is_built_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_build, "VALUES_IN_MEMORY", 500)
    batches = pa.table({"id": range(6_000), "k": [n % 9 for n in range(6_000)]}).to_batches(max_chunksize=700)
    specs: dict[str, ColumnSpec] = {"id": Equality(), "k": Equality()}
    with QueryContext() as context:
        found, prepared = built_of_parts(tmp_path / "parts", batches, specs, context)
        assert found == built_of_rows(tmp_path / "rows", batches, specs, context)
    assert prepared == {"k"}


def test_kinds_that_look_at_all_rows_first_have_no_vectors_of_batches() -> None:
    specs = {"a": Bins.quantile(4), "b": BitSliced(), "c": Bins.equal_width(3), "d": Equality()}
    schema = pa.schema(dict.fromkeys(specs, pa.int64()))
    assert VectorParts(specs, schema).columns == ["d"]


def test_a_column_that_changes_from_row_to_row_goes_without_vectors() -> None:
    schema = pa.schema({"id": pa.int64(), "k": pa.int64(), "bin": pa.int64()})
    parts = VectorParts({"id": Equality(), "k": Equality(), "bin": Bins([50])}, schema)
    count = BYTES_ALWAYS
    batch = pa.record_batch({"id": range(count), "k": [3] * count, "bin": [n * 7 % 100 for n in range(count)]})
    found = parts.decode(parts.encode(batch), count)
    assert list(found) == ["k", "bin"]
    assert found["k"].values.to_pylist() == [3]


def test_joined_vectors_are_spilled_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_parts, "BYTES_OF_A_ROW", 20)
    chance = np.random.default_rng(3)
    count = 600_000
    table = pa.table({"k": chance.integers(0, 60_000, count)})
    batches = table.to_batches(max_chunksize=30_000)
    specs: dict[str, ColumnSpec] = {"k": Equality()}
    with QueryContext(budget=MemoryBudget("32MiB")) as context:
        found, prepared = built_of_parts(tmp_path / "parts", batches, specs, context)
        assert context.budget.peak_bytes <= 32 << 20
    with QueryContext() as context:
        assert found == built_of_rows(tmp_path / "rows", batches, specs, context)
    assert prepared == {"k"}


def test_too_many_values_are_refused_as_of_rows(tmp_path: Path) -> None:
    batches = [pa.record_batch({"k": range(first, first + 30)}) for first in (0, 20)]
    with QueryContext() as context, pytest.raises(OptionError, match="'k' has more than 40 distinct values"):
        built_of_parts(tmp_path / "parts", batches, {"k": Equality(40)}, context)


def test_the_index_of_prepared_columns_answers(tmp_path: Path) -> None:
    batches = [pa.record_batch({"k": [1, 2, None]}), pa.record_batch({"k": [2, 3, 2]})]
    parts = VectorParts({"k": Equality()}, batches[0].schema)
    with QueryContext() as context:
        with PreparedColumns(parts, {"k": Equality()}, batches[0].schema, Encoder(), context) as prepared:
            for batch in batches:
                prepared.add(batch.num_rows, parts.encode(batch))
            with pytest.raises(InputError, match="told of 7 rows, and got the vectors of 6"):
                prepared.take(7)
            taken = prepared.take(6)
        infos = build_index(iter(()), 6, {"k": Equality()}, tmp_path, context=context, prepared=taken)
        with Index.open(tmp_path, infos) as index:
            assert index.row_count == 6


def test_what_are_no_vectors_is_refused() -> None:
    schema = pa.schema({"k": pa.int64()})
    parts = VectorParts({"k": Equality()}, schema)
    batch = pa.record_batch({"k": [1, 2, 1]})
    data = parts.encode(batch)
    with pytest.raises(BitmapCorruptError, match="cannot be read"):
        parts.decode(pa.py_buffer(data.to_pybytes()[:40]), 3)
    other = VectorParts({"k": Equality()}, pa.schema({"k": pa.string()}))
    with pytest.raises(BitmapCorruptError, match="other columns"):
        other.decode(data, 3)
    with QueryContext() as context:
        prepared = PreparedColumns(parts, {"k": Equality()}, schema, Encoder(), context)
        with prepared, pytest.raises(BitmapCorruptError, match="rows past the row count"):
            # The vectors of three rows, of a batch of two.
            prepared.add(2, data)
