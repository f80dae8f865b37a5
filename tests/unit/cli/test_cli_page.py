"""docs/cli.md and the help say what the commands are and do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.cli.command import Run, one_line

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


# Options that every command writes alike, and where one has none of them, the reason.
SHARED = {
    "--memory": "Memory budget: 512MiB, 2GB.",
    "--max-cost": None,
    "--deadline": None,
    "--dry-run": None,
    "--json": None,
    "--quiet": "No progress and no notes.",
    "--yes": None,
    "--debug": "Show the traceback of an error.",
}
# A server runs until it is ended, a simulation reads nothing, a page only shows.
NO_QUERY = ("esker bench", "esker simulate", "esker cluster", "esker node", "esker ui")
SERVERS = {"esker cluster coordinate", "esker cluster supervise", "esker node serve"}


@pytest.mark.parametrize(("words", "command"), commands().items(), ids=commands())
def test_a_command_takes_the_options_that_all_take(words: str, command: Any) -> None:
    own = {option: one for one in command.params for option in one.opts}
    wanted = {"--json", "--debug"}
    if not words.startswith(NO_QUERY):
        wanted = set(SHARED)
    elif words not in SERVERS and words != "esker cluster status":
        wanted |= {"--quiet"}
    if words.startswith("esker bench") or words in ("esker cluster up", "esker cluster down"):
        wanted |= {"--dry-run"}
    assert wanted - set(own) == set()
    for option, help_ in SHARED.items():
        if option in own and help_ is not None:
            assert own[option].help == help_, option
    short = {"--quiet": "-q", "--yes": "-y", "--output": "-o", "--help": "-h"}
    for option, letter in short.items():
        if option in own and letter in own:
            assert own[letter] is own[option]
    assert all(re.fullmatch(r"--[a-z]+(-[a-z]+)*|-[a-z]", option) for option in own if option.startswith("-"))


@pytest.mark.parametrize(("words", "command"), commands().items(), ids=commands())
def test_wrong_words_end_a_command_with_2_and_one_line(run: Run, words: str, command: Any) -> None:
    _, *path = words.split()
    helped = run(*path, "--help")
    assert helped.code == 0 and "--debug" in helped.out and helped.err == ""
    wrong = run(*path, "--no-such-option")
    assert wrong.code == 2 and one_line(wrong.err) and "--no-such-option" in wrong.err and wrong.out == ""
    if any(one.required for one in command.params):
        missing = run(*path)
        assert missing.code == 2 and one_line(missing.err) and missing.err.startswith("error: missing")


def test_what_would_be_done_is_said_and_not_done(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "my.cluster"
    up = run("cluster", "up", folder, "--nodes", 3, "--dry-run", "--json")
    assert up.code == 0 and json.loads(up.out) == {"folder": str(folder), "running": [], "nodes_to_start": 3}
    assert not folder.exists()
    (tmp_path / "file").write_text("")
    assert run("cluster", "up", tmp_path / "file").code == 2
    bench = run("bench", "shuffle", "--quick", "--section", "throughput", "--dry-run")
    assert bench.code == 0 and json.loads(bench.out)["sections"] == ["throughput"]
    paper = run("bench", "paper", "--figure", "2,3", "--extents-only", "--dry-run")
    assert paper.code == 0 and "figures 2, 3" in paper.out
    assert run("bench", "shuffle", "--section", "nothing", "--dry-run").code == 2
