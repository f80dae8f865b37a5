"""The page on PySpark: its examples run, its table is what the code says, and every method is in it."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.compat.pyspark import specification

ROOT = Path(__file__).parents[4]
DOCUMENT = ROOT / "docs" / "pyspark.md"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pyspark_table", ROOT / "scripts" / "make_pyspark_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_examples_of_the_page_run() -> None:
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 5 and not failed


def test_the_table_is_fresh() -> None:
    assert _script().main(["--check"]) == 0, "run python scripts/make_pyspark_table.py"


def test_every_difference_is_of_a_method_that_is_there() -> None:
    script = _script()
    names = {f"{kind.__name__}.{name}" for kind in script.KINDS for name in script.public_names(kind)}
    assert set(script.DIFFERENCES) <= names


def test_every_method_that_raises_is_said_to() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for title in specification.NEEDS_JVM:
        owner, name = title.split(".")
        section = text.partition(f"### {owner}\n")[2].partition("\n### ")[0]
        (row,) = re.findall(rf"^\| `{name}` .*$", section, re.MULTILINE)
        assert row.endswith("| no: raises NotImplementedError |")


@pytest.mark.skipif(specification.pyspark_folder() is None, reason=specification.missing_reason())
@pytest.mark.parametrize(
    "owner", ["RDD", "RDDBarrier", "SparkContext", "Broadcast", "SparkFiles", "Accumulator", "AccumulatorParam"]
)
def test_every_method_of_pyspark_is_in_the_table(owner: str) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"### {owner}\n")[2].partition("\n### ")[0]
    listed = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert set(specification.public_names(owner)) <= listed
