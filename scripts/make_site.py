"""Lay out what the documentation site is built from: the pages of docs/, the repository's notices, the reference.

`python scripts/make_site.py FOLDER` replaces FOLDER. The reference is made from the docstrings of what `esker` offers
by name, so it is never older than the code. Zensical then builds FOLDER (`make docs`).
"""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTICES = ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")

# Page, title, what stands on it: names of `esker`, or of the module before the colon.
REFERENCE = {
    "reading": (
        "Reading and freezing",
        "read read_parquet read_csv read_frozen from_arrow freeze FreezeReport find connect open_tier Options",
    ),
    "dataset": ("Dataset", "Dataset partition release_memory"),
    "index-types": (
        "Index",
        "build_index open_index BitmapIndex Equality Range Interval Bins BitSliced TimeQuantum VectorIndex"
        " esker.bitmap:Bitmap",
    ),
    "bag": (
        "Bag",
        "of range read_text read_files read_json read_csv_rows read_records read_binary Bag broadcast accumulator rng",
    ),
    "stream": ("Stream", "Stream Sink Backoff KillSwitch"),
    "parallel": ("Parallel work", "par Par first gather"),
    "graph": ("Graph", "Graph"),
    "clients": ("Clients", "as_arrow_dataset scan_polars esker.clients.sqlite:register"),
    "cluster": ("Cluster", "esker.cluster:connect"),
}
# Modules rather than things of their own.
MODULES = {"bitmap", "errors", "__version__"}


def make(folder: Path) -> None:
    """Replace `folder` by what the site is built from."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    for notice in NOTICES:
        text = (ROOT / notice).read_text(encoding="utf-8")
        (folder / notice).write_text(text.replace("](docs/", "]("), encoding="utf-8")
    for page in folder.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"\]\((?:\.\./)+(SECURITY|CHANGELOG|CONTRIBUTING)\.md", _beside(page, folder), text)
        page.write_text(re.sub(r"\]\(([\w./]*)/\)", r"](\1/index.md)", text), encoding="utf-8")
    reference = folder / "reference"
    reference.mkdir()
    lines = ["# Reference", "", "Made from the docstrings of the package.", ""]
    for name, (title, members) in REFERENCE.items():
        (reference / f"{name}.md").write_text(page_of(title, members.split()), encoding="utf-8")
        named = ", ".join(f"`{member.rpartition(':')[2]}`" for member in members.split())
        lines.append(f"- [{title}]({name}.md): {named}")
    (reference / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    decisions = sorted(path for path in (folder / "decisions").glob("[0-9]*.md") if not path.name.startswith("0000"))
    titles = [f"- [{path.read_text(encoding='utf-8').splitlines()[0][2:]}]({path.name})" for path in decisions]
    (folder / "decisions/index.md").write_text("\n".join(["# Decisions", "", *titles, ""]), encoding="utf-8")


def page_of(title: str, members: list[str]) -> str:
    """Write a page of the reference.

    >>> print(page_of("Sizes", ["esker.core.byte_size:format_bytes"]).splitlines()[2])
    ## `format_bytes`
    """
    parts = [f"# {title}"]
    for member in members:
        home, _, name = member.rpartition(":")
        found = getattr(importlib.import_module(home or "esker"), name)
        parts += [f"## `{name}`", *_described(name, found)]
        if inspect.isclass(found):
            for method in methods(found):
                parts += [f"### `{name}.{method}`", *_described(method, inspect.getattr_static(found, method), found)]
    return "\n\n".join(parts) + "\n"


def methods(kind: type) -> list[str]:
    """List the public methods and properties of a class that are ours and have a docstring, as they are written."""
    found: dict[str, None] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("esker"):
            found |= {name: None for name, value in vars(base).items() if not name.startswith("_") and _has_doc(value)}
    return list(found)


def _has_doc(value: Any) -> bool:
    value = getattr(value, "__func__", value)
    return (callable(value) or isinstance(value, property)) and bool(getattr(value, "__doc__", None))


def _described(name: str, value: Any, owner: type | None = None) -> list[str]:
    value = getattr(value, "__func__", value)
    signature = _signature(value)
    shown = [] if signature is None else [f"```python\n{name}{signature}\n```"]
    return [*shown, *markdown(inspect.getdoc(value) or "")]


def _signature(value: Any) -> str | None:
    if isinstance(value, property | ModuleType) or not callable(value):
        return None
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):  # a class of the kernel
        return None
    text = re.sub(r"\((self|cls)(, )?", "(", text, count=1)
    return text if len(text) < 90 else re.sub(r", (?=(?:\*|\w+:|\w+=|\w+\)))", ",\n    ", text)


def markdown(doc: str) -> list[str]:
    """Turn a docstring into Markdown: examples become blocks of code.

    >>> markdown("Add.\\n\\n>>> 1 + 1\\n2\\n\\nDone.")
    ['Add.', '```pycon\\n>>> 1 + 1\\n2\\n```', 'Done.']
    """
    paragraphs = [part for part in re.split(r"\n{2,}", doc.strip("\n")) if part]
    return [f"```pycon\n{part}\n```" if part.startswith(">>> ") else part for part in paragraphs]


def _beside(page: Path, folder: Path) -> str:
    up = "../" * (len(page.relative_to(folder).parts) - 1)
    return rf"]({up}\1.md"


if __name__ == "__main__":
    make(Path(sys.argv[1]))
