"""Find the interpreter of a case: Esker's own, or the peers'.

Some peers want other versions of packages than Esker does, and all of them together are large. So they are installed
in an environment of their own: `.venv-bench` beside the source, or the folder ESKER_BENCH_VENV names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FIND = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))
"""
_VERSIONS = """
import json, sys
from importlib import metadata
installed = {found.name.lower(): found.version for found in metadata.distributions()}
print(json.dumps({name: installed[name] for name in sys.argv[1:] if name in installed}))
"""


def peers_python() -> Path:
    """Name the interpreter of the peers' environment, whether it is there or not."""
    return Path(os.environ.get("ESKER_BENCH_VENV") or ROOT / ".venv-bench") / "bin" / "python"


@cache
def find_interpreter(requires: tuple[str, ...]) -> tuple[str, list[str]]:
    """Give the interpreter that has all packages a case requires, and those that are missing where none has.

    >>> find_interpreter(("json",)) == (sys.executable, [])
    True
    """
    missing = [name for name in requires if importlib.util.find_spec(name) is None]
    if not missing or not peers_python().exists():
        return sys.executable, missing
    missing_there: list[str] = json.loads(_ask(_FIND, requires))
    return str(peers_python()), missing_there


def peer_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Tell the versions of packages in the peers' environment; nothing where there is none."""
    if not peers_python().exists():
        return {}
    versions: dict[str, str] = json.loads(_ask(_VERSIONS, packages))
    return versions


def _ask(code: str, arguments: tuple[str, ...]) -> str:
    command = [str(peers_python()), "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
