"""How each engine runs the jobs of the Bag benchmarks. Every function takes a Setting and gives what is timed."""

from __future__ import annotations

import atexit
import collections
import compileall
import operator
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import bag_jobs
from benchmarks.case import Setting, load
from benchmarks.interpreter import ROOT

CSV = "train.csv"
TEXT = "words.txt"
GROUPS = "groups.txt"
PAIR_ELEMENTS = 7_072  # 25 M pairs
BUDGET = "256MiB"

Run = Callable[[], Any]


def keys_of(data: Path) -> int:
    """How many distinct keys the high-cardinality job has."""
    return int((data / "keys").read_text(encoding="ascii"))


def word_key(number: int, keys: int) -> tuple[str, int]:
    """Make a pair of the high-cardinality job: each key comes twice, far apart."""
    return f"key{number % keys:07d}", 1


def summarise(key: str, values: list[str]) -> tuple[str, int, int, int]:
    """Do the work of a group: any Python that no engine could see through.

    >>> summarise("7", ["ab", "ca"])
    ('7', 2, 4, 2)
    """
    letters = 0
    with_a = 0
    for text in sorted(values):
        letters += len(text)
        with_a += text.count("a")
    return key, len(values), letters, with_a


def cut_line(line: str) -> tuple[str, str]:
    """Split a line into key and text.

    >>> cut_line("7,some text")
    ('7', 'some text')
    """
    key, _, text = line.partition(",")
    return key, text


# ---- Esker ----


def esker_csv(setting: Setting, job: str) -> Run:
    """Run a job of the source on a Bag: its functions, and the Bag's names for the steps."""
    import esker

    def run(path: str, target: str) -> None:
        lines = esker.read_text(path, partitions=6).with_options(workers=setting.threads)
        getattr(bag_jobs, f"{job}_with_bag")(lines, target)

    return partial(_to_folder, setting, run)


def esker_csv_budget(setting: Setting, job: str) -> Run:
    """Run a job of the source on a Bag within a budget, in partitions of 32 MiB, as Spark cuts local files."""
    import esker

    def run(path: str, target: str) -> None:
        lines = esker.read_text(path, partition_bytes="32MiB").with_options(workers=setting.threads, memory=BUDGET)
        getattr(bag_jobs, f"{job}_with_bag")(lines, target)

    return partial(_to_folder, setting, run)


def compat_context(setting: Setting) -> Any:
    """Esker behind Spark's names: the import is all that differs."""
    from esker.compat.pyspark import SparkContext

    return SparkContext(f"local[{setting.threads}]", "benchmark")


def esker_words(setting: Setting) -> Run:
    """Count words with a Bag."""
    import esker

    lines = esker.read_text(setting.data / TEXT, partitions=2 * setting.threads).with_options(workers=setting.threads)
    counts = lines.flat_map(str.split).map(lambda word: (word, 1)).reduce_by_key(operator.add)
    return lambda: dict(counts.collect())


def esker_keys(setting: Setting, memory: str | None = None) -> Run:
    """Reduce many keys with a Bag; only how many there are and what they sum up to comes back."""
    import esker

    keys = keys_of(setting.data)
    numbers = esker.range(2 * keys, partitions=4).with_options(workers=setting.threads)
    if memory is not None:
        numbers = numbers.with_options(memory=memory)
    counts = numbers.map(lambda number: (f"key{number % keys:07d}", 1)).reduce_by_key(operator.add)
    return lambda: counts.map(operator.itemgetter(1)).aggregate((0, 0), _count_and_sum, _add_counts)


def esker_join(setting: Setting) -> Run:
    """Join many keys with a Bag, one value on each side; how many and what they sum up to comes back."""
    import esker

    keys = keys_of(setting.data)
    left, right = (esker.range(keys, partitions=4).with_options(workers=setting.threads) for _ in range(2))
    joined = left.map(lambda n: (f"key{n:07d}", n)).join(right.map(lambda n: (f"key{keys - 1 - n:07d}", 2 * n)))
    return lambda: joined.map(_sum_of_match).aggregate((0, 0), _count_and_sum, _add_counts)


def esker_pairs(setting: Setting) -> Run:
    """Make all pairs of one record, lazily, and count them."""
    import esker

    names = [str(number) for number in range(PAIR_ELEMENTS)]
    record = esker.of([names], partitions=1).with_options(workers=setting.threads)
    return lambda: record.flat_map(_all_pairs).count()


def esker_groups(setting: Setting) -> Run:
    """Call any Python per group within a budget."""
    import esker

    lines = esker.read_text(setting.data / GROUPS, partition_bytes="32MiB")
    grouped = lines.with_options(workers=setting.threads, memory=BUDGET).map(cut_line).group_by_key()
    return lambda: grouped.map(lambda group: summarise(group[0], list(group[1]))).collect()


def esker_columns(setting: Setting) -> Run:
    """The CSV job without a function of the user's: columns as Arrow texts, joined by Arrow."""
    import pyarrow as pa
    import pyarrow.compute as pc

    import esker

    def run(path: str, target: str) -> None:
        types = dict.fromkeys([f"VAR_{number:04d}" for number in range(columns_of(path))], pa.string())
        table = esker.read_csv(path, types=types).to_arrow()
        bag_jobs.write_columns(target, _joined(table, pc, pa))

    return partial(_to_folder, setting, run)


def _joined(table: Any, pc: Any, pa: Any) -> Iterator[str]:
    for name in table.column_names:
        texts = table[name].combine_chunks()
        texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        texts = pc.fill_null(pc.replace_substring(pc.replace_substring(texts, "true", "1"), "false", "0"), "")
        one_list = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)
        yield str((name, pc.binary_join(one_list, ",")[0].as_py()))


def columns_of(path: str) -> int:
    """How many columns the file has."""
    with Path(path).open(encoding="utf-8") as file:
        return file.readline().count(",") + 1


def esker_start(setting: Setting) -> Run:
    """From nothing to a first result."""
    wheel_environment()
    return partial(_python, "import esker; print(esker.of(range(10), partitions=2).map(lambda x: x + 1).sum())")


# ---- Spark, and what speaks its language ----


def pyspark_context(setting: Setting) -> Any:
    """Spark with as many threads, quiet; its workers find what is imported here."""
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setMaster(f"local[{setting.threads}]").setAppName("benchmark")
    conf = conf.set("spark.ui.enabled", "false").set("spark.driver.memory", "2g")
    sc = SparkContext(conf=conf)
    sc.setLogLevel("ERROR")
    return sc


def pysparkling_context(setting: Setting) -> Any:
    """pysparkling, everything in this process.

    Without `minPartitions`: with it a file lies whole in a partition that is not the first, and the source's "leave out
    the first line of partition 0" leaves out nothing.
    """
    from pysparkling import Context

    class OnePartition(Context):  # type: ignore[misc]
        def textFile(self, path: str, minPartitions: int | None = None) -> Any:
            return super().textFile(path)

    return OnePartition()


def spark_csv(setting: Setting, job: str, context: str) -> Run:
    """Run a job of the source on Spark, or on what takes its place."""
    sc = load(f"benchmarks.bag_engines:{context}")(setting)

    def run(path: str, target: str) -> None:
        getattr(bag_jobs, job)(sc, path, target)
        if Path(target).is_file():  # pysparkling writes a single partition as one file
            part = Path(target).rename(f"{target}.part")
            Path(target).mkdir()
            part.rename(Path(target) / "part-00000")

    return partial(_to_folder, setting, run)


def spark_words(setting: Setting, context: str) -> Run:
    """Count words."""
    sc = load(f"benchmarks.bag_engines:{context}")(setting)
    path = str(setting.data / TEXT)

    def run() -> dict[str, int]:
        words = sc.textFile(path, 2 * setting.threads).flatMap(lambda line: line.split())
        return dict(words.map(lambda word: (word, 1)).reduceByKey(operator.add).collect())

    return run


def pyspark_keys(setting: Setting) -> Run:
    """Reduce many keys."""
    sc = pyspark_context(setting)
    keys = keys_of(setting.data)

    def run() -> Any:
        pairs = sc.range(0, 2 * keys, numSlices=4).map(lambda number: (f"key{number % keys:07d}", 1))
        counts = pairs.reduceByKey(operator.add, 4).map(lambda pair: pair[1])
        return counts.aggregate((0, 0), lambda done, n: (done[0] + 1, done[1] + n), _add_counts)

    return run


def pyspark_join(setting: Setting) -> Run:
    """Join many keys."""
    sc = pyspark_context(setting)
    keys = keys_of(setting.data)

    def run() -> Any:
        left = sc.range(0, keys, numSlices=4).map(lambda n: (f"key{n:07d}", n))
        right = sc.range(0, keys, numSlices=4).map(lambda n: (f"key{keys - 1 - n:07d}", 2 * n))
        return left.join(right, 4).map(_sum_of_match).aggregate((0, 0), _count_and_sum, _add_counts)

    return run


def pyspark_pairs(setting: Setting) -> Run:
    """Make all pairs of one record with a generator, and count them."""
    sc = pyspark_context(setting)
    names = [str(number) for number in range(PAIR_ELEMENTS)]
    return lambda: sc.parallelize([names], 1).flatMap(_all_pairs).count()


def pyspark_groups(setting: Setting) -> Run:
    """Call any Python per group; workers spill beyond what half the budget leaves each."""
    os.environ["SPARK_LOCAL_DIRS"] = str(setting.data)
    sc = pyspark_context(setting)
    path = str(setting.data / GROUPS)

    def run() -> Any:
        grouped = sc.textFile(path).map(cut_line).groupByKey()
        return grouped.map(lambda group: summarise(group[0], list(group[1]))).collect()

    return run


def pyspark_start(setting: Setting) -> Run:
    """From nothing to a first result."""
    code = (
        f"from pyspark import SparkContext; sc = SparkContext('local[{setting.threads}]');"
        "print(sc.parallelize(range(10), 2).map(lambda x: x + 1).sum())"
    )
    return partial(_python, code)


def pysparkling_start(setting: Setting) -> Run:
    """From nothing to a first result."""
    return partial(
        _python,
        "from pysparkling import Context; print(Context().parallelize(range(10), 2).map(lambda x: x + 1).sum())",
    )


# ---- Dask ----


def dask_csv(setting: Setting, job: str) -> Run:
    """The jobs as `foldby`, in processes; a reduction for the question, lists for the answer."""
    import dask
    import dask.bag

    dask.config.set(scheduler="processes", num_workers=setting.threads)
    blocks = max((setting.data / CSV).stat().st_size // 6, 1)

    def run(path: str, target: str) -> None:
        lines = dask.bag.read_text(path, blocksize=blocks).filter(lambda line: not line.startswith('"VAR_0000"'))
        if job == "answer":
            cells = lines.map(_cells).flatten()
            found = cells.foldby(operator.itemgetter(0), _append_cell, list, operator.iadd, list).compute()
            texts = (f"{key},{','.join(values)}" for key, values in found)
        else:
            cells = lines.map(_named_cells).flatten()
            found = cells.foldby(operator.itemgetter(0), _concat_cell, None, _concat, None).compute()
            texts = (str(pair) for pair in found)
        bag_jobs.write_columns(target, texts)

    return partial(_to_folder, setting, run)


def dask_words(setting: Setting) -> Run:
    """Count words with `frequencies`."""
    import dask
    import dask.bag

    dask.config.set(scheduler="processes", num_workers=setting.threads)
    path = setting.data / TEXT
    blocks = max(path.stat().st_size // (2 * setting.threads), 1)
    lines = dask.bag.read_text(str(path), blocksize=blocks)
    return lambda: dict(lines.map(str.split).flatten().frequencies().compute())


def dask_groups(setting: Setting) -> Run:
    """Call any Python per group after `groupby`, which goes through files."""
    import dask
    import dask.bag

    dask.config.set(scheduler="processes", num_workers=setting.threads, temporary_directory=str(setting.data))
    lines = dask.bag.read_text(str(setting.data / GROUPS), blocksize=32 << 20)
    grouped = lines.map(str.rstrip, "\n").map(cut_line).groupby(operator.itemgetter(0), shuffle="disk")
    return lambda: grouped.map(_summarise_pairs).compute()


def dask_start(setting: Setting) -> Run:
    """From nothing to a first result."""
    code = (
        "import dask.bag\nif __name__ == '__main__':\n    bag = dask.bag.from_sequence(range(10), npartitions=2)\n"
        "    print(bag.map(lambda x: x + 1).sum().compute(scheduler='processes', num_workers=2))"
    )
    return partial(_python, code)


# ---- without an engine, and engines that see columns ----


def one_thread_csv(setting: Setting, job: str) -> Run:
    """The job as a loop."""
    return partial(_to_folder, setting, getattr(bag_jobs, f"{job}_in_one_thread"))


def one_thread_words(setting: Setting) -> Run:
    """Count words with a dict."""

    def run() -> dict[str, int]:
        counts: dict[str, int] = collections.Counter()
        with (setting.data / TEXT).open(encoding="utf-8") as lines:
            for line in lines:
                for word in line.split():
                    counts[word] = counts.get(word, 0) + 1
        return counts

    return run


def one_thread_keys(setting: Setting) -> Run:
    """Reduce many keys in a dict."""
    keys = keys_of(setting.data)

    def run() -> tuple[int, int]:
        counts: dict[str, int] = {}
        for number in range(2 * keys):
            key, one = f"key{number % keys:07d}", 1
            counts[key] = counts[key] + one if key in counts else one
        return len(counts), sum(counts.values())

    return run


def one_thread_join(setting: Setting) -> Run:
    """Join many keys by a dict of lists."""
    keys = keys_of(setting.data)

    def run() -> tuple[int, int]:
        right: dict[str, list[int]] = {}
        for n in range(keys):
            right.setdefault(f"key{keys - 1 - n:07d}", []).append(2 * n)
        found = [n + other for n in range(keys) for other in right.get(f"key{n:07d}", ())]
        return len(found), sum(found)

    return run


def one_thread_pairs(setting: Setting) -> Run:
    """Make all pairs with a generator, and count them."""
    names = [str(number) for number in range(PAIR_ELEMENTS)]
    return lambda: sum(1 for _ in _all_pairs(names))


def one_thread_start(setting: Setting) -> Run:
    """The interpreter alone."""
    return partial(_python, "print(sum(x + 1 for x in range(10)))")


def polars_csv(setting: Setting) -> Run:
    """The CSV job as one select over all columns."""
    import polars

    def run(path: str, target: str) -> None:
        rows = polars.read_csv(path, infer_schema=False)
        cells = polars.all().str.replace_all("true", "1", literal=True).str.replace_all("false", "0", literal=True)
        joined = rows.select(cells.fill_null("").str.join(","))
        bag_jobs.write_columns(target, (str((column.name, column[0])) for column in joined))

    return partial(_to_folder, setting, run)


def polars_groups(setting: Setting) -> Run:
    """Call any Python per group with `map_groups`; no memory limit to set."""
    import polars

    path = setting.data / GROUPS
    schema = {"key": polars.String, "n": polars.Int64, "letters": polars.Int64, "with_a": polars.Int64}

    def of_frame(frame: Any) -> Any:
        found = summarise(frame["key"][0], frame["text"].to_list())
        return polars.DataFrame({name: [value] for name, value in zip(schema, found, strict=True)}, schema=schema)

    def run() -> Any:
        rows = polars.scan_csv(path, has_header=False, new_columns=["key", "text"], infer_schema=False, quote_char=None)
        return rows.group_by("key").map_groups(of_frame, schema=schema).collect().rows()

    return run


def daft_groups(setting: Setting) -> Run:
    """Call any Python per group with Daft's `map_groups`, natively."""
    os.environ["DAFT_PROGRESS_BAR"] = "0"
    import daft

    daft.set_runner_native(num_threads=setting.threads)
    rows = daft.read_csv(str(setting.data / GROUPS), has_headers=False, infer_schema=False, schema=_daft_texts(daft))
    names = ("key", "n", "letters", "with_a")
    types = (daft.DataType.string(), *[daft.DataType.int64()] * 3)
    result = daft.DataType.struct(dict(zip(names, types, strict=True)))

    def of_series(keys: Any, texts: Any) -> list[dict[str, Any]]:
        return [dict(zip(names, summarise(keys.to_pylist()[0], texts.to_pylist()), strict=True))]

    # Daft reads the types of arguments, and would not know these.
    of_series.__annotations__.clear()
    function = daft.func.batch(return_dtype=result)(of_series)

    def run() -> Any:
        groups = rows.groupby("key").map_groups(function(rows["key"], rows["text"]).alias("result"))
        return [tuple(found.values()) for found in groups.to_pydict()["result"]]

    return run


def _daft_texts(daft: Any) -> dict[str, Any]:
    return {"key": daft.DataType.string(), "text": daft.DataType.string()}


def duckdb_csv(setting: Setting) -> Run:
    """The CSV job as 1936 string_aggs."""
    import duckdb

    connection = duckdb.connect(config={"threads": setting.threads})

    def run(path: str, target: str) -> None:
        numbers = range(columns_of(path))
        names = ", ".join(f"'c{i}'" for i in numbers)
        cells = ", ".join(
            f"string_agg(replace(replace(coalesce(c{i}, ''), 'true', '1'), 'false', '0'), ',')" for i in numbers
        )
        reader = f"read_csv('{path}', header=true, names=[{names}], all_varchar=true)"
        row = connection.execute(f"select {cells} from {reader}").fetchone()
        assert row is not None
        bag_jobs.write_columns(target, (str((f"VAR_{i:04d}", text)) for i, text in enumerate(row)))

    return partial(_to_folder, setting, run)


# ---- pieces ----


def cold(setting: Setting, prepare: str) -> Run:
    """Run a case in a process that starts from nothing, start-up and all."""
    program = (
        "import sys; from pathlib import Path; from benchmarks.case import Setting, load;"
        f"print(load({prepare!r})(Setting(Path({str(setting.data)!r}), {setting.threads}))())"
    )

    wheel_environment()

    def run() -> str:
        return _python(program).splitlines()[-1]

    return run


def _to_folder(setting: Setting, job: Callable[[str, str], None]) -> str:
    # Spark refuses a folder that is there, and a cold process and a warm one may run side by side.
    target = bag_jobs.fresh(str(setting.data / f"out-{os.getpid()}"))
    job(str(setting.data / CSV), str(target))
    return str(target)


def _python(code: str) -> str:
    # Into a file: what an engine leaves running must not hold a pipe that is read to its end.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=out, env=wheel_environment())
        out.seek(0)
        return out.read()


@cache
def wheel_environment() -> dict[str, str]:
    """The environment of a new interpreter: Esker as it is installed from a wheel, which no import builds anew."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finder = next((f for f in sys.meta_path if "esker.kernel._kernel" in getattr(f, "known_wheel_files", ())), None)
    if finder is None:
        return environment
    from esker.kernel import _kernel

    stage = Path(tempfile.mkdtemp(prefix="esker-bench-stage-"))
    atexit.register(shutil.rmtree, stage, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "esker", stage / "esker")
    shutil.copy(str(_kernel.__file__), stage / "esker" / "kernel")
    # As pip does when it installs: where Python writes no bytecode each process would compile all of it.
    compileall.compile_dir(stage, quiet=2)
    return environment | {"PYTHONPATH": f"{stage}:{ROOT}", "SKBUILD_EDITABLE_SKIP": str(finder.path)}  # type: ignore[attr-defined]


def _all_pairs(names: list[str]) -> Iterator[str]:
    for place, left in enumerate(names):
        for right in names[place + 1 :]:
            yield f"{left} -> {right}"


def _sum_of_match(match: tuple[str, tuple[int, int]]) -> int:
    return match[1][0] + match[1][1]


def _count_and_sum(done: tuple[int, int], number: int) -> tuple[int, int]:
    return done[0] + 1, done[1] + number


def _add_counts(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0] + right[0], left[1] + right[1]


def _cells(line: str) -> list[tuple[int, str]]:
    line = line.rstrip("\n").replace("true", "1").replace("false", "0")
    return list(enumerate(line.split(",")))


def _named_cells(line: str) -> list[tuple[str, str]]:
    return [(f"VAR_{i:04d}", value.strip('"')) for i, value in _cells(line)]


def _append_cell(values: list[str], cell: tuple[int, str]) -> list[str]:
    values.append(cell[1])
    return values


def _concat_cell(joined: str | None, cell: tuple[str, str]) -> str:
    return cell[1] if joined is None else joined + "," + cell[1]


def _concat(left: str | None, right: str) -> str:
    return right if left is None else left + "," + right


def _summarise_pairs(group: tuple[str, list[tuple[str, str]]]) -> tuple[str, int, int, int]:
    return summarise(group[0], [text for _, text in group[1]])


# A worker of the harness names a function of one argument: these are the combinations it can name.
# A table may take a quarter of it, 32 MiB; the keys of a partition want four times that.
esker_keys_spilling = partial(esker_keys, memory="128MiB")
esker_question = partial(esker_csv, job="question")
esker_answer = partial(esker_csv, job="answer")
esker_question_budget = partial(esker_csv_budget, job="question")
esker_answer_budget = partial(esker_csv_budget, job="answer")
compat_question = partial(spark_csv, job="question", context="compat_context")
compat_answer = partial(spark_csv, job="answer", context="compat_context")
pyspark_question = partial(spark_csv, job="question", context="pyspark_context")
pyspark_answer = partial(spark_csv, job="answer", context="pyspark_context")
pysparkling_question = partial(spark_csv, job="question", context="pysparkling_context")
pysparkling_answer = partial(spark_csv, job="answer", context="pysparkling_context")
dask_question = partial(dask_csv, job="question")
dask_answer = partial(dask_csv, job="answer")
one_thread_question = partial(one_thread_csv, job="question")
one_thread_answer = partial(one_thread_csv, job="answer")
esker_answer_cold = partial(cold, prepare="benchmarks.bag_engines:esker_answer")
pyspark_answer_cold = partial(cold, prepare="benchmarks.bag_engines:pyspark_answer")
one_thread_answer_cold = partial(cold, prepare="benchmarks.bag_engines:one_thread_answer")
pyspark_words = partial(spark_words, context="pyspark_context")
pysparkling_words = partial(spark_words, context="pysparkling_context")
