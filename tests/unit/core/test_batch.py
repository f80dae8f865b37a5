from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from esker.core.batch import cast_batch, conform, plain_schema, to_batches, to_reader
from esker.errors import InputError, SchemaMismatchError


@pytest.mark.parametrize(
    "source",
    [
        pa.table({"a": [1, 2]}),
        pa.record_batch({"a": [1, 2]}),
        pa.table({"a": [1, 2]}).to_reader(),
        pl.DataFrame({"a": [1, 2]}),
        {"a": [1, 2]},
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_arrow_object_is_read(source: object) -> None:
    assert to_reader(source).read_all().to_pydict() == {"a": [1, 2]}


def test_what_does_not_speak_arrow_is_named() -> None:
    with pytest.raises(InputError, match="int does not speak Arrow"):
        to_reader(5)


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        (None, []),
        ({"a": 1}, [{"a": 1}]),
        ({"a": [1, 2]}, [{"a": 1}, {"a": 2}]),
        ([{"a": 1}], [{"a": 1}]),
        ([], []),
        (pa.table({"a": [3]}), [{"a": 3}]),
        ([pa.table({"a": [3]}), {"a": 4}], [{"a": 3}, {"a": 4}]),
    ],
)
def test_what_a_function_returns_becomes_rows(result: object, rows: list[dict[str, int]]) -> None:
    schema = pa.schema({"a": pa.int32()})
    batches = list(to_batches(result, schema))
    assert all(batch.schema.equals(schema) for batch in batches)
    assert [row for batch in batches for row in batch.to_pylist()] == rows


def test_a_result_with_other_columns_is_refused_by_name() -> None:
    with pytest.raises(SchemaMismatchError, match="'a'"):
        conform(pa.record_batch({"b": [1]}), pa.schema({"a": pa.int64()}))
    with pytest.raises(SchemaMismatchError, match="unexpected column 'b'"):
        conform(pa.record_batch({"a": [1], "b": [1]}), pa.schema({"a": pa.int64()}))
    with pytest.raises(SchemaMismatchError, match="column 'a' is string"):
        conform(pa.record_batch({"a": ["x"]}), pa.schema({"a": pa.int64()}))


def test_views_and_dictionaries_become_plain_with_the_same_values() -> None:
    batch = pa.record_batch(
        {
            "view": pa.array(["x", None, "a string longer than twelve bytes"], pa.string_view()),
            "dictionary": pa.array(["x", "y", None]).dictionary_encode(),
        }
    )
    plain = cast_batch(batch, plain_schema(batch.schema))
    assert plain.schema.types == [pa.string(), pa.string()]
    assert plain.to_pylist() == batch.to_pylist()
