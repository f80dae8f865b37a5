"""A predicate in whatever words: SQL, the source's ranges of vectors, a Polars or pyarrow expression, or our tree."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.binder import bind
from esker.expression.nodes import Expression
from esker.expression.parser import parse
from esker.expression.simplifier import simplify


def read_predicate(predicate: Any, schema: pa.Schema) -> Expression:
    """Read a predicate, bind it to a schema and simplify it.

    >>> import pyarrow.compute as pc
    >>> schema = pa.schema([("age", pa.int32())])
    >>> from esker.expression import to_sql
    >>> to_sql(read_predicate("NOT age >= 50", schema)), to_sql(read_predicate(pc.field("age") < 50, schema))
    ('"age" < 50', '"age" < 50')

    Raises PredicateError for what is none of these, or has a part that we do not know.
    """
    return simplify(bind(_tree(predicate, schema), schema))


def _tree(predicate: Any, schema: pa.Schema) -> Expression:
    if isinstance(predicate, Expression):
        return predicate
    if isinstance(predicate, str):
        return parse(predicate)
    module = type(predicate).__module__.partition(".")[0]
    if module == "polars":
        from esker.expression.from_polars import from_polars

        return from_polars(predicate)
    if module == "pyarrow":
        from esker.expression.from_pyarrow import from_pyarrow

        return from_pyarrow(predicate, schema)
    raise PredicateError(f"a predicate is SQL text, a Polars or a pyarrow expression, not {type(predicate).__name__}")
