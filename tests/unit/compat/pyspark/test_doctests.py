"""PySpark's doctests pass against us, but for those that need a JVM, which say so."""

from __future__ import annotations

import ast
import doctest
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import esker.compat.pyspark as ours
from esker.compat.pyspark import RDD, SparkContext
from esker.compat.pyspark.context import UnsafePickleWarning
from tests.unit.compat.pyspark import specification
from tests.unit.compat.pyspark.specification import DIFFERS, NEEDS_JVM, Method

# Whose examples are counted: 139 methods with 551 of them in PySpark 4.3.0, without those that PySpark skips itself.
CLASSES = ("RDD", "RDDBarrier", "SparkContext", "Broadcast", "SparkFiles", "Accumulator")

pytestmark = pytest.mark.skipif(specification.pyspark_folder() is None, reason=specification.missing_reason())


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What PySpark's examples find: `sc` with four workers, `spark`, and the package's names."""
    sc = SparkContext("local[4]", "doctests")
    sc.setCheckpointDir(str(tmp_path / "checkpoints"))
    try:
        yield {**vars(ours), "sc": sc, "spark": SimpleNamespace(sparkContext=sc)}
    finally:
        sc.stop()
        _stop_any()


def _stop_any() -> None:
    if SparkContext._active_spark_context is not None:
        SparkContext._active_spark_context.stop()


class _Checker(doctest.OutputChecker):
    """As doctest compares, but sets by what is in them: their order follows PYTHONHASHSEED."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or _same_set(want, got)


def _same_set(want: str, got: str) -> bool:
    try:
        expected, found = ast.literal_eval(want), ast.literal_eval(got)
    except (SyntaxError, ValueError):
        return False
    return isinstance(expected, set) and isinstance(found, set) and expected == found


def _run(method: Method, names: dict[str, Any]) -> str:
    """Run the examples; gives what failed."""
    report: list[str] = []
    runner = doctest.DocTestRunner(checker=_Checker(), optionflags=doctest.ELLIPSIS)
    method.test.globs = dict(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what Spark deprecates
        warnings.simplefilter("ignore", UnsafePickleWarning)
        runner.run(method.test, out=report.append, clear_globs=False)
    return "".join(report)


def _portable() -> list[Method]:
    return [
        method
        for method in specification.methods()
        if method.title not in NEEDS_JVM and method.title not in DIFFERS and method.title != "SparkContext"
    ]


@pytest.mark.parametrize("method", _portable(), ids=lambda method: method.title)
def test_the_examples_of_pyspark_pass(method: Method, names: dict[str, Any]) -> None:
    failures = _run(method, names)
    assert not failures, failures


def test_the_example_of_the_context_itself_passes_without_one() -> None:
    (method,) = [method for method in specification.methods() if method.title == "SparkContext"]
    try:
        failures = _run(method, dict(vars(ours)))
    finally:
        _stop_any()
    assert not failures, failures


@pytest.mark.parametrize("title", NEEDS_JVM)
def test_what_needs_a_jvm_says_so(title: str, names: dict[str, Any]) -> None:
    owner, name = title.split(".")
    thing = names["sc"] if owner == "SparkContext" else names["sc"].parallelize([(1, "a")])
    with pytest.raises(NotImplementedError, match="JVM"):
        getattr(thing, name)(*["x"] * _wanted(thing, name))


def _wanted(thing: Any, name: str) -> int:
    """How many arguments a method must have."""
    parameters = inspect.signature(getattr(thing, name)).parameters.values()
    return sum(
        parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        for parameter in parameters
    )


def test_the_examples_that_need_a_jvm_do_fail(names: dict[str, Any]) -> None:
    """The list is no longer than it must be."""
    passing = [
        method.title
        for method in specification.methods()
        if method.title in NEEDS_JVM | DIFFERS and not _run(method, names)
    ]
    assert not passing


def test_there_is_no_web_page(names: dict[str, Any]) -> None:
    assert names["sc"].uiWebUrl is None


def test_as_many_examples_are_run_as_pyspark_has() -> None:
    listed = [method for method in specification.methods() if method.owner in CLASSES]
    shown = [method for method in listed if not method.skipped]
    examples = sum(len(method.test.examples) for method in shown)
    # PySpark 4.3.0; another version may have more, never fewer.
    assert len(shown) >= 139
    assert examples >= 551
    assert len(shown) - len(NEEDS_JVM | DIFFERS) >= 127


@pytest.mark.parametrize("owner", [*CLASSES, "AccumulatorParam"])
def test_no_public_name_is_missing(owner: str) -> None:
    missing = [name for name in specification.public_names(owner) if not hasattr(getattr(ours, owner), name)]
    assert not missing


def _signatures() -> list[tuple[type, str]]:
    kinds = [RDD, SparkContext, ours.RDDBarrier, ours.Broadcast]
    return (
        [(kind, name) for kind in kinds for name in specification.public_names(kind.__name__)]
        if (specification.pyspark_folder() is not None)
        else []
    )


@pytest.mark.parametrize(("kind", "name"), _signatures(), ids=lambda part: getattr(part, "__name__", part))
def test_arguments_have_the_names_and_order_of_pyspark(kind: type, name: str) -> None:
    if f"{kind.__name__}.{name}" in NEEDS_JVM or name in ("saveAsHadoopFile", "setSystemProperty", "toDF"):
        pytest.skip("raises whatever it is given")
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return
    theirs = specification.arguments(kind.__name__, name)
    given = [
        (parameter.name, parameter.kind is inspect.Parameter.VAR_POSITIONAL)
        for parameter in inspect.signature(getattr(kind, name)).parameters.values()
    ]
    assert [argument for argument in given if argument[0] not in ("self", "cls")] == theirs
