"""What the pages say can be run: every Python block, and every command line's options."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.command import Run, words

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1)
]
COMMANDS = sorted(set(re.findall(r"^    (esker [^\n#]+)", (ROOT / "README.md").read_text(), re.MULTILINE)))


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
def test_a_command_line_of_the_readme_names_real_options(run: Run, line: str) -> None:
    _, command, *arguments = words(line)
    help_text = run(command, "--help").out
    for argument in arguments:
        if argument.startswith("--"):
            assert argument in help_text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page}: {target}"
