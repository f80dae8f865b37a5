"""A Polars expression as our tree, read from the JSON that Polars writes of it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa

from esker.errors import PredicateError
from esker.expression.nodes import (
    And,
    Arithmetic,
    Call,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    IsNull,
    Literal,
    Negate,
    Not,
    Or,
)

_AND = ("And", "LogicalAnd")
_COMPARE: dict[str, CompareOp] = {"Eq": "=", "NotEq": "!=", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_ARITHMETIC = {"Plus": "+", "Minus": "-", "Multiply": "*"}
_TEXTS = {"StartsWith": "starts_with", "EndsWith": "ends_with"}
_NAMES = {"Lowercase": "lower", "Uppercase": "upper"}
_TIMES = {"Year": "year", "Month": "month", "Day": "day", "Hour": "hour", "Minute": "minute", "Quarter": "quarter"}


def from_polars(expression: Any) -> Expression:
    """Translate a Polars expression; PredicateError names what has no like in a predicate of ours.

    >>> import polars as pl
    >>> from esker.expression import to_sql
    >>> to_sql(from_polars((pl.col("age") > 50) & pl.col("city").is_in(["Tacoma", None])))
    '"age" > 50 AND "city" IN (\\'Tacoma\\')'

    Polars documents the JSON as unstable: shapes we do not know are refused, never guessed.
    """
    return _read(_tree(expression))


def known_conjuncts(expression: Any) -> list[Expression]:
    """Translate those parts between the outer ANDs that have a like in ours: together they let more rows pass.

    >>> import polars as pl
    >>> from esker.expression import to_sql
    >>> [to_sql(part) for part in known_conjuncts((pl.col("age") > 50) & (pl.col("age").sqrt() < 8))]
    ['"age" > 50']
    """
    found, pending = [], [_tree(expression)]
    while pending:
        node = pending.pop()
        body = node.get("BinaryExpr") if isinstance(node, dict) else None
        if isinstance(body, dict) and body.get("op") in _AND:
            pending += [body["right"], body["left"]]
            continue
        with suppress(PredicateError):
            found.append(_read(node))
    return found


def _tree(expression: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return json.loads(expression.meta.serialize(format="json"))


def _read(node: Any) -> Expression:
    if not isinstance(node, dict) or len(node) != 1:
        raise _unknown(node)
    ((kind, body),) = node.items()
    if kind == "Column":
        return Column(str(body))
    if kind == "Literal":
        values = _values(node)
        return Literal(values[0])
    if kind == "Alias":
        return _read(body[0])
    if kind == "BinaryExpr":
        return _binary(body)
    if kind == "Function":
        return _function(body)
    raise _unknown(kind)


def _binary(body: Mapping[str, Any]) -> Expression:
    op, left, right = str(body["op"]), _read(body["left"]), _read(body["right"])
    if op in _COMPARE:
        return Compare(_COMPARE[op], left, right)
    if op in _AND:
        return And((left, right))
    if op in ("Or", "LogicalOr"):
        return Or((left, right))
    if op in _ARITHMETIC:
        return Arithmetic(_ARITHMETIC[op], left, right)  # type: ignore[arg-type]  # the table's values are operators
    raise _unknown(op)


def _function(body: Mapping[str, Any]) -> Expression:
    inputs, function = body["input"], body["function"]
    if not isinstance(function, dict) or len(function) != 1:
        if function == "Negate":
            return Negate(_read(inputs[0]))
        raise _unknown(function)
    ((family, named),) = function.items()
    options: Any = {}
    if isinstance(named, dict):
        ((named, options),) = named.items()
    part = _read(inputs[0])
    if family == "Boolean":
        return _boolean(str(named), options, part, inputs)
    if family == "StringExpr" and named in _TEXTS:
        return Call(_TEXTS[named], (part, _read(inputs[1])))
    if family == "StringExpr" and named == "Contains" and isinstance(options, dict) and options.get("literal"):
        return Call("contains", (part, _read(inputs[1])))
    if family == "StringExpr" and named in _NAMES:
        return Call(_NAMES[named], (part,))
    if family == "TemporalExpr" and named in _TIMES:
        return Call(_TIMES[named], (part,))
    raise _unknown(f"{family} {named}")


def _boolean(name: str, options: Any, part: Expression, inputs: list[Any]) -> Expression:
    if name == "Not":
        return Not(part)
    if name in ("IsNull", "IsNotNull"):
        return IsNull(part) if name == "IsNull" else Not(IsNull(part))
    if name in ("IsNan", "IsNotNan"):
        found = Call("isnan", (part,))
        return found if name == "IsNan" else Not(found)
    if name == "IsBetween":
        closed = options.get("closed", "Both")
        low: CompareOp = ">=" if closed in ("Both", "Left") else ">"
        high: CompareOp = "<=" if closed in ("Both", "Right") else "<"
        return And((Compare(low, part, _read(inputs[1])), Compare(high, part, _read(inputs[2]))))
    if name == "IsIn" and not (isinstance(options, dict) and options.get("nulls_equal")):
        values = _values(inputs[1])
        if len(values) == 1 and isinstance(values[0], pa.ListScalar):
            values = values[0].values
        known = [value for value in values if value.is_valid]
        # A null in the list is equal to nothing, and makes nothing null.
        if not known:
            return And((Not(IsNull(part)), Literal(pa.scalar(False))))
        return InList(part, tuple(Literal(value) for value in known))
    raise _unknown(name)


def _values(node: Mapping[str, Any]) -> pa.Array:
    """What a literal holds; Polars reads its own spelling of it."""
    import warnings

    import polars

    if "Literal" not in node:
        raise _unknown(node)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        literal = polars.Expr.deserialize(io.BytesIO(json.dumps(node).encode()), format="json")
    values = polars.select(literal).to_series().to_arrow()
    return _plain(values)


def _plain(values: pa.Array) -> pa.Array:
    """Without views, which few kernels take."""
    type_ = values.type
    if pa.types.is_large_list(type_) and type_.value_type in (pa.string_view(), pa.large_string()):
        return values.cast(pa.large_list(pa.string()))
    if type_ in (pa.string_view(), pa.large_string()):
        return values.cast(pa.string())
    return values.cast(pa.binary()) if type_ in (pa.binary_view(), pa.large_binary()) else values


def _unknown(what: Any) -> PredicateError:
    shown = json.dumps(what)[:80] if not isinstance(what, str) else what
    return PredicateError(
        f"the Polars expression has {shown}, which has no like here; filter by it afterwards, or write SQL text"
    )
