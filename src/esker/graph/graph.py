"""Graph: vertices and edges as two Datasets; verbs are lazy, algorithms scan the numbered edges and give Datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Unpack

import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.collection.notebook import dataset_html, note_html, section
from esker.collection.options import Options, OptionsGiven, is_whole
from esker.collection.read import read
from esker.core.html import Html
from esker.errors import OptionError
from esker.graph import algorithms, convert, relations
from esker.graph.columns import Columns, Triplets
from esker.graph.motif import find_motif
from esker.graph.motif_pattern import parse_motif
from esker.graph.names import Names, id_type
from esker.graph.store import NumberedGraph, ids_of_edges, number_graph


class Graph:
    """Vertices with ids and edges between them, directed; parallel edges and loops are edges like others.

    `edges` has columns `src` and `dst`, `vertices` a column `id` with each id once; both may have more columns. Without
    vertices they are made from the edges. Either may be anything `esker.read` takes; an id is a whole number, a string,
    binary, a decimal or a time. Columns may be called otherwise: `id=`, `src=`, `dst=`.

    >>> import esker
    >>> people = {"id": ["ann", "bob", "cy"], "age": [34, 36, 30]}
    >>> follows = {"src": ["ann", "bob", "cy", "cy"], "dst": ["bob", "cy", "bob", "ann"]}
    >>> graph = esker.Graph(people, follows)
    >>> graph.in_degrees().to_arrow().to_pydict()
    {'id': ['ann', 'bob', 'cy'], 'in_degree': [1, 2, 1]}
    >>> graph.find("(a)-[]->(b); (b)-[]->(a)").filter("a.age < b.age").to_arrow().to_pylist()
    [{'a.id': 'cy', 'a.age': 30, 'b.id': 'bob', 'b.age': 36}]

    Verbs (`subgraph`, `find`, `map_edges`, ...) are lazy, as a Dataset's are. Algorithms (`page_rank`,
    `connected_components`, ...) run when they are called: the first one numbers the vertices and writes the edges as
    pairs of numbers to a private file, which later ones of the same Graph use; it goes with the Graph, or on `close`.
    Results are Datasets of a row for each vertex, ordered by id; `join_vertices` puts them beside the vertices.

    Raises UnknownColumnError, UnsupportedTypeError and SchemaMismatchError at once for columns that do not fit, and
    InputError, when an algorithm or a join first reads it, for an id that is null, comes twice, or is no vertex.
    """

    def __init__(self, vertices: Any, edges: Any, *, id: str = "id", src: str = "src", dst: str = "dst") -> None:
        self._names = Names(id, src, dst)
        self._given = None if vertices is None else read(vertices)
        self._edges = read(edges)
        id_type(self._given.schema if self._given is not None else None, self._edges.schema, self._names)
        self._options = self._edges._options
        self._numbered: NumberedGraph | None = None

    # From and to other libraries

    @classmethod
    def from_networkx(cls, graph: Any) -> Graph:
        """Take a NetworkX graph, attributes as columns; an edge without direction becomes one each way.

        >>> import esker, networkx
        >>> esker.Graph.from_networkx(networkx.karate_club_graph()).edges.count()
        156
        """
        return cls(*convert.networkx_tables(graph))

    @classmethod
    def from_igraph(cls, graph: Any) -> Graph:
        """Take an igraph Graph: `name` is the id, or the vertex's number; an edge without direction becomes two."""
        return cls(*convert.igraph_tables(graph))

    def to_networkx(self) -> Any:
        """Make a NetworkX MultiDiGraph, in memory; MissingExtraError says how to install it."""
        return convert.to_networkx(self.vertices, self._edges, self._names)

    def to_igraph(self) -> Any:
        """Make a directed igraph Graph, in memory; ids are the vertices' `name`."""
        return convert.to_igraph(self.vertices, self._edges, self._names)

    # What it is

    @property
    def vertices(self) -> Dataset:
        """The vertices; where none were given, the distinct ids of the edges in order."""
        if self._given is not None:
            return self._given.with_options(**_changed(self._options))
        type_ = id_type(None, self._edges.schema, self._names)
        found = ids_of_edges(self._edges, self._names, type_)
        return relations.rename(found, {self._names.id: "id"}).with_options(**_changed(self._options))

    @property
    def edges(self) -> Dataset:
        """The edges."""
        return self._edges.with_options(**_changed(self._options))

    def __repr__(self) -> str:
        vertices = self._given if self._given is not None else "(from the edges)"
        return f"Graph(vertices={vertices}, edges={self._edges})"

    def _repr_html_(self) -> str:
        edges = dataset_html(self._edges, "Edges")
        vertices = (
            note_html(f"The vertices are the ids in {self._names.src!r} and {self._names.dst!r} of the edges.")
            if self._given is None
            else Html(dataset_html(self._given, "Vertices"))
        )
        return section("Graph", vertices, Html(edges))

    def with_options(self, **options: Unpack[OptionsGiven]) -> Graph:
        """The same graph with other options (`memory`, `threads`, `spill_folder`, ...; see `esker.Options`)."""
        return self._made(self._given, self._edges, self._options.updated(options))

    def close(self) -> None:
        """Remove the numbered edges; the next algorithm makes them anew."""
        if self._numbered is not None:
            self._numbered.close()
            self._numbered = None

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Verbs, lazy

    def triplets(self) -> Dataset:
        """The edges with both ends' columns beside, as `src.column` and `dst.column`.

        >>> import esker
        >>> graph = esker.Graph({"id": [1, 2], "age": [30, 40]}, {"src": [1], "dst": [2]})
        >>> graph.triplets().to_arrow().to_pylist()
        [{'src': 1, 'dst': 2, 'src.age': 30, 'dst.age': 40}]
        """
        return relations.triplets(self._given_now(), self.edges, self._names)

    def map_vertices(self, function: Callable[[pa.RecordBatch], Any], schema: pa.Schema | None = None) -> Graph:
        """Put the columns that `function` makes of a batch of vertices in place of theirs; ids stay.

        >>> import esker
        >>> graph = esker.Graph({"id": [1, 2], "age": [30, 40]}, {"src": [1], "dst": [2]})
        >>> doubled = graph.map_vertices(lambda batch: {"double": [2 * age for age in batch["age"].to_pylist()]})
        >>> doubled.vertices.to_arrow().to_pydict()
        {'id': [1, 2], 'double': [60, 80]}
        """
        mapped = relations.replace_columns(self.vertices, [self._names.id], function, schema, "map_vertices")
        return self._made(mapped, self._edges)

    def map_edges(self, function: Callable[[pa.RecordBatch], Any], schema: pa.Schema | None = None) -> Graph:
        """Put the columns that `function` makes of a batch of edges in place of theirs; `src` and `dst` stay."""
        mapped = relations.replace_columns(self.edges, self._names.ends, function, schema, "map_edges")
        return self._made(self._given, mapped)

    def map_triplets(self, function: Callable[[pa.RecordBatch], Any], schema: pa.Schema | None = None) -> Graph:
        """As `map_edges`, with the columns of `triplets` to compute from.

        >>> import esker
        >>> import pyarrow.compute as pc
        >>> graph = esker.Graph({"id": [1, 2], "age": [30, 40]}, {"src": [1], "dst": [2]})
        >>> older = graph.map_triplets(lambda t: {"gap": pc.subtract(t["dst.age"], t["src.age"])})
        >>> older.edges.to_arrow().to_pylist()
        [{'src': 1, 'dst': 2, 'gap': 10}]
        """
        mapped = relations.replace_columns(self.triplets(), self._names.ends, function, schema, "map_triplets")
        return self._made(self._given, mapped)

    def reverse(self) -> Graph:
        """Turn every edge round."""
        names = self._names
        turned = {names.src: names.dst, names.dst: names.src}
        columns = {name: turned.get(name, name) for name in self._edges.columns}
        return self._made(self._given, relations.rename(self._edges, columns))

    def subgraph(self, vertices: str | None = None, edges: str | None = None) -> Graph:
        """Keep the vertices, and the edges, for which SQL predicates are true; edges need both ends.

        >>> import esker
        >>> graph = esker.Graph({"id": [1, 2, 3], "age": [30, 40, 50]}, {"src": [1, 2, 2], "dst": [2, 3, 1]})
        >>> graph.subgraph("age < 50", "src.age < dst.age").edges.to_arrow().to_pylist()
        [{'src': 1, 'dst': 2}]

        `edges` may ask for the columns of `triplets`.
        """
        found = self.edges
        if edges is not None:
            found = self.triplets().filter(edges).select(self._edges.columns)
        if vertices is None:
            return self._made(self._given, found)
        kept = self.vertices.filter(vertices)
        ids = kept.select([self._names.id])
        for name in self._names.ends:
            found = found.join(ids, left_on=name, right_on=self._names.id, how="semi")
        return self._made(kept, found)

    def group_edges(self, columns: Mapping[str, tuple[str, str]] | None = None) -> Graph:
        """Make one edge of parallel ones; `columns` says what of them, as `GroupBy.agg` takes it.

        >>> import esker
        >>> graph = esker.Graph(None, {"src": [1, 1], "dst": [2, 2], "sum": [3, 4]})
        >>> graph.group_edges({"total": ("sum", "sum"), "n": ("sum", "len")}).edges.to_arrow().to_pylist()
        [{'src': 1, 'dst': 2, 'total': 7, 'n': 2}]
        """
        if columns:
            return self._made(self._given, self.edges.group_by(self._names.ends).agg(columns))
        return self._made(self._given, self.edges.select(self._names.ends).distinct())

    def join_vertices(self, other: Any, on: str | None = None, *, how: str = "left") -> Graph:
        """Put the columns of `other` beside the vertices whose id its column `on` (default: as the id is called) names.

        Vertices that `other` does not name get nulls; with `how="inner"` they go, and so do their edges.

        >>> import esker
        >>> graph = esker.Graph(None, {"src": [1, 1], "dst": [2, 3]})
        >>> graph.join_vertices(graph.out_degrees()).vertices.sort("id").to_arrow()["out_degree"].to_pylist()
        [2, 0, 0]
        """
        if how not in ("left", "inner"):
            raise OptionError(f"join_vertices(how={how!r}); there is: left, inner")
        right = read(other)
        joined = self.vertices.join(right, left_on=self._names.id, right_on=on or self._names.id, how=how)
        if how == "left":
            return self._made(joined, self._edges)
        found, ids = self.edges, joined.select([self._names.id])
        for name in self._names.ends:
            found = found.join(ids, left_on=name, right_on=self._names.id, how="semi")
        return self._made(joined, found)

    def aggregate_messages(
        self,
        columns: Mapping[str, tuple[str, str]],
        *,
        to_dst: Callable[[Triplets], Any] | None = None,
        to_src: Callable[[Triplets], Any] | None = None,
    ) -> Dataset:
        """Send messages along edges and aggregate what each vertex gets; vertices that get none have no row.

        The functions are called with many edges at once: `t.src`, `t.dst` and `t.edge` have Arrow columns by name. They
        return columns of messages (a dict, or anything Arrow), nulls where none is sent. `columns` says what is made of
        them, as `GroupBy.agg` takes it: `{"oldest": ("age", "max")}`.

        >>> import esker
        >>> graph = esker.Graph({"id": [1, 2, 3], "age": [30, 40, 50]}, {"src": [1, 2], "dst": [3, 3]})
        >>> youngest = graph.aggregate_messages({"youngest": ("age", "min")}, to_dst=lambda t: {"age": t.src["age"]})
        >>> youngest.to_arrow().to_pylist()
        [{'id': 3, 'youngest': 30}]
        """
        sent = relations.send_messages(self.triplets(), self._names, to_src, to_dst, self._names.id)
        return sent.group_by(self._names.id).agg(columns)

    def find(self, motif: str) -> Dataset:
        """Find all places where a pattern of edges fits: `(a)-[e]->(b); (b)-[]->(c); !(a)-[]->(c)`.

        Terms are edges between named vertices, separated by semicolons; a name may be left out, and what it stands for
        is then not in the result. `!` asks that there be no such edge. Different names may stand for the same vertex,
        parallel edges are found one by one, terms that share no name are paired each with each. The columns are
        `name.column` of named vertices and edges, in the order of the names; `filter('a.age > b.age')` reads them.

        >>> import esker
        >>> graph = esker.Graph(None, {"src": [1, 2, 2], "dst": [2, 1, 3], "kind": ["x", "y", "z"]})
        >>> graph.find("(a)-[e]->(b); !(b)-[]->(a)").to_arrow().to_pylist()
        [{'a.id': 2, 'e.src': 2, 'e.dst': 3, 'e.kind': 'z', 'b.id': 3}]

        Each edge of the pattern is a join on ids, which spills; the vertices' columns are read last.
        """
        return find_motif(parse_motif(motif), self.vertices, self.edges, self._names)

    # Algorithms, which run when they are called

    def degrees(self) -> Dataset:
        """How many edges each vertex has, a loop counted twice: `degree`; 0 for those without edges."""
        return self._run(algorithms.Degrees("degree", ("src", "dst")))

    def in_degrees(self) -> Dataset:
        """How many edges end at each vertex: `in_degree`."""
        return self._run(algorithms.Degrees("in_degree", ("dst",)))

    def out_degrees(self) -> Dataset:
        """How many edges begin at each vertex: `out_degree`."""
        return self._run(algorithms.Degrees("out_degree", ("src",)))

    def page_rank(
        self,
        *,
        damping: float = 0.85,
        iterations: int | None = None,
        tolerance: float | None = None,
        sources: Iterable[Any] | Mapping[Any, float] | None = None,
        weight: str | None = None,
    ) -> Dataset:
        """Rank vertices by Brin and Page's model: `page_rank`, which sums up to 1.

        With `iterations` that many are done; with `tolerance` (1e-6 if neither is given) they end when all ranks
        together change by less, or after `iterations` if both are given (InputError if 1000 do not suffice). `sources`
        makes it personalised: who follows no edge starts again at one of these ids, by weight where it is a dict.
        `weight` names a column of the edges: an edge gets a share of its source's rank by it. A vertex without edges
        out gives its rank away as a new start does, as in NetworkX and igraph (GraphX loses it, and its ranks sum up to
        the number of vertices at most).

        >>> import esker
        >>> graph = esker.Graph(None, {"src": [1, 2, 3], "dst": [2, 1, 1]})
        >>> [round(rank, 3) for rank in graph.page_rank(tolerance=1e-9).to_arrow()["page_rank"].to_pylist()]
        [0.486, 0.464, 0.05]
        """
        return self._run(algorithms.PageRank(damping, iterations, tolerance, sources, weight))

    def connected_components(self) -> Dataset:
        """Find which vertices are connected, whichever way edges point: `component` is its least id.

        >>> import esker
        >>> esker.Graph(None, {"src": ["d", "b"], "dst": ["c", "a"]}).connected_components().to_arrow().to_pydict()
        {'id': ['a', 'b', 'c', 'd'], 'component': ['a', 'a', 'c', 'c']}

        One pass over the edges.
        """
        return self._run(algorithms.ConnectedComponents())

    def strongly_connected_components(self) -> Dataset:
        """Find which vertices reach one another along edges: `component` is its least id."""
        return self._run(algorithms.StrongComponents())

    def triangle_count(self) -> Dataset:
        """Count the triangles each vertex is in: `triangles`; direction, loops and parallel edges do not matter."""
        return self._run(algorithms.Triangles())

    def shortest_paths(self, landmarks: Sequence[Any]) -> Dataset:
        """Count the edges from each vertex to each landmark along edges: rows of `id`, `landmark` and `distance`.

        Vertices that have no way to a landmark have no row for it. Rows come landmark by landmark, ids in order.

        >>> import esker
        >>> esker.Graph(None, {"src": [1, 2], "dst": [2, 3]}).shortest_paths([3]).to_arrow().to_pylist()[0]
        {'id': 1, 'landmark': 3, 'distance': 2}
        """
        return self._run(algorithms.ShortestPaths(landmarks))

    def bfs(self, sources: str | Sequence[Any], targets: str | Sequence[Any], *, length_max: int = 10) -> Dataset:
        """Find all shortest paths from any source to any target along edges: ids in `from`, `v1`, `v2`, ..., `to`.

        Sources and targets are SQL predicates on the vertices, or ids. Only paths as short as the shortest of all are
        found, none longer than `length_max`; parallel edges give one path. A source that is a target is a path without
        edges. Filter the edges with `subgraph(edges=...)` first.

        >>> import esker
        >>> graph = esker.Graph({"id": [1, 2, 3], "age": [20, 30, 40]}, {"src": [1, 2], "dst": [2, 3]})
        >>> graph.bfs("age < 25", "age > 35").to_arrow().to_pylist()
        [{'from': 1, 'v1': 2, 'to': 3}]
        """
        return self._run(algorithms.ShortestWays(self._chosen(sources), self._chosen(targets), length_max))

    def label_propagation(self, iterations: int = 5) -> Dataset:
        """Find communities: each vertex takes the label most of its neighbours have, all at once: `label`, an id.

        Direction does not matter, parallel edges count. Of labels that are equally frequent the least wins, so the
        outcome is the same every time. It ends early when no label changes.
        """
        return self._run(algorithms.Labels(_count("iterations", iterations)))

    def core_numbers(self) -> Dataset:
        """Find the largest k for which each vertex is in a k-core: `core`; see `k_core`."""
        return self._run(algorithms.Cores())

    def k_core(self, k: int | None = None) -> Graph:
        """Keep the largest subgraph where every vertex has at least `k` neighbours; by default the largest k there is.

        Direction, loops and parallel edges do not matter to what a neighbour is; all edges between what is kept stay.
        """
        cores = self.core_numbers()
        if k is None:
            k = max((batch.column("core").to_numpy().max() for batch in cores if batch.num_rows), default=0)
        kept = cores.filter(f"core >= {int(k)}").select([self._names.id])
        found = self.edges
        for name in self._names.ends:
            found = found.join(kept, left_on=name, right_on=self._names.id, how="semi")
        return self._made(self.vertices.join(kept, on=self._names.id, how="semi"), found)

    def pregel(
        self,
        state: Mapping[str, Any],
        update: Callable[[Columns, Columns], Mapping[str, Any]],
        merge: Mapping[str, str],
        *,
        to_dst: Callable[[Triplets], Mapping[str, Any] | None] | None = None,
        to_src: Callable[[Triplets], Mapping[str, Any] | None] | None = None,
        edge_columns: Sequence[str] = (),
        supersteps: int = 20,
    ) -> Dataset:
        """Run Pregel: vertices send along edges, messages are merged, vertices change their state, again and again.

        `state` gives each column of the state its first value: a number or boolean for all, the name of a column of the
        vertices, or a function of a batch of vertices. `to_dst` and `to_src` are called with many edges at once:
        `t.src["rank"]` and `t.dst["rank"]` are NumPy arrays of the state (`id` is an Arrow array of ids), `t.edge` has
        the columns that `edge_columns` names. They return a dict of messages; nulls of Arrow arrays, or masked values
        of NumPy's, are not sent. `merge` says how messages to one vertex become one: sum, min or max. `update` is
        called with many vertices at once, with their state and what was merged (0, or the greatest or least number,
        where nothing came; `messages["received"]` says where something did), and returns the columns that change. All
        functions depend on nothing but their arguments: it ends when no message is sent, when no state changes, or
        after `supersteps`.

        >>> import esker
        >>> import numpy as np
        >>> graph = esker.Graph(None, {"src": [1, 2, 3], "dst": [2, 3, 4]})
        >>> hops = graph.pregel(
        ...     {"hops": lambda vertices: np.where(vertices["id"].to_numpy() == 1, 0.0, np.inf)},
        ...     lambda vertices, messages: {"hops": np.minimum(vertices["hops"], messages["hops"])},
        ...     {"hops": "min"},
        ...     to_dst=lambda t: {"hops": t.src["hops"] + 1},
        ... )
        >>> hops.to_arrow()["hops"].to_pylist()
        [0.0, 1.0, 2.0, 3.0]
        """
        return self._run(
            algorithms.Supersteps(state, update, merge, to_dst, to_src, edge_columns, _count("supersteps", supersteps))
        )

    # Inside

    def _made(self, vertices: Dataset | None, edges: Dataset, options: Options | None = None) -> Graph:
        made = Graph(vertices, edges, id=self._names.id, src=self._names.src, dst=self._names.dst)
        made._options = options or self._options
        return made

    def _given_now(self) -> Dataset | None:
        return None if self._given is None else self.vertices

    def _chosen(self, chosen: str | Sequence[Any]) -> Sequence[Any]:
        """Ids that were given, or that a predicate finds."""
        if not isinstance(chosen, str):
            return list(chosen)
        found = self.vertices.filter(chosen).select([self._names.id]).to_arrow()
        return [value.as_py() for value in found.column(0)]

    def _run(self, algorithm: algorithms.Algorithm) -> Dataset:
        if self._numbered is None:
            self._numbered = number_graph(self._given_now(), self.edges, self._names, self._options)
        given = algorithms.Given(self._given_now(), self.edges, self._names, self._options, self._numbered)
        return algorithms.run(algorithm, given)


def _count(name: str, value: int) -> int:
    if not is_whole(value) or value < 1:
        raise OptionError(f"{name}={value!r}: give a whole number of at least 1")
    return value


def _changed(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
