"""SQL text to the tree: sqlglot reads it, `reader` takes the part of SQL that predicates are."""

from __future__ import annotations

import re
from typing import Any

from esker.errors import PredicateError
from esker.expression.nodes import And, Expression, VectorRange
from esker.expression.reader import Reader

_VECTORS = re.compile(r"\s*R\s*:", re.IGNORECASE)
_RANGE = re.compile(r"\s*\[\s*(\d{1,18})\s*,\s*(\d{1,18})\s*\]\s*")


def parse(text: str) -> Expression:
    """Read a predicate in SQL (DuckDB's and PostgreSQL's words).

    >>> parse("age > 50 AND name LIKE 'A%'").parts[0]
    Compare(op='>', left=Column(name='age'), right=Literal(value=<pyarrow.Int64Scalar: 50>))
    >>> parse("age > ")
    Traceback (most recent call last):
        ...
    esker.errors.PredicateError: cannot read the predicate: something is missing after '>' [ESK-102]
      age >
          ^

    A text that begins with `R:` is the range query of source 004, over the numbers of an index's vectors:

    >>> parse("R:[2,3]&[4,6]")
    And(parts=(VectorRange(first=2, last=3), VectorRange(first=4, last=6)))

    Raises PredicateError with the position for a syntax error, and for SQL that is no predicate on one row, such as a
    subquery or an aggregate.
    """
    if not isinstance(text, str):
        raise PredicateError(f"a predicate is a text, such as 'age > 50', not {text!r}")
    if _VECTORS.match(text):
        return _vector_ranges(text)
    from sqlglot import exp, parse_one
    from sqlglot.errors import ParseError, TokenError

    shown = text.replace("\n", " ").rstrip()
    if not text.strip().rstrip(";"):
        raise PredicateError("the predicate is empty; write for example: age > 50")
    try:
        tree = parse_one(text, read="duckdb", into=exp.Condition)
        return Reader(shown).read(tree)
    except ParseError as error:
        raise _syntax_error(text, shown, error) from error
    except TokenError as error:
        place = _open_quote(text)
        raise PredicateError("cannot read the predicate: a quote is not closed", shown, place) from error
    except RecursionError as error:
        raise PredicateError("cannot read the predicate: it is nested too deeply") from error


def _vector_ranges(text: str) -> Expression:
    ranges, position = [], text.index(":") + 1
    while True:
        found = _RANGE.match(text, position)
        if found is None or int(found[1]) > int(found[2]):
            raise PredicateError("expected a range of vectors, such as [2,3]", text, position)
        ranges.append(VectorRange(int(found[1]), int(found[2])))
        position = found.end()
        if position == len(text):
            return ranges[0] if len(ranges) == 1 else And(tuple(ranges))
        if text[position] != "&":
            raise PredicateError("expected & between ranges of vectors", text, position)
        position += 1


def _syntax_error(text: str, shown: str, error: Any) -> PredicateError:
    first = error.errors[0] if error.errors else {}
    if not first.get("line"):
        return PredicateError("cannot read the predicate", shown, 0)
    # sqlglot counts lines from 1, and columns to the end of the token.
    before = sum(len(line) + 1 for line in text.split("\n")[: first["line"] - 1])
    token = str(first.get("highlight") or "")
    offset = max(min(before + first["col"] - len(token), len(shown)), 0)
    if "Required keyword" in str(first.get("description")):
        return PredicateError(f"cannot read the predicate: something is missing after {token!r}", shown, offset)
    return PredicateError(f"cannot read the predicate: did not expect {token!r}", shown, offset)


def _open_quote(text: str) -> int | None:
    """Where the quote begins that has no end."""
    rest = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", lambda match: " " * len(match.group()), text)
    places = [rest.find(quote) for quote in "'\"" if quote in rest]
    return min(places) if places else None
