"""A cluster in the user's hands: put vectors, build indexes, ask them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import flight

from esker.bitmap import Bitmap
from esker.cluster.blocks import DROPPED, block_of
from esker.cluster.calls import Calls
from esker.cluster.codec import CodecError, unpack
from esker.cluster.layout import DELETED, Layout, array_of, block_rows_for, describe, layout_unit
from esker.cluster.messages import CHANGED, COUNT, ROWS, VALUES, Answer, Failed, Query, Terms, Write
from esker.cluster.placement import Part
from esker.cluster.planners import PLANNERS
from esker.cluster.session import Session
from esker.cluster.terms import Asked, terms_of
from esker.cluster.url import read_url
from esker.core.batch import require_columns
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import (
    EskerError,
    InputError,
    OptionError,
    PeerError,
    UnitsLostError,
    UnknownIndexError,
)
from esker.expression import Expression, evaluate, read_predicate
from esker.expression import columns as columns_of
from esker.runtime.flight import Limits, Security, call_options, open_client, peer_errors, read_token

DEFAULT_INDEX = "vectors"
_LAYOUT_RETRIES = 5
_MOVED_RETRIES = 50
_STATUS_SECONDS = 2.0
# A query that is always true asks for the rows of no vector.
_NO_TERMS: Terms = ()

Question = Any
"""A predicate (SQL text, a Polars or pyarrow expression), `R:[2,3]&[4,6]`, ranges (first, last), or None: all rows."""


def connect_url(url: str) -> tuple[Cluster, str]:
    """Open what a URL names (see esker.cluster.url): a cluster, and an index of it."""
    named = read_url(url)
    token = Path(named.token_file) if named.token_file else None
    return connect(named.location, token=token, authority=named.authority), named.name


def connect(
    location: str,
    *,
    token: str | Path | None = None,
    authority: str | Path | None = None,
    deadline: float = 30.0,
    message_bytes: int = Limits.message_bytes,
) -> Cluster:
    """Open a cluster by the address of its coordinator: `grpc://host:port`, `grpc+tls://host:port` or `esker://...`.

    `esker://` is with TLS when there is an `authority`, and without when there is none.

    `token` is the path of the token file that its processes read, or the token itself; `authority` the certificate
    (PEM) that TLS is to trust. A call takes at most `deadline` seconds. Nothing is sent before the first call.

    Raises OptionError for an address that is none, InputFileError for a token file that others may read.
    """
    where = location.replace("esker://", "grpc+tls://" if authority else "grpc://", 1)
    if authority and where.startswith("grpc://"):
        raise OptionError(f"an authority is for TLS, and {location!r} is without; write grpc+tls://")
    if not where.startswith(("grpc://", "grpc+tls://")):
        raise OptionError(f"{location!r} is no address of a cluster; write grpc://host:port or grpc+tls://host:port")
    is_file = isinstance(token, Path) or (token is not None and Path(token).exists())
    secret = read_token(Path(token)) if token is not None and is_file else token
    files = Security.from_files(authority=Path(authority) if authority else None)
    security = Security(None if secret is None else str(secret), authority=files.authority)
    return Cluster(where.rstrip("/"), security, Limits(message_bytes, deadline))


class Cluster:
    """A client of a cluster; a context manager, and threads may share it.

    A put is on the disks of all nodes that should have it when it returns, and every later query sees it whole. Calls
    wait while nodes or the coordinator are away and others cannot answer, until the deadline. Puts of one client go
    one after the other; open several clients to put side by side.
    """

    def __init__(
        self,
        location: str,
        security: Security,
        limits: Limits,
        session: Calls | None = None,
    ) -> None:
        """Use `connect`."""
        self.location = location
        self._security = security
        self._session: Calls = session or Session(location, security, limits)
        self._layouts: dict[str, tuple[int, Layout]] = {}
        # Of indexes that are partitioned dynamically: their blocks when last heard of.
        self._blocks: dict[str, list[Part]] = {}
        # Of which rows were deleted: their deleted rows are asked for as well.
        self._with_deletions: set[str] = set()

    # ---- vectors by number (source 004, Client Interface) ----

    def create(
        self,
        index: str,
        row_count: int,
        *,
        placement: str = "row_block",
        block_rows: int | None = None,
    ) -> None:
        """Make an index of numbered vectors of so many rows, in place of one that has the name.

        `placement` is `row_block` (every vector's rows of a block lie together, queries are answered there), `dynamic`
        (the same, and blocks that grow or are asked much are divided, small ones joined) or `vector` (each vector whole
        on its nodes, as source 004 has it).
        """
        rows = block_rows or block_rows_for(row_count, len(self.coordinator_status()["members"]))
        self._store_layout(Layout.new(index, placement, row_count, rows))

    def put(self, number: int, vector: Bitmap, *, index: str = DEFAULT_INDEX) -> None:
        """Store a vector under a number, in place of the one it had."""
        self.put_many({number: vector}, index=index)

    def put_many(self, vectors: dict[int, Bitmap], *, index: str = DEFAULT_INDEX) -> None:
        """Store vectors, all or none; the first ones make the index, where there is none.

        Raises InputError for numbers below 0 and vectors of other rows than the index has.
        """
        if not vectors:
            return
        if index not in self._layouts and self._read_layout(index)[1] is None:
            self.create(index, next(iter(vectors.values())).row_count)
        for _ in range(_MOVED_RETRIES):
            layout = self._known(index)
            _check_vectors(layout, vectors)
            parts = self._parts(layout)
            writes = [write for number, vector in vectors.items() for write in _cut(layout, parts, number, vector)]
            if self._write(writes, layout):
                return
        raise PeerError(f"the blocks of {index!r} change again and again; put later")

    def drop(self, index: str) -> None:
        """Remove an index, all of it at once: later queries of it fail, and its space on the nodes is given back.

        Nodes that are away let go of it when they come back. The name may be built anew at once. Raises
        UnknownIndexError when there is none.
        """
        for _ in range(_MOVED_RETRIES):
            layout = self._known(index, fresh=True)
            answer = self._session.put(
                (Write(layout.unit, DROPPED, b"", True),), ((layout.unit, self._layouts[index][0]),), (layout.prefix,)
            )
            if not isinstance(answer, Failed):
                self._forget(index)
                return
            if answer.reason != CHANGED:
                raise _failure(answer)
        raise PeerError(f"index {index!r} is built again and again; drop it later")

    def delete(self, question: Question, *, index: str = DEFAULT_INDEX) -> int:
        """Delete the rows of a question, all or none, and give how many they were; later queries do not see them.

        Row ids of others stay, and so does the disk space until the index is built anew, which has no deletions. Rows
        that somebody else puts meanwhile, and that fit the question, may stay.
        """
        for _ in range(_MOVED_RETRIES):
            layout, found = self._ask_layout([question], index, ROWS, "")
            if not found[0] or self._write(self._deleted_in(layout, found[0]), layout):
                return len(found[0])
        raise PeerError(f"the blocks of {index!r} change again and again; delete later")

    # ---- questions ----

    def query(self, question: Question, *, index: str = DEFAULT_INDEX, planner: str = "") -> RowSet:
        """Find the rows of a question: see `query_many`."""
        return self.query_many([question], index=index, planner=planner)[0]

    def count(self, question: Question, *, index: str = DEFAULT_INDEX, planner: str = "") -> int:
        """Count the rows of a question: only numbers travel, where blocks of rows are placed."""
        return self.count_many([question], index=index, planner=planner)[0]

    def query_many(
        self, questions: Sequence[Question], *, index: str = DEFAULT_INDEX, planner: str = ""
    ) -> list[RowSet]:
        """Find the rows of several questions, all as of one moment, in one call to each node concerned.

        A question is a predicate over the columns of an index that was built, `R:[2,3]&[4,6]` over vector numbers, or
        a list of ranges (first, last). `planner` is one_call_per_node, least_loaded, fewest_nodes or random_replica;
        the cluster's own by default. Raises PredicateError, InputError for a vector that is not there, UnitsLostError
        when all copies of what is asked for are gone.
        """
        found: list[RowSet] = self._ask_many(questions, index, ROWS, planner)
        return found

    def count_many(self, questions: Sequence[Question], *, index: str = DEFAULT_INDEX, planner: str = "") -> list[int]:
        """Count the rows of several questions; see `query_many`."""
        found: list[int] = self._ask_many(questions, index, COUNT, planner)
        return found

    def find(
        self, predicate: Any = None, columns: Sequence[str] | None = None, *, index: str, planner: str = ""
    ) -> pa.Table:
        """Give columns of the rows for which `predicate` is true, of an index that was built with its rows."""
        layout, rows = self.find_rows(predicate, index=index, planner=planner)
        names = list(layout.schema.names if columns is None else columns)
        require_columns(names, layout.schema, f"index {index!r}")
        schema = pa.schema([layout.schema.field(name) for name in names])
        return pa.Table.from_batches([found.batch for found in self.fetch(layout, rows, names)], schema)

    def find_rows(self, predicate: Any = None, *, index: str, planner: str = "") -> tuple[Layout, RowSet]:
        """Find the rows of a predicate (None: every row), and the layout of the index that they are rows of."""
        found: tuple[Layout, list[RowSet]] = self._ask_layout([predicate], index, ROWS, planner)
        return found[0], found[1][0]

    def fetch(self, layout: Layout, rows: RowSet, columns: Sequence[str]) -> Iterator[RowBatch]:
        """Yield columns of rows, chunk by chunk; only chunks that have some of them travel.

        Raises InputError where the rows are not kept, PeerError when the index was built anew since.
        """
        if not layout.chunk_rows:
            raise InputError(f"index {layout.name!r} was built without its rows")
        names = layout.schema.names
        numbers = [names.index(name) for name in columns]
        schema = pa.schema([layout.schema.field(name) for name in columns])
        for part in layout.row_parts():
            wanted = rows.slice(part.start, part.stop)
            if wanted:
                yield from self._fetch_part(layout, part, wanted, numbers, schema)

    # ---- indexes ----

    def build(
        self,
        source: Any,
        by: Sequence[str],
        *,
        index: str,
        placement: str = "row_block",
        block_rows: int | None = None,
        rows: bool = True,
    ) -> None:
        """Index the columns `by` of `source` in the cluster, with a vector for each value; and keep its rows there.

        `source` is anything with an Arrow stream: a Dataset, a table, a Polars frame. An index of the same name is
        replaced at once when the new one is whole; who asks meanwhile is answered by one of them. Rows are kept only
        with blocks of rows, in compressed columns. Raises UnknownColumnError, UnsupportedTypeError.
        """
        from esker.cluster.building import build

        nodes = len(self.coordinator_status()["members"])
        build(self, source, list(by), index, placement, block_rows, nodes, keep_rows=rows and placement != "vector")

    def indexes(self) -> list[dict[str, Any]]:
        """List the indexes there are."""
        found = []
        for name in self.coordinator_status()["indexes"]:
            # Not of one that is dropped just now.
            with suppress(UnknownIndexError):
                layout = self._known(name, fresh=True)
                found.append(describe(layout, len(self._blocks_of(layout))))
        return found

    def blocks(self, index: str) -> list[tuple[int, int]]:
        """Give the rows (first, past the last) of the blocks that an index has now; none when vectors are placed."""
        return self._blocks_of(self._known(index, fresh=True))

    def _blocks_of(self, layout: Layout) -> list[tuple[int, int]]:
        if not layout.is_dynamic:
            return [(part.start, part.stop) for part in layout.blocks.parts(0)] if layout.in_blocks else []
        return [(part.start, part.stop) for part in self._ask_blocks(layout)]

    def schema(self, index: str) -> pa.Schema:
        """Give the columns of an index's rows."""
        return self._known(index).schema

    def layout(self, index: str) -> Layout:
        """Give an index's layout, as it is now."""
        return self._known(index, fresh=True)

    # ---- the cluster ----

    def status(self) -> dict[str, Any]:
        """Say what the coordinator knows (epoch, ring, copies, what is lost) and what each node waits for.

        `nodes[...]["in_doubt"]` are transactions that a node promised to commit and has not heard of since. A node
        that cannot be asked has an `error` there.
        """
        found = self.coordinator_status()
        with ThreadPoolExecutor(max(len(found["nodes"]), 1)) as pool:
            for node, said in zip(found["nodes"], pool.map(self._node_status, found["nodes"]), strict=True):
                node.update(said)
        return found

    def coordinator_status(self) -> dict[str, Any]:
        """Say what the coordinator knows, without asking nodes."""
        return self._action(self.location)

    def close(self) -> None:
        """Close the connection; calling it again does nothing."""
        self._session.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Cluster({self.location!r})"

    # ---- inside ----

    def _deleted_in(self, layout: Layout, rows: RowSet) -> list[Write]:
        """What deletes rows: a vector of its own in each block, so that deletions do not overwrite one another.

        Where vectors are placed one by one it lies in the unit that every deletion is put to.
        """
        number = DELETED[0][0] + secrets.randbelow(1 << 62)
        if not layout.in_blocks:
            gone = Bitmap.from_rows(rows, layout.row_count, "auto").serialize()
            return [Write(layout.deletions, 0, b"", False), Write(layout.deletions, number, gone, False)]
        writes = [Write(layout.deletions, 0, b"", True)]
        for part in self._parts(layout):
            piece = _piece(rows, part)
            if piece is not None:
                writes.append(Write(part.unit, number, piece.serialize(), False))
        return writes

    def _ask_many(self, questions: Sequence[Question], index: str, kind: int, planner: str) -> Any:
        return self._ask_layout(questions, index, kind, planner)[1]

    def _ask_layout(self, questions: Sequence[Question], index: str, kind: int, planner: str) -> tuple[Layout, Any]:
        if planner and planner not in PLANNERS:
            raise OptionError(f"no planner {planner!r}; there is: {', '.join(PLANNERS)}")
        for attempt in range(_LAYOUT_RETRIES):
            layout = self._known(index, fresh=attempt > 0)
            asked = [_asked(question, layout) for question in questions]
            checked = any(one.residual is not None for one in asked)
            answers = self._rows_or_counts(
                layout, [None if one.never else one.terms for one in asked], ROWS if checked else kind, planner
            )
            if answers is None:
                continue
            found = [self._none(kind, checked) if one.never else rows for one, rows in zip(asked, answers, strict=True)]
            if not checked:
                return layout, found
            kept = [self._checked(layout, one, rows) for one, rows in zip(asked, found, strict=True)]
            return layout, [len(rows) for rows in kept] if kind == COUNT else kept
        raise PeerError(f"index {index!r} is built again and again; ask later")

    def _rows_or_counts(
        self, layout: Layout, questions: list[Terms | None], kind: int, planner: str
    ) -> list[Any] | None:
        """Ask all that has terms (None: nothing is asked); None when the layout is not that of the index any more.

        Without terms every row is one that fits. Deleted rows are asked for in the same batch, and taken off.
        """
        if not layout.in_blocks:
            return self._of_vectors(layout, questions, kind, planner)
        every: Any = layout.row_count if kind == COUNT else RowSet.range(0, layout.row_count)
        while True:
            deletions = layout.prefix in self._with_deletions
            queries = [terms for terms in questions if terms]
            queries += [(*terms, DELETED) for terms in questions if terms is not None and (deletions or not terms)]
            if not queries or not layout.row_count:
                return [every] * len(questions)
            query = Query(
                self._session.next_number(), tuple(queries), kind, layout.units, f"{layout.prefix}/", planner,
                (layout.unit, layout.deletions),
            )  # fmt: skip
            answer = self._ask(query, layout)
            if answer is None:
                return None
            if deletions or not dict(answer.versions).get(layout.deletions):
                break
            # What was asked for has deleted rows in it: again, and from now on with them.
            self._with_deletions.add(layout.prefix)
        found = self._answers(layout, answer, kind)
        plain = iter(found[: sum(bool(terms) for terms in questions)])
        gone = iter(found[sum(bool(terms) for terms in questions) :])
        results = []
        for terms in questions:
            result = next(plain) if terms else every
            if terms is not None and (deletions or not terms):
                result = result - next(gone)
            results.append(result)
        return results

    def _of_vectors(self, layout: Layout, questions: list[Terms | None], kind: int, planner: str) -> list[Any] | None:
        """The same where vectors are placed one by one: deleted rows are read first, and are those of one moment.

        The answer names the version of what has them; when that is another by then, it begins again.
        """
        queries = tuple(terms for terms in questions if terms)
        for _ in range(_MOVED_RETRIES):
            asked = layout.prefix in self._with_deletions or len(queries) < len(questions)
            known = self._deleted_of_vectors(layout) if asked else (0, RowSet.empty())
            if known is None:
                return None
            version, gone = known
            found: list[Any] = []
            if queries:
                query = Query(
                    self._session.next_number(), queries, ROWS if gone else kind, (), f"{layout.prefix}/", planner,
                    (layout.unit, layout.deletions),
                )  # fmt: skip
                answer = self._ask(query, layout)
                if answer is None:
                    return None
                if dict(answer.versions)[layout.deletions] != version:
                    self._with_deletions.add(layout.prefix)
                    continue
                found = self._answers(layout, answer, query.kind)
            plain = iter(found)
            every = RowSet.range(0, layout.row_count)
            results = [(next(plain) if terms else every) for terms in questions]
            left = [one - gone if isinstance(one, RowSet) else one for one in results]
            return [len(one) if kind == COUNT and isinstance(one, RowSet) else one for one in left]
        raise PeerError(f"rows of {layout.name!r} are deleted again and again; ask later")

    def _deleted_of_vectors(self, layout: Layout) -> tuple[int, RowSet] | None:
        """Read which rows were deleted, and the version of that (0: none ever); None when the layout is old."""
        query = Query(self._session.next_number(), ((DELETED,),), ROWS, (layout.deletions,), guards=(layout.unit,))
        answer = self._session.call(query)
        if isinstance(answer, Failed) and answer.reason == "unknown":
            return None if self._layout_is_old(layout) else (0, RowSet.empty())
        if isinstance(answer, Failed):
            raise _failure(answer)
        assert isinstance(answer, Answer), "a query is answered or fails"
        return dict(answer.versions)[layout.deletions], _joined([(0, unpack(answer.results[0][1])[0])])

    def _answers(self, layout: Layout, answer: Answer, kind: int) -> list[Any]:
        """Put what the units say together: a number or the rows of each query."""
        unpacked = [(unit, unpack(packed)) for unit, packed in answer.results]
        if kind == COUNT:
            totals: list[int] = np.sum(
                [np.frombuffer(b"".join(values), "<u8") for _, values in unpacked], axis=0
            ).tolist()
            return totals
        ordered = sorted((layout.start_of(unit), values) for unit, values in unpacked)
        queries = zip(*[values for _, values in ordered], strict=True)
        starts = [start for start, _ in ordered]
        return [_joined(list(zip(starts, values, strict=True))) for values in queries]

    def _none(self, kind: int, checked: bool) -> Any:
        return 0 if kind == COUNT and not checked else RowSet.empty()

    def _checked(self, layout: Layout, asked: Asked, rows: RowSet) -> RowSet:
        """Keep the rows for which what vectors do not decide is true: they are read for it."""
        if asked.residual is None:
            return rows
        names = sorted(columns_of(asked.residual)) or layout.schema.names[:1]
        kept = [np.zeros(0, np.uint64)]
        for ids, batch in self.fetch(layout, rows, names):
            kept.append(ids[evaluate(asked.residual, batch).fill_null(False).to_numpy(zero_copy_only=False)])
        return RowSet.of(np.concatenate(kept))

    def _ask(self, query: Query, layout: Layout | None = None) -> Answer | None:
        """Ask; None when the layout was replaced."""
        answer = self._session.call(query)
        if isinstance(answer, Failed):
            if layout is not None and self._layout_is_old(layout):
                return None
            raise _failure(answer)
        assert isinstance(answer, Answer), "a query is answered or fails"
        if layout is not None:
            known = self._layouts.get(layout.name)
            version = dict(answer.versions).get(layout.unit)
            if known is None or known[1] is not layout or version != known[0]:
                return None
        return answer

    def _layout_is_old(self, layout: Layout) -> bool:
        return self._known(layout.name, fresh=True).generation != layout.generation

    def _known(self, index: str, *, fresh: bool = False) -> Layout:
        """Give an index's layout, read anew if wanted; UnknownIndexError when there is none."""
        if index in self._layouts and not fresh:
            return self._layouts[index][1]
        version, layout = self._read_layout(index)
        if layout is None:
            raise UnknownIndexError.of(index, self.coordinator_status()["indexes"], dropped=version > 0)
        return layout

    def _read_layout(self, index: str) -> tuple[int, Layout | None]:
        """Read the version of an index's unit and its layout; None when it was dropped or never there."""
        unit = layout_unit(index)
        everything = (((-(1 << 62), -1),),)
        answer = self._session.call(Query(self._session.next_number(), (everything,), VALUES, (unit,)))
        if isinstance(answer, Failed):
            if answer.reason != "unknown":
                raise _failure(answer)
            self._forget(index)
            return 0, None
        assert isinstance(answer, Answer), "a query is answered or fails"
        (values,) = (_named(unpack(packed)[0]) for _, packed in answer.results)
        version = dict(answer.versions)[unit]
        if DROPPED in values:
            self._forget(index)
            return version, None
        layout = Layout.read(values)
        known = self._layouts.get(index)
        if known is not None and known[1].generation == layout.generation:
            layout = known[1]
        else:
            self._forget(index)
        self._layouts[index] = (version, layout)
        return version, layout

    def _forget(self, index: str) -> None:
        """Let go of what was known of an index that is there no more."""
        known = self._layouts.pop(index, None)
        if known is not None:
            self._blocks.pop(known[1].prefix, None)
            self._with_deletions.discard(known[1].prefix)

    def _store_layout(self, layout: Layout) -> None:
        """Have a layout count from now on: with the same commit the units of the one before it are gone."""
        for _ in range(_MOVED_RETRIES):
            version, before = self._read_layout(layout.name)
            if before is not None and before.generation == layout.generation:
                # It counts already: a late copy of a put that had failed was done. It must not drop what is its own.
                self._known(layout.name, fresh=True)
                return
            drops = () if before is None else (before.prefix,)
            answer = self._session.put(layout.writes(), ((layout.unit, version),), drops)
            if not isinstance(answer, Failed):
                self._known(layout.name, fresh=True)
                return
            if answer.reason != CHANGED:
                raise _failure(answer)
        raise PeerError(f"index {layout.name!r} is built again and again by others; build it later")

    def _write(self, writes: Iterable[Write], layout: Layout) -> bool:
        """Put to an index; False when it is another one now, or its blocks became others, of which is known now."""
        known = self._layouts.get(layout.name)
        if known is None or known[1] is not layout:
            return False
        answer = self._session.put(tuple(writes), ((layout.unit, known[0]),))
        if not isinstance(answer, Failed):
            return True
        if answer.reason == CHANGED:
            self._known(layout.name, fresh=True)
        elif answer.reason == "moved":
            self._blocks[layout.prefix] = _block_parts(answer.units)
        else:
            raise _failure(answer)
        return False

    def _write_new(self, writes: Iterable[Write]) -> None:
        """Put into units of an index that is not there yet."""
        answer = self._session.put(tuple(writes))
        if isinstance(answer, Failed):
            raise _failure(answer)

    def _parts(self, layout: Layout) -> list[Part]:
        """The blocks to write to."""
        return self._blocks.get(layout.prefix) or layout.blocks.parts(0)

    def _ask_blocks(self, layout: Layout) -> list[Part]:
        """Ask which blocks there are: all are asked for the count of a vector."""
        answer = self._session.call(Query(self._session.next_number(), ((((0, 0),),),), COUNT, layout.units))
        if isinstance(answer, Failed):
            if answer.reason == "unknown":
                return []
            raise _failure(answer)
        assert isinstance(answer, Answer), "a query is answered or fails"
        return _block_parts([unit for unit, _ in answer.results])

    def _fetch_part(
        self, layout: Layout, part: Part, rows: RowSet, numbers: list[int], schema: pa.Schema
    ) -> Iterator[RowBatch]:
        ids = rows.to_numpy()
        chunks = (ids - np.uint64(part.start)) // np.uint64(layout.chunk_rows)
        for chunk in np.unique(chunks).tolist():
            wanted = ids[chunks == chunk]
            places = pa.array(wanted - np.uint64(part.start + chunk * layout.chunk_rows))
            columns = [column.take(places) for column in self._chunk(layout, part, chunk, numbers)]
            # A batch without columns has rows all the same.
            yield RowBatch(
                wanted,
                pa.RecordBatch.from_arrays(columns, schema=schema) if columns else _no_columns(len(wanted)),
            )

    def _chunk(self, layout: Layout, part: Part, chunk: int, numbers: list[int]) -> list[pa.Array]:
        """Read columns of a chunk."""
        if not numbers:
            return []
        vectors = [layout.chunk_vector(chunk, number) for number in numbers]
        unit, ranges = layout.chunk_unit(part, chunk), tuple((vector, vector) for vector in vectors)
        query = Query(self._session.next_number(), ((ranges,),), VALUES, (unit,), guards=(layout.unit,))
        answer = self._ask(query, layout)
        if answer is None:
            self._known(layout.name, fresh=True)
            raise PeerError(f"index {layout.name!r} was built anew while its rows were read; ask again")
        values = _named(unpack(answer.results[0][1])[0])
        return [array_of(values[vector]) for vector in vectors]

    def _node_status(self, node: dict[str, Any]) -> dict[str, Any]:
        if node["address"] is None:
            return {"error": "not connected to the coordinator"}
        try:
            return {"connected": True, **self._action(node["address"])}
        except EskerError as error:
            return {"error": str(error)}

    def _action(self, location: str) -> dict[str, Any]:
        with ExitStack() as stack:
            stack.enter_context(peer_errors(location))
            client = stack.enter_context(open_client(location, self._security))
            options = call_options(self._security, _STATUS_SECONDS)
            (result,) = client.do_action(flight.Action("status", b""), options)
            found: dict[str, Any] = json.loads(result.body.to_pybytes())
            return found


def _asked(question: Question, layout: Layout) -> Asked:
    if question is None:
        return Asked((), None)
    if isinstance(question, list | tuple):
        ranges = [(int(first), int(last)) for first, last in question]
        if not ranges or any(first > last or first < 0 for first, last in ranges):
            raise InputError("a list of ranges (first, last) has at least one, each with a vector")
        return Asked(tuple(layout.ranges_of_values(*one) for one in ranges), None)
    bound = question if isinstance(question, Expression) else read_predicate(question, layout.schema)
    asked = terms_of(bound, layout)
    if asked.residual is not None and not layout.chunk_rows:
        raise InputError(f"index {layout.name!r} was built without its rows, and its vectors do not decide all of it")
    return asked


def _check_vectors(layout: Layout, vectors: dict[int, Bitmap]) -> None:
    """Raise InputError for vectors that do not fit an index."""
    if layout.columns:
        raise InputError(f"{layout.name} was built from rows; its vectors are not put one by one")
    for number, vector in vectors.items():
        if not 0 <= number < 1 << 62:
            raise InputError(f"vector number {number} is outside 0 to 2^62 - 1")
        if vector.row_count != layout.row_count:
            raise InputError(
                f"vector {number} has {vector.row_count:,} rows; those of {layout.name} {layout.row_count:,}"
            )


def _block_parts(units: Iterable[str]) -> list[Part]:
    blocks = sorted(block for unit in units if (block := block_of(unit)) is not None)
    return [Part(block.name, block.start, block.stop) for block in blocks]


def _cut(layout: Layout, parts: list[Part], number: int, vector: Bitmap) -> list[Write]:
    if layout.placement == "vector":
        return [Write(f"{layout.prefix}/{number}", number, vector.recoded("auto").serialize(), True)]
    rows = vector.rows()
    writes = []
    for part in parts:
        piece = _piece(rows, part)
        # A vector without rows here is put as such: it takes the place of what its number had.
        writes.append(Write(part.unit, number, piece.serialize() if piece is not None else b"", False))
    return writes


def _piece(rows: RowSet, part: Part) -> Bitmap | None:
    """The rows that are a part's, counted from its first; None when there are none."""
    starts, stops = rows.slice(part.start, part.stop).runs()
    if not len(starts):
        return None
    shift = np.uint64(part.start)
    return Bitmap.from_rows(RowSet(starts - shift, stops - shift), part.stop - part.start, "auto")


def _joined(parts: list[tuple[int, bytes]]) -> RowSet:
    starts, stops = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for start, value in parts:
        if value:
            first, past = Bitmap.deserialize(value, "an answer").row_runs()
            starts.append(first + np.uint64(start))
            stops.append(past + np.uint64(start))
    return RowSet.from_runs(np.concatenate(starts), np.concatenate(stops))


def _named(packed: bytes) -> dict[int, bytes]:
    """Values by the number of their vector."""
    values = unpack(packed)
    if any(len(value) < 8 for value in values):
        raise CodecError("has a value without a number")
    return {int.from_bytes(value[:8], "little", signed=True): value[8:] for value in values}


def _no_columns(row_count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(row_count)], ["none"]).select([])


def _failure(failed: Failed) -> EskerError:
    units = ", ".join(failed.units[:5]) + (f" and {len(failed.units) - 5} more" if len(failed.units) > 5 else "")
    if failed.reason == "lost":
        nodes = ", ".join(map(str, failed.nodes)) or "unknown"
        return UnitsLostError(
            f"all copies of {units} are lost; nodes {nodes} had them. If one comes back with its folder, so do they",
            failed.units,
            failed.nodes,
        )
    return InputError(f"the cluster has nothing of {units}")
