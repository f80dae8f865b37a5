"""Motifs equal a search by loops over all edges."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings

import esker
from esker.errors import InputError, UnknownColumnError
from esker.graph.motif_pattern import parse_motif
from tests.unit.graph.graphs import Pairs, build, multigraphs

MOTIFS = (
    "(a)-[e]->(b)",
    "(a)-[e]->(b); (b)-[]->(a)",
    "(a)-[]->(b); (b)-[]->(c); (c)-[]->(a)",
    "(a)-[e]->(b); (b)-[f]->(c); !(a)-[]->(c)",
    "(a)-[]->(b); !(b)-[]->(a)",
    "(a)-[e]->(a)",
    "(a)-[]->(b); !(b)-[]->(b)",
    "()-[e]->()",
    "(a)-[]->()",
    "(a); !(a)-[]->()",
    "(a); !()-[]->(a)",
    "(a)-[e]->(b); (c)-[f]->(c)",
)


def search(graph: tuple[int, Pairs], motif: str) -> Counter[tuple[Any, ...]]:
    """Try all edges for each term, and all vertices for names that have none."""
    count, pairs = graph
    pattern = parse_motif(motif)
    found: Counter[tuple[Any, ...]] = Counter()
    loose = [name for name in pattern.vertices if all(name not in (term.src, term.dst) for term in pattern.edges)]
    for chosen in product(*[list(enumerate(pairs))] * len(pattern.edges), *[range(count)] * len(loose)):
        edges, vertices = chosen[: len(pattern.edges)], chosen[len(pattern.edges) :]
        places: dict[str, Any] = dict(zip(loose, vertices, strict=True))
        fits = True
        for term, (number, (src, dst)) in zip(pattern.edges, edges, strict=True):
            for name, vertex in ((term.src, src), (term.dst, dst)):
                fits &= not name or places.setdefault(name, vertex) == vertex
            if term.edge:
                places[term.edge] = (src, dst, number % 5)
        for term in pattern.absent:
            fits &= not any(
                (not term.src or places.get(term.src) == src) and (not term.dst or places.get(term.dst) == dst)
                for src, dst in pairs
            )
        if fits:
            found[tuple(places[name] for name in pattern.names)] += 1
    return found


def rows_of(found: esker.Dataset, motif: str) -> Counter[tuple[Any, ...]]:
    pattern = parse_motif(motif)
    rows = found.to_arrow().to_pylist()
    return Counter(
        tuple(
            (row[f"{name}.src"], row[f"{name}.dst"], row[f"{name}.weight"])
            if name in pattern.named_edges
            else row[f"{name}.id"]
            for name in pattern.names
        )
        for row in rows
    )


@pytest.mark.parametrize("motif", MOTIFS)
@settings(max_examples=12)
@given(graph=multigraphs(5, 9))
def test_a_motif_is_found_wherever_it_is(motif: str, graph: tuple[int, Pairs]) -> None:
    assert rows_of(build(graph).find(motif), motif) == search(graph, motif)


def test_columns_follow_the_names_and_vertices_bring_theirs() -> None:
    graph = esker.Graph(
        {"vid": ["a", "b", "c"], "id": [7, 8, 9]},
        {"from": ["a", "b"], "to": ["b", "c"], "id": [1, 2]},
        id="vid",
        src="from",
        dst="to",
    )
    found = graph.find("(x)-[e]->(y); (y)-[]->(z)")
    assert found.columns == ["x.vid", "x.id", "e.from", "e.to", "e.id", "y.vid", "y.id", "z.vid", "z.id"]
    assert list(found.to_arrow().to_pylist()[0].values()) == ["a", 7, "a", "b", 1, "b", 8, "c", 9]
    assert found.filter("x.id < z.id").count() == 1


@pytest.mark.parametrize(
    ("motif", "message"),
    [
        ("", "term '' that is none"),
        ("(a)-[e]-(b)", r"term '\(a\)-\[e\]-\(b\)' that is none"),
        ("(a)-[e]->(b); nonsense", "term 'nonsense'"),
        ("(a)-[e]->(b); (b)-[e]->(c)", "uses 'e' twice"),
        ("(a)-[a]->(b)", "uses 'a' twice"),
        ("(a)-[]->(b); !(a)-[e]->(b)", "names 'e', an edge that is not there"),
        ("(a)-[]->(b); !(a)-[]->(z)", "has 'z' in a negated term alone"),
        ("(a)-[]->(b); !()-[]->()", "without a vertex"),
        ("()-[]->()", "names nothing"),
    ],
)
def test_a_motif_that_cannot_be_is_refused(motif: str, message: str) -> None:
    graph = esker.Graph(None, {"src": [1], "dst": [2]})
    with pytest.raises(InputError, match=message):
        graph.find(motif)


def test_an_unknown_column_of_a_motif_has_a_name() -> None:
    graph = esker.Graph({"id": [1, 2], "age": [3, 4]}, {"src": [1], "dst": [2]})
    with pytest.raises(UnknownColumnError, match=r"no column 'a.agee'; did you mean 'a.age'"):
        graph.find("(a)-[]->(b)").filter("a.agee > 1")
