"""Every error has a code of its own, is raised somewhere, and is explained with cause and cure in docs/errors.md."""

from __future__ import annotations

import ast
import builtins
import inspect
import pickle
import re

import pytest

from esker import errors
from esker.errors import EskerError
from tests.unit.house.project import ROOT

TYPES = [
    found
    for found in vars(errors).values()
    if inspect.isclass(found) and issubclass(found, EskerError) and found.__module__ == errors.__name__
]
PAGE = (ROOT / "docs/errors.md").read_text()
HEADING = re.compile(r"^### (ESK-\d{3}) (\w+)(?: \((\w+)\))?\n\n(.*?)(?=\n#|\Z)", re.DOTALL | re.MULTILINE)
EXPLAINED = {code: (name, built_in, text) for code, name, built_in, text in HEADING.findall(PAGE)}


def made_in_source() -> set[str]:
    """The names of what the package calls, or calls `of` of: `raise SpillError(...)`, `MissingExtraError.of(...)`."""
    found = set()
    for path in sorted((ROOT / "src/esker").rglob("*.py")):
        if path == ROOT / "src/esker/errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                function = node.func
                if isinstance(function, ast.Attribute) and function.attr == "of":
                    function = function.value
                found.add(getattr(function, "id", getattr(function, "attr", "")))
    return found


def test_each_type_has_a_code_of_its_own() -> None:
    codes = [vars(found).get("code") for found in TYPES]
    assert all(re.fullmatch(r"ESK-\d{3}", str(code)) for code in codes)
    assert len(set(codes)) == len(codes) == len(TYPES) > 30


def test_a_code_lies_in_the_hundred_of_its_family() -> None:
    for found in TYPES:
        families = [base for base in found.__mro__ if base in TYPES and base is not EskerError]
        assert {base.code[:5] for base in families} <= {found.code[:5]}


def test_each_type_is_made_somewhere_in_the_package() -> None:
    made = made_in_source()
    unused = [found.__name__ for found in TYPES if found is not EskerError and found.__name__ not in made]
    assert not unused


def test_the_page_explains_each_type_and_no_other() -> None:
    assert {code: name for code, (name, _, _) in EXPLAINED.items()} == {found.code: found.__name__ for found in TYPES}
    assert PAGE.count("\n### ") == len(TYPES)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_the_page_gives_cause_cure_and_built_in_of(kind: type[EskerError]) -> None:
    _, built_in, text = EXPLAINED[kind.code]
    assert re.search(r"\*\*Cause\.\*\* \S", text)
    assert re.search(r"\*\*Cure\.\*\* \S", text)
    assert ("Temporary." in text) == kind.temporary
    own = [base.__name__ for base in kind.__bases__ if getattr(builtins, base.__name__, None) is base]
    assert built_in == ("" if kind is EskerError else "".join(own))


def test_the_tree_in_the_module_names_each_type() -> None:
    tree = re.findall(r"^    [│├└─ ]*(\w+Error)\b", str(errors.__doc__), re.MULTILINE)
    assert sorted(tree) == sorted(found.__name__ for found in TYPES)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_the_code_ends_the_first_line_and_travels_of(kind: type[EskerError]) -> None:
    error = pickle.loads(pickle.dumps(kind("cannot read\n  a > \n      ^")))
    assert str(error) == f"cannot read [{kind.code}]\n  a > \n      ^"
    assert error.message == "cannot read\n  a > \n      ^"


def test_an_error_that_quotes_another_carries_its_own_code_alone() -> None:
    inner = errors.PageCorruptError("checksum")
    outer = errors.PayloadCorruptError(f"x.parquet is damaged: {inner}; restore it")
    assert str(outer) == "x.parquet is damaged: checksum; restore it [ESK-204]"
