"""Every section has a row for every combination, and says of itself what tables and plots need."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from esker.bench.bench import Asked, Bench
from esker.bench.document import Evaluation, Section, check_document
from esker.bench.evaluate import evaluate
from esker.bench.plots import write_plots
from esker.bench.sections import SECTIONS
from esker.bench.switches import switches
from esker.bench.tables import BEGIN, END, NOT_THERE, markdown, tables_of
from esker.bench.tuples import Width
from esker.errors import CancelledError, InputError, OptionError
from esker.kernel import _kernel

WIDTHS = ("4", "var")
TINY = Asked(
    tuple(map(Width.of, WIDTHS)),
    partitions=(1, 5),
    threads=(1, 2),
    rows=500,
    rounds=1,
    memory_partitions=3,
    memory_rows=(10, 100),
    complexity_rows=2000,
    latency_rates=(20_000,),
    latency_seconds=0.02,
    flush_seconds=0.005,
)
# What only takes columns of fixed width has no row for the others.
FIXED_ONLY = ("chunked",)
PAIRS = [(strategy, pages) for strategy, pages, _ in _kernel.Shuffle.combinations()]
USUAL = list(dict(reversed(PAIRS)))
ROWS = [(*pair, width) for pair, width in product(PAIRS, WIDTHS) if width == "4" or pair[1] not in FIXED_ONLY]
THREADS, PARTITIONS = (1, 2), (1, 5)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(TINY)


def section(evaluation: Evaluation, name: str) -> Section:
    return next(found for found in evaluation.sections if found.name == name)


def keys(found: Section, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in names) for row in found.rows)


def times(rows: Sequence[tuple[Any, ...]], *more: Sequence[Any]) -> list[tuple[Any, ...]]:
    return sorted((*row, *rest) for row, *rest in product(rows, *more))


WHOLE = ("strategy", "pages", "width")
EXPECTED = {
    "generation": (("width", "threads"), sorted(product(WIDTHS, THREADS))),
    "write": ((*WHOLE, "target"), times(ROWS, ("one partition", "round robin"))),
    "throughput": ((*WHOLE, "threads", "partitions"), times(ROWS, THREADS, PARTITIONS)),
    "scaling": (
        ("strategy", "width", "along", "value"),
        times(
            list(product(USUAL, WIDTHS)),
        ),
    ),
    "memory": ((*WHOLE, "rows_per_partition"), times(ROWS, (10, 100))),
    "optimisations": ((*WHOLE, "optimisation"), times(ROWS, [switch.name for switch in switches()])),
    "complexity": (
        (*WHOLE, "measure"),
        times(
            ROWS,
            ("input_reads", "buffer_writes", "page_writes", "merge_moves", "pages", "allocated_bytes"),
        ),
    ),
    "latency": (("strategy", "rate"), times([(name,) for name in USUAL], (20_000,))),
    "cold": (("strategy", "width"), sorted(product(USUAL, WIDTHS))),
}
ALONG = [("threads", "1"), ("threads", "2"), ("partitions", "1"), ("partitions", "5"), ("skew", "uniform")]
ALONG.append(("skew", "98 %"))
EXPECTED["scaling"] = (
    EXPECTED["scaling"][0],
    sorted((*pair, *along) for pair, along in product(product(USUAL, WIDTHS), ALONG)),
)


@pytest.mark.parametrize("name", list(SECTIONS))
def test_a_section_has_one_row_for_every_combination(evaluation: Evaluation, name: str) -> None:
    names, expected = EXPECTED[name]
    assert keys(section(evaluation, name), names) == expected


@pytest.mark.parametrize("name", list(SECTIONS))
def test_figures_are_positive_numbers(evaluation: Evaluation, name: str) -> None:
    found = section(evaluation, name)
    figures = [column.name for column in found.columns if column.form in ("ratio", "number")]
    for row in found.rows:
        for figure in figures:
            assert row[figure] is None or (math.isfinite(row[figure]) and row[figure] > 0), (row, figure)


def test_order_is_measured_for_those_that_can_keep_it(evaluation: Evaluation) -> None:
    ordered = {(strategy, pages): can for strategy, pages, can in _kernel.Shuffle.combinations()}
    for row in section(evaluation, "throughput").rows:
        can = row["threads"] == 1 or ordered[row["strategy"], row["pages"]]
        assert (row["ordered_ratio"] is not None) == can


def test_the_verdict_has_a_row_for_every_cell_and_follows_from_the_throughput(evaluation: Evaluation) -> None:
    found = section(evaluation, "verdict")
    assert keys(found, ("width", "threads", "partitions")) == sorted(product(WIDTHS, THREADS, PARTITIONS))
    for row in found.rows:
        cell = {
            (each["strategy"], each["pages"]): each["ratio"]
            for each in section(evaluation, "throughput").rows
            if all(each[name] == row[name] for name in ("width", "threads", "partitions"))
        }
        claimed = cell["software_managed_buffers", "locked_batches"]
        assert row["best_ratio"] == max(cell.values())
        assert row["place"] == sorted(cell.values(), reverse=True).index(claimed) + 1
        assert row["holds"] == (claimed >= 0.95 * max(cell.values()))
        assert row["faster"] == claimed / cell["on_demand", "locked"]


def test_there_is_no_verdict_without_both_sides_of_the_claim() -> None:
    only = replace(TINY, strategies=("hybrid",))
    assert [found.name for found in evaluate(only, ["throughput"]).sections] == ["throughput"]


def test_no_count_differs_from_its_formula(evaluation: Evaluation) -> None:
    assert {row["verdict"] for row in section(evaluation, "complexity").rows} == {"equal", "within the bound"}


def test_every_tuple_that_arrived_has_a_latency(evaluation: Evaluation) -> None:
    for row in section(evaluation, "latency").rows:
        assert row["rows"] == 400
        assert 0 < row["p50_ms"] <= row["p99_ms"]


def test_the_document_is_read_back_as_it_was_written(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_json())
    check_document(json.loads(text))
    assert json.dumps(Evaluation.from_json(json.loads(text)).to_json()) == text


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("version",), 2, "'version' is not 1"),
        (("sections", 0, "rows", 0), {}, "a row lacks"),
        (("sections", 0, "columns", 0, "form"), "wide", "no form 'wide'"),
        (("sections", 0, "plot", "x"), "nowhere", "which are no columns"),
        (("sections",), None, "'sections' is missing"),
    ],
)
def test_a_document_that_is_wrong_is_refused(evaluation: Evaluation, path: tuple[Any, ...], value: Any, fault: str):
    content = json.loads(json.dumps(evaluation.to_json()))
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError, match=fault):
        Evaluation.from_json(content)


def test_every_section_has_a_plot_with_its_series(evaluation: Evaluation, tmp_path: Path) -> None:
    paths = write_plots(evaluation.sections, tmp_path / "plots")
    assert [path.name for path in paths] == [f"{name}.svg" for name in (*SECTIONS, "verdict")]
    for path, found in zip(paths, evaluation.sections, strict=True):
        root = ElementTree.parse(path).getroot()
        texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {str(row[found.plot.series]) for row in found.rows} <= texts
        assert list(root.iter("{http://www.w3.org/2000/svg}circle"))


def test_markdown_stands_between_its_marks_and_has_a_cell_for_every_row(evaluation: Evaluation) -> None:
    lines = markdown(evaluation).splitlines()
    assert (lines[0], lines[-1]) == (BEGIN, END)
    for found in evaluation.sections:
        pivot = found.pivot
        shown = tables_of(found)
        cells = [cell for table in shown for row in table.rows for cell in row[len(pivot.rows) if pivot else 0 :]]
        expected = len(found.rows) * (1 if pivot else len(found.columns))
        assert sum(cell != NOT_THERE for cell in cells) == expected - unknown(found)
        for table in shown:
            assert {f"| {' | '.join(row)} |" for row in table.rows} <= set(lines)


def unknown(found: Section) -> int:
    """Cells of a table without pivot that have no value."""
    return 0 if found.pivot else sum(value is None for row in found.rows for value in row.values())


def test_an_unknown_section_or_strategy_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(OptionError, match="no bench section 'speed'"):
        evaluate(TINY, ["speed"])
    with pytest.raises(OptionError, match="no shuffle strategy 'teleport'"):
        evaluate(Asked(TINY.widths, (1,), (1,), strategies=("teleport",)))


def test_a_cancelled_evaluation_ends_between_two_runs() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        SECTIONS["throughput"](Bench(TINY, check=check))
    assert len(calls) == 3
