"""The language of motifs: `(a)-[e]->(b); (b)-[]->(c); !(c)-[]->(a)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from esker.errors import InputError

_NAME = r"\s*([A-Za-z_]\w*|)\s*"
_EDGE = re.compile(rf"\s*(!?)\s*\({_NAME}\)\s*-\s*\[{_NAME}\]\s*->\s*\({_NAME}\)\s*")
_VERTEX = re.compile(rf"\s*\({_NAME}\)\s*")


@dataclass(frozen=True)
class EdgeTerm:
    """An edge from `src` to `dst` that is there, or is not (`negated`); an empty name is anonymous."""

    src: str
    edge: str
    dst: str
    negated: bool = False


@dataclass(frozen=True)
class Pattern:
    """The terms of a motif, and its names in the order they are first written."""

    edges: tuple[EdgeTerm, ...]
    absent: tuple[EdgeTerm, ...]
    vertices: tuple[str, ...]
    named_vertices: tuple[str, ...]
    named_edges: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, as their columns follow one another."""
        ordered: list[str] = []
        for term in self.edges:
            ordered += [name for name in (term.src, term.edge, term.dst) if name and name not in ordered]
        ordered += [name for name in self.vertices if name not in ordered]
        return tuple(ordered)


def parse_motif(text: str) -> Pattern:
    """Read a motif.

    >>> parse_motif("(a)-[e]->(b); !(b)-[]->(a)").names
    ('a', 'e', 'b')

    Raises InputError with the term that cannot be read, and for what no rows could answer: an edge named twice, a name
    that is a vertex and an edge, a negated edge with a name, or one from or to a vertex that is nowhere else.
    """
    edges: list[EdgeTerm] = []
    absent: list[EdgeTerm] = []
    vertices: list[str] = []
    for term in text.split(";"):
        if found := _EDGE.fullmatch(term):
            negated, src, edge, dst = found.groups()
            (absent if negated else edges).append(EdgeTerm(src, edge, dst, bool(negated)))
        elif found := _VERTEX.fullmatch(term):
            vertices.append(found[1])
        else:
            raise InputError(
                f"the motif {text!r} has a term {term.strip()!r} that is none; terms are (a), (a)-[e]->(b) and"
                " !(a)-[]->(b), with a semicolon between them, and any name may be left out"
            )
    named = [name for term in edges for name in (term.src, term.dst) if name]
    named_vertices = tuple(dict.fromkeys([*named, *(name for name in vertices if name)]))
    named_edges = tuple(term.edge for term in edges if term.edge)
    _check(text, edges, absent, named_vertices, named_edges)
    return Pattern(tuple(edges), tuple(absent), tuple(name for name in vertices if name), named_vertices, named_edges)


def _check(
    text: str, edges: list[EdgeTerm], absent: list[EdgeTerm], vertices: tuple[str, ...], named_edges: tuple[str, ...]
) -> None:
    if not vertices and not named_edges:
        raise InputError(
            f"the motif {text!r} names nothing that there is, so it has no columns; name a vertex or an edge"
        )
    for name in named_edges:
        if named_edges.count(name) > 1 or name in vertices:
            raise InputError(f"the motif {text!r} uses {name!r} twice: an edge is named once, by a name of its own")
    for term in absent:
        if term.edge:
            raise InputError(f"the motif {text!r} names {term.edge!r}, an edge that is not there; leave its name out")
        if not term.src and not term.dst:
            raise InputError(f"the motif {text!r} has a negated edge without a vertex; name one of its ends")
        for name in (term.src, term.dst):
            if name and name not in vertices:
                raise InputError(
                    f"the motif {text!r} has {name!r} in a negated term alone; write ({name}) as a term, or leave the"
                    " name out"
                )
