"""Pregel: vertices send along edges, what arrives is merged, and every vertex changes its state; again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import numpy as np
import pyarrow as pa

from esker.engine.user_function import call
from esker.errors import InputError, OptionError, SchemaMismatchError
from esker.graph.adjacency import Adjacency, Piece
from esker.graph.columns import Columns, Triplets
from esker.graph.ids import Ids
from esker.graph.workspace import Array, Workspace

Send = Callable[[Triplets], Mapping[str, Any] | None]
Update = Callable[[Columns, Columns], Mapping[str, Any]]
MERGES: Mapping[str, np.ufunc] = {"sum": np.add, "min": np.minimum, "max": np.maximum}
RECEIVED = "received"


@dataclass(frozen=True)
class Direction:
    """One way messages go: `edges` are in the order of who receives, who may be the dst or the src."""

    edges: Adjacency
    send: Send
    owner_is_dst: bool


@dataclass(frozen=True)
class _Merged:
    """What some owners were sent, merged: by message the owners that have one, and the value of each."""

    columns: Mapping[str, tuple[Array, Array]]


class Pregel:
    """The state of all vertices, and what changes it."""

    def __init__(self, state: dict[str, Array], ids: Ids, merge: Mapping[str, str], workspace: Workspace) -> None:
        for name, how in merge.items():
            if how not in MERGES:
                raise OptionError(f"merge={{{name!r}: {how!r}}}; there is: {', '.join(MERGES)}")
        if not merge or RECEIVED in merge:
            raise OptionError(
                f"merge names the messages, for example {{'distance': 'min'}}; none is called {RECEIVED!r}"
            )
        self.state = state
        self._ids = ids
        self._merge = merge
        self._workspace = workspace
        self._messages: dict[str, Array] = {}
        self._received = workspace.array(ids.count, np.bool_)

    def run(self, directions: Sequence[Direction], update: Update, supersteps: int) -> int:
        """Run until no message is sent, no state changes, or `supersteps` are done; returns how many were."""
        for done in range(supersteps):
            if not self._exchange(directions) or not self._change(update, done):
                return done
        return supersteps

    def _exchange(self, directions: Sequence[Direction]) -> bool:
        """Send and merge everything; whether anything was sent."""
        self._received[:] = False
        for name, values in self._messages.items():
            values[:] = identity(self._merge[name], values.dtype)
        for direction in directions:
            bounds = direction.edges.pieces(self._workspace)
            for merged in self._workspace.map(partial(self._send, direction), bounds):
                for name, (owners, values) in merged.columns.items():
                    target = self._target(name, values.dtype)
                    target[owners] = MERGES[self._merge[name]](target[owners], values)
                    self._received[owners] = True
        return bool(self._received.any())

    def _target(self, name: str, dtype: np.dtype[Any]) -> Array:
        if name not in self._messages:
            first = identity(self._merge[name], dtype)
            self._messages[name] = self._workspace.array(self._ids.count, dtype, None)
            self._messages[name][:] = first
        target = self._messages[name]
        if not np.can_cast(dtype, target.dtype, "same_kind"):
            raise SchemaMismatchError(f"pregel: the message {name!r} was {target.dtype} at first and is {dtype} now")
        return target

    def _send(self, direction: Direction, bounds: tuple[int, int]) -> _Merged:
        piece = direction.edges.piece(bounds)
        owners = piece.owner_of_each()
        src, dst = (piece.neighbours, owners) if direction.owner_is_dst else (owners, piece.neighbours)
        edge = Columns("the edges (name columns in edge_columns=)", list(piece.columns), piece.columns.__getitem__)
        sent = call(
            direction.send,
            Triplets(self._ends("src", src), self._ends("dst", dst), edge),
            "pregel",
            lambda: f"edges {bounds[0]:,} to {bounds[1]:,}",
        )
        return _Merged(
            {name: self._merged(name, values, piece, owners) for name, values in _checked(sent, self._merge)}
        )

    def _ends(self, where: str, vertices: Array) -> Columns:
        def take(name: str) -> Any:
            return self._ids.take(vertices) if name == "id" else self.state[name][vertices]

        return Columns(where, ["id", *self.state], take)

    def _merged(self, name: str, sent: Any, piece: Piece, owners: Array) -> tuple[Array, Array]:
        values, there = message_values(sent, len(owners), name)
        function = MERGES[self._merge[name]]
        if there is None:
            return piece.owners, piece.reduce(function, values)
        owners, values = owners[there], values[there]
        if not len(owners):
            return owners, values
        starts = np.concatenate([[0], np.flatnonzero(owners[1:] != owners[:-1]) + 1])
        return owners[starts], function.reduceat(values, starts)

    def _change(self, update: Update, superstep: int) -> bool:
        """Let every vertex change its state; whether any did."""
        changed = False

        @wraps(update)
        def apply(arguments: tuple[Columns, Columns]) -> Mapping[str, Any]:
            return update(*arguments)

        for part in self._workspace.parts(self._ids.count):
            self._workspace.context.check()
            arguments = (self._vertices(part), self._arrived(part))
            new = call(apply, arguments, "pregel", partial(_where, part, superstep))
            if not isinstance(new, Mapping):
                raise InputError(f"pregel: update returned {type(new).__name__}; return a dict of state columns")
            changed |= self._set(new, part)
        return changed

    def _vertices(self, part: slice) -> Columns:
        def take(name: str) -> Any:
            return self._ids.slice(part.start, part.stop) if name == "id" else self.state[name][part].copy()

        return Columns("the state", ["id", *self.state], take)

    def _arrived(self, part: slice) -> Columns:
        def take(name: str) -> Array:
            if name == RECEIVED:
                return self._received[part].copy()
            if name in self._messages:
                return self._messages[name][part].copy()
            return np.full(part.stop - part.start, identity(self._merge[name], np.dtype(np.float64)))

        return Columns("the messages", [*self._merge, RECEIVED], take)

    def _set(self, new: Mapping[str, Any], part: slice) -> bool:
        changed = False
        for name, values in new.items():
            if name not in self.state:
                raise InputError(f"pregel: update returned {name!r}; state has {', '.join(self.state)}")
            target = self.state[name][part]
            array = np.broadcast_to(to_array(values), target.shape) if np.ndim(values) == 0 else to_array(values)
            if array.shape != target.shape or not np.can_cast(array.dtype, target.dtype, "same_kind"):
                raise SchemaMismatchError(
                    f"pregel: update returned {name!r} as {array.dtype} of shape {array.shape}; it is {target.dtype} of"
                    f" shape {target.shape}"
                )
            array = array.astype(target.dtype)
            changed |= not np.array_equal(array, target, equal_nan=target.dtype.kind == "f")
            target[:] = array
        return changed


def _where(part: slice, superstep: int) -> str:
    return f"vertices from {part.start:,}, superstep {superstep}"


def identity(merge: str, dtype: np.dtype[Any]) -> Any:
    """What a message column holds for a vertex that was sent nothing.

    >>> identity("min", np.dtype(float)), identity("max", np.dtype(np.int8))
    (inf, -128)
    """
    if merge == "sum":
        return dtype.type(0)
    if dtype.kind == "f":
        return np.inf if merge == "min" else -np.inf
    if dtype.kind == "b":
        return merge == "min"
    limits = np.iinfo(dtype)
    return limits.max if merge == "min" else limits.min


def message_values(sent: Any, length: int, name: str) -> tuple[Array, Array | None]:
    """The values of a message column, and which edges send one (all, if None): not nulls, not masked ones."""
    there: Array | None = None
    if isinstance(sent, np.ma.MaskedArray):
        there = None if sent.mask is np.ma.nomask else ~np.ma.getmaskarray(sent)
        sent = sent.data
    elif isinstance(sent, pa.Array | pa.ChunkedArray) and sent.null_count:
        there = np.asarray(sent.is_valid().to_numpy(zero_copy_only=False))
        sent = sent.fill_null(False if pa.types.is_boolean(sent.type) else 0)
    values = np.broadcast_to(to_array(sent), (length,)) if np.ndim(sent) == 0 else to_array(sent)
    if values.shape != (length,) or values.dtype.kind not in "biuf":
        raise SchemaMismatchError(
            f"pregel: the message {name!r} is {values.dtype} of shape {values.shape}; return a number for each of the"
            f" {length} edges, null (or masked) where none is sent"
        )
    return values, there


def to_array(values: Any) -> Array:
    """A NumPy array of what a user's function returned."""
    if isinstance(values, pa.ChunkedArray):
        return np.asarray(values.to_numpy())
    if isinstance(values, pa.Array):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    return np.asarray(values)


def _checked(sent: Any, merge: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    if sent is None:
        return
    if not isinstance(sent, Mapping):
        raise InputError(f"pregel: a send function returned {type(sent).__name__}; return a dict of messages, or None")
    for name, values in sent.items():
        if name not in merge:
            raise InputError(f"pregel: a send function sends {name!r}, and merge= names {', '.join(merge)}")
        if merge[name] == "sum" and getattr(values, "dtype", None) == np.bool_:
            values = values.astype(np.int64)
        yield name, values
