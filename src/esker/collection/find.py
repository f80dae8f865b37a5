"""Find: predicate -> row set -> thaw plan -> rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from esker.collection.dataset import Dataset
from esker.collection.options import OptionsGiven
from esker.collection.read import read


def find(source: Any, predicate: str, columns: Sequence[str] | None = None, **options: Unpack[OptionsGiven]) -> Dataset:
    """Find the rows of a frozen data set (or of any files) for which the SQL `predicate` is true.

    The bitmap index and the hot columns answer as much as they can without touching the payload; what is left is
    read once, in storage order, or scanned where that is cheaper. `explain()` on the result shows bytes, requests,
    mounts and seconds against a full scan before anything is read; `max_cost=` refuses a plan above a limit.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "months.esker"
    >>> report = esker.freeze({"month": [1, 6, 7, 7], "text": list("abcd")}, folder, index=["month"])
    >>> esker.find(folder, "month IN (6, 7)", columns=["text"]).to_arrow()["text"].to_pylist()
    ['b', 'c', 'd']
    """
    found = read(source).filter(predicate).with_options(**options)
    return found if columns is None else found.select(columns)
