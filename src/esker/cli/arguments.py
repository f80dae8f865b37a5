"""Arguments that several commands share, and how their words are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esker.cli.options import name_and_value, split_words
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.index import ColumnSpec

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Parquet, CSV or Arrow files, or a frozen folder.")]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write rows to .parquet, .csv or .arrow; - is stdout."),
]
Format = Annotated[
    str, typer.Option(metavar="FORMAT", help="On stdout: csv, jsonl or arrow; auto is a table, or CSV in a pipe.")
]
On = Annotated[
    list[str] | None, typer.Option(metavar="KEY", help="Key column, or left=right where names differ. Repeatable.")
]
How = Annotated[str, typer.Option(metavar="KIND", help="inner, left, right, full, semi or anti.")]
Algorithm = Annotated[str, typer.Option(metavar="NAME", help="auto chooses by cost; asj, hash, ... force one.")]

# Of commands that run no query of the user's; those that do take them with the others of esker.cli.options.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Authority = Annotated[Path | None, typer.Option("--tls-ca", metavar="FILE", help="TLS: whose certificates to trust.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def names_of(words: list[str] | None) -> list[str]:
    """Column names, from repeated options and commas.

    >>> names_of(["origin,dest", "month"])
    ['origin', 'dest', 'month']
    """
    return [name for word in words or [] for name in split_words(word)]


def key_pairs(words: list[str] | None) -> tuple[list[str], list[str]]:
    """The key columns of the left and of the right side.

    >>> key_pairs(["origin", "dest=faa"])
    (['origin', 'dest'], ['origin', 'faa'])
    """
    pairs = [name_and_value(name, "on") if "=" in name else (name, name) for name in names_of(words)]
    if not pairs:
        raise OptionError("name the key columns: --on origin, or --on left=right")
    return [left for left, _ in pairs], [right for _, right in pairs]


def index_of(words: list[str] | None) -> dict[str, str | ColumnSpec]:
    """Which columns get a bitmap index, and of which kind.

    >>> index_of(["month,carrier", "day:range", "when:time_quantum=day"])
    {'month': 'equality', 'carrier': 'equality', 'day': 'range', 'when': TimeQuantum(finest='day')}

    Bins take edges, a number of quantiles, or a number of equal widths: `delay:bins=0,15,60`, `delay:quantiles=100`,
    `delay:widths=20`; a layout may follow: `delay:bins=0,15,60:range`.
    """
    found: dict[str, str | ColumnSpec] = {}
    for word in words or []:
        column, colon, kind = word.partition(":")
        if not colon:
            found |= dict.fromkeys(split_words(word), "equality")
        else:
            found[column.strip()] = _index_kind(column.strip(), kind.strip())
    return found


def _index_kind(column: str, kind: str) -> str | ColumnSpec:
    words, _, layout = kind.rpartition(":") if kind.endswith((":range", ":interval", ":equality")) else (kind, "", "")
    name, equals, value = words.partition("=")
    if not equals:
        return kind
    from esker.index import Bins, TimeQuantum

    layout = layout or "equality"
    try:
        if name == "bins":
            return Bins([_edge(edge) for edge in split_words(value)], layout=layout)
        if name == "quantiles":
            return Bins.quantile(int(value), layout=layout)
        if name == "widths":
            return Bins.equal_width(int(value), layout=layout)
    except ValueError as error:
        raise OptionError(f"--index {column}:{kind}: {error}; write {column}:bins=0,15,60") from error
    if name == "time_quantum":
        return TimeQuantum(value)
    raise OptionError(f"--index {column}:{kind}: there is bins=, quantiles=, widths= and time_quantum=")


def _edge(text: str) -> int | float | str:
    """A number, or a date or time in the column's own type: 2013-07-01."""
    if text[:4].isdigit() and text[4:5] == "-":
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)
