from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

import esker
from esker.core.explanation import Explanation
from esker.errors import MissingExtraError

from .rows import CONSTANTS, Tree, to_polars, trees

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", ["frozen", "indexed", pytest.param("cluster", marks=pytest.mark.slow)])
@FEW
@given(tree=trees(sorted(CONSTANTS)))
def test_a_filter_gives_what_polars_gives_on_the_same_rows(
    request: pytest.FixtureRequest, plain: pa.Table, kind: str, tree: Tree
) -> None:
    wanted = pl.from_arrow(plain).filter(to_polars(tree))
    scan = esker.scan_polars(request.getfixturevalue(kind))
    assert_frame_equal(scan.filter(to_polars(tree)).collect(), wanted)
    assert_frame_equal(scan.filter(to_polars(tree)).select("text", "n").collect(), wanted.select("text", "n"))
    assert_frame_equal(scan.filter(to_polars(tree)).head(7).collect(), wanted.head(7))
    assert scan.filter(to_polars(tree)).select(pl.len()).collect().item() == wanted.height


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_parts_that_only_polars_knows_are_applied_by_it(frozen: Path, plain: pa.Table, engine: str) -> None:
    told: list[Explanation] = []
    mixed = (pl.col("n") == 3) & (pl.col("s").str.len_chars() > 1)
    found = esker.scan_polars(frozen, on_scan=told.append).filter(mixed).collect(engine=engine)
    assert_frame_equal(found, pl.from_arrow(plain).filter(mixed))
    assert found.height > 0


def test_the_index_is_asked_and_only_its_rows_are_fetched(frozen: Path, plain: pa.Table) -> None:
    told: list[Explanation] = []
    scan = esker.scan_polars(frozen, on_scan=told.append)
    found = scan.filter((pl.col("n") == 3) & pl.col("s").is_in(["Ann", "Bo"])).select("text").collect()
    (plan,) = told
    detail = plan.walk()[-1].detail
    assert detail["predicate"] == "\"n\" = 3 AND \"s\" IN ('Ann', 'Bo')"
    assert detail["index_vectors"] == 3
    assert detail["rows_to_fetch"] == found.height < plain.num_rows / 20
    assert detail["columns"] == ["n", "s", "text"] or set(detail["columns"]) == {"n", "s", "text"}


def test_only_the_columns_asked_for_are_read(frozen: Path) -> None:
    told: list[Explanation] = []
    esker.scan_polars(frozen, on_scan=told.append).select("m").collect()
    assert told[0].walk()[-1].detail["columns"] == ["m"]


def test_a_limit_without_a_filter_stops_reading(frozen: Path) -> None:
    told: list[Explanation] = []
    assert esker.scan_polars(frozen, on_scan=told.append).head(5).collect()["id"].to_list() == [0, 1, 2, 3, 4]
    assert any(step.operator == "head" for step in told[0].walk())


def test_files_and_tables_are_scanned_too(tmp_path: Path, plain: pa.Table) -> None:
    path = tmp_path / "rows.parquet"
    esker.from_arrow(plain).write_parquet(path)
    for source in (plain, path, esker.read(path).filter("n > -15")):
        assert (
            esker.scan_polars(source).filter(pl.col("n") > 10).collect().height
            == plain.filter(pa.compute.greater(plain["n"], 10)).num_rows
        )


def test_without_polars_the_error_names_the_extra(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"esker\[polars\]"):
        esker.scan_polars(frozen)
