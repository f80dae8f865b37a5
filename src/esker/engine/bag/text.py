"""Lines of text files, cut where lines end, wherever the bytes of a partition begin."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from esker.engine.bag.file_place import READ_BYTES, FilePart
from esker.engine.bag.pipeline import Split
from esker.errors import InputFileError, OptionError

# Encodings in which the byte 0x0A may be half of another character: a file is one partition.
_WIDE = ("utf-16", "utf-32")


def check_encoding(encoding: str) -> str:
    """The encoding's own name; OptionError for one that Python does not know."""
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise OptionError(f"encoding={encoding!r} is not known to Python") from error


def is_wide(encoding: str) -> bool:
    """Whether bytes cannot be cut at a newline without decoding them first."""
    return encoding.startswith(_WIDE)


@dataclass(frozen=True, eq=False)
class TextSplit(Split):
    """The lines that begin in a part of a file: the line that a part begins in the middle of is the part's before."""

    part: FilePart
    encoding: str
    errors: str

    def describe(self) -> str:
        return self.part.describe()

    def open(self) -> Iterator[str]:
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[list[str]]:
        if is_wide(self.encoding):
            yield from self._decoded_lines()
            return
        whole = self.part.place.compressed
        with self.part.place.open_plain() as file:
            position = 0 if whole else self._seek(file)
            left = None if whole else self.part.stop - position
            for block in line_blocks(file, left):
                yield self._decode(block, position)
                position += len(block)

    def _seek(self, file: BinaryIO) -> int:
        """Go to the first line that begins at or behind the part's start; returns where that is."""
        start = self.part.start
        if start == 0:
            return 0
        # The byte before: a line that begins at `start` itself is ours.
        file.seek(start - 1)
        position = start - 1
        while block := file.read(READ_BYTES if position >= start else 4096):
            found = block.find(b"\n")
            if found >= 0:
                position += found + 1
                file.seek(position)
                return position
            position += len(block)
        return position

    def _decode(self, block: bytes, position: int) -> list[str]:
        encoding = self.encoding
        if encoding == "utf-8-sig" and position:
            encoding = "utf-8"
        try:
            text = str(block, encoding, self.errors)
        except UnicodeDecodeError as error:
            raise InputFileError(
                f"{self.part.place.where} is not {self.encoding}: byte {block[error.start]:#04x} at"
                f" {position + error.start:,} ({error.reason}); pass encoding=, or errors='replace'"
            ) from error
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        return lines

    def _decoded_lines(self) -> Iterator[list[str]]:
        with self.part.place.open_plain() as file:
            reader = io.TextIOWrapper(io.BufferedReader(file), self.encoding, self.errors, newline="\n")  # type: ignore[type-var]  # any object that reads bytes serves as a raw file
            try:
                while lines := reader.readlines(READ_BYTES):
                    yield [line.removesuffix("\n").removesuffix("\r") for line in lines]
            except UnicodeError as error:
                raise InputFileError(f"{self.part.place.where} is not {self.encoding}: {error}") from error


def line_blocks(file: BinaryIO, left: int | None) -> Iterator[bytes]:
    """Read blocks of whole lines: those that begin within `left` bytes from here (None: all)."""
    pieces: list[bytes] = []
    while left is None or left > 0 or pieces:
        block = file.read(READ_BYTES)
        if not block:
            break
        if left is not None and left <= len(block):
            # Lines may begin up to `left`; the last of them ends at the first newline at or behind its last byte.
            end = block.find(b"\n", max(left - 1, 0))
            left -= len(block)
            if end >= 0:
                pieces.append(block[: end + 1])
                break
            pieces.append(block)
            continue
        if left is not None:
            left -= len(block)
        end = block.rfind(b"\n")
        if end < 0:
            pieces.append(block)
            continue
        pieces.append(block[: end + 1])
        yield b"".join(pieces)
        pieces = [block[end + 1 :]] if end + 1 < len(block) else []
    if pieces:
        yield b"".join(pieces)
