"""Lazy flatMap, of source 000: all pairs of a group, written for PySpark, as a stream and without Spark.

    python examples/spark_lazy_pairs.py [folder]

The question's Python job works and its Scala port runs out of memory. A generator is never held whole: the first of
5,000 million pairs come at once, and counting them takes the memory of a few.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

from esker.compat.pyspark import SparkContext


def make_combinations(x: Any) -> Any:
    """Yield a line for each pair of a group: the code of the question."""
    for a, b in itertools.combinations(x[1], 2):
        yield ",".join(map(str, [a, b, 1])) if a < b else ",".join(map(str, [b, a, 1]))


def main(folder: Path) -> None:
    """Take a few pairs of a huge group, count those of a smaller one, and write some."""
    with SparkContext("local[*]", "pairs") as sc:
        huge = sc.parallelize([("group", range(100_000))], 1)
        print("of 4,999,950,000 pairs the first are:")
        for pair in huge.flatMap(make_combinations).take(3):
            print(" ", pair)
        group = sc.parallelize([("group", range(1500))], 1)
        print(f"1,500 items have {group.flatMap(make_combinations).count():,} pairs")
        few = sc.parallelize([("a", "xyz"), ("b", "uvw")], 2).flatMap(make_combinations)
        few.saveAsTextFile(str(folder / "pairs"))
        print("written:", sorted(sc.textFile(str(folder / "pairs")).collect()))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
