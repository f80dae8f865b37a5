"""The CSV job of source 000: the column of each dimension as one string, written for PySpark, without Spark.

    python examples/spark_csv_columns.py [folder] [rows]

The question was why the same job is so much slower in Scala. First the question's code (reduceByKey), then the
answer's (groupByKey); both are as they were, but for the import, which is in `main`: nothing here is tied to Esker, and
the benchmarks give the same two functions to Spark. The folder's `train.csv` is made if it is not there: 1,936 columns
of numbers, texts in quotes and booleans.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

COLUMNS = 1936


def main(folder: Path, rows: int) -> None:
    """Run both jobs and show what they say."""
    from esker.compat.pyspark import SparkContext

    csv = folder / "train.csv"
    if not csv.exists():
        make_csv(csv, rows)
    print(f"{csv.name}: {csv.stat().st_size / 1e6:.1f} MB")
    with SparkContext("local[*]", "columns") as sc:
        asked = question(sc, str(csv))
        asked.saveAsTextFile(str(folder / "question"))
        print("the question's code:", asked.count(), "columns in", asked.getNumPartitions(), "files")
        answered = answer(sc, str(csv))
        answered.saveAsTextFile(str(folder / "answer"))
        print("the answer's code:", answered.count(), "columns in", answered.getNumPartitions(), "files")
        print("one of them:", answered.first()[:60], "...")
        cells = answer_as_pairs(sc, str(csv)).mapValues(mean_of_numbers)
        print("means of the first columns of numbers:")
        for column, mean in cells.filter(lambda kv: kv[1] is not None).sortByKey().take(3):
            print(f"  VAR_{column:04d} {mean:.3f}")


# fmt: off
def drop_first_line(index: int, itr: Any) -> Any:
    """Leave out the header."""
    if index == 0:
        return iter(list(itr)[1:])
    return itr


def question(sc: Any, path: str) -> Any:
    """Build what the question builds: strings that are cut again, and added up two by two."""
    input = sc.textFile(path, minPartitions=6)

    DELIM_1 = '\001'

    input2 = input.mapPartitionsWithIndex(drop_first_line)

    def separate_cols(line):  # type: ignore[no-untyped-def]
        line = line.replace('true', '1').replace('false', '0')
        vals = line.split(',')
        vals2 = ['VAR_%04d%s%s' %(e, DELIM_1, val.strip('\"'))  # noqa: UP031
                 for e, val in enumerate(vals)]
        return vals2  # noqa: RET504

    input3 = input2.flatMap(separate_cols)

    def to_key_val(kv):  # type: ignore[no-untyped-def]
        key, val = kv.split(DELIM_1)
        return (key, val)
    input4 = input3.map(to_key_val)

    def vals_concat(v1, v2):  # type: ignore[no-untyped-def]
        return v1 + ',' + v2
    return input4.reduceByKey(vals_concat)


def separate_cols(line: str) -> Any:
    """Pair each cell with the number of its column."""
    line = line.replace('true', '1').replace('false', '0')
    vals = line.split(',')
    for (i, x) in enumerate(vals):  # noqa: UP028
        yield (i, x)


def answer_as_pairs(sc: Any, path: str) -> Any:
    """Group the cells of each column."""
    input = (sc
        .textFile(path, minPartitions=6)
        .mapPartitionsWithIndex(drop_first_line))

    pairs = input.flatMap(separate_cols)
    return pairs.groupByKey()


def answer(sc: Any, path: str) -> Any:
    """Build what the answer builds: cells grouped, and joined once."""
    return (answer_as_pairs(sc, path)
        .map(lambda kv: "{0},{1}".format(kv[0], ",".join(kv[1]))))  # noqa: UP030
# fmt: on


def mean_of_numbers(cells: Any) -> float | None:
    """Give the mean of a column's numbers; None where there are texts."""
    try:
        numbers = [float(cell) for cell in cells if cell]
    except ValueError:
        return None
    return sum(numbers) / len(numbers) if numbers else None


def make_csv(path: Path, rows: int, columns: int = COLUMNS, seed: int = 7) -> Path:
    """Write a file like the question's: 60 % whole numbers, 20 % fractions, 10 % texts, 10 % booleans."""
    import numpy as np

    chance = np.random.default_rng(seed)

    def cell(column: int) -> str:
        kind = column % 10
        if kind < 6:
            return str(chance.integers(10_000)) if chance.random() > 0.02 else ""
        if kind < 8:
            return f"{chance.uniform(-1, 1):.6f}"
        return f'"text {column}"' if kind == 8 else ("true", "false")[chance.integers(2)]

    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(f'"VAR_{column:04}"' for column in range(columns)) + "\n")
        for _ in range(rows):
            file.write(",".join(map(cell, range(columns))) + "\n")
    return path


if __name__ == "__main__":
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), rows)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder), rows)
