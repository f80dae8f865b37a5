"""`esker bench shuffle` measures, writes what it was asked to, and refuses what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.command import Run, one_line

from esker.bench.document import check_document

TINY = ("bench", "shuffle", "--rows", 300, "--partitions", "1,4", "--threads", "1,2", "--widths", "16", "--rounds", 1)
TWO = ("--section", "throughput", "--section", "generation")


def test_tables_json_and_plots_have_the_sections_that_were_asked_for(run: Run, tmp_path: Path) -> None:
    document, plots = tmp_path / "figures.json", tmp_path / "plots"
    ended = run(*TINY, *TWO, "--strategy", "hybrid", "--json", document, "--plots", plots)
    assert (ended.code, ended.err) == (0, "")
    assert "Tuple generation" in ended.out and "hybrid" in ended.out and "radix" not in ended.out
    content = json.loads(document.read_text())
    check_document(content)
    assert [section["name"] for section in content["sections"]] == ["throughput", "generation"]
    assert len(content["sections"][0]["rows"]) == 4
    assert sorted(path.name for path in plots.iterdir()) == ["generation.svg", "throughput.svg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "plots"]


def test_an_earlier_document_gives_the_same_tables_and_the_block_for_the_docs(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "figures.json"
    first = run(*TINY, "--section", "throughput", "--json", document)
    assert run("bench", "shuffle", "--read", document).out == first.out
    block = run("bench", "shuffle", "--read", document, "--markdown").out
    assert block.startswith("<!-- esker bench shuffle --markdown: begin -->")
    assert block.rstrip().endswith("<!-- esker bench shuffle --markdown: end -->")


def test_json_on_stdout_is_one_document_and_nothing_else(run: Run) -> None:
    check_document(json.loads(run(*TINY, "--section", "generation", "--json", "-").out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", "two"), "--threads 'two'"),
        (("--partitions", "0"), "--partitions '0'"),
        (("--widths", "2"), "--widths '2'"),
        (("--bytes", "lots"), "bytes='lots'"),
        (("--section", "speed"), "no bench section 'speed'"),
        (("--strategy", "teleport"), "no shuffle strategy 'teleport'"),
        (("--json", "/nowhere/at/all.json"), "there is no folder"),
        (("--read", "/nowhere.json"), "--read /nowhere.json"),
    ],
)
def test_a_wrong_call_is_one_line_and_code_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = run("bench", "shuffle", *arguments)
    assert ended.code == 2
    assert one_line(ended.err) and message in ended.err


def test_a_document_of_something_else_is_named(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"schema": "another"}')
    ended = run("bench", "shuffle", "--read", other)
    assert ended.code == 2
    assert one_line(ended.err) and str(other) in ended.err
