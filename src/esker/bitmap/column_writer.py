"""One bitmap per slot of a column, all filled in one pass over the rows, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from esker.bitmap.bitmap import Bitmap
from esker.bitmap.encodings import ENCODINGS
from esker.core.spill import SpillFolder
from esker.errors import SpillError
from esker.kernel import _kernel

Words = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.uint64]


class _Piece(NamedTuple):
    """Words of every slot that were there at one time, slot after slot."""

    words: Words
    offsets: Offsets

    def of(self, slot: int) -> Words:
        if slot + 1 >= len(self.offsets):
            return self.words[:0]
        return self.words[int(self.offsets[slot]) : int(self.offsets[slot + 1])]


class ColumnWriter:
    """Puts each row into one slot and gives a bitmap for each slot at the end.

    >>> writer = ColumnWriter(SpillFolder())
    >>> writer.add(np.array([0, 2, 0], np.int32), slot_count=3)
    >>> [bitmap.to_numpy().tolist() for bitmap in writer.finish(range(3))]
    [[0, 2], [], [1]]

    Memory follows the compressed words. `spill` moves those that no later row can change to a private file, so a
    column of any length can be built in the bytes of one open word per slot. One thread.
    """

    def __init__(self, spill: SpillFolder) -> None:
        self._spill_folder = spill
        self._writer = _kernel.Wah32ColumnWriter()
        self._spilled: list[tuple[Path, Offsets]] = []
        self._spilled_bytes = 0
        self.row_count = 0

    def add(self, slots: npt.NDArray[np.int32], slot_count: int) -> None:
        """Put the next rows into `slots`, each below `slot_count`."""
        self._writer.add(slots, self.row_count, slot_count)
        self.row_count += len(slots)

    def add_vectors(
        self, words: Words, offsets: Offsets, slots: npt.NDArray[np.int32], row_count: int, slot_count: int
    ) -> None:
        """Put the rows of finished vectors behind: those of vector i (see `slot_words`) go to `slots[i]`.

        Raises BitmapCorruptError for words that are not such vectors of `row_count` rows together.
        """
        self._writer.add_vectors(words, offsets, slots, self.row_count, row_count, slot_count)
        self.row_count += row_count

    @property
    def slot_count(self) -> int:
        """Slots there are so far."""
        count: int = self._writer.slot_count
        return count

    @property
    def held_bytes(self) -> int:
        """Bytes of memory held now."""
        held: int = self._writer.held_bytes
        return held + sum(offsets.nbytes for _, offsets in self._spilled)

    def spill(self) -> None:
        """Move the words that cannot change any more to a spill file."""
        words, offsets = self._writer.drain()
        if not len(words):
            return
        if self._spilled_bytes + words.nbytes > self._spill_folder.limit_bytes:
            raise SpillError(
                f"building bitmaps needs more than the {self._spill_folder.limit_bytes:,} bytes that may be spilled to"
                f" {self._spill_folder.root}; free space there or raise the spill limit"
            )
        path, fd = self._spill_folder.new_file("bitmaps")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(words.data)
        except OSError as error:
            raise self._spill_folder.failure(error, words.nbytes) from error
        self._spilled.append((path, offsets))
        self._spilled_bytes += words.nbytes

    def finish(self, order: Iterable[int], encoding: str = "wah32", profile: str = "balanced") -> Iterator[Bitmap]:
        """End all bitmaps and yield those of the slots in `order`, encoded; spill files go at the end."""
        for bitmap in self.end()(order):
            yield bitmap if encoding == "wah32" else bitmap.recoded(encoding, profile)
        self.close()

    def end(self) -> Callable[[Iterable[int]], Iterator[Bitmap]]:
        """End all bitmaps and give a function that yields those of slots, in any order and as often as asked.

        Takes no more rows. Bitmaps are joined from what was spilled when they are asked for, until `close`.
        """
        pieces = [_Piece(np.memmap(path, np.uint32, "r"), offsets) for path, offsets in self._spilled]
        pieces.append(_Piece(*self._writer.finish(self.row_count)))
        absent = Bitmap.none(self.row_count)
        slot_count = len(pieces[-1].offsets) - 1

        def bitmaps(order: Iterable[int]) -> Iterator[Bitmap]:
            for slot in order:
                bitmap = absent
                if slot < slot_count:
                    words = np.concatenate([piece.of(slot) for piece in pieces])
                    bitmap = _bitmap(words, self.row_count)
                yield bitmap

        return bitmaps

    def close(self) -> None:
        """Remove the spill files; calling it again does nothing."""
        for path, _ in self._spilled:
            path.unlink(missing_ok=True)
        self._spilled.clear()


def slot_words(slots: npt.NDArray[np.int32], slot_count: int) -> tuple[Words, Offsets]:
    """Make a vector for each slot, with the rows that `slots` puts there: WAH32 words, slot after slot, and where.

    >>> words, offsets = slot_words(np.array([0, 2, 0], np.int32), 3)
    >>> offsets.tolist()
    [0, 1, 2, 3]
    """
    writer = _kernel.Wah32ColumnWriter()
    writer.add(slots, 0, slot_count)
    words, offsets = writer.finish(len(slots))
    return words, offsets


def _bitmap(words: Words, row_count: int) -> Bitmap:
    """Make a bitmap of WAH32 words, which are checked: they may have lain on a disk."""
    return cast(Bitmap, _kernel.vector_from_data(Bitmap, words.view(np.uint8), row_count, ENCODINGS["wah32"].name, ""))
