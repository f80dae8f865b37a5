"""SQLite as a client: virtual tables whose constraints are answered by the index (source 004's DBMS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import apsw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.clients.sqlite_constraints import constraint
from esker.clients.sqlite_values import affinity, sqlite_values
from esker.collection.dataset import Dataset
from esker.collection.options import OptionsGiven
from esker.collection.read import read
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import InputError, OptionError
from esker.expression import Expression, bind, conjunction, evaluate, simplify
from esker.expression import columns as columns_of
from esker.join.input import JoinInput
from esker.plan.nodes import Scan

if TYPE_CHECKING:
    from esker.engine.source import Source

OnScan = Callable[[Explanation], None]

_OPS = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_NE: "!=",
    apsw.SQLITE_INDEX_CONSTRAINT_LT: "<",
    apsw.SQLITE_INDEX_CONSTRAINT_LE: "<=",
    apsw.SQLITE_INDEX_CONSTRAINT_GT: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_GE: ">=",
    apsw.SQLITE_INDEX_CONSTRAINT_IS: "is",
    apsw.SQLITE_INDEX_CONSTRAINT_ISNOT: "is not",
    apsw.SQLITE_INDEX_CONSTRAINT_ISNULL: "is null",
    apsw.SQLITE_INDEX_CONSTRAINT_ISNOTNULL: "is not null",
    apsw.SQLITE_INDEX_CONSTRAINT_LIKE: "like",
    apsw.SQLITE_INDEX_CONSTRAINT_GLOB: "glob",
    apsw.SQLITE_INDEX_CONSTRAINT_LIMIT: "limit",
    apsw.SQLITE_INDEX_CONSTRAINT_OFFSET: "offset",
}
_ROWID = -1
# What a condition is guessed to leave, for SQLite's choice of the order of a join: there is no value to look up yet.
_LEAVES = {"=": 0.01, "is": 0.01, "in": 0.05, "is null": 0.05, "<": 0.3, "<=": 0.3, ">": 0.3, ">=": 0.3, "glob": 0.1}
# Planning one question takes as long as handing this many rows to SQLite.
_ROWS_OF_A_QUESTION = 500.0
# SQLite tells columns used by a mask of 64 bits: the last is for all from there on.
_MASK_COLUMNS = 63


def register(
    connection: apsw.Connection,
    name: str,
    source: Any,
    *,
    on_scan: OnScan | None = None,
    **options: Unpack[OptionsGiven],
) -> None:
    """Make the temporary virtual table `name` of an apsw connection: rows of a frozen data set, an index, or files.

    >>> import esker, apsw, tempfile, pathlib
    >>> from esker.clients import sqlite
    >>> people = {"salary": [120_000, 90_000, 150_000], "age": [42, 20, 61], "name": ["Ann", "Bo", "Cy"]}
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "census.esker"
    >>> report = esker.freeze(people, folder, index=["salary", "age"])
    >>> connection = apsw.Connection(":memory:")
    >>> sqlite.register(connection, "census", folder)
    >>> connection.execute("SELECT name FROM census WHERE salary > 100000 AND age < 50").fetchall()
    [('Ann',)]

    Comparisons, IN, BETWEEN, OR, LIKE and GLOB of a prefix, IS NULL, LIMIT and the keys of joins come down as SQLite
    offers them, and it checks every row again. `esker.clients.sqlite_values` says what it sees of Arrow's types.
    Nothing is written to the database. `on_scan` is told the plan of each scan when it ends. Options are those of
    `Dataset.with_options`. Raises OptionError for a name that is taken, InputError for columns that SQLite cannot tell
    apart.
    """
    table = _Table(read(source).with_options(**options), on_scan)
    module = f"esker {name}"
    made = _Module(table)
    connection.create_module(module, made, use_bestindex_object=True, read_only=True)  # type: ignore[arg-type]  # ShadowName may be left out
    try:
        connection.execute(f"CREATE VIRTUAL TABLE temp.{_quoted(name)} USING {_quoted(module)}")
    except apsw.SQLError as error:
        raise OptionError(f"table {name!r} cannot be made: {error}") from error


@dataclass(frozen=True)
class _Term:
    """A constraint that was taken: its argument comes at the same place."""

    column: int
    op: str
    constant: bool


@dataclass(frozen=True)
class _Question:
    """What `BestIndex` settled: terms in the order of their arguments, and the columns that will be asked for."""

    terms: tuple[_Term, ...]
    columns: tuple[int, ...]

    def described(self, names: Sequence[str]) -> str:
        """For EXPLAIN QUERY PLAN."""
        words = [
            term.op if term.op in ("limit", "offset") else f"{_name(term.column, names)} {term.op}"
            for term in self.terms
        ]
        return ", ".join(words) or "all rows"


class _Module:
    """What SQLite makes tables with; ours is there already."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    def Create(
        self, connection: apsw.Connection, modulename: str, databasename: str, tablename: str, *args: Any
    ) -> tuple[str, Any]:
        return self._table.declaration, self._table

    Connect = Create


class _Table:
    def __init__(self, dataset: Dataset, on_scan: OnScan | None) -> None:
        node = dataset._node
        if not isinstance(node, Scan):
            raise OptionError(
                "SQLite finds rows by their ids, and computed rows have none: freeze them first or write them to a file"
            )
        self.source: Source = node.source
        self.schema: pa.Schema = node.schema
        self.options = dataset._options
        self.on_scan = on_scan
        self.declaration = _declaration(self.schema)
        self._questions: dict[_Question, int] = {}
        self._asked: list[_Question] = []
        with self.options.context() as context:
            found, _ = self.source.join_input(self.schema.names[:1], None, context)
            self._row_count = found.candidate_count

    # What SQLite calls

    def BestIndexObject(self, info: Any) -> bool:
        terms: list[_Term] = []
        for which in range(info.nConstraint):
            term = self._term(info, which) if info.get_aConstraint_usable(which) else None
            if term is None:
                continue
            terms.append(term)
            info.set_aConstraintUsage_argvIndex(which, len(terms))
            if term.op == "in":
                info.set_aConstraintUsage_in(which, True)
        question = _Question(tuple(terms), self._used(info.colUsed))
        info.idxNum = self._number(question)
        info.idxStr = question.described(self.schema.names)
        info.estimatedRows, info.estimatedCost = self._estimated(terms)
        ordered_by_row = info.nOrderBy == 1 and info.get_aOrderBy_iColumn(0) == _ROWID
        info.orderByConsumed = ordered_by_row and not info.get_aOrderBy_desc(0)
        return True

    def Open(self) -> _Cursor:
        return _Cursor(self)

    def Disconnect(self) -> None:
        pass

    Destroy = Disconnect

    # Inside

    def question(self, number: int) -> _Question:
        """What `BestIndexObject` numbered."""
        return self._asked[number]

    def _number(self, question: _Question) -> int:
        if question not in self._questions:
            self._questions[question] = len(self._asked)
            self._asked.append(question)
        return self._questions[question]

    def _term(self, info: Any, which: int) -> _Term | None:
        op = _OPS.get(info.get_aConstraint_op(which))
        if op is None:
            return None
        if op in ("limit", "offset"):
            return _Term(_ROWID, op, constant=False)
        if info.get_aConstraint_collation(which) != "BINARY":
            return None
        if op == "=" and info.get_aConstraintUsage_in(which):
            op = "in"
        return _Term(info.get_aConstraint_iColumn(which), op, info.get_aConstraint_rhs(which) is not None)

    def _used(self, mask: set[int]) -> tuple[int, ...]:
        last = len(self.schema) if _MASK_COLUMNS in mask else 0
        return tuple(sorted({column for column in mask if column < len(self.schema)} | set(range(_MASK_COLUMNS, last))))

    def _estimated(self, terms: Sequence[_Term]) -> tuple[int, float]:
        rows, indexed = float(self._row_count), False
        for term in terms:
            if term.column == _ROWID:
                rows = min(rows, 1.0) if term.op == "=" else rows
                indexed = indexed or term.op == "="
                continue
            rows *= _LEAVES.get(term.op, 1.0)
            indexed = indexed or self.schema.names[term.column] in self.source.indexed_columns
        rows = max(rows, 1.0)
        return int(rows), _ROWS_OF_A_QUESTION + rows + (0.0 if indexed else float(self._row_count))


class _Cursor:
    """One walk over the rows of a question; batches come as SQLite steps on."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._batches: Iterator[tuple[list[int], pa.RecordBatch]] = iter(())
        self._ids: list[int] = []
        self._columns: dict[int, list[Any]] = {}
        self._batch: pa.RecordBatch | None = None
        self._at = 0

    def Filter(self, number: int, described: str, arguments: Sequence[Any]) -> None:
        self.Close()
        self._batches = _answer(self._table, self._table.question(number), arguments)
        self._turn()

    def Eof(self) -> bool:
        return self._at >= len(self._ids)

    def Next(self) -> None:
        self._at += 1
        if self._at >= len(self._ids):
            self._turn()

    def Rowid(self) -> int:
        return self._ids[self._at]

    def Column(self, number: int) -> Any:
        if number == _ROWID:
            return self.Rowid()
        values = self._columns.get(number)
        if values is None:
            assert self._batch is not None, "a column is asked for of a row"
            name = self._table.schema.names[number]
            values = self._columns[number] = sqlite_values(self._batch.column(name), name)
        return values[self._at]

    def Close(self) -> None:
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()
        self._batches, self._ids, self._columns, self._batch, self._at = iter(()), [], {}, None, 0

    def _turn(self) -> None:
        """Go to the next batch that has rows."""
        self._ids, self._columns, self._batch, self._at = [], {}, None, 0
        for ids, batch in self._batches:
            if ids:
                self._ids, self._batch = ids, batch
                return


def _answer(table: _Table, question: _Question, arguments: Sequence[Any]) -> Iterator[tuple[list[int], pa.RecordBatch]]:
    """Yield ids and columns of rows that may fit: all that do are among them, in the order of their ids."""
    names = [table.schema.names[number] for number in question.columns]
    predicate = _predicate(table, question, arguments)
    with table.options.context() as context:
        found, explanation = table.source.join_input(names, predicate, context)
        rows = found.candidates & _named_rows(question, arguments, found.store.row_count)
        fetched = given = 0
        try:
            for part in _parts(rows, _first_rows(question, arguments)):
                for ids, batch in _fetched(found, part, names, context):
                    fetched += len(ids)
                    ids, batch = _kept(ids, batch, found.predicate)
                    given += len(ids)
                    yield ids.tolist(), batch
        finally:
            explanation.rows = given
            explanation.detail["rows_fetched"] = fetched
            if table.on_scan is not None:
                table.on_scan(explanation)


def _fetched(found: JoinInput, rows: RowSet, names: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
    extra = columns_of(found.predicate) - set(names) if found.predicate is not None else frozenset()
    wanted = [*names, *sorted(extra)]
    if not wanted:
        # Only counted: the ids are all there is to say.
        empty = pa.RecordBatch.from_pylist([], pa.schema([]))
        return (RowBatch(ids, empty) for ids in rows.chunks(context.batch_rows))
    return found.store.fetch(rows, wanted, context)


def _kept(
    ids: npt.NDArray[np.uint64], batch: pa.RecordBatch, predicate: Expression | None
) -> tuple[npt.NDArray[np.uint64], pa.RecordBatch]:
    if predicate is None:
        return ids, batch
    mask = evaluate(predicate, batch).fill_null(False)
    return ids[mask.to_numpy(zero_copy_only=False)], batch.filter(mask)


def _parts(rows: RowSet, first: int | None) -> Iterator[RowSet]:
    """With a limit the first rows come alone: when SQLite keeps them all, the others are never read."""
    if first is None or first <= 0 or first >= len(rows):
        yield rows
        return
    border = rows.select(first)
    yield rows.slice(0, border)
    yield rows.slice(border, int(rows.runs()[1][-1]))


def _first_rows(question: _Question, arguments: Sequence[Any]) -> int | None:
    known = {term.op: value for term, value in zip(question.terms, arguments, strict=True) if isinstance(value, int)}
    limit = known.get("limit", -1)
    return limit + max(known.get("offset", 0), 0) if limit >= 0 else None


def _predicate(table: _Table, question: _Question, arguments: Sequence[Any]) -> Expression | None:
    parts = [
        part
        for term, value in zip(question.terms, arguments, strict=True)
        if term.column != _ROWID
        and (part := constraint(table.schema.field(term.column), term.op, value, constant=term.constant)) is not None
    ]
    return simplify(bind(conjunction(parts), table.schema)) if parts else None


def _named_rows(question: _Question, arguments: Sequence[Any], row_count: int) -> RowSet:
    """The rows that conditions on the row id leave."""
    rows = RowSet.range(0, row_count)
    for term, value in zip(question.terms, arguments, strict=True):
        if term.column != _ROWID or term.op not in ("=", "in", "<", "<=", ">", ">="):
            continue
        if term.op in ("=", "in"):
            wanted = value if isinstance(value, set | frozenset) else {value}
            if all(isinstance(one, int) for one in wanted):
                rows &= RowSet.of([one for one in wanted if 0 <= one < row_count])
        elif isinstance(value, int):
            low = value + (term.op == ">") if term.op in (">", ">=") else 0
            stop = value + (term.op == "<=") if term.op in ("<", "<=") else row_count
            rows &= RowSet.range(min(max(low, 0), row_count), min(max(stop, 0), row_count))
    return rows


def _declaration(schema: pa.Schema) -> str:
    lower = [name.lower() for name in schema.names]
    twice = next((name for name in schema.names if lower.count(name.lower()) > 1), None)
    if twice is not None:
        raise InputError(f"SQLite does not tell column {twice!r} from another that differs in case; leave one out")
    columns = ", ".join(f"{_quoted(field.name)} {affinity(field.type)}" for field in schema)
    return f"CREATE TABLE rows ({columns})"


def _name(column: int, names: Sequence[str]) -> str:
    return "rowid" if column == _ROWID else names[column]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
