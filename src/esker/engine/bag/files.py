"""Files as bytes: whole, or in records and chunks of one size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from esker.engine.bag.file_place import FilePart, FilePlace
from esker.engine.bag.pipeline import Split
from esker.errors import InputFileError


@dataclass(frozen=True, eq=False)
class WholeFilesSplit(Split):
    """Some files, each as a pair of its path and its bytes."""

    places: tuple[FilePlace, ...]

    def describe(self) -> str:
        return self.places[0].where + (f" and {len(self.places) - 1} more" if len(self.places) > 1 else "")

    def open(self) -> Iterator[tuple[str, bytes]]:
        for place in self.places:
            with place.open_plain() as file:
                data = file.read()
            yield place.where, data


@dataclass(frozen=True, eq=False)
class FixedSplit(Split):
    """Stretches of `size` bytes of a part of a file; as `records` the last may not be shorter."""

    part: FilePart
    size: int
    records: bool

    def describe(self) -> str:
        return self.part.describe()

    def open(self) -> Iterator[bytes]:
        with self.part.place.open_plain() as file:
            if self.part.start:
                file.seek(self.part.start)
            left = None if self.part.place.compressed else self.part.stop - self.part.start
            while left is None or left > 0:
                data = _read(file, self.size if left is None else min(self.size, left))
                if not data:
                    return
                if len(data) < self.size and self.records:
                    raise InputFileError(
                        f"{self.part.place.where} ends within a record of {self.size} bytes: {len(data)} are left"
                    )
                left = None if left is None else left - len(data)
                yield data


@dataclass(frozen=True, eq=False)
class RecordsSplit(Split):
    """The records of an Arrow file with one binary column."""

    place: FilePlace

    def describe(self) -> str:
        return self.place.where

    def open(self) -> Iterator[bytes]:
        import pyarrow as pa

        with self.place.open() as plain:
            try:
                with pa.ipc.open_file(pa.PythonFile(plain, mode="r")) as reader:
                    if [field.type for field in reader.schema] != [pa.binary()]:
                        raise InputFileError(f"{self.place.where} is no file of records: it has {reader.schema}")
                    for number in range(reader.num_record_batches):
                        yield from reader.get_batch(number).column(0).to_pylist()
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, InputFileError):
                    raise
                raise InputFileError(f"{self.place.where} is no file of records, or damaged: {error}") from error


def _read(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, or what there is: one call need not give all."""
    data = file.read(size)
    while data and len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data
