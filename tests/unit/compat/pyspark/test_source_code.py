"""The code of source 000 runs, unchanged but for its import."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

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


def drop_first_line(index: int, itr: Any) -> Any:
    if index == 0:
        return iter(list(itr)[1:])
    return itr


def test_the_questions_job_concatenates_each_column_in_order(sc: SparkContext, tmp_path: Path) -> None:
    table = _write(tmp_path / "train.csv", 200)
    DELIM_1 = "\001"

    input = sc.textFile(str(tmp_path / "train.csv"), minPartitions=6)
    input2 = input.mapPartitionsWithIndex(drop_first_line)

    def separate_cols(line):  # type: ignore[no-untyped-def]
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        vals2 = ["VAR_%04d%s%s" % (e, DELIM_1, val.strip('"')) for e, val in enumerate(vals)]  # noqa: UP031
        return vals2  # noqa: RET504

    input3 = input2.flatMap(separate_cols)

    def to_key_val(kv):  # type: ignore[no-untyped-def]
        key, val = kv.split(DELIM_1)
        return (key, val)

    input4 = input3.map(to_key_val)

    def vals_concat(v1, v2):  # type: ignore[no-untyped-def]
        return v1 + "," + v2

    input5 = input4.reduceByKey(vals_concat)

    input5.saveAsTextFile(str(tmp_path / "out"))
    expected = [[cell.strip('"') for cell in column] for column in _expected(table)]
    assert input5.collectAsMap() == {f"VAR_{n:04d}": ",".join(column) for n, column in enumerate(expected)}
    written = "".join(path.read_text("utf-8") for path in sorted((tmp_path / "out").glob("part-*")))
    assert len(written.splitlines()) == COLUMNS


def test_the_answers_job_groups_each_column_in_order(sc: SparkContext, tmp_path: Path) -> None:
    table = _write(tmp_path / "train.csv", 200)

    def separate_cols(line):  # type: ignore[no-untyped-def]
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        for i, x in enumerate(vals):  # noqa: UP028
            yield (i, x)

    input = sc.textFile(str(tmp_path / "train.csv"), minPartitions=6).mapPartitionsWithIndex(drop_first_line)
    pairs = input.flatMap(separate_cols)
    result = pairs.groupByKey().map(lambda kv: "{0},{1}".format(kv[0], ",".join(kv[1])))  # noqa: UP030
    assert sorted(result.collect()) == sorted(f"{n},{','.join(column)}" for n, column in enumerate(_expected(table)))


def test_all_pairs_of_a_long_group_stream(sc: SparkContext) -> None:
    def make_combinations(x):  # type: ignore[no-untyped-def]
        for a, b in itertools.combinations(x[1], 2):
            yield ",".join(map(str, [a, b, 1])) if a < b else ",".join(map(str, [b, a, 1]))

    # Five thousand million pairs: nobody waits for them.
    groups = sc.parallelize([("k", range(100_000))], 1)
    assert groups.flatMap(make_combinations).take(3) == ["0,1,1", "0,2,1", "0,3,1"]
    assert sc.parallelize([("k", range(300))], 1).flatMap(make_combinations).count() == 300 * 299 // 2
