"""Dataset: lazy, partitioned, columnar. A verb adds a step to the plan; nothing runs until rows are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

import pyarrow as pa

from esker.collection.group_by import GroupBy
from esker.collection.hive import OPEN_FILES_MAX, Hive, write_hive
from esker.collection.infer import batch_schema
from esker.collection.options import DEFAULT_OPTIONS, Options, OptionsGiven, is_whole
from esker.collection.part_files import FileSizes, PartOptions
from esker.collection.partition_by import KEYS_MAX, Partitions, partition_rows
from esker.collection.result import Result
from esker.collection.write import write_file, write_partitions
from esker.core.batch import require_columns
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.core.sort import require_sortable
from esker.engine.distinct import KEEP
from esker.errors import OptionError, UnsupportedTypeError
from esker.expression import Expression, bind, parse
from esker.formats.parquet import ParquetWriteOptions
from esker.join import JOIN_KINDS, join_schema
from esker.join.algorithms import ALGORITHMS
from esker.plan.compile import compile_plan
from esker.plan.compiled import Compiled
from esker.plan.nodes import Distinct, Filter, Head, Join, MapBatches, Node, Project, Sample, Shuffle, Sort
from esker.plan.sketch import sketch
from esker.shuffle.strategies import STRATEGIES

if TYPE_CHECKING:
    from esker.collection.bag.bag import Bag

T = TypeVar("T")
PARTITIONS_MAX = 65_536
# What says which partition a key goes to.
FUNCTIONS = ("hash", "range", "modulo", "id")


class Dataset:
    """Rows with a schema, and the plan that makes them.

    Make one with `esker.read_parquet`, `read_csv`, `from_arrow`, `read_frozen` or `read`; each method returns a new
    Dataset and runs nothing. Iterate it for record batches, or ask for `to_arrow`, `count` or `write_parquet`. Any
    library that reads `__arrow_c_stream__` (Polars, DuckDB, pandas, pyarrow) takes it as it is; each time it is read,
    the plan runs again.

    >>> import esker
    >>> flights = esker.from_arrow({"carrier": ["AA", "UA", "AA"], "delay": [5, 130, 240]})
    >>> flights.filter("delay > 120").select(["carrier"]).to_arrow().to_pydict()
    {'carrier': ['UA', 'AA']}
    """

    # No function that runs on partitions may hold one.
    collection_kind = "Dataset"

    def __init__(self, node: Node, options: Options = DEFAULT_OPTIONS) -> None:
        self._node = node
        self._options = options

    # What it is

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self._node.schema

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._node.schema.names)

    def __repr__(self) -> str:
        fields = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"Dataset({fields})"

    def _repr_html_(self) -> str:
        from esker.collection.notebook import dataset_html

        return dataset_html(self)

    # Narrow steps

    def select(self, columns: Sequence[str]) -> Dataset:
        """Keep `columns`, in that order.

        >>> import esker
        >>> esker.from_arrow({"a": [1], "b": [2]}).select(["b"]).columns
        ['b']
        """
        names = _names(columns, "columns")
        require_columns(names, self.schema)
        return self._with(Project(pa.schema([self.schema.field(name) for name in names]), self._node))

    def filter(self, predicate: str) -> Dataset:
        """Keep the rows for which the SQL `predicate` is true (not false, not null).

        >>> import esker
        >>> esker.from_arrow({"n": [1, 2, None]}).filter("n >= 2").count()
        1

        Raises PredicateError with the position of what cannot be read, UnknownColumnError with the nearest name.
        """
        return self.filter_by(bind(parse(predicate), self.schema))

    def filter_by(self, predicate: Expression) -> Dataset:
        """Keep the rows for which a tree that is bound to the schema is true; see `filter`."""
        return self._with(Filter(self.schema, self._node, predicate))

    def map_batches(self, function: Callable[[pa.RecordBatch], Any], schema: pa.Schema | None = None) -> Dataset:
        """Call `function` with each record batch; it returns anything Arrow, row dicts, or None for no rows.

        `schema` is that of the result. Without it the function is called once on the first batch, now, to see.

        >>> import esker
        >>> import pyarrow.compute as pc
        >>> numbers = esker.from_arrow({"n": [1, 2]})
        >>> numbers.map_batches(lambda batch: {"n": pc.multiply(batch["n"], 2)}).to_arrow().to_pydict()
        {'n': [2, 4]}
        """
        if schema is None:
            schema = batch_schema(self, function)
        return self._with(MapBatches(schema, self._node, function))

    def head(self, rows: int = 10) -> Dataset:
        """Keep the first `rows` rows; reading stops there.

        >>> import esker
        >>> esker.from_arrow({"n": range(1000)}).head(3).to_arrow()["n"].to_pylist()
        [0, 1, 2]
        """
        if not is_whole(rows) or rows < 0:
            raise OptionError(f"head({rows!r}): give a whole number of rows of at least 0")
        return self._with(Head(self.schema, self._node, rows))

    def sample(self, fraction: float | None = None, seed: int = 0, *, n: int | None = None) -> Dataset:
        """Keep each row with the chance `fraction`, or `n` rows; the same for the same `seed`, whatever the threads.

        >>> import esker
        >>> rows = esker.from_arrow({"n": range(1000)})
        >>> kept = rows.sample(0.1, seed=7).to_arrow()
        >>> kept.equals(rows.sample(0.1, seed=7).to_arrow()), 50 < kept.num_rows < 150
        (True, True)
        >>> rows.sample(n=3, seed=7).count()
        3

        With `n` every set of `n` rows is as likely as another; all rows are kept where there are no more. Rows stay in
        the order of the input. It takes one pass, and what may still be kept is spooled where it does not fit memory.
        """
        if (fraction is None) == (n is None):
            raise OptionError(
                "sample takes a fraction of the rows, as in sample(0.1), or a number, as in sample(n=100)"
            )
        if fraction is not None and not 0 <= fraction <= 1:
            raise OptionError(f"sample({fraction}): give a fraction from 0 to 1, or n= for a number of rows")
        if n is not None and (not is_whole(n) or n < 0):
            raise OptionError(f"sample(n={n!r}): give a whole number of rows of at least 0")
        if not is_whole(seed) or seed < 0:
            raise OptionError(f"sample(seed={seed!r}): give a number of at least 0")
        return self._with(Sample(self.schema, self._node, None if fraction is None else float(fraction), n, seed))

    def to_bag(self, partitions: int | None = None) -> Bag[dict[str, Any]]:
        """Make a Bag of the rows, as dicts: for functions that take one row at a time.

        >>> import esker
        >>> esker.from_arrow({"n": [1, 2, 3]}).to_bag().map(lambda row: row["n"] ** 2).collect()
        [1, 4, 9]
        """
        from esker.collection.bag.bag import Bag

        return Bag.from_dataset(self, partitions)

    # Wide steps

    def shuffle(
        self,
        by: str | Sequence[str],
        partitions: int = 64,
        *,
        strategy: str = "auto",
        function: str = "hash",
    ) -> Dataset:
        """Regroup the rows into `partitions` partitions by their key columns `by`, through the native shuffle.

        Rows with equal keys are in one partition, in the order of the input; nulls are one key, NaNs are one.

        >>> import esker
        >>> sorted(esker.from_arrow({"k": [1, 2, 1]}).shuffle("k", 4).to_arrow()["k"].to_pylist())
        [1, 1, 2]
        >>> esker.from_arrow({"k": [3, 1, 4, 1, 5]}).shuffle("k", 8, function="range").to_arrow()["k"].to_pylist()
        [1, 1, 3, 4, 5]

        `function` says which partition a key goes to:

        - `hash`: the one its hash names; any columns.
        - `range`: keys of a partition are less than those of the next, in the order of `sort`; any columns that can
          be sorted. The ranges come from a seeded sample, so that partitions are about even; a key of many rows has
          one to itself. The keys are read once more for it; an input that can be read only once, or that a function,
          a shuffle or a join makes, is spooled to disk.
        - `modulo`: the remainder of one integer column, never negative; null goes to partition 0.
        - `id`: the partition that one integer column names; any other number raises InputError.

        `strategy` names how the kernel writes its pages; `auto` chooses one.
        """
        names = _names(by, "by")
        require_columns(names, self.schema)
        _check_partitions(partitions)
        _check_strategy(strategy)
        _check_function(function, names, self.schema)
        return self._with(Shuffle(self.schema, self._node, tuple(names), partitions, strategy, function))

    def repartition(
        self, partitions: int, by: str | Sequence[str] | None = None, *, strategy: str = "auto", function: str = "hash"
    ) -> Dataset:
        """Deal the rows out into `partitions` partitions whose sizes differ by a row at most; with `by`, `shuffle`.

        >>> import esker, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "even"
        >>> esker.from_arrow({"n": range(10)}).repartition(4).write_partitions(folder)
        [3, 3, 2, 2]

        Row i goes to partition i modulo `partitions`, whatever is in it, so that each partition has rows of the whole
        input, in its order. Rows go through the native shuffle, which spills.
        """
        if by is not None:
            return self.shuffle(by, partitions, strategy=strategy, function=function)
        _check_partitions(partitions)
        _check_strategy(strategy)
        if function != "hash":
            raise OptionError(f"function={function!r} is a function of key columns; name them in by=")
        return self._with(Shuffle(self.schema, self._node, (), partitions, strategy))

    def partition_by(
        self,
        by: str | Sequence[str],
        *,
        partitions: int = 256,
        keys_max: int = KEYS_MAX,
        **options: Unpack[OptionsGiven],
    ) -> Partitions:
        """Run the plan once and make a Dataset of the rows of each key `by`, to be read any number of times.

        >>> import esker
        >>> parts = esker.from_arrow({"k": ["a", "b", "a", None], "v": [1, 2, 3, 4]}).partition_by("k")
        >>> parts["a"].to_arrow()["v"].to_pylist(), parts[None].count(), sorted(map(str, parts))
        ([1, 3], 1, ['None', 'a', 'b'])

        The result is a dict: of values for one column, of tuples for several; null is None. Rows keep the order of the
        input, keys come in no order that means anything, but the same each time. Rows go through the shuffle, which
        spills, to a private file, which is removed when the last of the Datasets is gone, or on `close()`; one key may
        have more rows than fit the memory.

        Raises InputError when there are more than `keys_max` keys: each is a Dataset of some KiB. UnsupportedTypeError
        names a column of lists or structs, which no dict takes for a key.
        """
        names = _names(by, "by")
        require_columns(names, self.schema)
        _check_partitions(partitions)
        if not is_whole(keys_max) or keys_max < 1:
            raise OptionError(f"keys_max={keys_max!r}: give a whole number of at least 1")
        for name in names:
            if pa.types.is_nested(self.schema.field(name).type):
                raise UnsupportedTypeError(
                    f"by={name!r}: a column of type {self.schema.field(name).type} cannot be the key of a dict;"
                    " use group_by(...).map_groups(...), or shuffle(...)"
                )
        updated = self._options.updated(options)
        return self._run(
            lambda plan, context: partition_rows(plan, context, names, partitions, keys_max, updated, self._with),
            options,
        )

    def distinct(self, by: str | Sequence[str] | None = None, *, keep: str = "first", partitions: int = 256) -> Dataset:
        """Keep the first row of each key `by` (default: all columns), or the last one with `keep="last"`.

        >>> import esker
        >>> rows = esker.from_arrow({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        >>> sorted(rows.distinct("k").to_arrow()["v"].to_pylist())
        [1, 2]

        Nulls are one key, NaNs are one, and -0.0 is 0.0. Rows come partition by partition, in the order of the input
        within each. Memory follows the distinct rows of the largest partition; the rest goes through the shuffle,
        which spills. With `ordered=False` any row of a key may be the one that stays.
        """
        names = _names(self.columns if by is None else by, "by")
        require_columns(names, self.schema)
        _check_partitions(partitions)
        if keep not in KEEP:
            raise OptionError(f"distinct(keep={keep!r}); there is: {', '.join(KEEP)}")
        return self._with(Distinct(self.schema, self._node, tuple(names), partitions, keep))

    def sort(
        self, by: str | Sequence[str], descending: bool | Sequence[bool] = False, *, nulls: str = "last"
    ) -> Dataset:
        """Put all rows in the order of the columns `by`; equal rows stay as they came.

        >>> import esker
        >>> rows = esker.from_arrow({"n": [2, None, 3, 1]})
        >>> rows.sort("n").to_arrow()["n"].to_pylist(), rows.sort("n", descending=True).to_arrow()["n"].to_pylist()
        ([1, 2, 3, None], [3, 2, 1, None])

        NaN is above all numbers; nulls are last in either direction, or first with `nulls="first"`; strings are ordered
        by their bytes. `descending` is for all columns, or a list with one for each. What does not fit the memory
        budget is spilled as sorted runs and merged. The result is one partition.
        """
        names = _names(by, "by")
        require_columns(names, self.schema)
        require_sortable(names, self.schema, "by")
        down = (descending,) * len(names) if isinstance(descending, bool) else tuple(descending)
        if len(down) != len(names):
            raise OptionError(f"descending has {len(down)} entries and by {len(names)} columns; give one for each")
        if nulls not in ("first", "last"):
            raise OptionError(f"sort(nulls={nulls!r}); there is: first, last")
        return self._with(Sort(self.schema, self._node, tuple(names), down, nulls == "first"))

    def group_by(self, by: str | Sequence[str], *, partitions: int = 256) -> GroupBy:
        """Group the rows that agree on the columns `by`; see `GroupBy.agg` and `GroupBy.map_groups`.

        >>> import esker
        >>> rows = esker.from_arrow({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        >>> rows.group_by("k").agg({"most": ("v", "max")}).sort("k").to_arrow()["most"].to_pylist()
        [3, 2]
        """
        names = _names(by, "by")
        require_columns(names, self.schema)
        _check_partitions(partitions)
        return GroupBy(self, tuple(names), partitions)

    def join(
        self,
        other: Dataset,
        on: str | Sequence[str] | None = None,
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: str = "inner",
        algorithm: str = "auto",
        suffix: str = "_right",
    ) -> Dataset:
        """Join with `other` on equal keys: keys are matched first, payload is read once, in storage order.

        `how` is inner, left, right, full, semi or anti. `algorithm` is chosen by cost unless forced (`asj`, `hash`,
        `in_memory`); `explain()` shows the estimates of all. Nulls match nothing. The result has the left columns,
        then the right ones without its keys; a name that clashes gets `suffix`.

        >>> import esker
        >>> left = esker.from_arrow({"k": [1, 2], "a": ["x", "y"]})
        >>> left.join(esker.from_arrow({"k": [2], "b": [True]}), on="k").to_arrow().to_pylist()
        [{'k': 2, 'a': 'y', 'b': True}]
        """
        if not isinstance(other, Dataset):
            raise OptionError(f"join with {type(other).__name__}: give a Dataset, such as esker.from_arrow(...)")
        if algorithm != "auto" and algorithm not in ALGORITHMS:
            raise OptionError(f"algorithm={algorithm!r}; there is: auto, {', '.join(ALGORITHMS)}")
        pairs = _join_pairs(on, left_on, right_on)
        if how not in JOIN_KINDS:
            raise OptionError(f"how={how!r}; there is: {', '.join(JOIN_KINDS)}")
        require_columns([left for left, _ in pairs], self.schema, "the left input")
        require_columns([right for _, right in pairs], other.schema, "the right input")
        schema = join_schema(self.schema, other.schema, pairs, how, suffix)
        return self._with(Join(schema, self._node, other._node, pairs, how, algorithm, suffix))

    # Options and plans

    def with_options(self, **options: Unpack[OptionsGiven]) -> Dataset:
        """The same rows with other options: memory, threads, ordered, seed, spill_folder, spill_limit, max_cost, log,
        progress, cancellation (see `esker.Options`).

        >>> import esker
        >>> esker.from_arrow({"n": [1]}).with_options(memory="64MiB").count()
        1
        """
        return Dataset(self._node, self._options.updated(options))

    @overload
    def explain(self) -> Explanation: ...

    @overload
    def explain(self, format: str) -> str: ...

    def explain(self, format: str | None = None) -> Explanation | str:
        """The plan, with what it will read and cost; reads only what is hot (footers, catalogues, keys, the index).

        With `format` it is a text: `text`, `svg`, `mermaid` or `dot` (Graphviz). After a run `Result.explanation` has
        what it really cost beside that, and draws itself the same way: `result.explanation.draw("svg")`.

        >>> import esker
        >>> print(esker.from_arrow({"n": [1]}, name="numbers").head(1).explain("mermaid").splitlines()[1])
          s0["<b>head</b><br/>rows: 1"]
        """
        with self._options.context(runs=False) as context:
            explanation = compile_plan(self._node, context).explanation
        return explanation if format is None else explanation.draw(format)

    def sketch(self) -> Explanation:
        """The steps of the plan without costs: nothing is read to make it, where `explain` may join keys.

        >>> import esker
        >>> esker.from_arrow({"n": [1]}).filter("n > 0").sort("n").sketch().operator
        'sort'
        """
        return sketch(self._node)

    # Actions

    def execute(self, **options: Unpack[OptionsGiven]) -> Result:
        """Start a run: iterate the result for batches; its `explanation` has the actual costs afterwards.

        >>> import esker
        >>> result = esker.from_arrow({"n": [1, 2, 3]}).filter("n > 1").execute()
        >>> sum(batch.num_rows for batch in result), result.explanation.operator
        (2, 'scan arrow')
        """
        context = self._options.updated(options).context()
        try:
            return Result(compile_plan(self._node, context), context)
        except BaseException:
            context.close()
            raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self.execute())

    def to_arrow(self, **options: Unpack[OptionsGiven]) -> pa.Table:
        """Run the plan and hold all rows as a pyarrow table; `options` are those of `with_options`, for this run.

        >>> import esker
        >>> esker.from_arrow({"n": [3, 1, 2]}).sort("n").to_arrow(memory="64MiB")["n"].to_pylist()
        [1, 2, 3]
        """
        return self.execute(**options).to_arrow()

    def count(self, **options: Unpack[OptionsGiven]) -> int:
        """Run the plan and count the rows; reads as few columns as it can.

        >>> import esker
        >>> esker.from_arrow({"n": range(1000)}).filter("n % 7 = 0").count(threads=1)
        143
        """
        counted = self.select(self.columns[:1]) if self.columns else self
        return sum(batch.num_rows for batch in counted.execute(**options))

    def write_parquet(
        self,
        path: str | Path,
        *,
        partition_by: str | Sequence[str] | None = None,
        keep_keys: bool = False,
        file_bytes: int | str | None = None,
        rows_per_file: int | None = None,
        open_files_max: int = OPEN_FILES_MAX,
        compression: str = "zstd",
        overwrite: bool = False,
        **options: Unpack[OptionsGiven],
    ) -> int:
        """Write all rows to one Parquet file, or to a folder for each key; returns the number of rows.

        >>> import esker, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "flights"
        >>> rows = esker.from_arrow({"carrier": ["AA", None, "AA"], "delay": [5, 130, 240]})
        >>> rows.write_parquet(folder, partition_by="carrier")
        3
        >>> sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))
        ['carrier=AA/part-00000.parquet', 'carrier=__HIVE_DEFAULT_PARTITION__/part-00000.parquet']

        With `partition_by` the folders are named as Hive does, percent-encoded; the files leave the key columns out
        unless `keep_keys`. Rows of a key keep the order of the input. They are shuffled by the keys first, which
        spills, so memory follows neither the number of keys nor of rows. `rows_per_file` and `file_bytes` (a number,
        or `128MiB`: about the length of a file) cut a key's rows into several files; so does `open_files_max` when more
        keys that do not fit in memory are being written at a time. What is written appears whole or not at all; with
        `overwrite` it takes the place of what is there, of a folder only if that holds nothing but Parquet files.

        Raises UnsupportedTypeError for a key that no name can hold, such as a list, InputError for the text
        `__HIVE_DEFAULT_PARTITION__`, which readers take for null, OutputExistsError for a path that is taken.
        """
        parquet = _parquet_options(compression)
        sizes = FileSizes.of(file_bytes, rows_per_file)
        if partition_by is None:
            if sizes.limited or keep_keys:
                raise OptionError(
                    "file_bytes, rows_per_file and keep_keys need partition_by; without it there is one file"
                )
            return self._run(
                lambda plan, context: write_file(plan, context, Path(path), "parquet", overwrite, parquet), options
            )
        names = _names(partition_by, "partition_by")
        require_columns(names, self.schema)
        hive, parts = Hive(tuple(names), keep_keys, open_files_max), PartOptions(sizes, parquet)
        hive.file_schema(self.schema)
        return self._run(lambda plan, context: write_hive(plan, context, Path(path), hive, parts, overwrite), options)

    def write(self, path: str | Path, *, overwrite: bool = False, **options: Unpack[OptionsGiven]) -> int:
        """Write all rows to one file whose extension says the format: .parquet, .csv or .arrow; gives their number.

        >>> import esker, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "n.csv.gz"
        >>> esker.from_arrow({"n": [1, 2]}).write(path), esker.read(path).to_arrow()["n"].to_pylist()
        (2, [1, 2])

        Raises OutputExistsError for a path that is taken, unless `overwrite`; UnsupportedTypeError names a column that
        the format cannot hold.
        """
        return self._run(lambda plan, context: write_file(plan, context, Path(path), None, overwrite), options)

    def write_partitions(
        self,
        folder: str | Path,
        *,
        file_bytes: int | str | None = None,
        rows_per_file: int | None = None,
        compression: str = "zstd",
        overwrite: bool = False,
        **options: Unpack[OptionsGiven],
    ) -> list[int]:
        """Write one Parquet file for each partition into a new `folder`; returns the rows of each.

        >>> import esker, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "by_k"
        >>> sum(esker.from_arrow({"k": [1, 2, 3]}).shuffle("k", 4).write_partitions(folder))
        3

        Several partitions are written at once. With `rows_per_file` or `file_bytes` (a number, or `128MiB`: about the
        length of a file) a partition is cut into `part-00000-00000.parquet`, `part-00000-00001.parquet`, ... The folder
        appears whole or not at all; with `overwrite` it takes the place of one that holds nothing but such files.
        """
        parts = PartOptions(FileSizes.of(file_bytes, rows_per_file), _parquet_options(compression))
        return self._run(lambda plan, context: write_partitions(plan, context, Path(folder), parts, overwrite), options)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.execute().to_reader().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    # Inside

    def _with(self, node: Node) -> Dataset:
        return Dataset(node, self._options)

    def _run(self, action: Callable[[Compiled, QueryContext], T], options: Mapping[str, Any]) -> T:
        with self._options.updated(options).context() as context:
            return action(compile_plan(self._node, context), context)


def _names(names: str | Sequence[str], option: str) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    _check_texts(found, option)
    if not found:
        raise OptionError(f"{option} is empty; name at least one column")
    twice = next((name for name, count in Counter(found).items() if count > 1), None)
    if twice is not None:
        raise OptionError(f"{option} names {twice!r} twice")
    return found


def _parquet_options(compression: str) -> dict[str, Any]:
    """What every Parquet file of an output is written with; OptionError for a compression that is not there."""
    return {"compression": ParquetWriteOptions(compression=compression).compression}


def _check_texts(names: Sequence[object], option: str) -> None:
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"{option} takes names of columns, not {name!r}")


def _check_partitions(partitions: int) -> None:
    if not is_whole(partitions) or not 1 <= partitions <= PARTITIONS_MAX:
        raise OptionError(f"partitions={partitions!r}: give a whole number from 1 to {PARTITIONS_MAX:,}")


def _check_strategy(strategy: str) -> None:
    if strategy != "auto" and strategy not in STRATEGIES:
        raise OptionError(f"strategy={strategy!r}; there is: auto, {', '.join(STRATEGIES)}")


def _check_function(function: str, by: Sequence[str], schema: pa.Schema) -> None:
    if function not in FUNCTIONS:
        raise OptionError(f"function={function!r}; there is: {', '.join(FUNCTIONS)}")
    if function == "range":
        require_sortable(by, schema, "by")
    if function in ("modulo", "id"):
        if len(by) != 1:
            raise OptionError(f"function={function!r} takes one column of integers, and by= names {len(by)}")
        if not pa.types.is_integer(schema.field(by[0]).type):
            raise UnsupportedTypeError(
                f"function={function!r} takes a column of integers; {by[0]!r} is {schema.field(by[0]).type}"
            )


def _join_pairs(
    on: str | Sequence[str] | None, left_on: str | Sequence[str] | None, right_on: str | Sequence[str] | None
) -> tuple[tuple[str, str], ...]:
    if on is not None and (left_on is not None or right_on is not None):
        raise OptionError("give on=, or left_on= and right_on=, not both")
    if on is not None:
        return tuple((name, name) for name in _names(on, "on"))
    if left_on is None or right_on is None:
        raise OptionError("a join needs on=, or left_on= and right_on=")
    left, right = _names(left_on, "left_on"), _names(right_on, "right_on")
    if len(left) != len(right):
        raise OptionError(f"left_on has {len(left)} columns and right_on {len(right)}; give as many on both sides")
    return tuple(zip(left, right, strict=True))
