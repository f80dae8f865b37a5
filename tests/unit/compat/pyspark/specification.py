"""PySpark's own doctests, read as text from wherever PySpark is installed: nothing of it is copied, imported or run.

Its imports are mapped to ours. What cannot work without a JVM is listed here, each with its reason.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[4]

# The classes whose doctests are the specification, and where they are written.
SOURCES = {
    "core/rdd.py": ("RDD", "RDDBarrier"),
    "core/context.py": ("SparkContext",),
    "core/broadcast.py": ("Broadcast",),
    "core/files.py": ("SparkFiles",),
    "accumulators.py": ("Accumulator", "AccumulatorParam"),
    "taskcontext.py": ("BarrierTaskContext",),
}

_HADOOP = "runs Hadoop's Java classes"
_SYSTEM = "asks a JVM for its properties"
# The methods whose examples need a JVM, and why; they raise NotImplementedError that says so.
NEEDS_JVM = {
    "RDD.saveAsHadoopDataset": _HADOOP,
    "RDD.saveAsHadoopFile": _HADOOP,
    "RDD.saveAsNewAPIHadoopDataset": _HADOOP,
    "RDD.saveAsNewAPIHadoopFile": _HADOOP,
    "RDD.saveAsSequenceFile": _HADOOP,
    "SparkContext.getSystemProperty": _SYSTEM,
    "SparkContext.hadoopFile": _HADOOP,
    "SparkContext.hadoopRDD": _HADOOP,
    "SparkContext.newAPIHadoopFile": _HADOOP,
    "SparkContext.newAPIHadoopRDD": _HADOOP,
    "SparkContext.sequenceFile": _HADOOP,
}
# Examples that show what is not here, and what is given instead of it.
DIFFERS = {"SparkContext.uiWebUrl": "there is no web page: None, as in Spark with spark.ui.enabled=false"}

_IMPORTS = (
    (re.compile(r"\bpy4j\.protocol\b"), "esker.compat.pyspark.protocol"),
    (re.compile(r"(?<![\w.])pyspark(\.core)?(?=\.\w| import)"), "esker.compat.pyspark"),
)


@dataclass(frozen=True)
class Method:
    """A method, property or class that PySpark documents."""

    owner: str
    name: str
    test: doctest.DocTest

    @property
    def title(self) -> str:
        """As the tables name it."""
        return f"{self.owner}.{self.name}" if self.name else self.owner

    @property
    def skipped(self) -> bool:
        """Whether PySpark itself skips an example of it."""
        return any(
            example.options.get(doctest.SKIP, False) or "+SKIP" in example.source for example in self.test.examples
        )


def pyspark_folder() -> Path | None:
    """Find PySpark: where ESKER_PYSPARK says, beside the tests, or where `make test-pyspark` looks and puts it."""
    said = os.environ.get("ESKER_PYSPARK")
    if said:
        return Path(said)
    spec = importlib.util.find_spec("pyspark")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent
    for place in (".venv-bench/lib/python*/site-packages", ".venv-pyspark"):
        for found in sorted(ROOT.glob(f"{place}/pyspark/core/rdd.py")):
            return found.parents[1]
    return None


def missing_reason() -> str:
    """Say why the specification cannot be read here."""
    return "PySpark is not installed, 456 MB: `make test-pyspark` downloads it, or ESKER_PYSPARK names its folder"


@cache
def methods() -> tuple[Method, ...]:
    """Read all documented methods that have examples."""
    folder = pyspark_folder()
    return tuple(_methods(folder)) if folder is not None else ()


def public_names(owner: str) -> list[str]:
    """Read the public names of a class: methods, properties and attributes that others may use."""
    folder = pyspark_folder()
    assert folder is not None
    for file, owners in SOURCES.items():
        if owner in owners:
            for kind in _classes(folder / file, (owner,)):
                return sorted({node.name for node in _functions(kind) if not node.name.startswith("_")})
    raise KeyError(owner)


def arguments(owner: str, name: str) -> list[tuple[str, bool]]:
    """Read the arguments of a method: names, and whether each takes all that follow."""
    folder = pyspark_folder()
    assert folder is not None
    for file, owners in SOURCES.items():
        for kind in _classes(folder / file, tuple({owner} & set(owners))):
            # The last of a name: those before it are overloads.
            node = [node for node in _functions(kind) if node.name == name][-1]
            plain = [(argument.arg, False) for argument in (*node.args.posonlyargs, *node.args.args)]
            rest = [(node.args.vararg.arg, True)] if node.args.vararg is not None else []
            named = [(argument.arg, False) for argument in node.args.kwonlyargs]
            return [part for part in (*plain, *rest, *named) if part[0] not in ("self", "cls")]
    raise KeyError(owner)


def _methods(folder: Path) -> Iterator[Method]:
    parser = doctest.DocTestParser()
    for file, owners in SOURCES.items():
        for kind in _classes(folder / file, owners):
            for node in (kind, *_functions(kind)):
                text = _mapped(ast.get_docstring(node) or "")
                name = "" if node is kind else node.name
                test = parser.get_doctest(text, {}, f"{kind.name}.{name}", file, node.lineno)
                if test.examples:
                    yield Method(kind.name, name, test)


def _classes(file: Path, owners: tuple[str, ...]) -> Iterator[ast.ClassDef]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name in owners:
            yield node


def _functions(kind: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    return (node for node in kind.body if isinstance(node, ast.FunctionDef))


def _mapped(text: str) -> str:
    for pattern, ours in _IMPORTS:
        text = pattern.sub(ours, text)
    return text
