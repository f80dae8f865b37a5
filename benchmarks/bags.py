"""Bags beside Spark, pysparkling, Dask and plain Python: the CSV job of source 000, words, keys, pairs, groups.

`--rows` is the rows of the CSV file (3,000 and 12,000 are quoted; the source has 145,232); other inputs follow it.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.bag_engines import BUDGET, CSV, GROUPS, PAIR_ELEMENTS, TEXT
from benchmarks.case import Case, Digest, Workload

COLUMNS = 1936
# The larger of the two sizes that are quoted.
LARGE = 4
# Pieces of the file are made of so many rows, over and over: making each cell anew would take longer than the job.
POOL_ROWS = 200
GROUP_VALUES = 100
SCALES = (1, 3, 6, 12)
# Seconds a case may take for a run, and for all its rounds: what a slow peer takes is bounded, its loss is told.
SECONDS_MAX = 180.0

_HERE = "benchmarks.bags"
_ENGINES = "benchmarks.bag_engines"
_SPARK = ("pyspark",)
_SPARKLING = ("pysparkling",)
_DASK = ("dask",)
_DAFT = ("daft",)


def _job_cases(job: str) -> tuple[Case, ...]:
    return (
        Case("one thread", f"{_ENGINES}:one_thread_{job}", "zip, join, write; no engine"),
        Case("esker", f"{_ENGINES}:esker_{job}", "the source's functions, a Bag's names for the steps"),
        Case("esker.compat", f"{_ENGINES}:compat_{job}", "the source's code, SparkContext from esker.compat.pyspark"),
        Case("pyspark", f"{_ENGINES}:pyspark_{job}", "the source's code, local[2], context made before", _SPARK),
        Case(
            "pysparkling",
            f"{_ENGINES}:pysparkling_{job}",
            "the source's code less minPartitions, in one process",
            _SPARKLING,
        ),
        Case("dask.bag", f"{_ENGINES}:dask_{job}", "foldby in 2 processes", _DASK, rounds_max=2),
    )


_COLUMN_CASES = (
    Case("esker columns", f"{_ENGINES}:esker_columns", "read_csv as texts, joined by Arrow; no user function"),
    Case("polars", f"{_ENGINES}:polars_csv", "one select of str.join over all columns; no user function"),
    Case("duckdb", f"{_ENGINES}:duckdb_csv", "1936 string_aggs; no user function"),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give all but the groups over growing data; `rows` are those of the larger CSV file."""
    common = {"threads": threads, "memory_bytes": memory_bytes, "subject": "esker", "seconds_max": SECONDS_MAX}
    for count in (rows // LARGE, rows):
        for job, also in (("answer", ()), ("question", _COLUMN_CASES)):
            yield Workload(
                name=f"{job} {count:,} rows",
                title=f"the {job}'s code: {count:,} rows of {COLUMNS} columns, {threads} processes",
                generate=partial(write_csv, rows=count),
                cases=_job_cases(job) + also,
                reference="one thread",
                digest=f"{_HERE}:digest_folder",
                facts={"rows": count},
                **common,  # type: ignore[arg-type]
            )
    yield Workload(
        name="answer from nothing",
        title=f"the answer's code from a cold start: {rows // LARGE:,} rows, start-up and end of the process included",
        generate=partial(write_csv, rows=rows // LARGE),
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_answer_cold", "zip, join, write; no engine"),
            Case("esker", f"{_ENGINES}:esker_answer_cold", "as above, in a new process"),
            Case("pyspark", f"{_ENGINES}:pyspark_answer_cold", "as above, in a new process and a new JVM", _SPARK),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_folder",
        **common,  # type: ignore[arg-type]
    )
    yield Workload(
        name="start",
        title="from nothing to the sum of ten numbers",
        generate=lambda folder: None,
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_start", "the interpreter alone"),
            Case("esker", f"{_ENGINES}:esker_start", "of(range(10)).map(...).sum() in worker processes"),
            Case("pyspark", f"{_ENGINES}:pyspark_start", "parallelize(range(10)).map(...).sum()", _SPARK),
            Case("pysparkling", f"{_ENGINES}:pysparkling_start", "the same in one process", _SPARKLING),
            Case("dask.bag", f"{_ENGINES}:dask_start", "from_sequence(range(10)).map(...).sum(), 2 processes", _DASK),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_text",
        **common,  # type: ignore[arg-type]
    )
    yield Workload(
        name="words",
        title=f"word count: {rows * 250:,} words",
        generate=partial(write_words, words=rows * 250),
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_words", "a dict"),
            Case("esker", f"{_ENGINES}:esker_words", "flat_map, map, reduce_by_key"),
            Case("pyspark", f"{_ENGINES}:pyspark_words", "flatMap, map, reduceByKey", _SPARK),
            Case("pysparkling", f"{_ENGINES}:pysparkling_words", "the same, in one process", _SPARKLING),
            Case("dask.bag", f"{_ENGINES}:dask_words", "flatten, frequencies; 2 processes", _DASK),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_counts",
        **common,  # type: ignore[arg-type]
    )
    keys = rows * 1000 // 3
    yield Workload(
        name="keys",
        title=f"reduce_by_key of {keys:,} distinct keys, each twice",
        generate=lambda folder: _write_number(folder / "keys", keys),
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_keys", "a dict"),
            Case("esker", f"{_ENGINES}:esker_keys", "range, map, reduce_by_key(add)"),
            Case(
                "esker spilling",
                f"{_ENGINES}:esker_keys_spilling",
                "the same with memory=128MiB: tables get a quarter of what they want",
            ),
            Case("pyspark", f"{_ENGINES}:pyspark_keys", "range, map, reduceByKey(add)", _SPARK, rounds_max=2),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_pair",
        rounds_max=3,
        **common,  # type: ignore[arg-type]
    )
    matches = rows * 100 // 3
    yield Workload(
        name="join",
        title=f"join of {matches:,} keys, one value on each side",
        generate=lambda folder: _write_number(folder / "keys", matches),
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_join", "a dict of lists"),
            Case("esker", f"{_ENGINES}:esker_join", "range, map, join"),
            Case("pyspark", f"{_ENGINES}:pyspark_join", "range, map, join", _SPARK),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_pair",
        rounds_max=3,
        **common,  # type: ignore[arg-type]
    )
    pairs = PAIR_ELEMENTS * (PAIR_ELEMENTS - 1) // 2
    yield Workload(
        name="pairs",
        title=f"all {pairs:,} pairs of one record, as texts, counted",
        generate=lambda folder: None,
        cases=(
            Case("one thread", f"{_ENGINES}:one_thread_pairs", "a generator"),
            Case("esker", f"{_ENGINES}:esker_pairs", "flat_map with a generator: one record is one task"),
            Case("pyspark", f"{_ENGINES}:pyspark_pairs", "flatMap with a generator", _SPARK, rounds_max=2),
        ),
        reference="one thread",
        digest=f"{_HERE}:digest_number",
        rounds_max=3,
        **common,  # type: ignore[arg-type]
    )


def budget_workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give the jobs of source 000 within a budget: an eighth, a half and all of the file (145,232 rows are 1.3 GB)."""
    for count in (rows // 8, rows // 2, rows):
        for job in ("answer", "question"):
            yield Workload(
                name=f"budget {job} {count:,} rows",
                title=f"the {job}'s code within {BUDGET}: {count:,} rows of {COLUMNS} columns",
                generate=partial(write_csv, rows=count),
                cases=(
                    Case("esker", f"{_ENGINES}:esker_{job}_budget", f"memory={BUDGET}, partitions of 32 MiB, spills"),
                    Case("one thread", f"{_ENGINES}:one_thread_{job}", "zip, join, write; no engine", rounds_max=1),
                    Case("pyspark", f"{_ENGINES}:pyspark_{job}", "the source's code, local[2]", _SPARK, rounds_max=1),
                ),
                reference="esker",
                subject="esker",
                digest=f"{_HERE}:digest_folder",
                memory_bytes=memory_bytes,
                threads=threads,
                fresh=True,
                rounds_max=2,
                facts={"rows": count, "budget": BUDGET},
            )


def group_workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give group_by_key with any Python per group over 1, 3, 6 and 12 times the data; `rows` are the largest's."""
    for scale in SCALES:
        count = scale * max(rows // SCALES[-1], GROUP_VALUES)
        yield Workload(
            name=f"bag groups {scale}x",
            title=f"group_by_key, any Python per group: {count:,} lines of 520 bytes, budget {BUDGET}",
            generate=partial(write_groups, rows=count),
            cases=(
                Case("esker", f"{_ENGINES}:esker_groups", f"group_by_key with memory={BUDGET}, spills to disk"),
                Case("pyspark", f"{_ENGINES}:pyspark_groups", "groupByKey, local[2], spills to disk", _SPARK),
                Case("dask.bag", f"{_ENGINES}:dask_groups", "groupby through files, 2 processes", _DASK, rounds_max=1),
                Case("polars", f"{_ENGINES}:polars_groups", "map_groups; no memory limit to set"),
                Case("daft", f"{_ENGINES}:daft_groups", "map_groups, native; no memory limit to set", _DAFT),
            ),
            reference="esker",
            subject="esker",
            digest=f"{_HERE}:digest_groups",
            memory_bytes=memory_bytes,
            threads=threads,
            fresh=True,
            rounds_max=2,
            seconds_max=SECONDS_MAX,
            facts={"rows": count, "scale": scale, "budget": BUDGET},
        )


# ---- data; NumPy is imported where it is used: what checks results runs in the processes that are measured ----


def write_csv(folder: Path, rows: int) -> None:
    """Write a file like the source's: 60 % integers, 20 % floats, 10 % texts, 10 % truths; quotes, empty cells.

    No text has a comma, or "true" or "false" in it, so that all engines do the same.
    """
    import numpy as np

    chance = np.random.default_rng(1)
    kinds = chance.choice(4, COLUMNS, p=[0.6, 0.2, 0.1, 0.1])
    letters = np.array(list("abcdghijkmnopqvwxyz"))

    def cell(kind: int) -> str:
        if kind == 0:
            return str(chance.integers(0, 100_000)) if chance.random() > 0.05 else "-1"
        if kind == 1:
            return f"{chance.random() * 1000:.3f}"
        if kind == 2:
            return '""' if chance.random() < 0.2 else '"' + "".join(chance.choice(letters, 8)) + '"'
        return ("true", "false", "")[chance.integers(0, 3)]

    pool = [",".join([cell(kind) for kind in kinds]) + "\n" for _ in range(min(rows, POOL_ROWS))]
    with (folder / CSV).open("w", encoding="utf-8") as file:
        file.write(",".join(f'"VAR_{number:04d}"' for number in range(COLUMNS)) + "\n")
        for begin in range(0, rows, len(pool)):
            order = chance.permutation(len(pool))[: rows - begin]
            file.writelines([pool[place] for place in order])


def write_words(folder: Path, words: int) -> None:
    """Write lines of ten words, frequent and rare ones (Zipf)."""
    import numpy as np

    chance = np.random.default_rng(2)
    with (folder / TEXT).open("w", encoding="utf-8") as file:
        for begin in range(0, words, 100_000):
            numbers = (chance.zipf(1.3, min(100_000, words - begin)) % 200_000).tolist()
            texts = [f"word{number}" for number in numbers]
            file.writelines(" ".join(texts[place : place + 10]) + "\n" for place in range(0, len(texts), 10))


def write_groups(folder: Path, rows: int) -> None:
    """Write lines of a key and a text of 512 letters; the lines of a group lie everywhere."""
    import numpy as np

    chance = np.random.default_rng(3)
    pool = chance.integers(97, 123, 1 << 20, dtype=np.uint8).tobytes().decode("ascii")
    with (folder / GROUPS).open("w", encoding="utf-8") as file:
        for begin in range(0, rows, 100_000):
            count = min(100_000, rows - begin)
            keys = chance.integers(0, max(rows // GROUP_VALUES, 1), count).tolist()
            places = chance.integers(0, len(pool) - 512, count).tolist()
            file.writelines(f"{key},{pool[place : place + 512]}\n" for key, place in zip(keys, places, strict=True))


def _write_number(path: Path, number: int) -> None:
    path.write_text(str(number), encoding="ascii")


# ---- what results are checked by ----


def digest_folder(target: str, data: Path) -> Digest:
    """Count lines and letters, and sum up their bytes, whatever the order of lines or of the cells of a line."""
    lines = letters = total = keyed = 0
    for part in sorted(Path(target).glob("part-*")):
        for line in part.read_bytes().splitlines():
            lines += 1
            letters += len(line)
            total += sum(line)
            key = line[: line.index(b",")]
            keyed = (keyed + zlib.crc32(key) * len(line)) % (1 << 62)
    shutil.rmtree(target)
    return {"lines": lines, "letters": letters, "sum": total, "keyed": keyed}


def digest_text(printed: str, data: Path) -> Digest:
    """Take the number that was printed last."""
    return {"sum": int(printed.split()[-1])}


def digest_counts(counts: dict[str, int], data: Path) -> Digest:
    """Sum counts up, weighed by their words."""
    mixed = sum(zlib.crc32(word.encode()) * count for word, count in counts.items()) % (1 << 62)
    return {"words": len(counts), "sum": sum(counts.values()), "mixed": mixed}


def digest_pair(pair: tuple[int, int], data: Path) -> Digest:
    """Take the count and the sum."""
    return {"keys": int(pair[0]), "sum": int(pair[1])}


def digest_number(number: int, data: Path) -> Digest:
    """Take the number."""
    return {"count": int(number)}


def digest_groups(groups: list[tuple[str, int, int, int]], data: Path) -> Digest:
    """Sum all columns up, weighed by their keys."""
    rows = letters = with_a = mixed = 0
    for key, count, letters_of, with_a_of in groups:
        rows += count
        letters += letters_of
        with_a += with_a_of
        mixed = (mixed + zlib.crc32(str(key).encode()) * (count + letters_of)) % (1 << 62)
    return {"groups": len(groups), "rows": rows, "letters": letters, "with a": with_a, "mixed": mixed}
