"""Figures 2 to 8 of the paper as tables: the closed form, the simulation, and the real operators where they ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esker.bench.document import Column, Plot, Section
from esker.bench.paper import model
from esker.bench.paper.claims import rate_point
from esker.bench.paper.operators import Measured
from esker.bench.paper.series import R_GB, RATES, REDUCING, SHARES, Series, on_disk_point
from esker.bench.paper.setting import Setting
from esker.errors import OptionError

CLOSED, SIMULATED, OPERATOR = "closed", "simulated", "operator"


@dataclass(frozen=True)
class Figure:
    """A figure: its columns, its rows by column name, and what is drawn of them, by line."""

    number: int
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Any]]
    lines: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Columns by name, and rows as lists in their order."""
        names = [column.name for column in self.columns]
        return {"columns": names, "rows": [[_plain(row[name]) for name in names] for row in self.rows]}

    def table(self) -> Section:
        """The figure as a section that `print_section` prints."""
        x = self.columns[0].name
        return Section(f"figure-{self.number}", self.title, self.columns, self.rows, Plot(x, x, x), self.notes)

    def drawing(self) -> Section:
        """The figure as a section that `write_plots` draws: a row for each point of each line."""
        x = self.columns[0]
        points = [
            {x.name: f"{row[x.name]:g}", "value": row[name], "line": line}
            for line, name in self.lines.items()
            for row in self.rows
            if row[name] is not None
        ]
        columns = (x, Column("value", "seconds"), Column("line", "line"))
        return Section(f"figure-{self.number}", self.title, columns, points, Plot(x.name, "value", "line"))


@dataclass(frozen=True)
class Extent:
    """How much is run: points of the simulation, and for which of them the real operators run too."""

    r_gb: tuple[int, ...] = R_GB
    reducing: tuple[int, ...] = REDUCING
    shares: tuple[float, ...] = SHARES
    rates: tuple[float, ...] = RATES
    asj_r_gb: tuple[int, ...] = (1, 2, 3, 5, 10)
    ctt_gh_r_gb: tuple[int, ...] = (1, 2)
    half_r_gb: tuple[int, ...] = (1,)
    asj_reducing: tuple[int, ...] = (10, 50, 100)
    asj_shares: tuple[float, ...] = (0.1, 0.3)
    disk_r_gb: tuple[int, ...] = (1, 4)
    asj_rates: tuple[float, ...] = (0.3,)

    @classmethod
    def quick(cls) -> Extent:
        """A few points of each figure."""
        return cls(
            (1, 2, 6, 10), (10, 20, 50, 100), (0.1, 0.3, 1.0), (0.1, 0.3, 1.0), (1,), (1,), (), (100,), (), (1,), ()
        )


def make_figure(number: int, series: Series, extent: Extent) -> Figure:
    """Make one; OptionError for a figure that there is not."""
    check_figures([number])
    return FIGURES[number](series, extent)


def check_figures(numbers: Sequence[int]) -> None:
    """Raise OptionError for a figure that there is not."""
    for number in numbers:
        if number not in FIGURES:
            raise OptionError(f"there is no figure {number} to make; there is: {', '.join(map(str, FIGURES))}")


def _three(row: dict[str, Any], name: str, series: Series, algorithm: str, point: Setting, *, measure: bool) -> None:
    """Add the seconds of an algorithm three times: by closed form, simulated, and measured if it is."""
    row[f"{name}_{CLOSED}"] = series.closed(algorithm, point).seconds
    row[f"{name}_{SIMULATED}"] = series.simulated(algorithm, point).seconds
    found = series.measured(algorithm, point) if measure else None
    row[f"{name}_{OPERATOR}"] = None if found is None else found.seconds


def _columns(name: str, heading: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_{CLOSED}", f"{heading}, closed form, s", "number"),
        Column(f"{name}_{SIMULATED}", f"{heading}, simulated, s", "number"),
        Column(f"{name}_{OPERATOR}", f"{heading}, operator, s", "number"),
    )


def _lines(names: Mapping[str, str], kinds: Sequence[str] = (CLOSED, SIMULATED, OPERATOR)) -> dict[str, str]:
    return {f"{heading}, {kind}": f"{name}_{kind}" for name, heading in names.items() for kind in kinds}


def _counts(found: Measured | None, *names: str) -> str | None:
    return None if found is None else "/".join(str(found.counts.get(name, 0)) for name in names)


def _figure_2(series: Series, extent: Extent) -> Figure:
    rows = []
    for r in extent.r_gb:
        point = Setting.of_r(r)
        row: dict[str, Any] = {"r_gb": r}
        _three(row, "asj", series, "asj", point, measure=r in extent.asj_r_gb)
        _three(row, "ctt_gh", series, "ctt_gh", point, measure=r in extent.ctt_gh_r_gb)
        _three(row, "ctt_gh_half", series, "ctt_gh_half", point, measure=r in extent.half_r_gb)
        asj, whole, half = (series.simulated(name, point) for name in ("asj", "ctt_gh", "ctt_gh_half"))
        row["ratio"] = whole.seconds / asj.seconds
        row["ratio_half"] = half.seconds / asj.seconds
        row |= {"scans_1": whole.counts["scans_1"], "scans_2": whole.counts["scans_2"], "passes": asj.counts["passes"]}
        measured = series.measured("ctt_gh", point) if r in extent.ctt_gh_r_gb else None
        row["operator_scans"] = _counts(measured, "scans_1", "scans_2")
        measured = series.measured("asj", point) if r in extent.asj_r_gb else None
        row["operator_passes"] = _counts(measured, "passes")
        rows.append(row)
    return Figure(
        2,
        "Figure 2: the influence of the size of the data set (c = 10, ||JRI|| = 0.1 ||S||, 650 MB of disk)",
        (
            Column("r_gb", "R, GB", "count"),
            *_columns("asj", "ASJ"),
            *_columns("ctt_gh", "CTT-GH"),
            *_columns("ctt_gh_half", "CTT-GH, half the disk"),
            Column("ratio", "CTT-GH / ASJ", "ratio"),
            Column("ratio_half", "half the disk / ASJ", "ratio"),
            Column("scans_1", "scans I", "count"),
            Column("scans_2", "scans II", "count"),
            Column("passes", "passes", "count"),
            Column("operator_scans", "operator's scans"),
            Column("operator_passes", "operator's passes"),
        ),
        rows,
        _lines({"asj": "ASJ", "ctt_gh": "CTT-GH", "ctt_gh_half": "CTT-GH, half the disk"}, (CLOSED, SIMULATED)),
        ("Ratios and counts are those of the simulation.",),
    )


def _figure_3(series: Series, extent: Extent) -> Figure:
    rows = []
    phases = ("separate", "join", "materialise")
    for r in extent.r_gb:
        point = Setting.of_r(r)
        closed, simulated = series.closed("asj", point), series.simulated("asj", point)
        measured = series.measured("asj", point) if r in extent.asj_r_gb else None
        row: dict[str, Any] = {"r_gb": r, "method": simulated.method}
        for phase in phases:
            row[f"{phase}_{CLOSED}"] = closed.phases[phase]
            row[f"{phase}_{SIMULATED}"] = simulated.phases[phase]
            row[f"{phase}_{OPERATOR}"] = None if measured is None else measured.phases[phase]
        row["join_share"] = simulated.phases["join"] / simulated.seconds
        rows.append(row)
    columns = [column for phase in phases for column in _columns(phase, phase)]
    return Figure(
        3,
        "Figure 3: the phases of ASJ, and the share of its join phase",
        (
            Column("r_gb", "R, GB", "count"),
            *columns,
            Column("join_share", "share of join", "number"),
            Column("method", "keys are joined by"),
        ),
        rows,
        _lines({phase: phase for phase in phases}, (CLOSED, SIMULATED)),
        ("The operators keep cartridges in their drives from phase to phase, and rewind in the phase that needs it.",),
    )


def _figure_4(series: Series, extent: Extent) -> Figure:
    rows = []
    least = model.least_seconds(Setting.of_r(10))
    for c in extent.reducing:
        point = Setting.of_r(10, c=c)
        row: dict[str, Any] = {"c": c}
        _three(row, "asj", series, "asj", point, measure=c in extent.asj_reducing)
        found = series.simulated("asj", point)
        row["join_closed"] = series.closed("asj", point).phases["join"]
        row["join_simulated"] = found.phases["join"]
        row |= {"passes": found.counts["passes"], "of_least": found.seconds / least}
        rows.append(row)
    return Figure(
        4,
        "Figure 4: the influence of the reducing ratio (R = 10 GB, ||JRI|| = 0.1 ||S||)",
        (
            Column("c", "c", "count"),
            *_columns("asj", "ASJ"),
            Column("join_closed", "join, closed form, s", "number"),
            Column("join_simulated", "join, simulated, s", "number"),
            Column("passes", "passes", "count"),
            Column("of_least", "of the least I/O", "ratio"),
        ),
        rows,
        _lines({"asj": "ASJ"}),
    )


def _figure_5(series: Series, extent: Extent) -> Figure:
    rows = []
    whole, half = (series.simulated(name, Setting.of_r(10)).seconds for name in ("ctt_gh", "ctt_gh_half"))
    for share in extent.shares:
        point = Setting.of_r(10, f=share)
        row: dict[str, Any] = {"jri_of_s": share}
        _three(row, "asj", series, "asj", point, measure=share in extent.asj_shares)
        found = series.simulated("asj", point)
        row["passes"] = found.counts["passes"]
        row |= {"of_ctt_gh": found.seconds / whole, "of_ctt_gh_half": found.seconds / half}
        rows.append(row)
    return Figure(
        5,
        "Figure 5: the influence of the cardinality of JRI (R = 10 GB, c = 10)",
        (
            Column("jri_of_s", "JRI / S, tuples", "number"),
            *_columns("asj", "ASJ"),
            Column("passes", "passes", "count"),
            Column("of_ctt_gh", "of CTT-GH", "ratio"),
            Column("of_ctt_gh_half", "of CTT-GH, half the disk", "ratio"),
        ),
        rows,
        _lines({"asj": "ASJ"}),
    )


_DISK_JOINS = {"grace": "Grace", "sort_merge": "sort-merge", "nested_loop": "nested loop"}
# Sort-merge is left to the simulation: the operator takes minutes at a scale at which memory is 200 KB.
_MEASURED_DISK_JOINS = {"grace": (1, 4), "nested_loop": (1,)}


def _figure_6(series: Series, extent: Extent) -> Figure:
    rows = []
    for r in extent.r_gb:
        point, free = on_disk_point(r), on_disk_point(r, free_rewinds=True)
        row: dict[str, Any] = {"r_gb": r}
        _three(row, "asj", series, "asj", point, measure=r in extent.disk_r_gb)
        for name in _DISK_JOINS:
            measure = r in extent.disk_r_gb and r in _MEASURED_DISK_JOINS.get(name, ())
            _three(row, name, series, name, point, measure=measure)
        for name, algorithm in (("asj_free", "asj"), ("staged", "grace_staged")):
            row[f"{name}_{CLOSED}"] = series.closed(algorithm, free).seconds
            row[f"{name}_{SIMULATED}"] = series.simulated(algorithm, free).seconds
        rows.append(row)
    names = {"asj": "ASJ", **_DISK_JOINS}
    more = {"asj_free": "ASJ, free rewinds", "staged": "Grace staged, seeks"}
    return Figure(
        6,
        "Figure 6: ASJ and joins on disk (1 GB of disk for ASJ, disk enough for the others)",
        (
            Column("r_gb", "R, GB", "count"),
            *[column for name, heading in names.items() for column in _columns(name, heading)],
            *[column for name, heading in more.items() for column in _columns(name, heading)[:2]],
        ),
        rows,
        _lines({"asj": "ASJ", "grace": "Grace", "sort_merge": "sort-merge", **more}, (SIMULATED,)),
        ("The nested loop is left out of the picture: it would be all of it.",),
    )


def _figure_7(series: Series, extent: Extent) -> Figure:
    names = {"asj": "ASJ", **_DISK_JOINS, "ctt_gh": "CTT-GH"}
    rows = [{"r_gb": r, **{name: series.scans(name, on_disk_point(r)) for name in names}} for r in extent.r_gb]
    return Figure(
        7,
        "Figure 7: how often both relations are scanned",
        (Column("r_gb", "R, GB", "count"), *(Column(name, heading, "ratio") for name, heading in names.items())),
        rows,
        {heading: name for name, heading in names.items() if name not in ("nested_loop", "ctt_gh")},
    )


def _figure_8(series: Series, extent: Extent) -> Figure:
    rows = []
    for rate in extent.rates:
        point = rate_point(rate)
        row: dict[str, Any] = {"tape_over_disk": rate}
        _three(row, "asj", series, "asj", point, measure=rate in extent.asj_rates)
        for name in ("grace", "sort_merge", "grace_staged"):
            row[f"{name}_{CLOSED}"] = series.closed(name, point).seconds
            row[f"{name}_{SIMULATED}"] = series.simulated(name, point).seconds
        rows.append(row)
    names = {"grace": "Grace", "sort_merge": "sort-merge", "grace_staged": "Grace staged, seeks"}
    return Figure(
        8,
        "Figure 8: the influence of the tape's rate (R = 10 GB; nothing is mounted or rewound)",
        (
            Column("tape_over_disk", "tape rate / disk rate", "number"),
            *_columns("asj", "ASJ"),
            *[column for name, heading in names.items() for column in _columns(name, heading)[:2]],
        ),
        rows,
        _lines({"asj": "ASJ", **names}, (SIMULATED,)),
    )


def _plain(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


FIGURES: Mapping[int, Callable[[Series, Extent], Figure]] = {
    2: _figure_2,
    3: _figure_3,
    4: _figure_4,
    5: _figure_5,
    6: _figure_6,
    7: _figure_7,
    8: _figure_8,
}
