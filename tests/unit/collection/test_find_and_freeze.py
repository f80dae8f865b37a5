"""Freeze, find and join on frozen data give the rows of the plain data, and read what they say they read."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import esker
from esker.errors import CostLimitError, InputFileError, OptionError, OutputExistsError, UnknownColumnError
from esker.frozen import FrozenCatalog
from tests.unit.collection.test_dataset_against_duckdb import PREDICATES
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(2000, seed=3)
INDEX = {
    "k": "equality",
    "s": "equality",
    "flag": "equality",
    "f64": esker.Bins([0.0, 1.0]),
    "money": esker.Bins(["-0.50", "0.10"]),
    "moment": esker.Bins(["2013-01-01 12:00:00+00:00"]),
}


@pytest.fixture(scope="module", params=["disk", "tape"])
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    tiers = {"disk": None, "tape": f"tape:{folder / 'library'}?device=exabyte-220l&cartridge=64KiB"}
    target = folder / "wide.esker"
    report = esker.freeze(TABLE, target, keys=["id"], index=INDEX, tier=tiers[request.param], extent_rows=250)
    assert report.rows == TABLE.num_rows
    assert report.extents == 8
    return target


@pytest.mark.parametrize(
    "predicate", [*PREDICATES, "i16 > 50 AND k = 3", "k = 3 OR i16 > 90", "id BETWEEN 100 AND 110"]
)
def test_find_gives_the_rows_a_scan_of_the_plain_table_gives(predicate: str, frozen: Path) -> None:
    expected = esker.from_arrow(TABLE).filter(predicate).to_arrow()
    found = esker.find(frozen, predicate)
    assert rows_of(found.to_arrow()) == rows_of(expected)
    assert found.count() == expected.num_rows


def test_rows_come_back_in_row_id_order(frozen: Path) -> None:
    ids = esker.find(frozen, "k IN (1, 2)").to_arrow()["id"].to_pylist()
    assert ids == sorted(ids)
    assert esker.read_frozen(frozen).to_arrow()["id"].to_pylist() == list(range(TABLE.num_rows))


def test_what_hot_columns_can_answer_never_touches_the_payload(frozen: Path) -> None:
    result = esker.find(frozen, "k = 3 AND f64 > 0.5", columns=["id", "k"]).execute()
    rows = result.to_arrow()
    assert rows.num_rows
    assert result.explanation.walk()[-1].choice == "hot columns"


def test_the_plan_is_what_the_tier_counts(frozen: Path) -> None:
    result = esker.find(frozen, "id < 100").execute()
    assert result.to_arrow().num_rows == 100
    step = result.explanation.walk()[-1]
    assert step.estimated is not None
    assert step.actual is not None
    assert step.actual.bytes == step.estimated.bytes
    assert step.actual.requests == step.estimated.requests
    assert step.actual.mounts == step.estimated.mounts
    if step.timeline:  # a simulated device keeps its own time; a disk's is measured
        assert step.actual.seconds == pytest.approx(step.estimated.seconds)
    assert step.actual.bytes < step.alternatives["full read"].bytes


@pytest.mark.parametrize("algorithm", ["auto", "asj", "hash", "in_memory"])
@pytest.mark.parametrize("how", ["inner", "left", "semi", "anti", "full"])
def test_joins_on_frozen_data_give_the_rows_of_the_plain_join(how: str, algorithm: str, frozen: Path) -> None:
    other = esker.from_arrow(wide_table(60, seed=9, prefix="r_"))
    expected = esker.from_arrow(TABLE).filter("k > 4").join(other, on=["k", "s"], how=how).to_arrow()
    joined = esker.read_frozen(frozen).filter("k > 4").join(other, on=["k", "s"], how=how, algorithm=algorithm)
    assert rows_of(joined.to_arrow()) == rows_of(expected)


def test_a_join_that_is_too_dear_is_refused_before_reading(frozen: Path) -> None:
    other = esker.from_arrow({"id": [1, 2]})
    joined = esker.read_frozen(frozen).join(other, on="id", algorithm="asj")
    with pytest.raises(CostLimitError, match="nothing was read"):
        joined.with_options(max_cost={"bytes": 1}).to_arrow()


def test_bad_words_are_named_before_anything_is_made(tmp_path: Path) -> None:
    target = tmp_path / "t.esker"
    with pytest.raises(UnknownColumnError, match="did you mean 'money'"):
        esker.freeze(TABLE, target, keys=["mony"])
    with pytest.raises(OptionError, match="hash_table"):
        esker.freeze(TABLE, target, index={"k": "hash_table"})
    with pytest.raises(OptionError, match="at least one column"):
        esker.freeze(TABLE, target)
    with pytest.raises(OptionError, match="punch_cards"):
        esker.freeze(TABLE, target, keys=["id"], tier="punch_cards:/x")
    with pytest.raises(InputFileError, match="nowhere"):
        esker.freeze(TABLE, tmp_path / "nowhere" / "t.esker", keys=["id"])
    with pytest.raises(InputFileError, match=r"t\.esker"):
        esker.read_frozen(target)
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_set_is_not_overwritten(tmp_path: Path) -> None:
    esker.freeze({"a": [1]}, tmp_path / "a.esker", keys="a")
    with pytest.raises(OutputExistsError, match=r"a\.esker"):
        esker.freeze({"a": [2]}, tmp_path / "a.esker", keys="a")
    assert esker.read_frozen(tmp_path / "a.esker").to_arrow()["a"].to_pylist() == [1]


def test_freezing_sorts_and_splits(tmp_path: Path) -> None:
    table = pa.table({"month": [2, 1, 3, 1], "n": [20, 11, 30, 10]})
    report = esker.freeze(table, tmp_path / "m.esker", keys="month", order_by=["month", "n"], split_by="month")
    assert report.extents == 3
    assert esker.read_frozen(tmp_path / "m.esker").to_arrow()["n"].to_pylist() == [10, 11, 20, 30]


def test_freezing_again_takes_the_place_of_a_freeze_that_was_killed(tmp_path: Path) -> None:
    target = tmp_path / "killed.esker"
    code = (
        "import os, signal, sys, esker\n"
        "def killed(batch):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "rows = esker.from_arrow({'k': [1, 2]})\n"
        "esker.freeze(rows.map_batches(killed, schema=rows.schema), sys.argv[1], keys='k')\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -signal.SIGKILL
    with pytest.raises(InputFileError, match="freeze again"):
        esker.read(target)
    assert esker.freeze({"k": [1, 2]}, target, keys="k").rows == 2
    assert esker.find(target, "k = 2").count() == 1
    with pytest.raises(OutputExistsError, match="frozen data set already"):
        esker.freeze({"k": [1, 2]}, target, keys="k")


def test_a_data_set_without_its_catalogue_is_not_read_as_plain_files(tmp_path: Path) -> None:
    target = tmp_path / "lost.esker"
    esker.freeze({"k": [1, 2]}, target, keys="k")
    (target / "catalog.db").unlink()
    with pytest.raises(InputFileError, match=r"lost\.esker.*no catalog\.db"):
        esker.read(target)


def test_the_index_is_not_asked_where_its_vectors_are_larger_than_the_keys(tmp_path):
    rows = {"id": list(range(3_000)), "text": [f"row {number}" for number in range(3_000)]}
    esker.freeze(rows, tmp_path / "r.esker", index=["id"], encoding="wah32")
    many = esker.find(tmp_path / "r.esker", "id % 2 = 0", columns=["text"])
    assert "not asked" in many.explain().detail["index"]
    assert many.to_arrow()["text"].to_pylist() == rows["text"][::2]
    one = esker.find(tmp_path / "r.esker", "id = 77", columns=["text"])
    assert one.explain().detail["index_vectors"] == 1
    assert one.to_arrow()["text"].to_pylist() == ["row 77"]


def test_only_rows_that_the_bins_leave_open_are_checked(tmp_path, monkeypatch):
    from esker.engine import find

    rows = {"delay": [*range(100)], "text": [str(number) for number in range(100)]}
    esker.freeze(rows, tmp_path / "r.esker", index={"delay": esker.Bins([10, 50])})
    checked = []
    real = find._check_hot
    monkeypatch.setattr(find, "_check_hot", lambda s, rows, *more: checked.append(len(rows)) or real(s, rows, *more))
    found = esker.find(tmp_path / "r.esker", "delay >= 10 AND delay < 60", columns=["text"]).to_arrow()
    assert found["text"].to_pylist() == rows["text"][10:60]
    # Those of the bin from 50 on; the bin from 10 to 50 is sure.
    assert checked == [50]


@pytest.mark.parametrize(
    ("options", "encodings"),
    [({"encoding": "wah32"}, {"wah32.1"}), ({"encoding": "auto", "profile": "size"}, {"gap_run.1", "dense.1"})],
)
def test_vectors_of_frozen_data_are_encoded_as_asked_for(tmp_path, options, encodings):
    target = tmp_path / "wide.esker"
    esker.freeze(TABLE, target, index=["k", "id"], **options)
    with FrozenCatalog.open(target) as catalog:
        used = {name for segment in catalog.segments for name in segment.spec["encodings"]}
    assert used and used <= encodings
    assert esker.find(target, "k = 3").count() == esker.from_arrow(TABLE).filter("k = 3").count()
    with pytest.raises(OptionError, match="no encoding 'wah33'"):
        esker.freeze(TABLE, tmp_path / "other.esker", index=["k"], encoding="wah33")
    assert not (tmp_path / "other.esker").exists()
