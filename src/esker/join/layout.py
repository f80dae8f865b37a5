"""Where each column of a join's output comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import plain_type, require_columns
from esker.errors import OptionError, SchemaMismatchError
from esker.join.key_types import common_key_type

JOIN_KINDS = ("inner", "left", "right", "full", "semi", "anti")
_FLIPPED = {
    "inner": "inner",
    "left": "right",
    "right": "left",
    "full": "full",
    "semi": "right_semi",
    "anti": "right_anti",
}
# Columns that joins add to rows on their way begin with this.
RESERVED = "__esker_"
KeyPairs = Sequence[tuple[str, str]]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OutputColumn:
    """A column of the output: the left column and the right column it is taken from; a coalesced key has both.

    Equal keys may differ in bits (0.0 and -0.0): those of the left come out, or of the right when it is `from_right`.
    """

    field: pa.Field
    left: str | None
    right: str | None
    from_right: bool = False


@dataclass(frozen=True)
class Layout:
    """The output of a join: its columns, and what must be read of each side to make them.

    `key_types` are the types keys are compared in, one for each pair of `on`.
    """

    columns: tuple[OutputColumn, ...]
    on: tuple[tuple[str, str], ...]
    how: str
    key_types: tuple[pa.DataType, ...]

    @property
    def schema(self) -> pa.Schema:
        """The output's schema."""
        return pa.schema([column.field for column in self.columns])

    @property
    def left_columns(self) -> tuple[str, ...]:
        """Columns of the left input that the output needs."""
        return tuple(column.left for column in self.columns if column.left is not None)

    @property
    def right_columns(self) -> tuple[str, ...]:
        """Columns of the right input that the output needs."""
        return tuple(dict.fromkeys(column.right for column in self.columns if column.right is not None))

    @property
    def left_keys(self) -> tuple[str, ...]:
        """Key columns of the left input, one for each pair."""
        return tuple(left for left, _ in self.on)

    @property
    def right_keys(self) -> tuple[str, ...]:
        """Key columns of the right input, one for each pair."""
        return tuple(right for _, right in self.on)

    @property
    def keeps_left(self) -> bool:
        """Whether left rows without a partner come out, with nulls for the right."""
        return self.how in ("left", "full")

    @property
    def keeps_right(self) -> bool:
        """Whether right rows without a partner come out, with nulls for the left."""
        return self.how in ("right", "full")

    @property
    def only_left(self) -> bool:
        """Whether the output is rows of the left alone."""
        return self.how in ("semi", "anti")

    @property
    def makes_pairs(self) -> bool:
        """Whether rows of both sides are put together; without, they are only filtered."""
        return self.how not in ("semi", "anti", "right_semi", "right_anti")

    def lone_left(self, matched: Flags) -> Flags | None:
        """Which left rows come out on their own, by whether they have a partner; None for no row at all."""
        return _lone(self.how, ("left", "full", "anti"), ("semi",), matched)

    def lone_right(self, matched: Flags) -> Flags | None:
        """Which right rows come out on their own, by whether they have a partner; None for no row at all."""
        return _lone(self.how, ("right", "full", "right_anti"), ("right_semi",), matched)

    def flipped(self) -> Layout:
        """The same output with left and right exchanged, for algorithms that hold the left side.

        Its kind may be "right_semi" or "right_anti": the rows of the right alone.
        """
        columns = tuple(
            OutputColumn(column.field, column.right, column.left, from_right=True) for column in self.columns
        )
        return Layout(columns, tuple((b, a) for a, b in self.on), _FLIPPED[self.how], self.key_types)


def plan_layout(
    left: pa.Schema,
    right: pa.Schema,
    on: KeyPairs,
    how: str,
    suffix: str,
    left_columns: Sequence[str] | None = None,
    right_columns: Sequence[str] | None = None,
) -> Layout:
    """Lay out the output of a join of two schemas, of which only `left_columns` and `right_columns` are wanted.

    Raises errors that name both columns when keys cannot be compared, or names clash even with the suffix.
    """
    if how not in JOIN_KINDS:
        raise OptionError(f"how={how!r}; there is: {', '.join(JOIN_KINDS)}")
    if not on:
        raise OptionError("a join needs at least one pair of key columns")
    require_columns([name for name, _ in on], left, "the left input")
    require_columns([name for _, name in on], right, "the right input")
    left_names = list(left.names if left_columns is None else left_columns)
    right_names = list(right.names if right_columns is None else right_columns)
    require_columns(left_names, left, "the left input")
    require_columns(right_names, right, "the right input")
    key_types = tuple(common_key_type(_plain(left, a), _plain(right, b)) for a, b in on)
    keeps_right = how in ("right", "full")

    partners: dict[str, tuple[str, pa.DataType]] = {}
    for (name, partner), key_type in zip(on, key_types, strict=True):
        same = _plain(left, name).type == _plain(right, partner).type
        partners.setdefault(name, (partner, left.field(name).type if same else key_type))
    columns = []
    for name in left_names:
        field = _plain(left, name)
        if keeps_right and name in partners:
            partner, key_type = partners[name]
            columns.append(OutputColumn(_key_field(field, key_type), name, partner))
        else:
            columns.append(OutputColumn(field.with_nullable(True) if keeps_right else field, name, None))
    if how not in ("semi", "anti"):
        keys, taken = {name for _, name in on}, frozenset(left_names)
        for name in right_names:
            if name not in keys:
                field = _plain(right, name)
                field = field.with_nullable(True) if how in ("left", "full") else field
                label = name + suffix if name in taken else name
                columns.append(OutputColumn(field.with_name(label), None, name))
    if not columns:
        raise OptionError("the join's output has no columns; ask for at least one")
    _check_names(columns, suffix)
    return Layout(tuple(columns), tuple((a, b) for a, b in on), how, key_types)


def join_schema(left: pa.Schema, right: pa.Schema, on: KeyPairs, how: str, suffix: str = "_right") -> pa.Schema:
    """Give the schema of a join's output.

    >>> left, right = pa.schema({"k": pa.int32(), "a": pa.string()}), pa.schema({"k": pa.int64(), "a": pa.bool_()})
    >>> join_schema(left, right, [("k", "k")], "full")
    k: int64
    a: string
    a_right: bool

    The left columns, then the right ones without its keys; `semi` and `anti` have the left's alone. A right column
    whose name the left has gets `suffix`. A right or full join coalesces its keys, in the type both are compared in.
    """
    return plan_layout(left, right, on, how, suffix).schema


def _lone(how: str, without: Sequence[str], with_: Sequence[str], matched: Flags) -> Flags | None:
    if how in without:
        return ~matched
    return matched if how in with_ else None


def _plain(schema: pa.Schema, name: str) -> pa.Field:
    field = schema.field(name)
    return field.with_type(plain_type(field.type))


def _key_field(field: pa.Field, key_type: pa.DataType) -> pa.Field:
    return field.with_type(plain_type(key_type)).with_nullable(True)


def _check_names(columns: Sequence[OutputColumn], suffix: str) -> None:
    seen: dict[str, OutputColumn] = {}
    for column in columns:
        name = column.field.name
        if (column.left or column.right or "").startswith(RESERVED):
            raise SchemaMismatchError(f"column {name!r}: names that begin with {RESERVED!r} are reserved; rename it")
        if name in seen:
            raise SchemaMismatchError(
                f"two columns of the join would be called {name!r}, even with suffix {suffix!r};"
                " choose another suffix= or rename one"
            )
        seen[name] = column
