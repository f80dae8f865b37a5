"""How a column is to be indexed: one vector for each value, or one for each bin."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import EskerError, OptionError, UnsupportedTypeError
from esker.expression import Column, Compare, Literal, bind

BINS_MAX = 1_024
# Layouts that keep a vector of many slots for each slot grow with the square of the slots.
CUMULATIVE_VALUES_MAX = 4_096
# How vectors are laid out over the values or bins of a column (esker.index.layouts).
EQUALITY, RANGE, INTERVAL = "equality", "range", "interval"
LAYOUT_NAMES = (EQUALITY, RANGE, INTERVAL)
QUANTA = ("year", "month", "day", "hour")


class ColumnSpec(ABC):
    """What kind of vectors a column gets. `Bins` are small and may leave rows to be checked; the others are exact."""

    kind: ClassVar[str]

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Give the spec as plain JSON values."""


@dataclass(frozen=True)
class Equality(ColumnSpec):
    """One vector for each distinct value, and one each for NaN and null: every comparison is exact.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "carriers.index"
    >>> with esker.build_index({"carrier": ["AA", "UA", "AA"]}, folder, {"carrier": esker.Equality()}) as index:
    ...     index.count("carrier = 'AA'")
    2

    Any number of values: beyond what memory holds, values are sorted by way of the shuffle. With `values_max` more
    values than that are refused.
    """

    kind: ClassVar[str] = EQUALITY
    values_max: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind} if self.values_max is None else {"kind": self.kind, "values_max": self.values_max}


@dataclass(frozen=True)
class Range(ColumnSpec):
    """One vector for each value, of the rows that are at most that: a range reads two vectors, whatever its width.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "ages.index"
    >>> with esker.build_index({"age": [20, 76, 42]}, folder, {"age": esker.Range()}) as index:
    ...     index.count("age BETWEEN 20 AND 50")
    2

    For up to some thousand values; `Bins(..., layout="range")` does the same for bins.
    """

    kind: ClassVar[str] = RANGE
    values_max: int = CUMULATIVE_VALUES_MAX

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "values_max": self.values_max}


@dataclass(frozen=True)
class Interval(ColumnSpec):
    """One vector for each window of half the values (Chan and Ioannidis): half as many vectors as Range, two a range.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "ages.index"
    >>> with esker.build_index({"age": [20, 76, 42]}, folder, {"age": esker.Interval()}) as index:
    ...     index.count("age > 20")
    2

    For up to some thousand values; `Bins(..., layout="interval")` does the same for bins.
    """

    kind: ClassVar[str] = INTERVAL
    values_max: int = CUMULATIVE_VALUES_MAX

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "values_max": self.values_max}


@dataclass(frozen=True, init=False)
class Bins(ColumnSpec):
    """One vector for each half-open bin between edges, and one each for NaN and null.

    >>> Bins([0, 15, 60])  # below 0, [0, 15), [15, 60), 60 and above
    Bins(edges=(0, 15, 60), quantiles=None, width=None, layout='equality')
    >>> Bins.quantile(4)  # three edges that cut the data in quarters
    Bins(edges=(), quantiles=4, width=None, layout='equality')
    >>> Bins.equal_width(4)  # three edges that cut the span of the values in quarters
    Bins(edges=(), quantiles=None, width=4, layout='equality')

    A range whose ends are edges is exact; otherwise the rows of the cut bins must be checked against the column.
    Edges are values of the column's type, or text that reads as one ("2013-07-01"). `layout` is "equality" (a vector
    a bin), "range" (a vector for all bins up to each) or "interval" (a vector for each window of half the bins).
    """

    kind: ClassVar[str] = "bins"
    edges: tuple[Any, ...]
    quantiles: int | None
    width: int | None
    layout: str

    def __init__(
        self,
        edges: Sequence[Any],
        *,
        quantiles: int | None = None,
        width: int | None = None,
        layout: str = EQUALITY,
    ) -> None:
        if quantiles is None and width is None and not len(edges):
            raise OptionError("bins need at least one edge")
        if len(edges) >= BINS_MAX:
            raise OptionError(f"{len(edges)} edges make too many bins; the most is {BINS_MAX}")
        if layout not in LAYOUT_NAMES:
            raise OptionError(f"layout={layout!r} of bins; there is: {', '.join(LAYOUT_NAMES)}")
        object.__setattr__(self, "edges", tuple(edges))
        object.__setattr__(self, "quantiles", quantiles)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "layout", layout)

    @classmethod
    def quantile(cls, bin_count: int, *, layout: str = EQUALITY) -> Bins:
        """Cut into `bin_count` bins of about as many rows each; fewer where values repeat."""
        if not 2 <= bin_count <= BINS_MAX:
            raise OptionError(f"{bin_count} quantile bins; take 2 to {BINS_MAX}")
        return cls((), quantiles=bin_count, layout=layout)

    @classmethod
    def equal_width(cls, bin_count: int, *, layout: str = EQUALITY) -> Bins:
        """Cut the span from the least to the greatest value into `bin_count` bins as wide as one another."""
        if not 2 <= bin_count <= BINS_MAX:
            raise OptionError(f"{bin_count} bins of equal width; take 2 to {BINS_MAX}")
        return cls((), width=bin_count, layout=layout)

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"kind": self.kind}
        if self.quantiles is not None:
            shown["quantiles"] = self.quantiles
        elif self.width is not None:
            shown["width"] = self.width
        else:
            shown["edges"] = [_plain(edge) for edge in self.edges]
        return shown if self.layout == EQUALITY else {**shown, "layout": self.layout}


@dataclass(frozen=True)
class BitSliced(ColumnSpec):
    """One vector for each binary digit of the values: any range, sum, least, greatest or percentile reads them all.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "delays.index"
    >>> with esker.build_index({"delay": [130, 5, 240]}, folder, {"delay": esker.BitSliced()}) as index:
    ...     index.sum("delay"), index.max("delay", where="delay < 200")
    (375, 130)

    For integers, decimals, booleans, dates, times and timestamps of any number of values; every comparison is exact.
    Source: O'Neil and Quass, "Improved query performance with variant indexes", SIGMOD 1997.
    """

    kind: ClassVar[str] = "bit_sliced"

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


@dataclass(frozen=True)
class TimeQuantum(ColumnSpec):
    """Vectors for the years, months, days and hours of a timestamp or date: a stretch of time reads few of them.

    >>> TimeQuantum("day")  # years, months and days; times within a day are left to the check
    TimeQuantum(finest='day')

    Comparisons on whole quanta are exact. Timestamps with a zone are cut in UTC.
    """

    kind: ClassVar[str] = "time_quantum"
    finest: str = "hour"

    def __post_init__(self) -> None:
        if self.finest not in QUANTA:
            raise OptionError(f"TimeQuantum({self.finest!r}); there is: {', '.join(QUANTA)}")

    @property
    def levels(self) -> tuple[str, ...]:
        """The quanta that get vectors, the finest first."""
        return tuple(reversed(QUANTA[: QUANTA.index(self.finest) + 1]))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "finest": self.finest}


def _plain(edge: Any) -> int | float | str:
    """Give an edge as JSON has it; text where JSON has no such value (dates, decimals, infinity)."""
    if isinstance(edge, int | str) or (isinstance(edge, float) and math.isfinite(edge)):
        return edge
    return str(edge)


def spec_from_json(spec: Mapping[str, Any]) -> ColumnSpec:
    """Read what `to_json` gave.

    >>> spec_from_json(Bins([0, 15]).to_json())
    Bins(edges=(0, 15), quantiles=None, width=None, layout='equality')
    """
    kind = spec.get("kind")
    if kind == Equality.kind:
        return Equality(spec.get("values_max"))
    if kind == Range.kind:
        return Range(int(spec.get("values_max", CUMULATIVE_VALUES_MAX)))
    if kind == Interval.kind:
        return Interval(int(spec.get("values_max", CUMULATIVE_VALUES_MAX)))
    if kind == BitSliced.kind:
        return BitSliced()
    if kind == TimeQuantum.kind:
        return TimeQuantum(str(spec.get("finest", "hour")))
    if kind == Bins.kind:
        return Bins(
            spec.get("edges", ()),
            quantiles=spec.get("quantiles"),
            width=spec.get("width"),
            layout=spec.get("layout", EQUALITY),
        )
    raise OptionError(f"no index kind {kind!r}; there is: {', '.join(KINDS)}")


KINDS = (EQUALITY, RANGE, INTERVAL, "bins", "bit_sliced", "time_quantum")


def spec_of_word(kind: str) -> ColumnSpec:
    """Read a kind that needs no more than its name.

    >>> spec_of_word("range"), spec_of_word("time_quantum")
    (Range(values_max=4096), TimeQuantum(finest='hour'))
    """
    if kind == "bins":
        raise OptionError("bins need edges: esker.Bins([0, 15]), Bins.quantile(100) or Bins.equal_width(100)")
    return spec_from_json({"kind": kind})


def time_levels(column: str, column_type: pa.DataType, spec: TimeQuantum) -> tuple[str, ...]:
    """Give the quanta that suit the type, or say that it has none."""
    if pa.types.is_timestamp(column_type):
        return spec.levels
    if pa.types.is_date(column_type):
        return tuple(level for level in spec.levels if level != "hour")
    raise UnsupportedTypeError(f"column {column!r} ({column_type}) has no quanta of time; that takes dates, timestamps")


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
