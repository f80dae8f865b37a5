"""`esker index`: a life of an index, command by command."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esker.cli.main import main


@pytest.fixture
def census(tmp_path):
    path = tmp_path / "census.parquet"
    rows = {
        "salary": pa.array([65_000, 25_000, 130_000, 99_000], pa.int32()),
        "age": pa.array([20, 76, 42, 49], pa.int8()),
        "city": ["Tacoma", "Spokane", "Seattle", "Tacoma"],
        "name": ["Julia", "Tim", "Maria", "Ann"],
    }
    pq.write_table(pa.table(rows), path)
    return path


def run(capsys, *words) -> str:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_an_index_lives_by_commands(census, tmp_path, capsys):
    folder = tmp_path / "census.index"
    built = run(
        capsys, "index", "build", census, folder, "--column", "salary:bins=60001,100001,300001", "--column",
        "age:bins=18,21,66", "--column", "city", "--quiet",
    )  # fmt: skip
    assert "4 rows" in built
    query = "salary > 100000 AND age < 50"
    found = run(capsys, "index", "query", folder, query, "--columns", "name", "--format", "csv")
    assert found.replace('"', "").split() == ["name", "Maria"]
    assert run(capsys, "index", "query", folder, "age < 50", "--count").strip() == "3"
    assert "Tacoma" in run(capsys, "index", "query", folder, "age < 50", "--top", "city=1")
    assert run(capsys, "index", "query", folder, "R:[2,3]&[4,6]", "--count").strip() == "1"
    explained = json.loads(run(capsys, "index", "explain", folder, query, "--json"))
    assert explained["plan"]["choice"] in ("index", "scan")
    assert any("salary" in step for step in explained["plan"]["detail"]["steps"])
    assert "appended 4 rows" in run(capsys, "index", "append", folder, census)
    assert "deleted 4 rows, 4 left" in run(capsys, "index", "delete", folder, "city = 'Tacoma'")
    assert json.loads(run(capsys, "index", "statistics", folder, "--json"))["blocks"] == 2
    run(capsys, "index", "compact", folder)
    statistics = run(capsys, "index", "statistics", folder)
    assert "4 rows (0 deleted) in 1 blocks" in statistics
    assert "city: equality" in statistics


def test_a_wrong_word_is_told(census, tmp_path, capsys):
    assert main(["index", "build", str(census), str(tmp_path / "c.index"), "--column", "age:heap"]) == 2
    assert "no index kind 'heap'" in capsys.readouterr().err
    assert main(["index", "query", str(tmp_path), "age = 1"]) == 2
    assert "is not an index" in capsys.readouterr().err
