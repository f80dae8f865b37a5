"""What a user's own type checker sees of the installed package: `mypy --strict`, results by the arguments given."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from esker import Options
from esker.collection.options import OptionsGiven
from esker.engine.bag.options import BagOptions, BagOptionsGiven
from esker.formats.csv import CsvOptionsGiven, CsvReadOptions
from tests.unit.house.project import ROOT

PROGRAM = """
from pathlib import Path
from typing import Any, assert_type

import esker
from esker import Bag, Dataset, Graph, Par, Sink, Stream, first, gather, par
from esker.errors import EskerError

rows = esker.from_arrow({"id": [1, 2], "place": ["a", "b"]})
assert_type(rows, Dataset)
assert_type(rows.filter("id > 1").select(["id"]).sort("id"), Dataset)
assert_type(rows.count(), int)
assert_type(rows.explain("svg"), str)
assert_type(rows.explain().operator, str)
assert_type(rows.join(rows, on="id").with_options(memory="64MiB"), Dataset)
assert_type(esker.find(Path("s.esker"), "id = 1"), Dataset)
report = esker.freeze(rows, "s.esker", keys=["id"], index={"place": "equality", "id": esker.Bins([1])})
assert_type(report.row_count, int)

elements = esker.of([1, 2, 3])
assert_type(elements, Bag[int])
assert_type(elements.map(lambda n: n + 1).filter(lambda n: n > 1), Bag[int])
assert_type(elements.count(), int)
words = esker.read_text("poem.txt").flat_map(str.split)
assert_type(words, Bag[str])
counts = words.map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b)
assert_type(counts, Bag[tuple[str, int]])
assert_type(counts.sort_by(lambda pair: -pair[1]).take(3), list[tuple[str, int]])
assert_type(counts.map_values(str).collect_as_dict(), dict[str, str])
assert_type(counts.join(words.key_by(len).map(lambda pair: (pair[1], pair[0]))), Bag[tuple[str, tuple[int, int]]])
assert_type(words.group_by(len).map_values(sorted), Bag[tuple[int, list[str]]])
assert_type(words.zip_with_index().first(), tuple[str, int])
assert_type(elements.aggregate("", lambda text, n: text + str(n), lambda a, b: a + b), str)
assert_type(elements.union(words), Bag[int | str])
assert_type([element for element in elements], list[int])
assert_type(rows.to_bag().first(), dict[str, Any])
assert_type(elements.sum(), int)
assert_type(elements.map(lambda n: n / 2).sum(), float)
names = esker.broadcast({1: "one"})
assert_type(names.value, dict[int, str])
assert_type(elements.map(lambda n: names.value[n]), Bag[str])
assert_type(esker.accumulator().value, int)
assert_type(esker.accumulator(0.0).value, float)
settings: dict[str, Any] = {"threads": 1}
assert_type(rows.count(**settings), int)
assert_type(esker.read_csv("a.csv", delimiter=";", types={"n": "int8"}), Dataset)


def longest(bag: Bag) -> Bag[object]:  # a plain Bag holds anything
    return bag.map(len)


longest(words)

assert_type(par([1, 2]).map(str), Par[str])
assert_type(par([1, 2]).map(str).to_list(), list[str])
assert_type(first([lambda: 1, lambda: 2]), int)
assert_type(gather([lambda: "a", lambda: "b"]), list[str])

assert_type(Stream([1, 2]).map(str), Stream[str])
assert_type(Stream([1, 2]).collect(), list[int])
assert_type(Stream([1, 2]).run(Sink.count()), int)
assert_type(Graph(None, rows).page_rank(), Dataset)

with esker.connect("local") as session:
    pass
error = EskerError("no")
assert_type(error.code, str)
assert_type(error.message, str)
assert_type(error.temporary, bool)
"""
# Mistakes that must be seen: otherwise all of the above might be Any.
MISTAKES = """
import esker

rows = esker.from_arrow({"id": [1]})
rows.cuont()
rows.count() + "text"
esker.find("s.esker", 42)
esker.par([1]).map(str).to_list().append(2)
esker.of([1]).map(str.upper)
esker.of([1]).map_values(str)
esker.of(["a"]).map(len).first().upper()
rows.count(memroy="1GiB")
rows.with_options(threads="two")
esker.read_csv("rows.csv", delimeter=";")
esker.of([1]).with_options(wrokers=2)
esker.broadcast(1).value.upper()
esker.accumulator(0).add("one")
"""


def checked(program: str, folder: Path) -> tuple[int, str]:
    """Check a program as a user would, with Esker among the installed packages and not among the sources."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "esker.pth").write_text(f"{ROOT / 'src'}\n")
    (folder / "program.py").write_text(program)
    (folder / "mypy.ini").write_text("[mypy]\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(folder / "venv/bin/python")]
    ended = subprocess.run(
        [*command, "--cache-dir", str(ROOT / ".mypy_cache/user"), "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_user_s_program_is_clean_under_strict(tmp_path: Path) -> None:
    assert checked(PROGRAM, tmp_path) == (0, "Success: no issues found in 1 source file\n")


def test_a_user_s_mistakes_are_seen(tmp_path: Path) -> None:
    code, said = checked(MISTAKES, tmp_path)
    assert code == 1
    assert [int(line) for line in re.findall(r"^program\.py:(\d+): error", said, re.MULTILINE)] == [
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
    ]


@pytest.mark.parametrize(
    ("given", "options"),
    [(OptionsGiven, Options), (BagOptionsGiven, BagOptions), (CsvOptionsGiven, CsvReadOptions)],
    ids=lambda one: one.__name__,
)
def test_keywords_are_the_options_that_there_are(given: Any, options: Any) -> None:
    assert {name: type_.__forward_arg__ for name, type_ in given.__annotations__.items()} == {
        field.name: field.type for field in fields(options)
    }
