"""Write the table of methods in docs/pyspark.md from esker.compat.pyspark itself.

python scripts/make_pyspark_table.py           write it
python scripts/make_pyspark_table.py --check   only say whether the committed one is fresh
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from esker.compat import pyspark

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "pyspark.md"
BEGIN, END = "<!-- table: made by scripts/make_pyspark_table.py -->", "<!-- end of table -->"

KINDS = (
    pyspark.SparkContext,
    pyspark.RDD,
    pyspark.RDDBarrier,
    pyspark.Broadcast,
    pyspark.Accumulator,
    pyspark.AccumulatorParam,
    pyspark.SparkFiles,
    pyspark.SparkConf,
    pyspark.StatCounter,
    pyspark.TaskContext,
    pyspark.BarrierTaskContext,
    pyspark.StatusTracker,
)

# What is otherwise than in Spark, where it is there at all.
DIFFERENCES = {
    "SparkContext.uiWebUrl": "always None: there is no web page",
    "SparkContext.setInterruptOnCancel": "tasks are always interrupted",
    "SparkContext.pickleFile": "warns; reads files of its own, not Spark's SequenceFiles",
    "SparkContext.addFile": "files of this machine only",
    "SparkContext.addArchive": "files of this machine only",
    "SparkContext.addPyFile": "files of this machine only",
    "SparkContext.show_profiles": "raises PySparkRuntimeError, as Spark does without spark.python.profile",
    "SparkContext.dump_profiles": "raises PySparkRuntimeError, as Spark does without spark.python.profile",
    "SparkContext.resources": "always empty",
    "SparkContext.setLogLevel": "of Esker's log",
    "RDD.cleanShuffleDependencies": "nothing to do: files of a shuffle go with its action",
    "RDD.countApprox": "stops the job when the time is over; Spark lets it go on",
    "RDD.sumApprox": "stops the job when the time is over; Spark lets it go on",
    "RDD.meanApprox": "stops the job when the time is over; Spark lets it go on",
    "RDD.getResourceProfile": "always None",
    "RDD.saveAsPickleFile": "files of its own; Spark does not read them",
    "RDD.saveAsTextFile": "no checksum files (`.crc`) beside the parts",
    "RDD.sortByKey": "lazy: Spark counts and samples at once; `partitioner` stays None",
    "RDD.sortBy": "lazy: Spark counts and samples at once",
    "RDD.zipWithIndex": "lazy: Spark counts at once",
    "RDD.toLocalIterator": "always works ahead, a window of batches",
    "RDD.bag": "not in Spark: the Bag below",
    "Broadcast.unpersist": "nothing to do: workers hold no copies of their own",
}


def table() -> str:
    """Give the tables of all classes, as Markdown."""
    return "\n".join(line for kind in KINDS for line in _section(kind))


def _section(kind: type[Any]) -> Iterator[str]:
    yield f"\n### {kind.__name__}\n"
    yield "| name | what it does | as in Spark? |"
    yield "| --- | --- | --- |"
    for name in public_names(kind):
        yield f"| `{name}` | {_sentence(kind, name)} | {standing(kind, name)} |"


def public_names(kind: type[Any]) -> list[str]:
    """Give the names of methods and properties that are not inherited from outside of the package."""
    names = {
        name
        for base in kind.__mro__
        if base.__module__.startswith(pyspark.__name__)
        for name, member in vars(base).items()
        if callable(member) or isinstance(member, property | classmethod | staticmethod)
    }
    return sorted((name for name in names if not name.startswith("_")), key=str.lower)


def standing(kind: type[Any], name: str) -> str:
    """Say whether it is as in Spark, differs, or is not there."""
    title = f"{kind.__name__}.{name}"
    if title in DIFFERENCES:
        return DIFFERENCES[title]
    return "no: raises NotImplementedError" if _raises(kind, name) else "yes"


def _raises(kind: type[Any], name: str) -> bool:
    return getattr(_function(kind, name), "__annotations__", {}).get("return") == "NoReturn"


def _function(kind: type[Any], name: str) -> Any:
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, classmethod | staticmethod) else member


def _sentence(kind: type[Any], name: str) -> str:
    text = inspect.getdoc(_function(kind, name)) or ""
    first = text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return first.removesuffix(".")


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    fresh = f"{before}{BEGIN}\n{table()}\n\n{END}{after}"
    if "--check" not in arguments:
        DOCUMENT.write_text(fresh, encoding="utf-8")
        return 0
    if text == fresh:
        return 0
    print(f"{DOCUMENT} is not what the code says; run python scripts/make_pyspark_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
