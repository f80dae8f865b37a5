"""Sizes of bitmap encodings in bits per integer, beside published ones: `python -m benchmarks.bitmap_wah`.

Sizes do not depend on the machine, so they need no rounds. With ESKER_REALDATA set to a folder with CRoaring's real
data sets (NAME.tar.xz) those are measured; without it, generated sets.
"""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from esker.bitmap import ENCODINGS, Bitmap
from esker.core.seeded import generator

Rows = npt.NDArray[np.uint64]

# Bits per integer of WAH with 32-bit words, from "Roaring bitmaps: implementation of an optimized software library",
# Software: Practice and Experience 48(4), 2018, arXiv:1709.07821.
PUBLISHED_WAH32 = {"census-income_srt": 0.65, "census1881": 34.32, "wikileaks-noquotes": 10.89}
GENERATED_ROWS = 1_000_000


def real_sets(folder: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Read every archive of the folder: one set of row numbers from each file in it."""
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as files:
            opened = [files.extractfile(member) for member in files if member.isfile()]
            texts = [file.read() for file in opened if file is not None]
        yield archive.name.removesuffix(".tar.xz"), [np.array(text.split(b","), np.uint64) for text in texts]


def generated_sets() -> Iterator[tuple[str, list[Rows]]]:
    """Make the index vectors of a column with 100 values: in sorted order, in runs of 50 rows, and unsorted."""
    values = generator(1).integers(0, 100, GENERATED_ROWS)
    runs = np.repeat(generator(2).integers(0, 100, GENERATED_ROWS // 50), 50)
    for name, column in (("sorted", np.sort(values)), ("runs of 50", runs), ("unsorted", values)):
        yield name, [np.flatnonzero(column == value).astype(np.uint64) for value in range(100)]


def bits_per_integer(sets: list[Rows], encoding: str) -> float:
    """Encode every set, check that it decodes to itself, and count the bits."""
    row_count = int(max(rows.max() for rows in sets)) + 1
    size_bytes = 0
    for rows in sets:
        bitmap = Bitmap.from_positions(rows, row_count, encoding)
        if not np.array_equal(bitmap.to_numpy(), np.sort(rows)):
            raise AssertionError(f"{encoding} gave back other rows than it was given")
        size_bytes += bitmap.nbytes
    return 8 * size_bytes / sum(map(len, sets))


def main() -> int:
    """Print the table; fail when WAH32 is not the published size."""
    folder = os.environ.get("ESKER_REALDATA")
    table = Table(title="bits per integer", title_justify="left")
    for heading in ("set", "integers", *ENCODINGS, "WAH32 published", "array of 32 bits"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    wrong = []
    for name, sets in real_sets(Path(folder)) if folder else generated_sets():
        sizes = {encoding: bits_per_integer(sets, encoding) for encoding in ENCODINGS}
        published = PUBLISHED_WAH32.get(name)
        if published is not None and round(sizes["wah32"], 2) != published:
            wrong.append(f"{name}: WAH32 takes {sizes['wah32']:.2f} bits per integer, published are {published}")
        shown = [f"{size:.2f}" for size in sizes.values()]
        table.add_row(name, f"{sum(map(len, sets)):,}", *shown, f"{published:.2f}" if published else "", "32.00")
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for line in wrong:
        console.print(line, markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
