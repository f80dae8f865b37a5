"""SECURITY.md's promises have tests that exist, and what can run code is used where it is listed and nowhere else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.unit.house.project import PACKAGE, ROOT

PROMISES = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PROMISES)))

# What can run code that comes as data, by file, with the reason it may.
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "ctypes", "cffi", "runpy", "code"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {"allow_pickle", "load_extension", "enable_load_extension", "shell"}
ALLOWED = {
    "__init__.py": {"import_module"},  # names of a table in the file itself
    "cli/run.py": {"runpy", "compile"},  # `esker run` runs the script that the user names
    "cli/ui.py": {"__import__"},  # starlette, uvicorn: names in the source
    "core/family.py": {"import_module"},  # names of the families' tables
    "graph/convert.py": {"import_module"},  # networkx, igraph: names in the source
    "core/file_system.py": {"ctypes"},  # libc's renameat2
    "runtime/fork_server.py": {
        "import_module",
        "ctypes",
    },  # names from the parent over its own socket pair; libc's prctl
    "runtime/pickled.py": {"pickle", "cloudpickle"},  # between processes of one user, in memory
    "engine/objects/codec.py": {"pickle", "cloudpickle"},  # private spill files of a running query
    "engine/bag/steps.py": {
        "exec",
        "compile",
    },  # a loop written from our own templates: no text of a file or user in it
    "compat/pyspark/errors.py": {"pickle"},  # the class PicklingError only
    "compat/pyspark/serializers.py": {"pickle", "marshal"},  # Spark's interface, on what the program itself hands in
    "compat/pyspark/saving.py": {"pickle"},  # saveAsPickleFile and pickleFile, which warns
    "compat/pyspark/broadcast.py": {"pickle"},  # Broadcast.dump and load: Spark's interface, documented
}


def uses(path: Path) -> set[str]:
    """What in a file can run code: modules it imports, built-ins it calls, names it asks for."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[argument]):
                found |= set() if isinstance(argument, ast.Constant) else {"import_module"}
            case ast.Import():
                found |= {alias.name.partition(".")[0] for alias in node.names} & MODULES
            case ast.ImportFrom(module=str(module), level=0):
                found |= {module.partition(".")[0]} & MODULES
            case ast.Call(func=ast.Name(id=name)):
                found |= {name} & CALLS
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found |= {name} & ATTRIBUTES
    return found


def test_what_can_run_code_is_used_only_where_it_is_listed() -> None:
    found = {str(path.relative_to(PACKAGE)): uses(path) for path in PACKAGE.rglob("*.py")}
    assert {name: used for name, used in found.items() if used} == ALLOWED


@pytest.mark.parametrize("line", ["import pickle", "from marshal import loads", "eval('1')", "f(shell=True)"])
def test_the_scan_sees(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.py").write_text(line)
    assert len(uses(tmp_path / "a.py")) == 1


def test_every_promise_names_tests_that_exist() -> None:
    tests: dict[str, set[str]] = defaultdict(set)
    for file in {file for file, _ in NAMED}:
        tree = ast.parse((ROOT / file).read_text())
        tests[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert [f"{file}::{name}" for file, name in NAMED if name not in tests[file]] == []
    promises = re.split(r"^### \d\. ", PROMISES.partition("## What we do not promise")[0], flags=re.MULTILINE)[1:]
    assert len(promises) >= 7
    assert all("::test_" in promise for promise in promises)


def test_running_a_query_opens_no_port(tmp_path: Path) -> None:
    program = """
import sys
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, arguments[1:])) if event == "socket.bind" else None)
import esker
esker.freeze(esker.from_arrow({"id": [1, 2]}), "s.esker", keys=["id"], index={"id": "equality"})
esker.find("s.esker", "id = 1").to_arrow()
esker.range(100, partitions=4).map(lambda n: (n % 3, n)).reduce_by_key(lambda a, b: a + b).collect()
print([arguments for _, arguments in seen if isinstance(arguments[0], tuple)])
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr
