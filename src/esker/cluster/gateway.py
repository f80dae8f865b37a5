"""What any Flight client may ask a cluster: JSON commands in, record batches out (docs/cluster.md)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
from pyarrow import flight

from esker.cluster.client import Cluster
from esker.cluster.inner import InnerSession
from esker.cluster.layout import Layout
from esker.cluster.planners import PLANNERS
from esker.core.batch import require_columns
from esker.core.clock import SYSTEM_CLOCK
from esker.core.row_set import RowSet
from esker.errors import InputError, OptionError, PeerUnreachableError
from esker.runtime.flight import Limits, Security, flight_errors

COMMAND_BYTES = 256 << 10
"""The longest command that is read."""

QUESTIONS_AT_ONCE = 16
"""Questions that are answered side by side; one more is told to come again."""

DEADLINE_SECONDS, DEADLINE_SECONDS_MOST = 300.0, 3600.0
_IDS_PER_BATCH = 1 << 16
_OPTIONS = ("index", "query", "columns", "row_ids", "limit", "count", "planner", "deadline")


@dataclass(frozen=True)
class Command:
    """A question: what is asked for of which index, and how long it may take.

    `columns` are those of the rows (None: all that are kept); `row_ids` is the name of the column of their ids, or
    None for none. With `count` the answer is one number.
    """

    index: str
    query: str | None = None
    columns: tuple[str, ...] | None = None
    row_ids: str | None = "row_id"
    limit: int | None = None
    count: bool = False
    planner: str = ""
    deadline: float = DEADLINE_SECONDS


def read_command(data: bytes) -> Command:
    """Read a command, which may be from anyone; OptionError names what of it cannot be.

    >>> read_command(b'{"index": "census", "query": "age < 50", "columns": ["name"]}').columns
    ('name',)
    """
    if len(data) > COMMAND_BYTES:
        raise OptionError(f"a command has {len(data):,} bytes, and the limit is {COMMAND_BYTES:,}")
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OptionError('a command is JSON: {"index": "census", "query": "age < 50", "limit": 10}') from error
    if not isinstance(said, dict) or not isinstance(said.get("index"), str):
        raise OptionError(f'a command is a JSON object with "index" and, if wanted, {", ".join(_OPTIONS[1:])}')
    unknown = sorted(said.keys() - set(_OPTIONS))
    if unknown:
        raise OptionError(f"a command has no {', '.join(unknown)[:200]}; there is: {', '.join(_OPTIONS)}")
    given = {name: value for name, value in said.items() if name in _NULLABLE or value is not None}
    for name, value in given.items():
        if not _FITS[name](value):
            raise OptionError(f'"{name}" of a command is {_WANTED[name]}, not {json.dumps(value)[:80]}')
    if given.get("planner") and given["planner"] not in PLANNERS:
        raise OptionError(f"no planner {given['planner'][:80]!r}; there is: {', '.join(PLANNERS)}")
    if given.get("columns") is not None:
        given["columns"] = tuple(given["columns"])
    return Command(**given)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_NULLABLE = {"query", "columns", "row_ids", "limit"}
_WANTED = {
    "index": "the name of an index",
    "query": "a predicate or R:[first,last]&[first,last] in a string, or null",
    "columns": "an array of different names, or null",
    "row_ids": "the name that the column of row ids is to have, or null for none",
    "limit": "a number of rows from 0 up, or null",
    "count": "true or false",
    "planner": "the name of a planner",
    "deadline": f"a number of seconds above 0, {DEADLINE_SECONDS_MOST:.0f} at most",
}
_FITS: dict[str, Callable[[Any], bool]] = {
    "index": lambda value: isinstance(value, str),
    "query": lambda value: value is None or isinstance(value, str),
    "columns": lambda value: (
        value is None
        or (isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value))
    ),
    "row_ids": lambda value: value is None or (isinstance(value, str) and bool(value)),
    "limit": lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0),
    "count": lambda value: isinstance(value, bool),
    "planner": lambda value: isinstance(value, str),
    "deadline": lambda value: _is_number(value) and 0 < value <= DEADLINE_SECONDS_MOST,
}


class _Inside(Cluster):
    """The cluster as its coordinator's process asks it, for one question."""

    def __init__(
        self, session: InnerSession, status: Callable[[], dict[str, Any]], layouts: Any, with_deletions: set[str]
    ) -> None:
        super().__init__("the cluster", Security(), Limits(), session=session)
        self.session = session
        self._status = status
        self._layouts = layouts
        self._with_deletions = with_deletions

    def coordinator_status(self) -> dict[str, Any]:
        return self._status()


class Gateway:
    """Answers `list_flights`, `get_flight_info`, `get_schema` and `do_get` at the coordinator's process.

    `enter` makes a session of one question, that ends with it; `status` is what the coordinator knows. Errors go out
    as Flight's, with our code in the message and as their extra information.
    """

    def __init__(
        self,
        enter: Callable[[float, Callable[[], bool]], AbstractContextManager[InnerSession]],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._enter = enter
        self._status = status
        self._layouts: dict[str, tuple[int, Layout]] = {}
        self._with_deletions: set[str] = set()
        self._places = threading.BoundedSemaphore(QUESTIONS_AT_ONCE)

    def flights(self, context: Any) -> Iterator[flight.FlightInfo]:
        """List the indexes, each with a ticket for all of its rows."""
        with flight_errors():
            deadline = SYSTEM_CLOCK.seconds() + DEADLINE_SECONDS
            names = self._status()["indexes"]
            with self._asking(context, deadline) as cluster:
                found = [
                    _info(cluster, Command(name), cluster.layout(name), flight.FlightDescriptor.for_path(name))
                    for name in names
                ]
            yield from found

    def info(self, context: Any, descriptor: Any) -> flight.FlightInfo:
        """Say what an answer will be like, and with which ticket it is to be had: no predicate is searched for yet."""
        with flight_errors():
            command = _command_of(descriptor)
            with self._asking(context, SYSTEM_CLOCK.seconds() + command.deadline) as cluster:
                return _info(cluster, command, cluster.layout(command.index), descriptor)

    def schema(self, context: Any, descriptor: Any) -> flight.SchemaResult:
        """Say which columns an answer has."""
        with flight_errors():
            command = _command_of(descriptor)
            return flight.SchemaResult(_schema(command, self._layout_for(context, command)))

    def get(self, context: Any, ticket: Any) -> flight.FlightDataStream:
        """Answer: the count at once, rows chunk by chunk while they are read."""
        with flight_errors():
            command = read_command(ticket.ticket)
            deadline = SYSTEM_CLOCK.seconds() + command.deadline
            with self._asking(context, deadline) as cluster:
                schema = _schema(command, cluster.layout(command.index))
                if command.count:
                    found = _count(cluster, command)
                    return flight.RecordBatchStream(pa.table({"count": [found]}, schema))
                layout, rows = cluster.find_rows(command.query, index=command.index, planner=command.planner)
                schema = _schema(command, layout)
            if command.limit is not None and command.limit < len(rows):
                rows = RowSet.of(rows.between_ranks(0, command.limit))
            return flight.GeneratorStream(schema, self._batches(context, deadline, command, layout, rows, schema))

    def _batches(
        self, context: Any, deadline: float, command: Command, layout: Layout, rows: RowSet, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        names = _columns(command, layout)
        with flight_errors(), self._asking(context, deadline) as cluster:
            if not names:
                for ids in rows.chunks(_IDS_PER_BATCH):
                    cluster.session.check()
                    yield pa.RecordBatch.from_arrays([pa.array(ids)][: len(schema)], schema=schema)
                return
            for ids, batch in cluster.fetch(layout, rows, names):
                cluster.session.check()
                columns = batch.columns if command.row_ids is None else [pa.array(ids), *batch.columns]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _layout_for(self, context: Any, command: Command) -> Layout:
        with self._asking(context, SYSTEM_CLOCK.seconds() + command.deadline) as cluster:
            return cluster.layout(command.index)

    @contextmanager
    def _asking(self, context: Any, deadline: float) -> Iterator[_Inside]:
        if not self._places.acquire(blocking=False):
            raise PeerUnreachableError(f"{QUESTIONS_AT_ONCE} questions are being answered; ask again in a moment")
        try:
            with self._enter(deadline, context.is_cancelled) as session:
                yield _Inside(session, self._status, self._layouts, self._with_deletions)
        finally:
            self._places.release()


def _command_of(descriptor: Any) -> Command:
    """A command as it is, or the path of one word that names an index."""
    if descriptor.descriptor_type == flight.DescriptorType.PATH:
        if len(descriptor.path) != 1:
            raise OptionError("a path names an index, in one word")
        return read_command(json.dumps({"index": descriptor.path[0].decode("utf-8", "replace")}).encode())
    return read_command(descriptor.command)


def _columns(command: Command, layout: Layout) -> list[str]:
    """The columns of rows that are asked for."""
    if command.columns is None:
        return list(layout.schema.names) if layout.chunk_rows else []
    require_columns(list(command.columns), layout.schema, f"index {layout.name!r}")
    if command.columns and not layout.chunk_rows:
        raise InputError(f"index {layout.name!r} was built without its rows; ask for row ids, or the count")
    return list(command.columns)


def _schema(command: Command, layout: Layout) -> pa.Schema:
    if command.count:
        return pa.schema([pa.field("count", pa.int64(), nullable=False)])
    names = _columns(command, layout)
    found = [layout.schema.field(name) for name in names]
    if command.row_ids is None:
        if not found:
            raise OptionError('neither "columns" nor "row_ids": nothing is asked for; for how many, "count": true')
        return pa.schema(found)
    if command.row_ids in names:
        raise OptionError(f'{command.row_ids!r} is a column of {layout.name!r}: give "row_ids" another name, or null')
    return pa.schema([pa.field(command.row_ids, pa.uint64(), nullable=False), *found])


def _count(cluster: Cluster, command: Command) -> int:
    found = cluster.count(command.query, index=command.index, planner=command.planner)
    return found if command.limit is None else min(found, command.limit)


def _info(cluster: Cluster, command: Command, layout: Layout, descriptor: Any) -> flight.FlightInfo:
    defaults = {field.name: field.default for field in fields(Command)}
    asked = {name: value for name, value in asdict(command).items() if value != defaults[name]}
    ticket = flight.Ticket(json.dumps(asked).encode())
    schema = _schema(command, layout)
    if command.count:
        rows = 1
    elif command.query is None:
        rows = _count(cluster, command)
    else:
        rows = -1
    return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], rows, -1)
