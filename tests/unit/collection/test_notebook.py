"""What notebooks show: escaped, bounded, and without running what the user did not ask for."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest

import esker
from esker.collection import notebook

HOSTILE = "<script>alert('x')</script>"


class Page(HTMLParser):
    """The tags and the text of a piece of HTML, which must close what it opens."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attributes)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def shown(collection: Any) -> Page:
    return Page(collection._repr_html_())


def explodes(*_: Any) -> NoReturn:
    raise AssertionError("nothing of the user's may run")


def test_a_column_named_script_and_its_values_are_harmless() -> None:
    rows = esker.from_arrow({HOSTILE: [HOSTILE, None], "b": [b"\x00<img src=x>", b""]}, name=HOSTILE)
    for one in (
        rows,
        rows.filter("b IS NULL OR \"<script>alert('x')</script>\" = '<img>'"),
        esker.Graph(None, _edges()),
    ):
        page = shown(one)
        assert not page.tags & {"script", "img", "iframe", "object", "link"}
    assert HOSTILE in shown(rows).text


def test_a_dataset_shows_schema_first_rows_and_plan(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    esker.from_arrow({"n": list(range(100)), "name": [f"row {n}" for n in range(100)]}).write_parquet(path)
    page = shown(esker.read_parquet(path).select(["name"]).head(50))
    assert {"table", "svg", "details"} <= page.tags
    for words in ("Dataset · 1 columns", "string", "row 4", "The first 5 rows", "were read", "scan parquet", "head"):
        assert words in page.text
    assert "row 5" not in page.text


def test_no_function_runs_and_no_step_is_computed_to_show_something() -> None:
    rows = esker.from_arrow({"n": [1, 2, 3]})
    for one in (
        rows.map_batches(explodes, pa.schema([("n", pa.int64())])),
        rows.group_by("n").map_groups(explodes, pa.schema([("n", pa.int64())])),
        rows.sort("n"),
        rows.filter("n > 1"),
    ):
        page = shown(one)
        assert "No rows are shown" in page.text and "scan arrow" in page.text
    page = shown(esker.of([1, 2]).map(explodes))
    assert "Nothing was run" in page.text and "function: explodes" in page.text


def test_a_join_is_drawn_without_joining_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = esker.from_arrow({"k": [1, 2, 3]})
    monkeypatch.setattr("esker.plan.compile.plan_join", explodes)
    assert "join" in shown(rows.join(rows, on="k")).text


def test_a_stream_that_can_be_read_once_is_still_whole_after_it_was_shown() -> None:
    reader = pa.table({"n": [1, 2, 3]}).to_reader()
    rows = esker.from_arrow(reader)
    shown(rows)
    assert rows.count() == 3


def test_a_large_first_part_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    esker.from_arrow({"n": list(range(1000))}).write_parquet(path)
    monkeypatch.setattr(notebook, "PREVIEW_BYTES_MAX", 10)
    monkeypatch.setattr(notebook, "_first", explodes)
    assert "No rows are shown, as that would read" in shown(esker.read_parquet(path)).text


def test_a_preview_is_no_run_that_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESKER_LOG_DIR", str(tmp_path / "logs"))
    rows = esker.from_arrow({"n": [1, 2, 3]}).with_options(log=tmp_path / "log.jsonl")
    assert "The first 3 rows" in shown(rows).text
    assert list(tmp_path.iterdir()) == []


def test_an_index_shows_its_columns_and_rows(tmp_path: Path) -> None:
    with esker.build_index({"city": ["a", "b", "a"], "n": [1, 2, 3]}, tmp_path / "census.index", ["city"]) as index:
        page = shown(index)
    for words in ("BitmapIndex census.index · 3 rows", "equality", "The first 3 rows", "city"):
        assert words in page.text


def test_many_columns_are_cut() -> None:
    page = shown(esker.from_arrow({f"c{n}": [n] for n in range(500)}))
    assert "and 300 more" in page.text and "480 columns more" in page.text
    assert "c300" not in page.text


def _edges() -> dict[str, list[str]]:
    return {"src": [HOSTILE], "dst": [HOSTILE], HOSTILE: [HOSTILE]}
