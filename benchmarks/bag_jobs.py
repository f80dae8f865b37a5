"""The jobs of the Bag benchmarks: the two programs of source 000 as they stand there, and what they are compared with.

Nothing here imports an engine at the top: each runs in an interpreter that has the others not. Functions that go to
workers are made within functions, so that engines send them by value.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def question(sc: Any, path: str, target: str) -> None:
    """Run the question's code, from `textFile` to the file of (dimension, joined values) on disk."""
    input = sc.textFile(path, minPartitions=6)
    DELIM_1 = "\001"

    def drop_first_line(index, itr):  # type: ignore[no-untyped-def]
        if index == 0:
            return iter(list(itr)[1:])
        return itr

    input2 = input.mapPartitionsWithIndex(drop_first_line)

    def separate_cols(line):  # type: ignore[no-untyped-def]
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        vals2 = ["VAR_%04d%s%s" % (e, DELIM_1, val.strip('"')) for e, val in enumerate(vals)]  # noqa: UP031
        return vals2  # noqa: RET504  # as the source has it

    input3 = input2.flatMap(separate_cols)

    def to_key_val(kv):  # type: ignore[no-untyped-def]
        key, val = kv.split(DELIM_1)
        return (key, val)

    input4 = input3.map(to_key_val)

    def vals_concat(v1, v2):  # type: ignore[no-untyped-def]
        return v1 + "," + v2

    input5 = input4.reduceByKey(vals_concat)
    input5.saveAsTextFile(target)


def answer(sc: Any, path: str, target: str) -> None:
    """Run the answer's code, likewise."""

    def drop_first_line(index, itr):  # type: ignore[no-untyped-def]
        if index == 0:
            return iter(list(itr)[1:])
        return itr

    def separate_cols(line):  # type: ignore[no-untyped-def]
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        for i, x in enumerate(vals):  # noqa: UP028  # as the source has it
            yield (i, x)

    input = sc.textFile(path, minPartitions=6).mapPartitionsWithIndex(drop_first_line)
    pairs = input.flatMap(separate_cols)
    result = pairs.groupByKey().map(lambda kv: "{0},{1}".format(kv[0], ",".join(kv[1])))  # noqa: UP030
    result.saveAsTextFile(target)


def question_with_bag(lines: Any, target: str) -> None:
    """Run the question's code with a Bag's names for the steps; the functions are the same."""
    delimiter = "\001"

    def drop_first_line(index: int, itr: Iterator[str]) -> Iterator[str]:
        if index == 0:
            return iter(list(itr)[1:])
        return itr

    def separate_cols(line: str) -> list[str]:
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        vals2 = ["VAR_%04d%s%s" % (e, delimiter, val.strip('"')) for e, val in enumerate(vals)]  # noqa: UP031
        return vals2  # noqa: RET504  # as the source has it

    def to_key_val(kv: str) -> tuple[str, str]:
        key, val = kv.split(delimiter)
        return (key, val)

    def vals_concat(v1: str, v2: str) -> str:
        return v1 + "," + v2

    cells = lines.map_partitions_with_index(drop_first_line).flat_map(separate_cols)
    _write_parts(cells.map(to_key_val).reduce_by_key(vals_concat), target)


def answer_with_bag(lines: Any, target: str) -> None:
    """Run the answer's code likewise."""

    def drop_first_line(index: int, itr: Iterator[str]) -> Iterator[str]:
        if index == 0:
            return iter(list(itr)[1:])
        return itr

    def separate_cols(line: str) -> Iterator[tuple[int, str]]:
        line = line.replace("true", "1").replace("false", "0")
        vals = line.split(",")
        for i, x in enumerate(vals):  # noqa: UP028  # as the source has it
            yield (i, x)

    pairs = lines.map_partitions_with_index(drop_first_line).flat_map(separate_cols)
    result = pairs.group_by_key().map(lambda kv: "{0},{1}".format(kv[0], ",".join(kv[1])))  # noqa: UP030
    _write_parts(result, target)


def _write_parts(elements: Any, target: str) -> None:
    folder = fresh(target)
    folder.mkdir()

    def write(index: int, found: Iterator[Any]) -> Iterator[int]:
        with (folder / f"part-{index:05d}").open("w", encoding="utf-8") as file:
            file.writelines(f"{element}\n" for element in found)
        yield index

    elements.map_partitions_with_index(write).count()


def question_in_one_thread(path: str, target: str) -> None:
    """Do what the question's code does, as one would without any engine: columns by `zip`, joined, written."""
    rows = [[value.strip('"') for value in row] for row in _rows(path)]
    _write_lines(target, (str((f"VAR_{i:04d}", ",".join(column))) for i, column in enumerate(zip(*rows, strict=True))))


def answer_in_one_thread(path: str, target: str) -> None:
    """Do what the answer's code does, likewise."""
    columns = zip(*_rows(path), strict=True)
    _write_lines(target, (f"{i},{','.join(column)}" for i, column in enumerate(columns)))


def _rows(path: str) -> Iterator[list[str]]:
    with Path(path).open(encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n").replace("true", "1").replace("false", "0").split(",")


def _write_lines(target: str, lines: Iterator[str]) -> None:
    folder = fresh(target)
    folder.mkdir()
    with (folder / "part-00000").open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def write_columns(target: str, lines: Iterator[str]) -> None:
    """Write lines as one part of a folder, for engines that give Python the whole result."""
    _write_lines(target, lines)


def fresh(target: str) -> Path:
    """Make room for a folder of results."""
    folder = Path(target)
    if folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return folder
