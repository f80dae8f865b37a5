"""What the pages say can be run: every block of Python and of commands, every command line's options, every link."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.command import Run, words

ROOT = Path(__file__).parents[3]
NOTICES = [ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = [*NOTICES, *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A page with commands is typed from top to bottom, in one folder that is empty at first; other blocks stand alone.
TYPED = {
    page: FENCE.findall(page.read_text()) for page in PAGES if re.search(r"^```(sh|console)$", page.read_text(), re.M)
}
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    if page not in TYPED
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1)
]
# Commands that stand in the text, and are not typed: their options are looked up.
SHOWN = re.compile(r"^ {4,}(esker [^\n#]+)", re.MULTILINE)
COMMANDS = sorted({line for page in PAGES for line in SHOWN.findall(page.read_text().replace("\\\n", ""))})


@pytest.mark.parametrize("block", BLOCKS)
def test_a_python_block_runs_in_an_empty_folder(block: str, tmp_path: Path) -> None:
    # Warnings are errors here as well.
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr


def test_the_readme_has_an_example_and_commands() -> None:
    assert any("README" in str(param.id) for param in BLOCKS)
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


def _ended(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    here = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    return subprocess.run(
        command, cwd=folder, env=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )


def _type_console(block: str, folder: Path) -> None:
    """Type what stands after `$`; what stands below must be all that is printed, `...` for any text."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.partition("\n")
        ended = _ended(["sh", "-c", line], folder)
        assert (ended.returncode == 0) != wanted.startswith("error:"), f"{line}\n{ended.stdout}"
        pattern = re.escape(wanted.strip()).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, ended.stdout.strip(), re.DOTALL), f"{line}\n{ended.stdout}"


@pytest.mark.parametrize("page", TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_can_be_typed_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    for language, block in TYPED[page]:
        if language == "console":
            _type_console(block, tmp_path)
        elif language in ("python", "sh"):
            program = [sys.executable, "-W", "error", "-c"] if language == "python" else ["sh", "-e", "-c"]
            ended = _ended([*program, block], tmp_path)
            assert ended.returncode == 0, f"{block}\n{ended.stdout}"


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
