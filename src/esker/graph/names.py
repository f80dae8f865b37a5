"""What the columns of a graph are called, and the one type its ids are compared in."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from esker.core.batch import plain_type, require_columns
from esker.errors import InputError, SchemaMismatchError, UnsupportedTypeError
from esker.join.key_types import common_key_type


@dataclass(frozen=True)
class Names:
    """Columns of a graph: `id` of the vertices, `src` and `dst` of the edges."""

    id: str = "id"
    src: str = "src"
    dst: str = "dst"

    @property
    def ends(self) -> list[str]:
        """Both columns that an edge says its vertices by."""
        return [self.src, self.dst]


def id_type(vertices: pa.Schema | None, edges: pa.Schema, names: Names) -> pa.DataType:
    """Check that the columns are there and their types meet; give the type all ids are compared in.

    >>> id_type(None, pa.schema({"src": pa.int32(), "dst": pa.int64()}), Names())
    DataType(int64)

    Raises UnknownColumnError, UnsupportedTypeError (floats, booleans, nested types), and SchemaMismatchError where
    some ids are, for example, numbers and others strings.
    """
    if names.src == names.dst:
        raise InputError(f"src= and dst= both name the column {names.src!r}; an edge needs two")
    require_columns(names.ends, edges, "the edges")
    fields = [edges.field(names.src), edges.field(names.dst)]
    if vertices is not None:
        require_columns([names.id], vertices, "the vertices")
        fields.insert(0, vertices.field(names.id))
    for field in fields:
        _check(field)
    try:
        common = fields[0]
        for field in fields[1:]:
            common = common.with_type(common_key_type(common, field))
    except SchemaMismatchError as error:
        shown = ", ".join(f"{field.name!r} is {field.type}" for field in fields)
        raise SchemaMismatchError(
            f"the ids of a graph are of one type, but {shown}; cast some of them first"
        ) from error
    return plain_type(common.type)


def _check(field: pa.Field) -> None:
    type_ = plain_type(field.type)
    if (
        pa.types.is_nested(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_null(type_)
        or pa.types.is_interval(type_)
    ):
        raise UnsupportedTypeError(
            f"column {field.name!r} is {field.type}, which cannot be the id of a vertex; use whole numbers, strings,"
            " binary, decimals or times"
        )
