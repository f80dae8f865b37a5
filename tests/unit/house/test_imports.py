"""The import contracts of pyproject.toml hold; the package stays light and says what it means."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.unit.house.project import PACKAGE, ROOT


def test_the_import_contracts_hold() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-logo",
    ]
    linted = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    assert names & {"utils", "util", "helpers", "helper", "common", "misc", "manager"} == set()


def test_importing_esker_loads_nothing_heavy() -> None:
    heavy = ("pyarrow", "pandas", "duckdb", "polars", "sqlglot", "rich", "typer")
    script = f"import sys, esker; print(*[name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
