"""`esker sqlite`: statements over virtual tables, and the shell."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.unit.cli.command import Run

import esker


@pytest.fixture
def census(tmp_path: Path) -> Path:
    people = {"salary": [120_000, 90_000, 150_000], "age": [42, 20, 61], "name": ["Ann", "Bo", "Cy"]}
    esker.freeze(people, tmp_path / "census.esker", index=["salary", "age"])
    return tmp_path / "census.esker"


def test_the_query_of_the_source_runs_on_the_index(run: Run, census: Path) -> None:
    ended = run("sqlite", census, "--execute", "SELECT * FROM census WHERE salary > 100000 AND age < 50", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == [{"salary": 120_000, "age": 42, "name": "Ann"}]
    assert 'census: "salary" > 100000 AND "age" < 50: fetched 1 rows, gave 1' in ended.err


def test_several_sources_are_several_tables(run: Run, census: Path, tmp_path: Path) -> None:
    pets = tmp_path / "pets.csv"
    pets.write_text("name,pet\nAnn,cat\n")
    query = "SELECT age, pet FROM people JOIN pets USING (name)"
    ended = run("sqlite", f"people={census}", pets, "--execute", query, "--json", "--quiet")
    assert (ended.code, json.loads(ended.out), ended.err) == (0, [{"age": 42, "pet": "cat"}], "")


def test_a_dry_run_shows_what_comes_down(run: Run, census: Path) -> None:
    ended = run("sqlite", census, "--execute", "SELECT name FROM census WHERE age IN (20, 42)", "--dry-run")
    assert ended.code == 0 and "VIRTUAL TABLE" in ended.out and "age in" in ended.out


def test_without_a_statement_there_is_a_shell(run: Run, census: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT name FROM census WHERE age = 61;\n.exit\n"))
    ended = run("sqlite", census)
    assert ended.code == 0, ended.err
    assert "Cy" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--execute", "SELECT * FROM nowhere"], "error: SQLite: no such table: nowhere"),
        (["--execute", " "], "--execute is empty"),
    ],
)
def test_a_wrong_statement_is_said_once(run: Run, census: Path, words: list[str], message: str) -> None:
    ended = run("sqlite", census, *words)
    assert ended.code == 2
    assert ended.err.count(message) == 1 and len(ended.err.splitlines()) == 1
