"""What the pages say can be run: every block of Python and of commands, every command line's options, every link."""

from __future__ import annotations

import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from scripts.type_guides import DOCTEST, PAGES, ROOT, Block, blocks_of, is_session, type_block
from tests.unit.cli.command import Run, words

# Examples of the interpreter are run by tests of their own, with the package's other tests.
BLOCKS_OF = {page: [block for block in blocks_of(page) if block.language != DOCTEST] for page in PAGES}
# A page with commands is typed from top to bottom, in one folder that is empty at first; other blocks stand alone.
TYPED = {page: blocks for page, blocks in BLOCKS_OF.items() if is_session(blocks)}
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page, blocks in BLOCKS_OF.items()
    if page not in TYPED
    for number, block in enumerate(blocks, start=1)
]
HERE = Path(sys.executable)
# Commands that stand in the text, and are not typed: their options are looked up.
SHOWN = re.compile(r"^ {4,}(esker [^\n#]+)", re.MULTILINE)
COMMANDS = sorted({line for page in PAGES for line in SHOWN.findall(page.read_text().replace("\\\n", ""))})


@pytest.mark.parametrize("block", BLOCKS)
def test_a_python_block_runs_in_an_empty_folder(block: Block, tmp_path: Path) -> None:
    type_block(block, HERE, tmp_path, {})


def test_the_readme_has_an_example_and_commands() -> None:
    assert {block.language for block in TYPED[ROOT / "README.md"]} == {"python", "sh"}
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_line_that_is_shown_names_real_options(run: Run, line: str) -> None:
    _, *arguments = words(line)
    command = [argument for argument in arguments[:2] if re.fullmatch("[a-z-]+", argument) and argument[0] != "-"]
    helped = run(*command, "--help")
    if helped.code != 0:  # the second word was an argument
        command = command[:1]
        helped = run(*command, "--help")
    assert (helped.code, bool(command) or line.split()[1].startswith("--")) == (0, True)
    for argument in arguments:
        if argument.startswith("--"):
            assert argument.partition("=")[0] in helped.out


def test_pages_with_examples_of_the_interpreter_are_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_documentation.py"))
    pages = [page.name for page in PAGES if re.search(r"^ *>>> ", page.read_text(), re.MULTILINE)]
    assert pages and [page for page in pages if f'"{page}"' not in tests] == []


# Pages of many commands, each a process of its own.
LONG = {ROOT / "docs" / name for name in ("cli.md", "bitmap-index.md", "cluster.md")}
TYPED_PAGES = [
    pytest.param(page, id=str(page.relative_to(ROOT)), marks=[pytest.mark.slow] if page in LONG else [])
    for page in TYPED
]


@pytest.mark.parametrize("page", TYPED_PAGES)
def test_a_page_can_be_typed_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    for block in TYPED[page]:
        type_block(block, HERE, tmp_path, {})


def test_a_block_that_ends_otherwise_than_shown_is_seen(tmp_path: Path) -> None:
    def block(language: str, text: str) -> Block:
        return Block(language, text, 1, frozenset())

    type_block(block("console", "$ echo one\none\n$ echo two three\ntwo ...\n"), HERE, tmp_path, {})
    for language, text in (
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ esker find no.parquet 'n = 1'\n"),
        ("sh", "false\ntrue\n"),
        ("python", "import warnings; warnings.warn('old')"),
    ):
        with pytest.raises(AssertionError):
            type_block(block(language, text), HERE, tmp_path, {})


def test_extras_are_those_that_were_named_above_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n1\n```\nNeeds `esker[s3,ui]`.\n```sh\ntrue\n```\n    >>> 1\n    1\n")
    found = [(block.language, sorted(block.extras), block.line) for block in blocks_of(page)]
    assert found == [("python", [], 2), ("sh", ["s3", "ui"], 6), (DOCTEST, ["s3", "ui"], 1)]


@cache
def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Zensical make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file = page.parent / target if target else page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in _anchors(file), f"{page}: {target}#{anchor}"


def _leaves(entries: Any) -> list[str]:
    if isinstance(entries, str):
        return [entries]
    return [
        leaf
        for entry in entries
        for inner in (entry.values() if isinstance(entry, dict) else [entry])
        for leaf in _leaves(inner)
    ]


def test_the_site_s_contents_name_pages_that_are_there(tmp_path: Path) -> None:
    from scripts.make_site import make

    folder = tmp_path / "docs"
    make(folder)
    named = _leaves(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    assert [name for name in named if not (folder / name).exists()] == []
    assert len(named) == len(set(named)) > 50
    reference = "".join(page.read_text() for page in (folder / "reference").glob("*.md"))
    import esker

    wanted = set(esker.__all__) - {"__version__", "bitmap", "errors"}
    assert [name for name in sorted(wanted) if f"\n## `{name}`\n" not in reference] == []
    assert "### `Dataset.map_batches`" in reference
    assert "### `Bag.reduce_by_key`" in reference


def test_the_plots_are_drawn_from_the_figures_of_their_pages() -> None:
    from scripts.plot_benchmarks import DOCS, PLOTS, digest

    for plot in PLOTS:
        drawn = (DOCS / "benchmarks/plots" / f"{plot.name}.svg").read_text()
        assert digest(plot) in drawn, f"run scripts/plot_benchmarks.py: {plot.name} is older than {plot.page}"
