"""Between the types users have and the types pages hold: every cast of the shuffle is here, in sight."""

from __future__ import annotations

import pyarrow as pa


def to_page_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with extension types as what they are stored as; everything else goes in as it is."""
    return pa.schema([field.with_type(_storage(field.type)) for field in schema])


def to_page_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of `to_page_schema`, without a copy."""
    if not any(isinstance(field.type, pa.BaseExtensionType) for field in batch.schema):
        return batch
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=to_page_schema(batch.schema))


def to_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch from a page in the user's schema: views become strings and binaries again, the rest is not copied."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [_to_type(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _storage(type_: pa.DataType) -> pa.DataType:
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def _to_type(column: pa.Array, type_: pa.DataType) -> pa.Array:
    if column.type == type_:
        return column
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, _to_type(column, type_.storage_type))
    return column.cast(type_)
