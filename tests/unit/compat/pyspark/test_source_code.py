"""The code of source 000 runs, unchanged but for its import, as it stands in the examples."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bag_jobs import example

from esker.compat.pyspark import SparkContext

COLUMNS = 7


def _write(path: Path, rows: int) -> list[list[str]]:
    table = [[_cell(row, column) for column in range(COLUMNS)] for row in range(rows)]
    lines = [",".join(f"name{n}" for n in range(COLUMNS)), *map(",".join, table)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _cell(row: int, column: int) -> str:
    kind = column % 4
    return [str(row * column), f"{row / 7:.3f}", ["true", "false"][row % 2], f'"text {row}"'][kind]


def _expected(table: list[list[str]]) -> list[list[str]]:
    plain = [[cell.replace("true", "1").replace("false", "0") for cell in row] for row in table]
    return [list(column) for column in zip(*plain, strict=True)]


def test_the_questions_job_concatenates_each_column_in_order(sc: SparkContext, tmp_path: Path) -> None:
    table = _write(tmp_path / "train.csv", 200)
    found = example("spark_csv_columns").question(sc, str(tmp_path / "train.csv"))
    found.saveAsTextFile(str(tmp_path / "out"))
    expected = [[cell.strip('"') for cell in column] for column in _expected(table)]
    assert found.collectAsMap() == {f"VAR_{n:04d}": ",".join(column) for n, column in enumerate(expected)}
    written = "".join(path.read_text("utf-8") for path in sorted((tmp_path / "out").glob("part-*")))
    assert len(written.splitlines()) == COLUMNS


def test_the_answers_job_groups_each_column_in_order(sc: SparkContext, tmp_path: Path) -> None:
    table = _write(tmp_path / "train.csv", 200)
    found = example("spark_csv_columns").answer(sc, str(tmp_path / "train.csv"))
    assert sorted(found.collect()) == sorted(f"{n},{','.join(column)}" for n, column in enumerate(_expected(table)))


def test_all_pairs_of_a_long_group_stream(sc: SparkContext) -> None:
    make_combinations = example("spark_lazy_pairs").make_combinations
    # Five thousand million pairs: nobody waits for them.
    groups = sc.parallelize([("k", range(100_000))], 1)
    assert groups.flatMap(make_combinations).take(3) == ["0,1,1", "0,2,1", "0,3,1"]
    assert sc.parallelize([("k", range(300))], 1).flatMap(make_combinations).count() == 300 * 299 // 2
