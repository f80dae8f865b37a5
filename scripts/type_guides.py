"""Type the pages as a new user would: from a wheel, in an empty folder, with no extras but those the page has named.

    python scripts/type_guides.py WHEEL [PAGE...]

Pages are typed from top to bottom (`sh`, `console` and `python` blocks, and examples of the interpreter). An extra is
installed when the page says so, `esker[duckdb]`, and not before: what a block needs must have been said above it.
After a page nothing may be left in the temporary folder. tests/unit/cli/test_docs.py types the same blocks with the
package as it is developed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTICES = [ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = [*NOTICES, *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# As users of a checkout and of the package index write it: 'path/to/esker[demo]', '.[demo]', 'esker[demo]'.
EXTRAS = re.compile(r"(?:esker|\.)\[([a-z0-9]+(?:,[a-z0-9]+)*)\]")
SECONDS_MAX = 120
# A page with these is one session; where all blocks are Python each stands alone.
COMMANDS = frozenset({"sh", "console"})
DOCTEST = "doctest"


@dataclass(frozen=True)
class Block:
    """What is typed at once; `extras` were named above it."""

    language: str
    text: str
    line: int
    extras: frozenset[str]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order; examples of the interpreter, wherever they stand, are one at the end.

    >>> [block.language for block in blocks_of(ROOT / "docs/quickstart.md")][:2]
    ['python', 'sh']
    """
    text = page.read_text()

    def named(end: int) -> frozenset[str]:
        return frozenset(name for found in EXTRAS.findall(text[:end]) for name in found.split(","))

    blocks = [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2, named(found.start()))
        for found in FENCE.finditer(text)
        if found[1] in {"python", *COMMANDS}
    ]
    if re.search(r"^ *>>> ", text, re.MULTILINE):
        blocks.append(Block(DOCTEST, str(page), 1, named(len(text))))
    return blocks


def is_session(blocks: list[Block]) -> bool:
    """Whether the blocks go on from one another, in one folder."""
    return any(block.language in COMMANDS for block in blocks)


def type_block(block: Block, python: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Type a block in `folder`, with the programs beside `python`; AssertionError says what came out otherwise."""
    if block.language == "console":
        _type_console(block.text, python, folder, environment)
        return
    command = {
        "python": [str(python), "-W", "error", "-c", block.text],
        "sh": ["sh", "-e", "-c", block.text],
        DOCTEST: [str(python), "-W", "error", "-c", _EXAMPLES, block.text],
    }[block.language]
    code, said = _ended(command, python, folder, environment)
    assert code == 0, f"{block.text}\n{said}"


# `python -m doctest` has no options for a page that was written for pytest's.
_EXAMPLES = """
import doctest, sys
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
sys.exit(doctest.testfile(sys.argv[1], module_relative=False, optionflags=flags).failed)
"""


def _type_console(text: str, python: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Type what stands after `$`; what stands below must be all that is printed, `...` for any text."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.partition("\n")
        code, said = _ended(["sh", "-c", line], python, folder, environment)
        assert (code == 0) != wanted.startswith("error:"), f"{line}\n{said}"
        pattern = re.escape(wanted.strip()).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, said.strip(), re.DOTALL), f"{line}\n{said}"


def _ended(command: list[str], python: Path, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment, "PATH": path, "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
    )
    return ended.returncode, ended.stdout


class Environments:
    """Virtual environments with the wheel and some of its extras, each made when it is asked for."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self._wheel = wheel.resolve()
        self._folder = folder.resolve()

    def python(self, extras: frozenset[str]) -> Path:
        """The interpreter with the wheel and just these extras."""
        place = self._folder / "-".join(["with", *sorted(extras)] if extras else ["base"])
        python = place / "bin/python"
        if not python.exists():
            wanted = f"{self._wheel}[{','.join(sorted(extras))}]" if extras else str(self._wheel)
            print(f"making {place.relative_to(self._folder.parent)} ...", flush=True)
            subprocess.run([str(ROOT / "scripts/make_venv.sh"), str(place)], check=True)
            install = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
            subprocess.run([*install, "-qq", wanted], check=True)
        return python


def walk_page(page: Path, environments: Environments) -> Iterator[str]:
    """Type a page; yields what went wrong, a text for each block that did."""
    blocks = blocks_of(page)
    session = is_session(blocks)
    with tempfile.TemporaryDirectory(prefix="esker-guides-") as name:
        for place in ("home", "temporary"):
            (Path(name) / place).mkdir()
        environment = {"HOME": f"{name}/home", "TMPDIR": f"{name}/temporary"}
        environment |= {"PYTHONNOUSERSITE": "1", "ESKER_LOG_DIR": ""}
        for number, block in enumerate(blocks):
            folder = Path(name) / ("folder" if session else f"folder-{number}")
            folder.mkdir(exist_ok=True)
            try:
                type_block(block, environments.python(block.extras), folder, environment)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                yield f"{page.relative_to(ROOT)}:{block.line}: {error}"
                if session:
                    return  # what follows builds on it
        # What a page made by itself, with Python's tempfile, is its own affair.
        left = [path.name for path in (Path(name) / "temporary").iterdir() if not path.name.startswith("tmp")]
        if left:
            yield f"{page.relative_to(ROOT)}: left in the temporary folder: {', '.join(sorted(left))}"


def main() -> int:
    """Type the pages that were named, or all; returns 1 when anything went otherwise than shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, metavar="WHEEL")
    parser.add_argument("pages", type=Path, nargs="*", metavar="PAGE")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/guides", help="where environments are made")
    given = parser.parse_args()
    environments = Environments(given.wheel, given.folder)
    failed = 0
    for page in [path.resolve() for path in given.pages] or PAGES:
        if not (blocks := blocks_of(page)):
            continue
        wrong = list(walk_page(page, environments))
        failed += len(wrong)
        print(f"{'FAILED' if wrong else 'ok':<7} {page.relative_to(ROOT)}: {len(blocks)} blocks", flush=True)
        for text in wrong:
            print(text, file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
