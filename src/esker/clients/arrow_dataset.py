"""A pyarrow dataset over our rows: DuckDB, pyarrow and whatever else filters datasets asks the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NoReturn, Unpack

import pyarrow as pa
import pyarrow.dataset as ds

from esker.clients.pushdown import PYARROW, pushable, restricted
from esker.collection.dataset import Dataset
from esker.collection.options import OptionsGiven
from esker.collection.read import read
from esker.core.explanation import Explanation
from esker.errors import InputError, PredicateError
from esker.expression import Expression
from esker.expression import columns as columns_of
from esker.expression.from_pyarrow import known_conjuncts

OnScan = Callable[[Explanation], None]


def as_arrow_dataset(source: Any, *, on_scan: OnScan | None = None, **options: Unpack[OptionsGiven]) -> ArrowDataset:
    """Show anything that `esker.read` takes as a pyarrow dataset, for DuckDB and all that filter datasets.

    >>> import esker, tempfile, pathlib, duckdb
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "months.esker"
    >>> report = esker.freeze({"month": [1, 6, 7, 7], "text": list("abcd")}, folder, index=["month"])
    >>> flights = esker.as_arrow_dataset(folder)
    >>> with duckdb.connect() as connection:
    ...     connection.sql("SELECT text FROM flights WHERE month IN (6, 7)").fetchall()
    [('b',), ('c',), ('d',)]

    Conditions on one column with constants, joined by AND, OR and NOT, are answered here; the whole filter is applied
    again to what comes out. `on_scan` is told the plan of each scan when it ends: the predicate that came down, and
    what was read. Options are those of `Dataset.with_options`.
    """
    return ArrowDataset(read(source).with_options(**options), on_scan)


class ArrowDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow ships no types
    """Make one with `as_arrow_dataset`. Every scan runs the plan again.

    There is no Arrow dataset below it: what pyarrow does with one from inside, past the methods of this class
    (`Scanner.from_dataset`, Acero's scan nodes), cannot be done with it; ask `scanner()`.
    """

    def __init__(self, rows: Dataset, on_scan: OnScan | None = None, filter: Any = None) -> None:
        # The base class forbids its own constructor; its C++ pointers stay empty, so every method is written here.
        self._rows = rows
        self._on_scan = on_scan
        self._filter = filter

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self._rows.schema

    @property
    def partition_expression(self) -> Any:
        """What is true of every row: nothing is known."""
        return ds.scalar(True)

    def __repr__(self) -> str:
        fields = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"ArrowDataset({fields})"

    # Reading

    def scanner(self, columns: Any = None, filter: Any = None, batch_size: int = 131_072, **options: Any) -> ds.Scanner:
        """Give a scanner, to be used once: `columns` names or a mapping to expressions, `filter` an expression.

        Of pyarrow's other options `use_threads` and `memory_pool` are heeded; the others are about files.
        """
        return self._scanner(None, columns, filter, batch_size, options)

    def explain(self, filter: Any = None, columns: Any = None) -> Explanation:
        """The plan of such a scan: the predicate that the index gets, what is read of rows, and what it costs."""
        rows, _ = self._planned(columns, self._both(filter))
        return rows.explain()

    def to_table(self, columns: Any = None, filter: Any = None, **options: Any) -> pa.Table:
        """Read the rows into a table."""
        return self.scanner(columns, filter, **options).to_table()

    def to_batches(self, columns: Any = None, filter: Any = None, **options: Any) -> Iterator[pa.RecordBatch]:
        """Yield the rows batch by batch."""
        return iter(self.scanner(columns, filter, **options).to_batches())

    def head(self, num_rows: int, columns: Any = None, filter: Any = None, **options: Any) -> pa.Table:
        """Read the first rows into a table."""
        batch_size = options.pop("batch_size", 131_072)
        return self._scanner(num_rows, columns, filter, batch_size, options).head(num_rows)

    def take(self, indices: Any, columns: Any = None, filter: Any = None, **options: Any) -> pa.Table:
        """Read the rows at these places among those that `filter` lets pass."""
        return self.scanner(columns, filter, **options).take(indices)

    def count_rows(self, filter: Any = None, **options: Any) -> int:
        """Count the rows."""
        return int(self.scanner([], filter, **options).count_rows())

    # Other datasets

    def filter(self, expression: Any) -> ArrowDataset:
        """The rows for which `expression` is true too."""
        return ArrowDataset(self._rows, self._on_scan, self._both(expression))

    def sort_by(self, sorting: Any, **options: Any) -> ds.InMemoryDataset:
        """Read all rows and sort them in memory; `Dataset.sort` of Esker spills."""
        return self._held().sort_by(sorting, **options)

    def join(self, right_dataset: Any, *arguments: Any, **options: Any) -> ds.InMemoryDataset:
        """Read all rows of both sides and join them in memory; `Dataset.join` of Esker spills."""
        return self._held().join(_held(right_dataset), *arguments, **options)

    def join_asof(self, right_dataset: Any, *arguments: Any, **options: Any) -> ds.InMemoryDataset:
        """Read all rows of both sides and join them in memory."""
        return self._held().join_asof(_held(right_dataset), *arguments, **options)

    # What there is not

    def get_fragments(self, filter: Any = None) -> NoReturn:
        """Raise InputError: rows are found by an index, not file by file."""
        raise _missing("fragments; read it through scanner()")

    _get_fragments = get_fragments

    def replace_schema(self, schema: pa.Schema) -> NoReturn:
        """Raise InputError: the types are those of the source."""
        raise _missing("another schema; cast what scanner() gives")

    def _scan_options(self, *arguments: Any, **options: Any) -> NoReturn:
        raise _missing("an Arrow dataset below it; read it through scanner()")

    _scanner_options = _scan_options

    def __reduce__(self) -> NoReturn:
        raise _missing("a pickled form; open its path again where it is needed")

    def __setstate__(self, state: object) -> NoReturn:
        raise _missing("a pickled form; open its path again where it is needed")

    # Inside

    def _both(self, filter: Any) -> Any:
        if filter is None or self._filter is None:
            return filter if self._filter is None else self._filter
        return self._filter & filter

    def _held(self) -> ds.InMemoryDataset:
        return ds.dataset(self.to_table())

    def _scanner(
        self, num_rows: int | None, columns: Any, filter: Any, batch_size: int, options: dict[str, Any]
    ) -> ds.Scanner:
        both = self._both(filter)
        rows, schema = self._planned(columns, both)
        if num_rows is not None and both is None:
            rows = rows.head(num_rows)
        heeded = {name: options[name] for name in ("use_threads", "memory_pool") if name in options}
        batches = _batches(rows, self._on_scan)
        return ds.Scanner.from_batches(
            batches, schema=schema, columns=columns, filter=both, batch_size=batch_size, **heeded
        )

    def _planned(self, columns: Any, filter: Any) -> tuple[Dataset, pa.Schema]:
        predicate, known = self._pushed(filter)
        names = self._wanted(columns, filter, known)
        rows = restricted(self._rows, predicate).select(names)
        return rows, rows.schema

    def _pushed(self, filter: Any) -> tuple[Expression | None, list[Expression]]:
        """What the index gets, and all that was understood."""
        if filter is None:
            return None, []
        try:
            known = known_conjuncts(filter, self.schema)
        except PredicateError:
            return None, []
        return pushable(known, self.schema, PYARROW), known

    def _wanted(self, columns: Any, filter: Any, known: list[Expression]) -> list[str]:
        """The columns that are named, and those of the filter; all where pyarrow finds that one is missing."""
        named = {name for part in known for name in columns_of(part)}
        if columns is None or isinstance(columns, dict):
            return self._rows.columns
        named |= set(columns)
        names = [name for name in self._rows.columns if name in named] or self._rows.columns[:1]
        schema = pa.schema([self.schema.field(name) for name in names])
        try:
            ds.Scanner.from_batches(iter(()), schema=schema, columns=list(columns), filter=filter)
        except pa.ArrowInvalid:
            return self._rows.columns
        return names


def _held(dataset: Any) -> Any:
    return dataset._held() if isinstance(dataset, ArrowDataset) else dataset


def _batches(rows: Dataset, on_scan: OnScan | None) -> Iterator[pa.RecordBatch]:
    result = rows.execute()
    try:
        with closing(result):
            yield from result
    finally:
        if on_scan is not None:
            on_scan(result.explanation)


def _missing(what: str) -> InputError:
    return InputError(f"a dataset of Esker's rows has no {what}")
