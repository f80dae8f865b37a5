"""Bitmap encodings beside CRoaring, on real data: `python -m benchmarks.bitmap_encodings [--markdown FILE]`.

ESKER_REALDATA names a folder with CRoaring's data sets (NAME.tar.xz). The peer is CRoaring as pyroaring calls it, with
run optimisation, in the same process; what pyroaring does not offer (`or_many_heap`) is called in the same library.

Every figure is a ratio, Esker's time / CRoaring's, below 1 is faster: the median over rounds in each of which both ran,
one right after the other, with their results compared once before. `--check` fails when a target is missed by more
than a tenth.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import describe_machine
from esker.bitmap import ENCODINGS, Bitmap, count_ranges, union
from esker.bitmap.slices import BitSlices
from esker.core.seeded import generator

Rows = npt.NDArray[np.uint64]
Bounds = list[tuple[int, int]]

# Bits per integer of WAH with 32-bit words and of Roaring with runs: RoaringBitmap/CBitmapCompetition, the benchmark
# behind arXiv:1709.07821.
PUBLISHED = {
    "census-income": (3.37, 2.60),
    "census-income_srt": (0.65, 0.60),
    "census1881": (34.32, 15.08),
    "census1881_srt": (2.95, 2.16),
    "wikileaks-noquotes": (10.89, 5.89),
    "wikileaks-noquotes_srt": (2.67, 1.63),
}
QUERIES = 60
QUERY_VECTORS = 28
WIDTHS = (10, 50, 100, 200)
PROFILES = ("speed", "balanced", "size")
DATE_ROWS = 6_000_000
DATE_VALUES = 2_526
ROUND_SECONDS = 0.03


def real_sets(folder: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Read every archive of the folder: one set of row numbers from each file in it, files in text order."""
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as files:
            members = sorted((member for member in files if member.isfile()), key=lambda member: member.name)
            opened = [files.extractfile(member) for member in members]
            texts = [file.read() for file in opened if file is not None]
        yield archive.name.removesuffix(".tar.xz"), [np.array(text.split(b","), np.uint64) for text in texts]


class CRoaring:
    """The peer: pyroaring's bitmaps, and functions of its library that it does not call."""

    def __init__(self) -> None:
        import pyroaring

        self.BitMap = pyroaring.BitMap
        self.version = f"pyroaring {pyroaring.__version__}, CRoaring {pyroaring.__croaring_version__}"
        library = ctypes.CDLL(pyroaring.__file__)
        self._heap = library.roaring_bitmap_or_many_heap
        self._heap.restype = ctypes.c_void_p
        self._heap.argtypes = [ctypes.c_uint32, ctypes.c_void_p]
        self._free = library.roaring_bitmap_free
        self._free.argtypes = [ctypes.c_void_p]
        self._count = library.roaring_bitmap_get_cardinality
        self._count.restype = ctypes.c_uint64
        self._count.argtypes = [ctypes.c_void_p]
        self._both = library.roaring_bitmap_and_cardinality
        self._both.restype = ctypes.c_uint64
        self._both.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._and = library.roaring_bitmap_and_inplace
        self._and.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

    def encode(self, rows: Rows) -> Any:
        """Encode rows with run optimisation."""
        bitmap = self.BitMap(rows.astype(np.uint32))
        bitmap.run_optimize()
        bitmap.shrink_to_fit()
        return bitmap

    def pointers(self, bitmaps: Sequence[Any]) -> Any:
        """Give the library's own pointers, for `or_many_heap`."""
        return (ctypes.c_void_p * len(bitmaps))(*(bitmap.raw_pointer for bitmap in bitmaps))

    def heap_count(self, pointers: Any) -> int:
        """OR with a heap, count, free."""
        made = self._heap(len(pointers), pointers)
        count = int(self._count(made))
        self._free(made)
        return count

    def heap_query(self, ranges: Sequence[Any]) -> int:
        """Count the AND of ORs, each with a heap."""
        made = [self._heap(len(pointers), pointers) for pointers in ranges]
        for other in made[1:-1]:
            self._and(made[0], other)
        count = int(self._both(made[0], made[-1]))
        for each in made:
            self._free(each)
        return count


def query(bitmaps: Sequence[Any], union_of: Callable[..., Any], bounds: Bounds) -> int:
    """Count the AND of ORs as pyroaring does it: `or_many`, then the cardinality of the last AND."""
    found = [union_of(*bitmaps[first : last + 1]) for first, last in bounds]
    result = found[0]
    for other in found[1:-1]:
        result &= other
    return int(result.intersection_cardinality(found[-1]))


def seconds(run: Callable[[], Any], times: int) -> float:
    """Measure one call, as the mean of `times`."""
    begin = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - begin) / times


def ratio(ours: Callable[[], Any], *theirs: Callable[[], Any], rounds: int) -> float:
    """Give our time over the best of theirs: the median over rounds."""
    contestants = (ours, *theirs)
    times = [max(1, int(ROUND_SECONDS / max(seconds(run, 1), 1e-7))) for run in contestants]
    found = []
    gc.disable()
    for _ in range(rounds):
        spent = [seconds(run, count) for run, count in zip(contestants, times, strict=True)]
        found.append(spent[0] / min(spent[1:]))
    gc.enable()
    return statistics.median(found)


@dataclass
class Table:
    """Rows of text under headings; `missed` names cells that missed their target."""

    title: str
    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Write the table."""
        lines = [f"## {self.title}", "", "| " + " | ".join(self.headings) + " |", "| --- " * len(self.headings) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *self.notes, ""])


class Targets:
    """Cells against what they must reach; a ratio within a tenth of its target counts as reached."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def cell(self, what: str, value: float, target: float | None) -> str:
        """Give the cell's text, in bold where the target is missed."""
        if target is None or value <= target * 1.1:
            return f"{value:.2f}"
        self.missed.append(f"{what}: {value:.2f}, target {target}")
        return f"**{value:.2f}**"


@dataclass
class DataSet:
    """One data set in every form that is measured."""

    name: str
    rows: list[Rows]
    row_count: int
    roaring: list[Any]
    esker: dict[str, list[Bitmap]]

    @classmethod
    def encode(cls, name: str, rows: list[Rows], peer: CRoaring) -> DataSet:
        """Encode every set of a data set, and check that it decodes to itself."""
        row_count = int(max(each.max() for each in rows)) + 1
        made = {p: [Bitmap.from_positions(each, row_count, "auto", p) for each in rows] for p in PROFILES}
        for bitmaps in made.values():
            for bitmap, each in zip(bitmaps, rows, strict=True):
                if not np.array_equal(bitmap.to_numpy(), np.sort(each)):
                    raise AssertionError(f"{name}: other rows than were given")
        return cls(name, rows, row_count, [peer.encode(each) for each in rows], made)

    @property
    def integers(self) -> int:
        """Rows set in all vectors."""
        return sum(map(len, self.rows))

    @property
    def roaring_bytes(self) -> int:
        """Bytes of the peer's vectors, serialized."""
        return sum(len(bitmap.serialize()) for bitmap in self.roaring)


def sizes(sets: Sequence[DataSet], targets: Targets) -> Table:
    """Bits per integer of every encoding and profile."""
    table = Table(
        "Bits per integer",
        ["set", "integers", *ENCODINGS, *(f"auto {p}" for p in PROFILES), "CRoaring", "WAH32 / Roaring published"],
    )
    for data in sets:
        bits = {
            encoding: 8 * sum(Bitmap.from_positions(rows, data.row_count, encoding).nbytes for rows in data.rows)
            for encoding in ENCODINGS
        }
        bits |= {f"auto {p}": 8 * sum(bitmap.nbytes for bitmap in data.esker[p]) for p in PROFILES}
        published = PUBLISHED.get(data.name)
        if published is not None and abs(bits["wah32"] / data.integers - published[0]) > 0.02:
            targets.missed.append(f"{data.name}: WAH32 takes {bits['wah32'] / data.integers:.3f} bits per integer")
        table.rows.append(
            [data.name, f"{data.integers:,}"]
            + [f"{each / data.integers:.2f}" for each in bits.values()]
            + [f"{8 * data.roaring_bytes / data.integers:.2f}", f"{published[0]} / {published[1]}" if published else ""]
        )
    table.notes = ["A vector's zeros out to the last row are counted; directories that are made in memory are not."]
    return table


def random_bounds(vectors: int) -> list[Bounds]:
    """Queries `R:[a,b]&[c,d](&[e,f])` over 28 vectors each."""
    chance = generator(4)
    queries = []
    for _ in range(QUERIES):
        count = int(chance.integers(2, 4))
        cuts = np.sort(chance.choice(np.arange(1, QUERY_VECTORS), count - 1, replace=False))
        widths = np.diff([0, *cuts, QUERY_VECTORS])
        starts = [int(chance.integers(0, vectors - width + 1)) for width in widths]
        queries.append([(start, start + int(width) - 1) for start, width in zip(starts, widths, strict=True)])
    return queries


def range_queries(sets: Sequence[DataSet], peer: CRoaring, targets: Targets, rounds: int) -> Table:
    """The range query of source 004, and what the vectors take, per profile."""
    headings = ["set"] + [f"{p}: {what}" for p in PROFILES for what in ("size", "held", "queries")]
    table = Table("Range queries of 28 vectors, of CRoaring's time; size, of CRoaring's size", headings)
    wanted = {"speed": (None, 0.8), "balanced": (1.0, 1.0), "size": (None, None)}
    for data in sets:
        queries = random_bounds(len(data.rows))
        union_of = peer.BitMap.union
        pointers = [[peer.pointers(data.roaring[a : b + 1]) for a, b in bounds] for bounds in queries]
        expected = [query(data.roaring, union_of, bounds) for bounds in queries]
        if expected != [peer.heap_query(each) for each in pointers]:
            raise AssertionError("CRoaring disagrees with itself")

        def by_many(data: DataSet = data, queries: list[Bounds] = queries) -> None:
            for bounds in queries:
                query(data.roaring, peer.BitMap.union, bounds)

        def by_heap(pointers: list[list[Any]] = pointers) -> None:
            for each in pointers:
                peer.heap_query(each)

        row = [data.name]
        for profile in PROFILES:
            vectors = data.esker[profile]
            if expected != [count_ranges(vectors, bounds) for bounds in queries]:
                raise AssertionError(f"{data.name}, {profile}: other counts than CRoaring")

            def ours(vectors: list[Bitmap] = vectors, queries: list[Bounds] = queries) -> None:
                for bounds in queries:
                    count_ranges(vectors, bounds)

            size = sum(bitmap.nbytes for bitmap in vectors) / data.roaring_bytes
            held = sum(bitmap.held_bytes for bitmap in vectors) / data.roaring_bytes
            figure = ratio(ours, by_many, by_heap, rounds=rounds)
            row += [
                targets.cell(f"{data.name}, {profile}: size", size, wanted[profile][0]),
                f"{held:.2f}",
                targets.cell(f"{data.name}, {profile}: queries", figure, wanted[profile][1]),
            ]
        table.rows.append(row)
    table.notes = [
        "60 random queries, two or three ranges each; counts, all compared. CRoaring: the better of `or_many` and",
        "`or_many_heap` for each range, then AND and `and_cardinality`. *held*: memory, directories included.",
    ]
    return table


def pairwise(sets: Sequence[DataSet], peer: CRoaring, targets: Targets, rounds: int) -> Table:
    """AND and OR of successive vectors into a new one, one call from Python each."""
    table = Table(
        "Pairwise, successive vectors, of CRoaring's time",
        ["set", "speed: AND", "speed: OR", "balanced: AND", "balanced: OR", "size: AND", "size: OR"],
    )
    for data in sets:
        row = [data.name]
        theirs = list(zip(data.roaring, data.roaring[1:], strict=False))
        for profile in PROFILES:
            ours = list(zip(data.esker[profile], data.esker[profile][1:], strict=False))
            for name, target in (("__and__", 0.7), ("__or__", 1.0)):
                operation = getattr(Bitmap, name)
                peers = getattr(peer.BitMap, name)
                counts = [operation(a, b).count() for a, b in ours]
                if counts != [len(peers(a, b)) for a, b in theirs]:
                    raise AssertionError(f"{data.name}, {profile}: {name} gives other counts than CRoaring")
                figure = ratio(pair_runner(name, ours), pair_runner(name, theirs), rounds=rounds)
                row.append(
                    targets.cell(f"{data.name}, {profile}: {name}", figure, target if profile == "speed" else None)
                )
        table.rows.append(row)
    return table


def pair_runner(name: str, pairs: list[tuple[Any, Any]]) -> Callable[[], None]:
    """Give a loop over all pairs, alike for both."""
    if name == "__and__":

        def run() -> None:
            for a, b in pairs:
                a & b

    else:

        def run() -> None:
            for a, b in pairs:
                a | b

    return run


def wide_unions(sets: Sequence[DataSet], peer: CRoaring, targets: Targets, rounds: int) -> Table:
    """The OR of the first k vectors, against the better of CRoaring's two calls."""
    headings = ["set"] + [f"{p}: k = {k}" for p in ("speed", "balanced") for k in WIDTHS]
    table = Table("OR of k vectors into a new one, of CRoaring's time", headings)
    for data in sets:
        row = [data.name]
        for profile in ("speed", "balanced"):
            for k in WIDTHS:
                vectors, bitmaps = data.esker[profile][:k], data.roaring[:k]
                pointers = peer.pointers(bitmaps)
                if not union(vectors).count() == len(peer.BitMap.union(*bitmaps)) == peer.heap_count(pointers):
                    raise AssertionError(f"{data.name}: a union of {k} has another count than CRoaring's")
                figure = ratio(
                    partial(union, vectors),
                    partial(peer.BitMap.union, *bitmaps),
                    partial(peer.heap_count, pointers),
                    rounds=rounds,
                )
                row.append(targets.cell(f"{data.name}, {profile}: OR of {k}", figure, 1.5))
        table.rows.append(row)
    table.notes = ["CRoaring: the better of `or_many` and `or_many_heap`."]
    return table


def wide_ranges(peer: CRoaring, targets: Targets, rounds: int, rows: int) -> Table:
    """Ranges over one unsorted column of dates as TPC-H makes them, by bit slices and by unions."""
    chance = generator(5)
    values = np.minimum(chance.integers(0, 2_406, rows) + chance.integers(1, 122, rows), DATE_VALUES - 1)
    order = np.argsort(values, kind="stable")
    edges = np.searchsorted(values[order], np.arange(DATE_VALUES + 1))
    parts = [order[edges[value] : edges[value + 1]].astype(np.uint64) for value in range(DATE_VALUES)]
    bitmaps = [peer.encode(part) for part in parts]
    vectors = [Bitmap.from_positions(part, rows, "auto", "balanced") for part in parts]
    slices = BitSlices.of_values(values.astype(np.uint64))
    roaring_bytes = sum(len(bitmap.serialize()) for bitmap in bitmaps)
    table = Table(
        f"Ranges over a column of {rows:,} unsorted dates with {DATE_VALUES:,} values, of `or_many`'s time",
        ["days", "share of values", "bit slices", "OR of vectors, balanced"],
    )
    for days in (7, 31, 365, 760, 1_500):
        low = 300
        chosen, taken = bitmaps[low : low + days], vectors[low : low + days]
        expected = int(((values >= low) & (values < low + days)).sum())
        found = (slices.between(low, low + days - 1).count(), union(taken).count(), len(peer.BitMap.union(*chosen)))
        if any(count != expected for count in found):
            raise AssertionError(f"{days} days: {found} rows where there are {expected}")
        pointers = peer.pointers(chosen)
        theirs = (
            partial(peer.BitMap.union, *chosen),
            partial(peer.heap_count, pointers),
        )
        by_slices = ratio(partial(slices.between, low, low + days - 1), *theirs, rounds=rounds)
        by_union = ratio(partial(union, taken), *theirs, rounds=rounds)
        share = days / DATE_VALUES
        table.rows.append(
            [
                f"{days:,}",
                f"{share:.0%}",
                targets.cell(f"{days} days by bit slices", by_slices, 0.3 if share >= 0.15 else None),
                f"{by_union:.2f}",
            ]
        )
    table.notes = [
        f"{len(slices.bitmaps)} slices take {slices.nbytes / 1e6:.1f} MB, the vectors"
        f" {sum(vector.nbytes for vector in vectors) / 1e6:.1f} MB, CRoaring's {roaring_bytes / 1e6:.1f} MB."
    ]
    return table


def head(peer: CRoaring, rounds: int) -> str:
    """Say what was measured, how, and on what."""
    machine = describe_machine()
    return "\n".join(
        [
            "# Bitmap encodings beside CRoaring",
            "",
            "Written by `make bench-bitmap`; `benchmarks/bitmap_encodings.py` says how. Ratios are of CRoaring's,",
            f"below 1 is faster or smaller: medians of {rounds} rounds. Bold: missed its target by more than a tenth.",
            "",
            f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; {peer.version}.",
            "",
        ]
    )


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    parser.add_argument("--sets", default="", help="only sets with this text in their names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--date-rows", type=int, default=DATE_ROWS)
    parser.add_argument("--only", default="", help="only tables with this text in their names, by function")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    folder = os.environ.get("ESKER_REALDATA")
    if not folder:
        print("set ESKER_REALDATA to a folder with CRoaring's real data sets (NAME.tar.xz)", file=sys.stderr)
        return 2
    peer = CRoaring()
    sets = [DataSet.encode(name, rows, peer) for name, rows in real_sets(Path(folder)) if options.sets in name]
    targets = Targets()
    makers: dict[str, Callable[[], Table]] = {
        "sizes": lambda: sizes(sets, targets),
        "range_queries": lambda: range_queries(sets, peer, targets, options.rounds),
        "pairwise": lambda: pairwise(sets, peer, targets, options.rounds),
        "wide_unions": lambda: wide_unions(sets, peer, targets, options.rounds),
        "wide_ranges": lambda: wide_ranges(peer, targets, options.rounds, options.date_rows),
    }
    tables = []
    for name, make in makers.items():
        if options.only in name:
            tables.append(make().markdown())
            print(tables[-1], flush=True)
    missed = [f"- {line}" for line in targets.missed] or ["None."]
    tables.append("\n".join(["## Targets missed", "", *missed, ""]))
    print(tables[-1])
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text("\n".join([head(peer, options.rounds), *tables]), encoding="utf-8")
    return 1 if targets.missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
