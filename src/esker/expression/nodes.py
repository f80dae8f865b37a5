"""The predicate tree: frozen values, one class a shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal as OneOf

import pyarrow as pa

CompareOp = OneOf["=", "!=", "<", "<=", ">", ">="]
ArithmeticOp = OneOf["+", "-", "*", "/", "%"]


@dataclass(frozen=True)
class Position:
    """Where in a predicate's text a part began, so that a later error can point at it."""

    text: str
    offset: int


@dataclass(frozen=True)
class Expression:
    """A part of a predicate; a predicate is a part that gives a boolean.

    >>> Compare(">", Column("age"), Literal(pa.scalar(50)))
    Compare(op='>', left=Column(name='age'), right=Literal(value=<pyarrow.Int64Scalar: 50>))

    Equal trees are equal values, wherever in a text they were read from: `position` takes no part in equality.
    """

    position: Position | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Column(Expression):
    """A column by its name."""

    name: str


@dataclass(frozen=True, eq=False)
class Literal(Expression):
    """A typed constant; `pa.scalar(None, type)` is a null of that type.

    >>> Literal(pa.scalar(float("nan"))) == Literal(pa.scalar(float("nan")))
    True
    """

    value: pa.Scalar

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[pa.DataType, object]:
        value = self.value
        if not value.is_valid:
            return value.type, None
        if pa.types.is_floating(value.type):
            return value.type, repr(value.as_py())  # NaN is itself, and 0.0 is not -0.0
        if pa.types.is_temporal(value.type) and not pa.types.is_interval(value.type):
            # Nanoseconds have no Python object without pandas.
            return value.type, value.cast(pa.int64() if value.type.bit_width == 64 else pa.int32()).as_py()
        return value.type, value.as_py()


@dataclass(frozen=True)
class Compare(Expression):
    """`left op right`: null when either side is; NaN equals NaN and is above every number, as in DuckDB."""

    op: CompareOp
    left: Expression
    right: Expression


@dataclass(frozen=True)
class And(Expression):
    """All of `parts`, in three-valued logic."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Or(Expression):
    """Any of `parts`, in three-valued logic."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Not(Expression):
    """The opposite of `part`; null stays null."""

    part: Expression


@dataclass(frozen=True)
class IsNull(Expression):
    """True where `part` is null, else false; never null. NaN is not null."""

    part: Expression


@dataclass(frozen=True)
class InList(Expression):
    """`part` equals one of `values`: null when it equals none and one of them, or `part`, is null."""

    part: Expression
    values: tuple[Literal, ...]


@dataclass(frozen=True)
class Arithmetic(Expression):
    """`left op right` on numbers. As in DuckDB, `/` gives a double, infinite for x / 0, and whole x % 0 raises."""

    op: ArithmeticOp
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Negate(Expression):
    """Minus `part`."""

    part: Expression


@dataclass(frozen=True)
class Like(Expression):
    r"""`part` matches `pattern` whole; `%` is any run of characters, `_` any one, and `\` takes the next as it is."""

    part: Expression
    pattern: str
    case_sensitive: bool = True


@dataclass(frozen=True)
class Cast(Expression):
    """`part` as `type`; a value that does not fit is an error, not a null."""

    part: Expression
    type: pa.DataType


@dataclass(frozen=True)
class Call(Expression):
    """A function of the small set in `esker.expression.functions`, by its lower-case name."""

    name: str
    args: tuple[Expression, ...]


@dataclass(frozen=True)
class VectorRange(Expression):
    """Rows set in any of an index's vectors number `first` to `last`, both included; only an index can tell."""

    first: int
    last: int
