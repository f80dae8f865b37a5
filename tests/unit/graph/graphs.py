"""Graphs for tests: small random ones with loops, parallel edges and lonely vertices, and NetworkX's view of them."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

import esker
from esker.core.seeded import generator

Pairs = list[tuple[int, int]]


@st.composite
def multigraphs(draw: st.DrawFn, vertices_max: int = 12, edges_max: int = 40) -> tuple[int, Pairs]:
    """A number of vertices, and edges between them; both may be none."""
    count = draw(st.integers(0, vertices_max))
    if not count:
        return 0, []
    vertex = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(vertex, vertex), max_size=edges_max))


# What a vertex is called: as it is, scattered far and wide in no order, or by a string.
NAMINGS = {
    "dense": lambda number: number,
    "sparse": lambda number: (number * 2_654_435_761) % (1 << 40) - (1 << 39),
    "text": lambda number: f"v{number:03}",
}


def build(graph: tuple[int, Pairs], naming: str = "dense", **options: Any) -> esker.Graph:
    """The graph in Esker, vertices and edges in no particular order."""
    count, pairs = graph
    name = NAMINGS[naming]
    type_ = pa.string() if naming == "text" else pa.int64()
    order = np.random.default_rng(count).permutation(count)
    vertices = pa.table({"id": pa.array([name(int(number)) for number in order], type_)})
    edges = pa.table(
        {
            "src": pa.array([name(src) for src, _ in pairs], type_),
            "dst": pa.array([name(dst) for _, dst in pairs], type_),
            "weight": pa.array([number % 5 for number in range(len(pairs))], pa.int64()),
        }
    )
    return esker.Graph(vertices, edges).with_options(**options)


def oracle(graph: tuple[int, Pairs], naming: str = "dense") -> nx.MultiDiGraph:
    """The same in NetworkX."""
    count, pairs = graph
    name = NAMINGS[naming]
    made = nx.MultiDiGraph()
    made.add_nodes_from(name(number) for number in range(count))
    made.add_weighted_edges_from((name(src), name(dst), number % 5) for number, (src, dst) in enumerate(pairs))
    return made


def simple(graph: nx.MultiDiGraph) -> nx.Graph:
    """Without direction, loops and parallel edges."""
    made = nx.Graph(graph)
    made.remove_edges_from(list(nx.selfloop_edges(made)))
    return made


def by_id(found: esker.Dataset) -> dict[Any, Any]:
    """A result of two columns as a dict; its rows must be in the order of the ids."""
    table = found.to_arrow()
    ids = table.column(0).to_pylist()
    assert ids == sorted(ids)
    return dict(zip(ids, table.column(1).to_pylist(), strict=True))


def least_of_each(groups: Any) -> dict[Any, Any]:
    """Groups of vertices as components are told."""
    return {member: min(group) for group in groups for member in group}


def power_law(vertices: int, edges: int, seed: int) -> tuple[int, Pairs]:
    """Edges between vertices that are the more popular the less their number, in both ends."""
    random = generator(seed)
    ends = (vertices * random.random((2, edges)) ** 3).astype(np.int64)
    shuffled = random.permutation(vertices)
    return vertices, [(int(src), int(dst)) for src, dst in zip(*shuffled[ends], strict=True)]
