"""How a column is to be indexed: one vector for each value, or one for each bin."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import EskerError, OptionError
from esker.expression import Column, Compare, Literal, bind

VALUES_MAX = 100_000
BINS_MAX = 1_024


class ColumnSpec(ABC):
    """What kind of vectors a column gets. `Equality()` is exact; `Bins` is small and may leave rows to be checked."""

    kind: ClassVar[str]

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Give the spec as plain JSON values."""


@dataclass(frozen=True)
class Equality(ColumnSpec):
    """One vector for each distinct value, and one each for NaN and null: every comparison is exact.

    More than `values_max` values are refused: their vectors would cost more than the column.
    """

    kind: ClassVar[str] = "equality"
    values_max: int = VALUES_MAX

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "values_max": self.values_max}


@dataclass(frozen=True, init=False)
class Bins(ColumnSpec):
    """One vector for each half-open bin between edges, and one each for NaN and null.

    >>> Bins([0, 15, 60])  # below 0, [0, 15), [15, 60), 60 and above
    Bins(edges=(0, 15, 60), quantiles=None)
    >>> Bins.quantile(4)  # three edges that cut the data in quarters
    Bins(edges=(), quantiles=4)

    A range whose ends are edges is exact; otherwise the rows of the cut bins must be checked against the column.
    Edges are values of the column's type, or text that reads as one ("2013-07-01").
    """

    kind: ClassVar[str] = "bins"
    edges: tuple[Any, ...]
    quantiles: int | None

    def __init__(self, edges: Sequence[Any], *, quantiles: int | None = None) -> None:
        if quantiles is None and not len(edges):
            raise OptionError("bins need at least one edge")
        if len(edges) >= BINS_MAX:
            raise OptionError(f"{len(edges)} edges make too many bins; the most is {BINS_MAX}")
        object.__setattr__(self, "edges", tuple(edges))
        object.__setattr__(self, "quantiles", quantiles)

    @classmethod
    def quantile(cls, bin_count: int) -> Bins:
        """Cut into `bin_count` bins of about as many rows each; fewer where values repeat."""
        if not 2 <= bin_count <= BINS_MAX:
            raise OptionError(f"{bin_count} quantile bins; take 2 to {BINS_MAX}")
        return cls((), quantiles=bin_count)

    def to_json(self) -> dict[str, Any]:
        if self.quantiles is not None:
            return {"kind": self.kind, "quantiles": self.quantiles}
        return {"kind": self.kind, "edges": [_plain(edge) for edge in self.edges]}


def _plain(edge: Any) -> int | float | str:
    """Give an edge as JSON has it; text where JSON has no such value (dates, decimals, infinity)."""
    if isinstance(edge, int | str) or (isinstance(edge, float) and math.isfinite(edge)):
        return edge
    return str(edge)


def spec_from_json(spec: Mapping[str, Any]) -> ColumnSpec:
    """Read what `to_json` gave.

    >>> spec_from_json(Bins([0, 15]).to_json())
    Bins(edges=(0, 15), quantiles=None)
    """
    kind = spec.get("kind")
    if kind == Equality.kind:
        return Equality(int(spec.get("values_max", VALUES_MAX)))
    if kind == Bins.kind:
        return Bins.quantile(int(spec["quantiles"])) if "quantiles" in spec else Bins(spec.get("edges", ()))
    raise OptionError(f"no index kind {kind!r}; there is: {Equality.kind}, {Bins.kind}")


def typed_edges(edges: Sequence[Any], column: str, column_type: pa.DataType) -> pa.Array:
    """Turn edges into an array of the column's type, strictly ascending, or say what is wrong with them."""
    if pa.types.is_binary(column_type) or pa.types.is_large_binary(column_type):
        raise OptionError(f"column {column!r} ({column_type}) cannot be cut in bins; index its values")
    try:
        typed = pa.array([_typed_edge(edge, column_type) for edge in edges], column_type)
    except (EskerError, pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise OptionError(f"edges {list(edges)} do not fit column {column!r} ({column_type}): {error}") from error
    if typed.null_count or (pa.types.is_floating(column_type) and pc.any(pc.is_nan(typed)).as_py()):
        raise OptionError(f"edges of column {column!r} cannot be null or NaN: {list(edges)}")
    if len(typed) > 1 and not pc.all(pc.less(typed[:-1], typed[1:])).as_py():
        raise OptionError(f"edges of column {column!r} must ascend: {list(edges)}")
    return typed


def _typed_edge(edge: Any, column_type: pa.DataType) -> pa.Scalar:
    if isinstance(edge, str):
        # Text means what it would mean in a predicate on the column: zones and decimals, too.
        at_least = Compare(">=", Column("edge"), Literal(pa.scalar(edge)))
        bound = bind(at_least, pa.schema([("edge", column_type)]))
        if isinstance(bound, Compare) and isinstance(bound.right, Literal) and bound.right.value.type == column_type:
            return bound.right.value
    if isinstance(edge, int):
        return pa.scalar(edge, column_type)
    try:
        return pa.scalar(edge).cast(column_type)
    except pa.ArrowException:
        if pa.types.is_integer(column_type):
            raise  # made as an integer at once, 1.5 would silently become 1
        return pa.scalar(edge, column_type)
