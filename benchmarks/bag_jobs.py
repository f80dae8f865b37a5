"""The jobs of the Bag benchmarks: the two programs of source 000, and what they are compared with.

The programs stand in `examples/spark_csv_columns.py`. Nothing here imports an engine at the top: each runs in an
interpreter that has the others not.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.interpreter import ROOT


def example(name: str) -> Any:
    """Load a program of `examples` as a module that no process can import: engines send its functions by value."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None, "there is a loader for a Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_PROGRAMS = example("spark_csv_columns")


def question(sc: Any, path: str, target: str) -> None:
    """Run the question's code, from `textFile` to the file of (dimension, joined values) on disk."""
    _PROGRAMS.question(sc, path).saveAsTextFile(target)


def answer(sc: Any, path: str, target: str) -> None:
    """Run the answer's code, likewise."""
    _PROGRAMS.answer(sc, path).saveAsTextFile(target)


def question_with_bag(lines: Any, target: str) -> None:
    """Run the question's code with a Bag's names for the steps."""
    _write_parts(_PROGRAMS.question(_BagAsSpark(lines), "").bag, target)


def answer_with_bag(lines: Any, target: str) -> None:
    """Run the answer's code likewise."""
    _write_parts(_PROGRAMS.answer(_BagAsSpark(lines), "").bag, target)


class _BagAsSpark:
    """A Bag, its steps called by Spark's names: `flatMap` is `flat_map`."""

    def __init__(self, bag: Any) -> None:
        self.bag = bag

    def textFile(self, path: str, minPartitions: int) -> _BagAsSpark:
        """Give the lines, which are there already."""
        return self

    def __getattr__(self, name: str) -> Callable[..., _BagAsSpark]:
        step = getattr(self.bag, re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name))
        return lambda *arguments: _BagAsSpark(step(*arguments))


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
