"""The algorithms on a numbered graph, each a value with its options that gives rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.collection.options import Options, is_whole
from esker.engine.user_function import call
from esker.errors import InputError, OptionError, SchemaMismatchError, UnknownColumnError
from esker.graph import page_rank, pregel
from esker.graph.adjacency import Adjacency, build, count_into, pack
from esker.graph.components import connected_components
from esker.graph.cores import core_numbers
from esker.graph.ids import NO_VERTEX
from esker.graph.labels import propagate_labels
from esker.graph.names import Names
from esker.graph.paths import join_steps, landmark_rows, path_edges
from esker.graph.results import keep, vertex_rows
from esker.graph.store import NumberedGraph, Numbering, number_dtype, read_batches
from esker.graph.strong_components import strongly_connected_components
from esker.graph.triangles import triangle_counts
from esker.graph.workspace import Array, Workspace

ITERATIONS_MAX = 1000
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Given:
    """What an algorithm runs on."""

    vertices: Dataset | None
    edges: Dataset
    names: Names
    options: Options
    graph: NumberedGraph

    def numbers_of(self, ids: Sequence[Any], option: str, workspace: Workspace) -> Array:
        """The numbers of ids that a user named; InputError for one that is no vertex."""
        type_ = self.graph.ids.type
        try:
            column = pa.array(list(ids)).cast(type_) if len(ids) else pa.array([], type_)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SchemaMismatchError(
                f"{option}: ids of this graph are {type_}, and {list(ids)[:3]!r} are not"
            ) from error
        if column.null_count:
            raise InputError(f"{option} has a null, which is no vertex")
        numbers = self.graph.ids.finder(workspace).find(column)
        unknown = np.flatnonzero(numbers == NO_VERTEX)
        if len(unknown):
            raise InputError(f"{option} names {column[int(unknown[0])].as_py()!r}, which is not among the vertices")
        return numbers.astype(np.int64)

    def edges_with(self, columns: Sequence[str], workspace: Workspace) -> Iterator[list[Array]]:
        """The edges numbered once more, with columns of numbers beside."""
        return Numbering(self.vertices, self.edges, self.names, workspace).edges(self.graph.ids, columns)

    def sorted_with(self, owner: int, columns: Sequence[str], workspace: Workspace) -> Adjacency:
        """The edges in the order of src (`owner` 0) or dst (1), with columns beside."""
        if not columns:
            return self.graph.by_dst(workspace) if owner else self.graph.by_src(workspace)
        for name in columns:
            if name not in self.edges.columns:
                raise UnknownColumnError.of(name, self.edges.columns, "the edges")
        dtypes = {name: number_dtype(self.edges.schema.field(name)) for name in columns}
        packed = (
            (pack(ends[owner], ends[1 - owner]), *values)
            for *ends, values in _split(self.edges_with(columns, workspace))
        )
        return build(packed, self.graph.vertex_count, workspace, workspace.context.spill, dtypes=dtypes)


class Algorithm(ABC):
    """Gives a result; `name` is what it is called in errors."""

    name: str

    @abstractmethod
    def result(self, given: Given, workspace: Workspace) -> Dataset:
        """Run, and keep what was found."""


def run(algorithm: Algorithm, given: Given) -> Dataset:
    """Run an algorithm within the graph's options."""
    with given.options.context() as context, Workspace(context, algorithm.name) as workspace:
        return algorithm.result(given, workspace)


def _split(rows: Iterable[list[Array]]) -> Iterator[tuple[Array, Array, list[Array]]]:
    for src, dst, *values in rows:
        yield src, dst, values


def _vertices(given: Given, columns: Mapping[str, Array], name: str, workspace: Workspace) -> Dataset:
    """Keep a row for each vertex."""
    fields = [pa.field(column, pa.from_numpy_dtype(values.dtype)) for column, values in columns.items()]
    schema = pa.schema([pa.field(given.names.id, given.graph.ids.type), *fields])
    return keep(vertex_rows(given.graph.ids, given.names.id, columns), schema, name, given.options, workspace)


def _members(given: Given, column: str, numbers: Array, name: str, workspace: Workspace) -> Dataset:
    """Keep for each vertex the id of the vertex that stands for its group."""
    id_name, ids = given.names.id, given.graph.ids

    def rows() -> Iterator[pa.RecordBatch]:
        for part in workspace.parts(ids.count):
            arrays = [ids.slice(part.start, part.stop), ids.take(numbers[part])]
            yield pa.record_batch(arrays, schema=schema)

    schema = pa.schema([pa.field(id_name, ids.type), pa.field(column, ids.type)])
    return keep(rows(), schema, name, given.options, workspace)


@dataclass(frozen=True)
class Degrees(Algorithm):
    """Count the edges that a vertex is an end of."""

    column: str
    ends: tuple[str, ...]
    name = "degrees"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        counts = workspace.array(given.graph.vertex_count, np.int64)
        for src, dst in given.graph.edges(workspace):
            if "src" in self.ends:
                count_into(counts, src)
            if "dst" in self.ends:
                count_into(counts, dst)
        return _vertices(given, {self.column: counts}, self.name, workspace)


@dataclass(frozen=True)
class PageRank(Algorithm):
    """See `Graph.page_rank`."""

    damping: float
    iterations: int | None
    tolerance: float | None
    sources: Iterable[Any] | Mapping[Any, float] | None
    weight: str | None
    name = "page_rank"

    def __post_init__(self) -> None:
        if not 0 <= self.damping < 1:
            raise OptionError(f"damping={self.damping!r}: give a number from 0 up to, but not, 1")
        if self.iterations is not None and (not is_whole(self.iterations) or self.iterations < 1):
            raise OptionError(f"iterations={self.iterations!r}: give a whole number of at least 1")
        if self.tolerance is not None and not self.tolerance > 0:
            raise OptionError(f"tolerance={self.tolerance!r}: give a number above 0, or iterations= alone")

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        tolerance = TOLERANCE if self.tolerance is None and self.iterations is None else self.tolerance
        start = self._start(given, workspace)
        out_weight = self._out_weight(given, workspace)
        incoming = self._incoming(given, workspace)
        iterations = self.iterations or ITERATIONS_MAX
        ranks, done, change = page_rank.page_rank(
            incoming, out_weight, start, self.damping, iterations, tolerance, workspace
        )
        if self.iterations is None and tolerance is not None and change >= tolerance and given.graph.vertex_count:
            raise InputError(
                f"page_rank: after {done} iterations ranks still change by {change:.3g}, more than"
                f" tolerance={tolerance}; raise tolerance=, lower damping=, or give iterations="
            )
        return _vertices(given, {"page_rank": ranks}, self.name, workspace)

    def _start(self, given: Given, workspace: Workspace) -> Array | None:
        if self.sources is None:
            return None
        if isinstance(self.sources, str | bytes):
            raise OptionError(f"sources={self.sources!r}: give a list of ids, or a dict of their weights")
        chances = dict(self.sources) if isinstance(self.sources, Mapping) else dict.fromkeys(self.sources, 1.0)
        values = np.array(list(chances.values()), np.float64)
        if not len(values) or not np.isfinite(values).all() or values.min() < 0 or values.sum() == 0:
            raise OptionError("sources: give at least one id, and weights of at least 0 that are not all 0")
        start = workspace.array(given.graph.vertex_count, np.float64)
        start[given.numbers_of(list(chances), "sources", workspace)] = values / values.sum()
        return start

    def _out_weight(self, given: Given, workspace: Workspace) -> Array:
        if self.weight is None:
            return page_rank.out_weights(given.graph.edges(workspace), given.graph.vertex_count, workspace)
        out_weight = workspace.array(given.graph.vertex_count, np.float64)
        for src, _, (weights,) in _split(given.edges_with([self.weight], workspace)):
            values = weights.astype(np.float64)
            if len(values) and not (np.isfinite(values) & (values >= 0)).all():
                raise InputError(f"page_rank: weight={self.weight!r} has a value that is below 0, infinite or NaN")
            np.add.at(out_weight, src, values)
        return out_weight

    def _incoming(self, given: Given, workspace: Workspace) -> Adjacency:
        if self.weight is None:
            return given.graph.by_dst(workspace)
        packed = (
            (pack(dst, src), weights.astype(np.float64))
            for src, dst, (weights,) in _split(given.edges_with([self.weight], workspace))
        )
        return build(
            packed, given.graph.vertex_count, workspace, workspace.context.spill, dtypes={"weight": np.float64}
        )


@dataclass(frozen=True)
class ConnectedComponents(Algorithm):
    """See `Graph.connected_components`."""

    name = "connected_components"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        found = connected_components(given.graph.edges(workspace), given.graph.vertex_count, workspace)
        return _members(given, "component", found, self.name, workspace)


@dataclass(frozen=True)
class StrongComponents(Algorithm):
    """See `Graph.strongly_connected_components`."""

    name = "strongly_connected_components"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        outgoing, incoming = given.graph.by_src(workspace), given.graph.by_dst(workspace)
        found = strongly_connected_components(outgoing, incoming, workspace)
        return _members(given, "component", found, self.name, workspace)


@dataclass(frozen=True)
class Triangles(Algorithm):
    """See `Graph.triangle_count`."""

    name = "triangle_count"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        neighbours = given.graph.undirected(workspace, simple=True)
        counts = triangle_counts(neighbours, workspace, workspace.context.spill)
        return _vertices(given, {"triangles": counts}, self.name, workspace)


@dataclass(frozen=True)
class ShortestPaths(Algorithm):
    """See `Graph.shortest_paths`."""

    landmarks: Sequence[Any]
    name = "shortest_paths"

    def __post_init__(self) -> None:
        if isinstance(self.landmarks, str | bytes) or not len(self.landmarks):
            raise OptionError(f"landmarks={self.landmarks!r}: give a list of at least one id")

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        numbers = given.numbers_of(list(dict.fromkeys(self.landmarks)), "landmarks", workspace)
        ids = given.graph.ids
        landmark_ids = [ids.slice(int(number), int(number) + 1)[0] for number in numbers]
        incoming = given.graph.by_dst(workspace)
        rows = landmark_rows(incoming, ids, numbers, landmark_ids, given.names.id, workspace)
        schema = pa.schema({given.names.id: ids.type, "landmark": ids.type, "distance": pa.int32()})
        return keep(rows, schema, self.name, given.options, workspace)


@dataclass(frozen=True)
class ShortestWays(Algorithm):
    """See `Graph.bfs`."""

    sources: Sequence[Any]
    targets: Sequence[Any]
    length_max: int
    name = "bfs"

    def __post_init__(self) -> None:
        if not is_whole(self.length_max) or self.length_max < 0:
            raise OptionError(f"length_max={self.length_max!r}: give a whole number of at least 0")

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        sources = given.numbers_of(self.sources, "sources", workspace)
        targets = given.numbers_of(self.targets, "targets", workspace)
        outgoing, incoming = given.graph.by_src(workspace), given.graph.by_dst(workspace)
        steps = path_edges(outgoing, incoming, sources, targets, self.length_max, workspace)
        ids = given.graph.ids
        if steps:
            return join_steps(steps, ids, given.options, workspace)
        both = np.intersect1d(sources, targets) if steps is not None else np.empty(0, np.int64)
        schema = pa.schema({"from": ids.type, "to": ids.type})
        rows = [pa.record_batch([ids.take(both), ids.take(both)], schema=schema)]
        return keep(rows, schema, self.name, given.options, workspace)


@dataclass(frozen=True)
class Labels(Algorithm):
    """See `Graph.label_propagation`."""

    iterations: int
    name = "label_propagation"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        neighbours = given.graph.undirected(workspace, simple=False)
        labels, _ = propagate_labels(neighbours, self.iterations, workspace)
        return _members(given, "label", labels, self.name, workspace)


@dataclass(frozen=True)
class Cores(Algorithm):
    """See `Graph.core_numbers`."""

    name = "core_numbers"

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        cores = core_numbers(given.graph.undirected(workspace, simple=True), workspace)
        return _vertices(given, {"core": cores}, self.name, workspace)


@dataclass(frozen=True)
class Supersteps(Algorithm):
    """See `Graph.pregel`."""

    state: Mapping[str, Any]
    update: pregel.Update
    merge: Mapping[str, str]
    to_dst: pregel.Send | None
    to_src: pregel.Send | None
    edge_columns: Sequence[str]
    supersteps: int
    name = "pregel"

    def __post_init__(self) -> None:
        if not self.state or "id" in self.state:
            raise OptionError(
                "pregel: state= names the columns of the state, for example {'rank': 1.0}; none is called 'id'"
            )
        if self.to_dst is None and self.to_src is None:
            raise OptionError("pregel sends nothing: give to_dst=, to_src=, or both")

    def result(self, given: Given, workspace: Workspace) -> Dataset:
        state = _first_state(self.state, given, workspace)
        directions = [
            pregel.Direction(given.sorted_with(owner, self.edge_columns, workspace), send, owner == 1)
            for owner, send in ((1, self.to_dst), (0, self.to_src))
            if send is not None
        ]
        machine = pregel.Pregel(state, given.graph.ids, self.merge, workspace)
        machine.run(directions, self.update, self.supersteps)
        return _vertices(given, state, self.name, workspace)


def _first_state(wanted: Mapping[str, Any], given: Given, workspace: Workspace) -> dict[str, Array]:
    count = given.graph.vertex_count
    state: dict[str, Array] = {}
    made: dict[str, str | Callable[[pa.RecordBatch], Any]] = {}
    for name, value in wanted.items():
        if isinstance(value, str) or callable(value):
            made[name] = value
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            state[name] = workspace.array(count, np.asarray(value).dtype)
            state[name][:] = value
        else:
            raise OptionError(
                f"pregel: state {name!r} is {type(value).__name__}; give a number, a column's name, or a function"
            )
    if made:
        _compute_state(made, state, given, workspace)
    return {name: state[name] for name in wanted}


def _compute_state(
    made: Mapping[str, str | Callable[[pa.RecordBatch], Any]],
    state: dict[str, Array],
    given: Given,
    workspace: Workspace,
) -> None:
    finder = given.graph.ids.finder(workspace)
    for batch in _vertex_batches(made, given, workspace):
        numbers = finder.find(batch.column(given.names.id))
        for name, how in made.items():
            values = _state_values(name, how, batch)
            if name not in state:
                state[name] = workspace.array(given.graph.vertex_count, values.dtype)
            if not np.can_cast(values.dtype, state[name].dtype, "same_kind"):
                raise SchemaMismatchError(
                    f"pregel: state {name!r} was {state[name].dtype} at first, then {values.dtype}"
                )
            state[name][numbers] = values
    for name in made:
        state.setdefault(name, workspace.array(0, np.float64))


def _vertex_batches(
    made: Mapping[str, str | Callable[[pa.RecordBatch], Any]], given: Given, workspace: Workspace
) -> Iterator[pa.RecordBatch]:
    names, ids = given.names, given.graph.ids
    if given.vertices is None:
        for part in workspace.parts(ids.count):
            yield pa.record_batch([ids.slice(part.start, part.stop)], names=[names.id])
        return
    wanted = given.vertices.columns
    for how in made.values():
        if isinstance(how, str) and how not in wanted:
            raise UnknownColumnError.of(how, wanted, "the vertices")
    if all(isinstance(how, str) for how in made.values()):
        wanted = list(dict.fromkeys([names.id, *(str(how) for how in made.values())]))
    yield from read_batches(workspace, given.vertices, wanted, 1 << 16)


def _state_values(name: str, how: str | Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch) -> Array:
    if isinstance(how, str):
        if how not in batch.schema.names:
            raise UnknownColumnError.of(how, batch.schema.names, "the vertices")
        column = batch.column(how)
        number_dtype(batch.schema.field(how))
        if column.null_count:
            raise InputError(f"pregel: column {how!r} of the vertices has a null; fill it in with a function in state=")
        return pregel.to_array(column)
    values = pregel.to_array(call(how, batch, "pregel", lambda: f"{batch.num_rows} vertices"))
    values = np.broadcast_to(values, (batch.num_rows,)) if values.ndim == 0 else values
    if values.shape != (batch.num_rows,) or values.dtype.kind not in "biuf":
        raise SchemaMismatchError(
            f"pregel: state {name!r} is {values.dtype} of shape {values.shape}; return a number for each of"
            f" {batch.num_rows} vertices"
        )
    return values
