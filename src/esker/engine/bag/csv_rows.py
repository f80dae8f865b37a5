"""CSV files cut between records, also where a quoted field has line ends in it.

A quote opens or closes, so whether a byte lies within quotes is told by the number of quotes before it, modulo two.
Each part of a file is counted first, at the speed of memory; then every part knows how it begins.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from esker.engine.bag.file_place import READ_BYTES, FilePart
from esker.engine.bag.pipeline import Pipeline, Split, pipelines_of
from esker.engine.bag.plan import Node
from esker.engine.bag.task import Consumer
from esker.errors import InputFileError

if TYPE_CHECKING:
    from esker.engine.bag.run import Run


@dataclass(frozen=True)
class CsvFormat:
    """How fields are told apart, and which names they have (None: rows are tuples)."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None
    skip_header: bool = False


@dataclass(frozen=True, eq=False)
class QuotesSplit(Split):
    """How many quotes a part has: its one element."""

    part: FilePart
    quote: bytes

    def describe(self) -> str:
        return self.part.describe()

    def open(self) -> Iterator[int]:
        count = 0
        with self.part.place.open_plain() as file:
            file.seek(self.part.start)
            left = self.part.stop - self.part.start
            while left > 0 and (block := file.read(min(left, READ_BYTES))):
                count += block.count(self.quote)
                left -= len(block)
        yield count


@dataclass(frozen=True, eq=False)
class CsvSplit(Split):
    """The records that begin in a part of a file; `quoted`: the part begins within quotes."""

    part: FilePart
    format: CsvFormat
    quoted: bool = False

    def describe(self) -> str:
        return self.part.describe()

    def open(self) -> Iterator[Any]:
        form = self.format
        reader = csv.reader(self._lines(), delimiter=form.delimiter, quotechar=form.quote, strict=True)
        width = len(form.names) if form.names is not None else 0
        try:
            if self.part.start == 0 and form.skip_header:
                next(reader, None)
            for row in reader:
                if not row:
                    continue
                if form.names is None:
                    yield tuple(row)
                    continue
                if len(row) != width:
                    raise InputFileError(
                        f"{self.part.place.where}: a row has {len(row)} fields, the header {width}: {row!r:.200}"
                    )
                yield dict(zip(form.names, row, strict=True))
        except csv.Error as error:
            raise InputFileError(
                f"{self.part.place.where}: {error}, at line {reader.line_num} of {self.describe()}"
            ) from error

    def _lines(self) -> Iterator[str]:
        form, place = self.format, self.part.place
        quote = form.quote.encode()
        position, inside = self.part.start, self.quoted
        stop = None if place.compressed else self.part.stop
        with place.open_plain() as raw:
            file = _buffered(raw)
            skipping = False
            if position:
                file.seek(position - 1)
                # Whether a record begins right here: only behind a line end that is outside of quotes.
                skipping = file.read(1) != b"\n" or inside
            for line in file:
                begins = not inside
                if begins and not skipping and stop is not None and position >= stop:
                    return
                position += len(line)
                if line.count(quote) % 2:
                    inside = not inside
                if skipping:
                    # The rest of a record that the part before has; the next line may begin one.
                    skipping = inside
                    if stop is not None and not skipping and position >= stop:
                        return
                    continue
                try:
                    yield line.decode(form.encoding)
                except UnicodeDecodeError as error:
                    raise InputFileError(f"{place.where} is not {form.encoding}: {error}; pass encoding=") from error


def _buffered(file: BinaryIO) -> Any:
    import io

    return io.BufferedReader(file, READ_BYTES)


def read_header(part: FilePart, form: CsvFormat) -> tuple[str, ...]:
    """The first record of a file."""
    found = next(iter(CsvSplit(part, replace(form, names=None, skip_header=False)).open()), None)
    if found is None:
        raise InputFileError(f"{part.place.where} is empty: it has no header; pass header=False")
    return tuple(found)


class CsvNode(Node):
    """Parts of CSV files, whose quotes are counted by the run that first reads them."""

    operator = "read_csv_rows"

    def __init__(self, parts: Sequence[tuple[FilePart, CsvFormat]], site: str) -> None:
        self._parts = parts
        self._quoted: list[bool] | None = None
        self.site = site

    @property
    def partition_count(self) -> int:
        return len(self._parts)

    def pipelines(self, run: Run) -> list[Pipeline]:
        if self._quoted is None:
            self._quoted = self._count(run)
        return pipelines_of(
            [CsvSplit(part, form, quoted) for (part, form), quoted in zip(self._parts, self._quoted, strict=True)]
        )

    def _count(self, run: Run) -> list[bool]:
        """Whether each part begins within quotes."""
        cut = [part for part, _ in self._parts if part.start or part.stop < part.place.size_bytes]
        if not cut:
            return [False] * len(self._parts)
        splits = [QuotesSplit(part, form.quote.encode()) for part, form in self._parts]
        counts = run.results(pipelines_of(splits), Consumer(sum, self.operator), stage=run.next_stage())
        quoted = []
        before = 0
        for (part, _), count in zip(self._parts, counts, strict=True):
            before = before if part.start else 0
            quoted.append(bool(before % 2))
            before += count
        return quoted
