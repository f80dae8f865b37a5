"""Which schemas can be frozen, and what their columns become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from esker.core.batch import cast_batch, plain_schema, plain_type, require_columns
from esker.errors import OptionError, SchemaMismatchError, UnsupportedTypeError
from esker.formats.parquet import leaf_paths


def frozen_schema(schema: pa.Schema, hot_columns: Sequence[str]) -> pa.Schema:
    """Give the schema as it will be stored: views and dictionaries become plain columns.

    Raises UnsupportedTypeError for a type that Parquet cannot hold, and for a hot column that is nested.
    """
    if not schema.names:
        raise SchemaMismatchError("there is nothing to freeze: the input has no columns")
    double = next((name for name, count in Counter(schema.names).items() if count > 1), None)
    if double is not None:
        raise SchemaMismatchError(f"two columns are named {double!r}; rename one before freezing")
    if not hot_columns:
        raise OptionError("name at least one hot column: a key, or a column to find rows by")
    require_columns(hot_columns, schema, "the data to freeze")
    plain = plain_schema(schema)
    for field in plain:
        _require_storable(field, hot=field.name in hot_columns)
    return plain


def fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring a batch to the stored schema by position; names, types and nulls must agree."""
    if batch.schema.names != schema.names:
        raise SchemaMismatchError(
            f"a batch has the columns {', '.join(batch.schema.names)}; the schema says {', '.join(schema.names)}"
        )
    for found, field in zip(batch.schema, schema, strict=True):
        if plain_type(found.type) != field.type:
            raise SchemaMismatchError(f"column {field.name!r} of a batch is {found.type}; the schema says {field.type}")
        if not field.nullable and batch.column(field.name).null_count:
            raise SchemaMismatchError(f"column {field.name!r} has nulls; the schema says it has none")
    return cast_batch(batch, schema)


def _require_storable(field: pa.Field, *, hot: bool) -> None:
    type_ = field.type
    if hot and (pa.types.is_nested(type_) or pa.types.is_null(type_)):
        raise UnsupportedTypeError(
            f"column {field.name!r} is {type_} and cannot be hot; name one of its fields as a column of its own"
        )
    leaf_paths(field)
