"""docs/cli.md and the help say what the commands are and do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.cli.command import Run

from esker.cli.main import app
from esker.cli.outcome import EXIT_CODES

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, path: tuple[str, ...] = ("esker",)) -> dict[str, Any]:
    """Every command there is, by its words."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            found |= commands(command, (*path, name))
        elif not command.hidden:
            found[" ".join((*path, name))] = command
    return found


def options_of(command: Any) -> set[str]:
    """The options of a command, those that switch off too."""
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def test_the_page_and_the_help_list_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.M)
    assert {int(code): words for code, words in rows} == EXIT_CODES
    assert all(f"{code} {words}" in str(ROOT.epilog) for code, words in EXIT_CODES.items())


def test_the_page_names_every_command_and_no_other() -> None:
    table = PAGE[: PAGE.index("## Options")]
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.M))))
    assert named == set(ROOT.commands)


def test_the_page_names_only_options_that_there_are() -> None:
    known = options_of(ROOT) | options_of(ROOT.commands["find"]) | {"--help"}
    # What stands in blocks is typed by a test of its own.
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"(?<!-)(--[a-z][a-z-]+)", text)) <= known


def test_every_command_has_an_example_in_its_help_with_options_that_it_has() -> None:
    for words, command in commands().items():
        lines = [line.strip() for line in (command.help or "").splitlines()]
        examples = [line for line in lines if f"{line} ".startswith(f"{words} ")]
        assert examples, words
        known = options_of(command)
        for example in examples:
            assert set(re.findall(r" (--[a-z][a-z-]+)", example)) <= known, example


@pytest.mark.parametrize(
    ("line", "completed"), [("esker fi", "find"), ("esker find --mem", "--memory"), ("esker index st", "stats")]
)
def test_shells_complete_commands_and_options(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], line: str, completed: str
) -> None:
    monkeypatch.setenv("_ESKER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert capfd.readouterr().out.split() == [completed]
