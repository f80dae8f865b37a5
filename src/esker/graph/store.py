"""A numbered graph: ids in order, edges as pairs of numbers in private files, made once and scanned many times."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.collection.dataset import Dataset
from esker.collection.options import Options
from esker.core.batch import one_batch
from esker.core.memory import MEMORY_MIN_BYTES
from esker.core.spill import SpillFolder
from esker.errors import InputError, MemoryBudgetExceededError, UnknownColumnError, UnsupportedTypeError
from esker.graph.adjacency import Adjacency, build, pack
from esker.graph.edge_files import ColumnFile
from esker.graph.ids import (
    NO_VERTEX,
    VERTICES_MAX,
    ArrowIds,
    Ids,
    WholeIds,
    arrow_ids,
    is_whole_type,
    to_whole,
    whole_dtype,
    whole_ids,
)
from esker.graph.names import Names, id_type
from esker.graph.sorter import Sorter
from esker.graph.workspace import Array, Workspace

_NUMBER = "number"


class NumberedGraph:
    """Vertices numbered in the order of their ids, and the edges as two columns of numbers in the order of the input.

    The files go when this object is collected, or when the interpreter ends; what a crash leaves, the next query that
    spills in the same place removes.
    """

    def __init__(self, ids: Ids, src: Array, dst: Array, folder: SpillFolder) -> None:
        self.ids = ids
        self.src = src
        self.dst = dst
        self.folder = folder
        self._finalizer = weakref.finalize(self, _remove, folder, os.getpid())

    def close(self) -> None:
        """Remove the files now; calling it again does nothing."""
        self._finalizer()

    @property
    def vertex_count(self) -> int:
        """How many vertices there are."""
        return self.ids.count

    @property
    def edge_count(self) -> int:
        """How many edges there are, parallel ones and loops included."""
        return len(self.src)

    def edges(self, workspace: Workspace) -> Iterator[tuple[Array, Array]]:
        """The edges in pieces, as numbers of src and of dst."""
        for part in workspace.parts(self.edge_count):
            workspace.context.check()
            yield self.src[part], self.dst[part]

    def by_dst(self, workspace: Workspace) -> Adjacency:
        """The edges in the order of dst; neighbours are their src."""
        packed = ((pack(dst, src),) for src, dst in self.edges(workspace))
        return build(packed, self.vertex_count, workspace, workspace.context.spill)

    def by_src(self, workspace: Workspace) -> Adjacency:
        """The edges in the order of src; neighbours are their dst."""
        packed = ((pack(src, dst),) for src, dst in self.edges(workspace))
        return build(packed, self.vertex_count, workspace, workspace.context.spill)

    def undirected(self, workspace: Workspace, *, simple: bool) -> Adjacency:
        """Every edge from both its ends; `simple` leaves out loops, and all but one of parallel edges."""

        def both() -> Iterator[tuple[Array]]:
            for src, dst in self.edges(workspace):
                if simple:
                    proper = src != dst
                    src, dst = src[proper], dst[proper]
                yield (pack(src, dst),)
                yield (pack(dst, src),)

        return build(both(), self.vertex_count, workspace, workspace.context.spill, unique=simple)


def number_graph(vertices: Dataset | None, edges: Dataset, names: Names, options: Options) -> NumberedGraph:
    """Number the vertices and the edges; InputError names an id that is null, comes twice or is no vertex."""
    folder = SpillFolder(root=_root(options), limit=options.spill_limit)
    try:
        with options.context() as context, Workspace(context, "graph") as workspace:
            numbering = Numbering(vertices, edges, names, workspace)
            ids = numbering.ids(folder)
            with ColumnFile(folder, "src", np.uint32) as src, ColumnFile(folder, "dst", np.uint32) as dst:
                for numbers in numbering.edges(ids, []):
                    src.append(numbers[0])
                    dst.append(numbers[1])
                return NumberedGraph(ids, src.read(), dst.read(), folder)
    except BaseException:
        folder.close()
        raise


class Numbering:
    """Reads a graph's Datasets and turns ids into numbers."""

    def __init__(self, vertices: Dataset | None, edges: Dataset, names: Names, workspace: Workspace) -> None:
        self._vertices = vertices
        self._edges = edges
        self._names = names
        self._workspace = workspace
        self._type = id_type(vertices.schema if vertices is not None else None, edges.schema, names)

    def ids(self, folder: SpillFolder) -> Ids:
        """All ids in order."""
        found = self._whole_ids(folder) if is_whole_type(self._type) else self._arrow_ids(folder)
        if found.count >= VERTICES_MAX:
            raise InputError(f"a graph has at most {VERTICES_MAX - 1:,} vertices, and this one has {found.count:,}")
        return found

    def edges(self, ids: Ids, columns: Sequence[str]) -> Iterator[list[Array]]:
        """The edges as numbers of src and dst, with `columns` of fixed width beside, in the order of the input."""
        for name in columns:
            _require_number(name, self._edges.schema)
        if isinstance(ids, ArrowIds) and not self._fits(ids):
            yield from self._joined_edges(ids, columns)
            return
        finder = ids.finder(self._workspace)
        wanted = [*self._names.ends, *columns]
        for batch in self._read(self._edges, wanted, rows=1 << 20 if isinstance(ids, ArrowIds) else 1):
            ends = []
            for name in self._names.ends:
                column = _no_nulls(batch.column(name), name, "the edges")
                numbers = finder.find(column)
                _require_known(numbers, column, name)
                ends.append(numbers)
            yield [*ends, *(_to_numpy(batch.column(name), name) for name in columns)]

    # Ids

    def _whole_ids(self, folder: SpillFolder) -> WholeIds:
        if self._vertices is None:
            blocks = (
                to_whole(_no_nulls(batch.column(name), name, "the edges"), self._type)
                for batch in self._read(self._edges, self._names.ends)
                for name in self._names.ends
            )
            return whole_ids(blocks, self._type, self._workspace, folder)
        name = self._names.id
        with Sorter(self._workspace, [whole_dtype(self._type)]) as sorter:
            with ColumnFile(folder, "ids", whole_dtype(self._type)) as file:
                for batch in self._read(self._vertices, [name]):
                    sorter.add(to_whole(_no_nulls(batch.column(name), name, "the vertices"), self._type))
                for (ordered,) in sorter.sorted():
                    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
                    if len(twice):
                        raise _twice(WholeIds(ordered, self._type).slice(int(twice[0]), int(twice[0]) + 1)[0], name)
                    file.append(ordered)
                return WholeIds(file.read(), self._type)

    def _arrow_ids(self, folder: SpillFolder) -> ArrowIds:
        if self._vertices is None:
            ids = ids_of_edges(self._edges, self._names, self._type)
            batches = (batch.column(0) for batch in self._read(ids, ["id"]))
            return arrow_ids(batches, self._type, folder)
        name, type_ = self._names.id, self._type
        schema = pa.schema({name: type_})
        column = self._vertices.select([name]).map_batches(
            lambda batch: pa.record_batch(
                [_no_nulls(batch.column(0), name, "the vertices").cast(type_)], schema=schema
            ),
            schema,
        )
        return arrow_ids(self._without_twins(column.sort(name)), type_, folder)

    def _without_twins(self, ids: Dataset) -> Iterator[pa.Array]:
        last = None
        for batch in self._read(ids, ids.columns):
            column = batch.column(0)
            if last is not None and len(column) and column[0] == last:
                raise _twice(last, self._names.id)
            same = pc.equal(column.slice(1), column.slice(0, max(len(column) - 1, 0)))
            if pc.any(same).as_py():
                raise _twice(column[pc.index(same, True).as_py()], self._names.id)
            last = column[len(column) - 1] if len(column) else last
            yield column

    # Edges

    def _fits(self, ids: ArrowIds) -> bool:
        """Whether a table of all ids takes less than a quarter of the budget."""
        return ids.finder_bytes <= self._workspace.context.budget.free_bytes // 4

    def _joined_edges(self, ids: ArrowIds, columns: Sequence[str]) -> Iterator[list[Array]]:
        """Number the edges by two joins, which spill: rows come by the parts of the join, the same every time."""
        from esker.collection.read import from_arrow

        numbered = self._edges.select([*self._names.ends, *columns])
        for end in self._names.ends:
            schema = pa.schema([pa.field(f"{end}@id", ids.type), pa.field(f"{end}@number", pa.uint32())])
            table = pa.table([ids.column, _numbers(ids.count)], schema=schema)
            numbered = numbered.join(from_arrow(table), left_on=end, right_on=f"{end}@id", how="left", algorithm="hash")
        names = [f"{end}@number" for end in self._names.ends]
        for batch in self._read(numbered, numbered.columns):
            ends = []
            for end, name in zip(self._names.ends, names, strict=True):
                column = _no_nulls(batch.column(end), end, "the edges")
                numbers = batch.column(name).fill_null(int(NO_VERTEX)).to_numpy(zero_copy_only=False)
                _require_known(numbers, column, end)
                ends.append(numbers)
            yield [*ends, *(_to_numpy(batch.column(name), name) for name in columns)]

    def _read(self, dataset: Dataset, columns: Sequence[str], rows: int = 1) -> Iterator[pa.RecordBatch]:
        return read_batches(self._workspace, dataset, columns, rows)


def read_batches(
    workspace: Workspace, dataset: Dataset, columns: Sequence[str], rows: int = 1
) -> Iterator[pa.RecordBatch]:
    """Read columns within half of what is left of the run's memory, in batches of at least `rows`, but for the last."""
    context = workspace.context
    share = max(MEMORY_MIN_BYTES, context.budget.free_bytes // 2)
    if share > context.budget.free_bytes:
        raise MemoryBudgetExceededError.of(
            f"{workspace.operator}: reading",
            share,
            context.budget.total_bytes,
            context.budget.holders(),
            advice="raise memory=",
        )
    with context.budget.reserve(f"{workspace.operator}: reading", share):
        options: dict[str, Any] = {"memory": share, "spill_folder": context.spill.root, "threads": context.threads}
        held: list[pa.RecordBatch] = []
        held_rows = 0
        bytes_max = share // 8
        for batch in dataset.select(list(columns)).execute(**options, cancellation=context.cancellation):
            held.append(batch)
            held_rows += batch.num_rows
            if held_rows >= rows or sum(part.nbytes for part in held) > bytes_max:
                yield one_batch(held)
                held, held_rows = [], 0
        if held_rows:
            yield one_batch(held)


def ids_of_edges(edges: Dataset, names: Names, type_: pa.DataType) -> Dataset:
    """The distinct ids that edges name, in order, as a column `id`."""
    schema = pa.schema({"id": type_})

    def ends(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [_no_nulls(batch.column(name), name, "the edges").cast(type_) for name in names.ends]
        return pa.record_batch([pc.unique(pa.chunked_array(columns))], schema=schema)

    return edges.select(names.ends).map_batches(ends, schema).distinct("id").sort("id")


def _no_nulls(column: pa.Array, name: str, where: str) -> pa.Array:
    if column.null_count:
        raise InputError(f"column {name!r} of {where} has a null, and every id of a graph is a value; filter them out")
    return column


def _require_known(numbers: Array, column: pa.Array, name: str) -> None:
    unknown = np.flatnonzero(numbers == NO_VERTEX)
    if len(unknown):
        value = column[int(unknown[0])].as_py()
        raise InputError(
            f"an edge has {name}={value!r}, which is not among the vertices; add it there, leave such edges out"
            " (join with how='semi'), or leave the vertices out: then they are made from the edges"
        )


def _twice(value: pa.Scalar, name: str) -> InputError:
    return InputError(f"the vertices have {name}={value.as_py()!r} twice; keep one of each with distinct({name!r})")


def _require_number(name: str, schema: pa.Schema) -> None:
    if name not in schema.names:
        raise UnknownColumnError.of(name, schema.names, "the edges")
    number_dtype(schema.field(name))


def number_dtype(field: pa.Field) -> np.dtype[Any]:
    """The NumPy type of a column of numbers; UnsupportedTypeError for any other."""
    if pa.types.is_boolean(field.type) or pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        found: np.dtype[Any] = np.dtype(field.type.to_pandas_dtype())
        return found
    raise UnsupportedTypeError(f"column {field.name!r} is {field.type}; algorithms take numbers and booleans, cast it")


def _to_numpy(column: pa.Array, name: str) -> Array:
    if column.null_count:
        raise InputError(f"column {name!r} of the edges has a null; fill it in, or filter such edges out")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _numbers(count: int) -> npt.NDArray[np.uint32]:
    return np.arange(count, dtype=np.uint32)


def _root(options: Options) -> Any:
    from pathlib import Path

    return Path(options.spill_folder) if options.spill_folder is not None else None


def _remove(folder: SpillFolder, process: int) -> None:
    # A forked child that ends has this finalizer too, and must leave the files to their parent.
    if os.getpid() == process:
        folder.close()
