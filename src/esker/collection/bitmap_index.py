"""An index folder in the user's hands: build it from any rows, ask it, add to it, delete from it, compact it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

import pyarrow as pa

from esker.bitmap import Bitmap
from esker.collection.dataset import Dataset
from esker.collection.freeze import IndexOption, index_specs
from esker.collection.indexed_rows import indexed_rows
from esker.collection.options import DEFAULT_OPTIONS, Options, OptionsGiven
from esker.collection.read import read
from esker.core.batch import require_columns
from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.engine.sources.indexed import IndexedSource, cost_of, find_batches
from esker.errors import OptionError
from esker.expression import Expression, read_predicate, to_sql
from esker.index import aggregate
from esker.index.encode import Encoder
from esker.index.plan import StorePlan, plan_store
from esker.index.store import IndexStore, StoreOptions, StoreWriter
from esker.plan.nodes import Scan

TEXTS_KEPT = 64


def build_index(
    source: Any,
    target: str | Path,
    columns: IndexOption,
    *,
    encoding: str = "auto",
    profile: str = "balanced",
    rows: str = "arrow",
    store: Sequence[str] | None = None,
    **options: Unpack[OptionsGiven],
) -> BitmapIndex:
    """Write an index of `source` in the new folder `target`, with its rows beside it, and open it.

    `source` is anything that `esker.read` takes. `columns` names what is indexed: a list (a vector for each value), or
    a mapping to a kind: `"equality"`, `"range"`, `"interval"`, `"bit_sliced"`, `"time_quantum"`, `esker.Bins(...)`.
    `encoding` is that of the vectors; "auto" chooses for each by `profile` (speed, balanced, size). `rows` is how rows
    are kept: `"arrow"` (mapped into memory, fast at random, large) or `"parquet"` (small row groups, a quarter of
    that); `store` keeps some columns only, the indexed ones among them. Options are those of `Dataset.with_options`.

    >>> import esker, tempfile, pathlib
    >>> people = {"age": [20, 76, 42], "city": ["Tacoma", "Spokane", "Seattle"]}
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "census.index"
    >>> with esker.build_index(people, folder, ["age", "city"]) as index:
    ...     index.count("age < 50"), index.find("age < 50 AND city <> 'Tacoma'").to_pylist()
    (2, [{'age': 42, 'city': 'Seattle'}])

    The folder appears whole or not at all; memory stays within `memory=`. Raises OutputExistsError, UnknownColumnError.
    """
    dataset = read(source).with_options(**options)
    specs = index_specs(columns)
    if not specs:
        raise OptionError("columns= names nothing to index")
    require_columns(list(specs), dataset.schema, "the source")
    if store is not None:
        require_columns(store, dataset.schema, "the source")
        dataset = dataset.select([name for name in dataset.columns if name in {*store, *specs}])
    chosen = StoreOptions(specs, encoding, profile, rows)
    with dataset._options.context() as context:
        encoder = Encoder(encoding, profile)
        with indexed_rows(dataset._node, specs, encoder, context, "build index") as (batches, prepared):
            StoreWriter(Path(target), context).build(batches, dataset.schema, chosen, prepared)
    return BitmapIndex(target, dataset._options)


def open_index(path: str | Path, **options: Unpack[OptionsGiven]) -> BitmapIndex:
    """Open the index in the folder `path`; see `build_index`. Reads the roots of directories, and no vector.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "ages.index"
    >>> esker.build_index({"age": [20, 76, 42]}, folder, ["age"]).close()
    >>> with esker.open_index(folder) as index:
    ...     index.count("age > 40")
    2

    Raises InputFileError where there is no index, CatalogCorruptError for a damaged one.
    """
    return BitmapIndex(path, DEFAULT_OPTIONS.updated(options))


class BitmapIndex:
    """An open index: one committed state of it. A context manager; threads may share it.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "census.index"
    >>> people = {"age": [20, 76, 42], "city": ["Tacoma", "Spokane", "Tacoma"]}
    >>> index = esker.build_index(people, folder, ["age", "city"])
    >>> index.append({"age": [30], "city": ["Olympia"]}), index.delete("age > 70"), len(index)
    (1, 1, 3)
    >>> index.group_count("city").to_pylist()
    [{'city': 'Tacoma', 'count': 2}, {'city': 'Olympia', 'count': 1}]
    >>> index.find("age BETWEEN 25 AND 50", columns=["city"])["city"].to_pylist()
    ['Tacoma', 'Olympia']
    >>> index.sum("age"), index.top("city", 1)
    (92, [('Tacoma', 2)])
    >>> index.close()

    Predicates are SQL text, Polars or pyarrow expressions, or `R:[2,3]&[4,6]` over the numbers of its vectors.
    """

    def __init__(self, path: str | Path, options: Options = DEFAULT_OPTIONS) -> None:
        """Use `build_index` or `open_index`."""
        self.path = Path(path)
        self._options = options
        self.store = IndexStore.open(self.path)
        self._read: dict[str, Expression] = {}

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        return self.store.schema

    @property
    def columns(self) -> list[str]:
        """The indexed columns."""
        return self.store.columns

    def __len__(self) -> int:
        return self.store.live_count

    def __repr__(self) -> str:
        return f"BitmapIndex({self.path.name!r}: {len(self):,} rows; indexed: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        from esker.collection.notebook import note_html, preview_html, section, table_html

        found = self.statistics()
        columns = [
            (name, self.schema.field(name).type, one["kind"], f"{one['vectors']:,}", format_bytes(one["bytes"]))
            for name, one in found["columns"].items()
        ]
        rows, index = format_bytes(found["row_bytes"]), format_bytes(found["index_bytes"])
        return section(
            f"BitmapIndex {self.path.name} · {len(self):,} rows",
            table_html(("indexed column", "type", "kind", "vectors", "bytes"), columns),
            note_html(f"{found['blocks']:,} blocks; rows ({found['row_format']}) take {rows}, the index {index}."),
            preview_html(self.dataset()),
        )

    # Questions

    def count(self, predicate: Any = None) -> int:
        """Count the rows for which `predicate` is true; reads vectors, and of rows only those a bin leaves open."""
        with self._options.context() as context:
            return sum(rows.count() for _, rows in self.store.matches(self._bound(predicate), context))

    def exists(self, predicate: Any) -> bool:
        """Say whether there is such a row; stops at the first block that has one."""
        with self._options.context() as context:
            return any(bool(rows) for _, rows in self.store.matches(self._bound(predicate), context))

    def row_set(self, predicate: Any = None) -> RowSet:
        """Give the ids of the rows for which `predicate` is true."""
        with self._options.context() as context:
            return self.store.row_set(self._bound(predicate), context)

    def find(
        self, predicate: Any = None, columns: Sequence[str] | None = None, *, limit: int | None = None
    ) -> pa.Table:
        """Give columns (default: all) of the rows for which `predicate` is true, in row-id order, as a table."""
        names = self._names(columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.Table.from_batches(self.batches(predicate, names, limit=limit), schema)

    def batches(
        self, predicate: Any = None, columns: Sequence[str] | None = None, *, limit: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield what `find` gives, batch by batch; by the index, or by a scan where that reads less."""
        names = self._names(columns)
        bound = self._bound(predicate)
        if limit is None and bound is not None and plan_store(self.store, names, bound).choice == "scan":
            yield from self.dataset().filter_by(bound).select(names)
            return
        with self._options.context() as context:
            yield from find_batches(self.store, bound, names, context, limit)

    def dataset(self) -> Dataset:
        """The rows as a Dataset: `filter` asks the index, everything else works as on any rows."""
        return Dataset(Scan(self.schema, IndexedSource(self.path, self.store)), self._options)

    def group_count(self, columns: str | Sequence[str], where: Any = None) -> pa.Table:
        """Count the rows of each value of `columns`: a table of them and `count`, most rows first."""
        names = self._names([columns] if isinstance(columns, str) else columns)
        with self._options.context() as context:
            counts = aggregate.group_counts(self.store, names, self._bound(where), context)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
        arrays = [
            pa.array([value[number] for value, _ in ordered], self.schema.field(name).type)
            for number, name in enumerate(names)
        ]
        return pa.table([*arrays, pa.array([count for _, count in ordered], pa.int64())], [*names, "count"])

    def top(self, column: str, n: int, where: Any = None) -> list[tuple[Any, int]]:
        """Give the `n` most frequent values and their rows; stops reading when no other can be among them."""
        (name,) = self._names([column])
        if n < 1:
            raise OptionError(f"top {n}: give a number of at least 1")
        with self._options.context() as context:
            return aggregate.top(self.store, name, n, self._bound(where), context)

    def distinct(self, column: str, where: Any = None) -> list[Any]:
        """Give the values there are, ascending, without null."""
        (name,) = self._names([column])
        with self._options.context() as context:
            return aggregate.distinct(self.store, name, self._bound(where), context)

    def sum(self, column: str, where: Any = None) -> Any:
        """Add up a column; None when there is no value. From the bit slices, where it has them, without a row read."""
        (name,) = self._names([column])
        with self._options.context() as context:
            return aggregate.total(self.store, name, self._bound(where), context)

    def min(self, column: str, where: Any = None) -> Any:
        """Give the least value; None when there is none."""
        return self.percentile(column, 0.0, where)

    def max(self, column: str, where: Any = None) -> Any:
        """Give the greatest value; None when there is none. NaN is above all numbers."""
        return self.percentile(column, 1.0, where)

    def percentile(self, column: str, share: float, where: Any = None) -> Any:
        """Give the value that has `share` (0 to 1) of the others below it, rounded down to one that is there."""
        (name,) = self._names([column])
        with self._options.context() as context:
            return aggregate.quantile(self.store, name, share, self._bound(where), context)

    def vectors(self, first: int, last: int) -> Bitmap:
        """OR vectors number `first` to `last`: the values or bins of the columns, in order (source 004, Tables 2, 3).

        Deleted rows are still in them. Raises OptionError when the index has several blocks: compact it first.
        """
        if len(self.store.blocks) != 1:
            raise OptionError(f"{self.path} has {len(self.store.blocks)} blocks, each with vectors of its own: compact")
        return self.store.blocks[0].index.vectors(first, last)

    def explain(self, predicate: Any, columns: Sequence[str] | None = None, *, run: bool = False) -> Explanation:
        """Say what a find would do: vectors and bytes, condition by condition in the order they are read, and the scan.

        With `run` the index is asked (no row is read), and what was cut short shows in `steps`.
        """
        names, bound = self._names(columns), self._bound(predicate)
        plan = plan_store(self.store, names, bound)
        explanation = self._explained(bound, names, plan)
        if run:
            answers = [block.answer(bound) for block in self.store.blocks]
            explanation.detail["steps"] = [step for answer in answers for step in answer.trace]
            explanation.detail["vectors_read"] = sum(answer.vectors_read for answer in answers)
            explanation.detail["bytes_read"] = sum(answer.bytes_read for answer in answers)
            explanation.rows = sum(answer.candidates.count() for answer in answers)
        return explanation

    def bound(self, predicate: Any) -> Expression:
        """Read a predicate and bind it to the index's columns; texts are remembered."""
        if not isinstance(predicate, str):
            return read_predicate(predicate, self.schema)
        found = self._read.get(predicate)
        if found is None:
            found = read_predicate(predicate, self.schema)
            if len(self._read) >= TEXTS_KEPT:
                self._read.clear()
            self._read[predicate] = found
        return found

    def statistics(self) -> dict[str, Any]:
        """Count rows, vectors and bytes by column, and what was read since the index was opened."""
        return self.store.statistics()

    # Changes

    def append(self, source: Any, **options: Unpack[OptionsGiven]) -> int:
        """Add the rows of `source` behind those there are; says how many. Other readers see them when they refresh."""
        dataset = read(source).with_options(**options)
        dataset = dataset.select(list(self.schema.names)) if dataset.columns != self.schema.names else dataset
        before = self.store.row_count
        with self._changing(dataset._options) as (writer, context):
            made = StoreOptions.from_json(self.store.contents.options)
            encoder = Encoder(made.encoding, made.profile)
            with indexed_rows(dataset._node, made.specs, encoder, context, "append to index") as (batches, prepared):
                writer.append(batches, prepared)
        return self.store.row_count - before

    def delete(self, rows: Any) -> int:
        """Delete the rows for which a predicate is true, or those of a RowSet; says how many.

        They are marked and found no more; `compact` takes them out.
        """
        with self._changing(self._options) as (writer, context):
            if isinstance(rows, RowSet):
                return writer.delete(lambda store: rows)
            bound = self._bound(rows)
            if bound is None:
                raise OptionError("delete takes a predicate or a RowSet; to delete every row say TRUE")
            return writer.delete(lambda store: store.row_set(bound, context))

    def compact(self, **options: Unpack[OptionsGiven]) -> None:
        """Write all rows that are left as one block with one index. Row ids change: they count the rows left."""
        with self._changing(self._options.updated(options)) as (writer, _):
            writer.compact()

    def refresh(self) -> None:
        """See what others added or deleted since this was opened."""
        fresh = IndexStore.open(self.path)
        self.store.close()
        self.store = fresh

    def verify(self) -> None:
        """Read and check every byte; raises what names the damaged file."""
        self.store.verify()

    def close(self) -> None:
        """Close the files; calling it again does nothing."""
        self.store.close()

    def __enter__(self) -> BitmapIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside

    def _bound(self, predicate: Any) -> Expression | None:
        return None if predicate is None else self.bound(predicate)

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        names = self.schema.names if columns is None else list(columns)
        require_columns(names, self.schema, self.store.name)
        return list(names)

    def _explained(self, bound: Expression | None, names: Sequence[str], plan: StorePlan) -> Explanation:
        explanation = Explanation(
            "find", {"predicate": to_sql(bound) if bound is not None else "every row", "columns": list(names)}
        )
        explanation.choice, explanation.reason = plan.choice, plan.reason
        explanation.estimated = cost_of(plan.index if plan.choice == "index" else plan.scan)
        other = "scan" if plan.choice == "index" else "index"
        explanation.alternatives = {other: cost_of(plan.scan if other == "scan" else plan.index)}
        if plan.price is not None:
            explanation.detail["order"] = list(plan.price.steps)
            explanation.detail["vectors"] = plan.price.vectors
            explanation.detail["vector_bytes"] = plan.price.bytes
        return explanation

    def _changing(self, options: Options) -> _Change:
        return _Change(self, options)


class _Change:
    """A change of the folder; our own reading must not keep the files it leaves behind from being collected."""

    def __init__(self, index: BitmapIndex, options: Options) -> None:
        self._index = index
        self._context = options.context()

    def __enter__(self) -> tuple[StoreWriter, QueryContext]:
        self._index.store.close()
        return StoreWriter(self._index.path, self._context), self._context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()
        self._index.store = IndexStore.open(self._index.path)
