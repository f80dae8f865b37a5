"""The one document of an evaluation: sections of rows, with what a table and a plot of each need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any

from esker.errors import InputError

SCHEMA = "esker.bench.shuffle"
VERSION = 1
# How a value is written: see `written`.
FORMS = ("text", "count", "ratio", "number", "bytes", "disturbed")


@dataclass(frozen=True)
class Column:
    """A column of a section: its name in a row, its heading, and how its values are written."""

    name: str
    heading: str
    form: str = "text"


@dataclass(frozen=True)
class Plot:
    """What a section's plot shows: `y` over `x`, one line or bar for each value of `series`, a panel for each of
    `panels`."""

    x: str
    y: str
    series: str
    panels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pivot:
    """How a section of many rows is shown in fewer: a table for each value of `panels`, a line for each of `rows`, a
    column for each value of `across`. `cell` has the columns that a cell shows, in braces."""

    panels: tuple[str, ...]
    rows: tuple[str, ...]
    across: str
    cell: str


@dataclass(frozen=True)
class Section:
    """One section: what was measured, row by row, and what a reader must know beside it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Any]]
    plot: Plot
    notes: tuple[str, ...] = ()
    pivot: Pivot | None = None

    def to_json(self) -> dict[str, Any]:
        """The section as JSON has it."""
        return {**asdict(self), "rows": [dict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Section:
        """The section that `to_json` wrote."""
        plot, pivot = content["plot"], content["pivot"]
        return cls(
            content["name"],
            content["title"],
            tuple(Column(**column) for column in content["columns"]),
            content["rows"],
            Plot(plot["x"], plot["y"], plot["series"], tuple(plot["panels"])),
            tuple(content["notes"]),
            pivot and Pivot(tuple(pivot["panels"]), tuple(pivot["rows"]), pivot["across"], pivot["cell"]),
        )


@dataclass(frozen=True)
class Evaluation:
    """Sections, the machine they were measured on, and what was asked for."""

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    sections: Sequence[Section] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The document that `--json` writes."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "sections": [section.to_json() for section in self.sections],
        }

    @classmethod
    def from_json(cls, content: Any) -> Evaluation:
        """The evaluation of a document; InputError says what is wrong with it."""
        check_document(content)
        sections = [Section.from_json(section) for section in content["sections"]]
        return cls(content["machine"], content["settings"], sections)


def check_document(content: Any) -> None:
    """Raise InputError unless `content` is a document of this version.

    >>> check_document({"schema": "another"})
    Traceback (most recent call last):
        ...
    esker.errors.InputError: not an evaluation: 'schema' is not 'esker.bench.shuffle' [ESK-100]
    """
    _require(isinstance(content, Mapping), "it is no object")
    for name, wanted in (("schema", SCHEMA), ("version", VERSION)):
        _require(content.get(name) == wanted, f"{name!r} is not {wanted!r}")
    for name, kind in (("machine", Mapping), ("settings", Mapping), ("sections", list)):
        _require(isinstance(content.get(name), kind), f"{name!r} is missing")
    for section in content["sections"]:
        _require(isinstance(section, Mapping), "a section is no object")
        _check_section(section)


def _check_section(section: Mapping[str, Any]) -> None:
    name = section.get("name")
    for key, kind in (
        ("name", str),
        ("title", str),
        ("columns", Sequence),
        ("rows", Sequence),
        ("plot", Mapping),
        ("notes", Sequence),
        ("pivot", Mapping | None),
    ):
        _require(key in section and isinstance(section[key], kind), f"section {name!r} has no {key!r}")
    names = set()
    for column in section["columns"]:
        _require(set(column) == {"name", "heading", "form"}, f"section {name!r}: a column is not name, heading, form")
        _require(column["form"] in FORMS, f"section {name!r}: no form {column['form']!r}")
        names.add(column["name"])
    for row in section["rows"]:
        _require(names <= set(row), f"section {name!r}: a row lacks {sorted(names - set(row))}")
    plot = section["plot"]
    used = {plot.get("x"), plot.get("y"), plot.get("series"), *plot.get("panels", ())}
    if (pivot := section.get("pivot")) is not None:
        used |= {*pivot["panels"], *pivot["rows"], pivot["across"]}
        used |= {field for _, field, _, _ in Formatter().parse(pivot["cell"]) if field}
    _require(
        used <= names,
        f"section {name!r}: its plot or table uses {sorted(map(str, used - names))}, which are no columns",
    )


def _require(holds: bool, fault: str) -> None:
    if not holds:
        raise InputError(f"not an evaluation: {fault}")
