"""What notebooks show of collections: schema, plan, and first rows where these cost next to nothing.

Showing must be harmless: no user's function runs, nothing archived or far away is read, and what is read is said.
Every name and value is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.collection.result import Result
from esker.core.byte_size import format_bytes
from esker.core.explanation import Explanation
from esker.core.html import Html, join, tag
from esker.core.plan_words import short
from esker.plan.compile import compile_plan
from esker.plan.sketch import preview_cost

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset

PREVIEW_ROWS = 5
PREVIEW_COLUMNS = 20
# More than this is not read to show five rows.
PREVIEW_BYTES_MAX = 32 << 20
PREVIEW_MEMORY = "64MiB"
SCHEMA_COLUMNS = 200
CELL_CHARACTERS = 60
_TABLE = "border-collapse:collapse;margin:.4em 0;font:12px system-ui,sans-serif"
_CELL = "padding:.15em .7em;border-bottom:1px solid #8592a555;text-align:left"


def dataset_html(dataset: Dataset, title: str = "Dataset") -> str:
    """Show a Dataset: columns and types, the first rows where they are at hand, the plan."""
    return section(
        f"{title} · {len(dataset.columns):,} columns",
        schema_html(dataset.schema),
        preview_html(dataset),
        plan_html(dataset.sketch()),
    )


def section(title: str, *parts: Html | None) -> Html:
    """A heading and what follows it."""
    return tag("div", tag("strong", title), *parts, class_="esker")


def schema_html(schema: pa.Schema) -> Html:
    """Columns and types, folded away where they are many."""
    rows = [(field.name, field.type) for field in list(schema)[:SCHEMA_COLUMNS]]
    if len(schema) > SCHEMA_COLUMNS:
        rows.append((f"… and {len(schema) - SCHEMA_COLUMNS:,} more", ""))
    table = table_html(("column", "type"), rows)
    opened = {"open": "open"} if len(schema) <= 12 else {}
    return tag("details", tag("summary", "Schema"), table, **opened)


def plan_html(plan: Explanation) -> Html:
    """The plan as a picture."""
    return tag("details", tag("summary", "Plan"), Html(plan.draw("svg")), open="open")


def table_html(names: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table of short texts."""
    head = tag("tr", *(tag("th", _cell(name), scope="col", style=_CELL) for name in names))
    body = [tag("tr", *(tag("td", _cell(value), style=_CELL) for value in row)) for row in rows]
    return tag("table", tag("thead", head), tag("tbody", *body), style=_TABLE)


def note_html(text: str) -> Html:
    """A remark under a table."""
    return tag("p", text, style="margin:.3em 0;opacity:.75;font:12px system-ui,sans-serif")


def preview_html(dataset: Dataset) -> Html:
    """The first rows, and what reading them took at most; or why they are not shown."""
    cost = preview_cost(dataset._node)
    if cost is None:
        return note_html(
            "No rows are shown, as that would run the plan: .head(5).to_arrow() does, .explain() says what it reads."
        )
    if cost.bytes > PREVIEW_BYTES_MAX:
        return note_html(f"No rows are shown, as that would read {format_bytes(cost.bytes)}: .head(5).to_arrow() does.")
    shown = dataset.select(dataset.columns[:PREVIEW_COLUMNS]) if dataset.columns else dataset
    rows = _first(shown)
    more = len(dataset.columns) - len(shown.columns)
    words = f"The first {rows.num_rows} rows" + (f", {more:,} columns more" if more > 0 else "")
    read = f"; at most {format_bytes(cost.bytes)} were read" if cost.bytes else "; nothing was read for them"
    return join(table_html(rows.column_names, _rows(rows)), note_html(words + read + "."))


def _first(dataset: Dataset) -> pa.Table:
    # With little memory and no log: this is no run of the user's.
    options = replace(dataset._options, memory=PREVIEW_MEMORY, threads=1, log=None, progress=None)
    context = options.context(runs=False)
    return Result(compile_plan(dataset.head(PREVIEW_ROWS)._node, context), context).to_arrow()


def _rows(table: pa.Table) -> list[list[Any]]:
    columns = [column.to_pylist() for column in table.columns]
    return [list(values) for values in zip(*columns, strict=True)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    # Not the whole of a long value: its text may be megabytes.
    text = value if isinstance(value, str) else repr(value[:40]) if isinstance(value, bytes | list) else str(value)
    return short(text, CELL_CHARACTERS)
