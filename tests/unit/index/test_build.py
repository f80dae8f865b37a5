from __future__ import annotations

import errno
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from esker.bitmap.column_writer import ColumnWriter
from esker.core.context import QueryContext
from esker.core.file_system import FileSystem
from esker.core.memory import MemoryBudget
from esker.core.seeded import generator
from esker.core.spill import SpillFolder
from esker.errors import (
    CancelledError,
    InputError,
    OptionError,
    OutputFileError,
    SpillError,
    UnknownColumnError,
    UnsupportedTypeError,
)
from esker.expression import Column, Compare, IsNull, Literal
from esker.index import Bins, Equality, Index, build_index, spec_from_json
from esker.index.column_spec import typed_edges
from esker.index.segment import ReadCount
from esker.index.slots import FIRST_SLOT


def batch_of(**columns):
    return pa.RecordBatch.from_pydict(columns)


def build(folder, batches, specs, **options):
    with QueryContext(**options) as context:
        return build_index(batches, sum(batch.num_rows for batch in batches), specs, folder, context=context)


def test_the_catalogue_gets_plain_json_from_which_the_index_can_be_built_again(tmp_path):
    batch = batch_of(month=[1, 2, 2], delay=[5.0, None, 130.0])
    specs = {"month": Equality(), "delay": Bins([0, 120])}
    infos = build(tmp_path, [batch], specs)
    assert [(info.column, info.kind) for info in infos] == [("month", "equality"), ("delay", "bins")]
    assert {name.name for name in tmp_path.iterdir()} == {info.file for info in infos}
    recorded = [json.loads(json.dumps(info.spec)) for info in infos]
    again = {info.column: spec_from_json(spec) for info, spec in zip(infos, recorded, strict=True)}
    assert again == specs


def test_every_file_name_is_new(tmp_path):
    batch = batch_of(month=[1])
    first, second = (build(tmp_path, [batch], {"month": Equality()}) for _ in range(2))
    assert first[0].file != second[0].file
    assert len(list(tmp_path.iterdir())) == 2


def test_a_column_name_of_any_letters_makes_a_plain_file_name(tmp_path):
    name = "../Größe/" + "x" * 300
    (info,) = build(tmp_path, [pa.RecordBatch.from_arrays([pa.array([1])], [name])], {name: Equality()})
    assert info.file.isascii()
    assert "/" not in info.file
    with Index.open(tmp_path, [info]) as index:
        assert index.columns == {name}


def test_too_many_values_are_refused_with_advice(tmp_path):
    with pytest.raises(OptionError, match=r"'id' has more than 50 distinct values; .*Bins.quantile"):
        build(tmp_path, [batch_of(id=list(range(40))), batch_of(id=list(range(20, 60)))], {"id": Equality(50)})
    assert list(tmp_path.iterdir()) == []


def test_as_many_values_as_allowed_are_taken(tmp_path):
    (info,) = build(tmp_path, [batch_of(id=list(range(40))), batch_of(id=list(range(10, 50)))], {"id": Equality(50)})
    assert info.spec["vectors"] == FIRST_SLOT + 50


def test_an_unknown_column_is_named(tmp_path):
    with pytest.raises(UnknownColumnError, match="did you mean 'month'"):
        build(tmp_path, [batch_of(month=[1])], {"mnth": Equality()})


@pytest.mark.parametrize("type_", [pa.list_(pa.int8()), pa.struct({"a": pa.int8()}), pa.null(), pa.float16()])
def test_a_type_that_cannot_be_indexed_is_named(tmp_path, type_):
    batch = pa.RecordBatch.from_arrays([pa.nulls(2, type_)], ["v"])
    with pytest.raises(UnsupportedTypeError, match="column 'v' has type"):
        build(tmp_path, [batch], {"v": Equality()})


@pytest.mark.parametrize("edges", [["x"], [2, 1], [1, 1], [None], [1.5], [1 << 40]])
def test_edges_that_do_not_fit_the_column_are_refused(tmp_path, edges):
    with pytest.raises(OptionError, match="column 'v'"):
        build(tmp_path, [batch_of(v=pa.array([1], pa.int32()))], {"v": Bins(edges)})


NEW_YORK = pa.timestamp("us", "America/New_York")


@pytest.mark.parametrize(
    ("type_", "edges", "expected"),
    [
        (pa.date32(), ["2012-01-01"], [date(2012, 1, 1)]),
        (pa.decimal128(9, 2), ["1.50", 2, Decimal("3.25")], [Decimal("1.50"), Decimal("2.00"), Decimal("3.25")]),
        (NEW_YORK, ["2013-07-01"], [datetime(2013, 7, 1, 4, tzinfo=UTC)]),
        (NEW_YORK, [datetime(2013, 7, 1, tzinfo=UTC)], [datetime(2013, 7, 1, tzinfo=UTC)]),
        (pa.timestamp("ms"), ["2013-07-01 00:00:01"], [1_372_636_801_000]),
        (pa.float32(), [float("-inf"), 0, 0.5, float("inf")], [float("-inf"), 0.0, 0.5, float("inf")]),
        (pa.uint8(), [np.int64(3), 4.0], [3, 4]),
        (pa.string(), ["", "b"], ["", "b"]),
        (pa.uint64(), [2**64 - 1], [2**64 - 1]),
    ],
)
def test_edges_take_the_columns_type_also_when_read_back_from_the_catalogue(type_, edges, expected):
    typed = pa.array(expected, type_)
    assert typed_edges(edges, "v", type_).equals(typed)
    recorded = spec_from_json(json.loads(json.dumps(Bins(edges).to_json(), allow_nan=False)))
    assert typed_edges(recorded.edges, "v", type_).equals(typed)


def test_bins_need_edges():
    with pytest.raises(OptionError, match="at least one edge"):
        Bins([])
    with pytest.raises(OptionError, match="too many"):
        Bins(range(5000))
    with pytest.raises(OptionError, match="quantile"):
        Bins.quantile(1)


def test_quantile_bins_hold_about_as_many_rows_each(tmp_path):
    values = generator(4).lognormal(size=150_000)
    batches = [batch_of(v=part) for part in np.array_split(values, 5)]
    (info,) = build(tmp_path, batches, {"v": Bins.quantile(10)})
    with Index.open(tmp_path, [info]) as index:
        index.validate()
        counts = index.segment("v").slot_rows()[FIRST_SLOT:]
    assert len(counts) == 10
    assert abs(counts.astype(int) - 15_000).max() < 1_500


def test_quantiles_of_repeated_values_give_fewer_bins(tmp_path):
    (info,) = build(tmp_path, [batch_of(v=[1] * 90 + [2] * 10)], {"v": Bins.quantile(20)})
    assert info.spec["vectors"] == FIRST_SLOT + 3


def test_quantiles_of_nothing_are_refused(tmp_path):
    with pytest.raises(OptionError, match="no values to take quantiles of"):
        build(tmp_path, [batch_of(v=pa.nulls(3, pa.int32()))], {"v": Bins.quantile(4)})


def test_an_empty_data_set_has_an_index_that_answers(tmp_path):
    infos = build(tmp_path, [batch_of(v=pa.array([], pa.int64()))], {"v": Equality()})
    with Index.open(tmp_path, infos, 0) as index:
        answer = index.evaluate(IsNull(Column("v")))
    assert (len(answer.rows), answer.exact) == (0, True)
    assert build(tmp_path, [], {"v": Equality()}) == []


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", None, "b", "a"]).dictionary_encode(),
        pa.array(["a", None, "b", "a"], pa.string_view()),
        pa.array(["a", None, "b", "a"], pa.large_string()),
        pa.array([b"a", None, b"b", b"a"], pa.binary_view()),
    ],
)
def test_dictionaries_and_views_are_indexed_by_their_values(tmp_path, values):
    infos = build(tmp_path, [batch_of(v=values)], {"v": Equality()})
    with Index.open(tmp_path, infos) as index:
        segment = index.segment("v")
        assert [segment.read(slot, ReadCount()).to_numpy().tolist() for slot in range(4)] == [[1], [], [0, 3], [2]]


def test_zeros_of_both_signs_are_one_value(tmp_path):
    infos = build(tmp_path, [batch_of(v=[0.0, -0.0, 1.0])], {"v": Equality()})
    with Index.open(tmp_path, infos) as index:
        answer = index.evaluate(Compare("=", Column("v"), Literal(pa.scalar(-0.0))))
    assert answer.rows.to_numpy().tolist() == [0, 1]


def test_a_small_budget_spills_and_gives_the_same_index(tmp_path, monkeypatch):
    chance = generator(6)
    batches = [batch_of(v=chance.integers(0, 20_000, 65_536)) for _ in range(24)]
    spills = []
    monkeypatch.setattr(ColumnWriter, "spill", lambda self, real=ColumnWriter.spill: (spills.append(1), real(self)))
    budget = MemoryBudget("24MiB")
    (tight,) = build(tmp_path, batches, {"v": Equality()}, budget=budget)
    assert len(spills) > 1
    assert (budget.held_bytes, budget.peak_bytes < budget.total_bytes) == (0, True)
    spills.clear()
    (roomy,) = build(tmp_path, batches, {"v": Equality()}, budget=MemoryBudget("1GiB"))
    assert not spills
    assert (tight.bytes, tight.checksum) == (roomy.bytes, roomy.checksum)


def test_the_spill_limit_is_kept(tmp_path):
    with SpillFolder(root=tmp_path, limit=1_000) as spill:
        writer = ColumnWriter(spill)
        writer.add((np.arange(60_000) % 50).astype(np.int32), 50)
        with pytest.raises(SpillError, match="1,000 bytes"):
            writer.spill()


def test_a_cancelled_build_leaves_nothing(tmp_path):
    with QueryContext() as context:

        def batches():
            yield batch_of(v=[1])
            context.cancellation.cancel("Ctrl-C")
            yield batch_of(v=[2])

        with pytest.raises(CancelledError):
            build_index(batches(), 2, {"v": Equality()}, tmp_path, context=context)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows_told", [2, 4])
def test_a_wrong_row_count_is_refused(tmp_path, rows_told):
    with QueryContext() as context, pytest.raises(InputError, match=f"told of {rows_told} rows, and got 3"):
        build_index([batch_of(v=[1, 2, 3])], rows_told, {"v": Equality()}, tmp_path, context=context)


class FullDisk(FileSystem):
    """A disk with room for so many writes."""

    def __init__(self, writes: int) -> None:
        self.writes = writes

    def write(self, file, data):
        self.writes -= 1
        if self.writes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(file, data)


@pytest.mark.parametrize("writes", [0, 1])
def test_a_full_disk_leaves_no_file_and_names_the_column(tmp_path, writes):
    batch = batch_of(v=[1, 2], w=[1, 2])
    with QueryContext() as context, pytest.raises(OutputFileError, match=r"index of column '[vw]'.*No space left"):
        build_index(
            [batch], 2, {"v": Equality(), "w": Equality()}, tmp_path, context=context, file_system=FullDisk(writes)
        )
    assert list(tmp_path.iterdir()) == []


def test_vectors_are_stored_by_value(tmp_path):
    infos = build(tmp_path, [batch_of(v=[5, 3, 9]), batch_of(v=[4, 3, None])], {"v": Equality()})
    with Index.open(tmp_path, infos) as index:
        assert pc.equal(index.segment("v").values, pa.array([3, 4, 5, 9])).to_pylist() == [True] * 4
