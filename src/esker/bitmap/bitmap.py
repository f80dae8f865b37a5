"""A bitmap vector as Python sees it: an encoded set of rows that knows how many rows there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from esker.bitmap.encodings import ENCODINGS
from esker.bitmap.stored import StoredVector
from esker.core.row_set import ROW_ID_STOP, RowSet, row_ids
from esker.errors import BitmapCorruptError, InputError, OptionError
from esker.kernel import _kernel

AUTO = "auto"
PROFILES = ("speed", "balanced", "size")
_CHUNK_ROWS = 65_536
# Numbers alike all over, in the kernel's types.
_NO_ROWS = np.zeros(0, np.uint64)


@dataclass(frozen=True)
class BitmapStatistics:
    """What a bitmap takes, and what its encoding was chosen from.

    `candidates` are the bytes in each encoding that `auto` considers: those whose groups have 63 rows.
    """

    encoding: str
    profile: str | None
    row_count: int
    count: int
    bytes: int
    held_bytes: int
    groups: int
    literal_groups: int
    candidates: dict[str, int]
    reason: str


class Bitmap(_kernel.Vector):
    """Rows set among `row_count`, compressed; immutable.

    >>> young = Bitmap.from_positions([0, 2, 3], row_count=5)
    >>> rich = Bitmap.from_positions([2, 4], row_count=5)
    >>> (young & rich).to_numpy().tolist(), (~young - rich).to_numpy().tolist(), (young | rich).count()
    ([2], [1], 4)

    With `encoding="auto"` each bitmap is encoded as a profile finds best: `speed` in words that are combined as they
    are (dense from 3 in 10 groups of 63 rows that are neither empty nor full, else WAH64), `size` in the fewest bytes
    (dense, WAH64 or gap_run), `balanced` as `speed` unless that takes more than 3.4 times the bytes of gap_run.
    Results are always made as `speed` would have them; `optimized` chooses again.

    Two bitmaps of one encoding are combined as they are stored, those of mixed encodings over their runs. A result has
    the encoding of the left one; comparing asks for the rows only.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self) -> None:
            """There is no such: `from_positions` and its like make bitmaps."""

    @classmethod
    def from_positions(
        cls,
        positions: npt.ArrayLike | Iterable[int],
        row_count: int,
        encoding: str = "wah32",
        profile: str = "balanced",
    ) -> Bitmap:
        """Encode row ids, in any order; repeated ones count once.

        `encoding` is one of ENCODINGS or "auto"; only then `profile` ("speed", "balanced" or "size") counts.
        """
        rows = row_ids(positions)
        if not bool(np.all(rows[1:] > rows[:-1])):
            rows = np.unique(rows)
        _check_row_count(row_count, int(rows[-1]) + 1 if len(rows) else 0)
        return cast(Bitmap, _kernel.vector_from_positions(cls, rows, row_count, *_form(encoding, profile)))

    @classmethod
    def from_rows(cls, rows: RowSet, row_count: int, encoding: str = "wah32", profile: str = "balanced") -> Bitmap:
        """Encode a row set."""
        _check_row_count(row_count, rows.select(len(rows) - 1) + 1 if rows else 0)
        return cast(Bitmap, _kernel.vector_from_runs(cls, *rows.runs(), row_count, *_form(encoding, profile)))

    @classmethod
    def none(cls, row_count: int, encoding: str = "wah32", profile: str = "balanced") -> Bitmap:
        """Make a bitmap with no row set."""
        return cls.from_rows(RowSet.empty(), row_count, encoding, profile)

    @classmethod
    def all(cls, row_count: int, encoding: str = "wah32", profile: str = "balanced") -> Bitmap:
        """Make a bitmap with every row set."""
        return cls.from_rows(RowSet.range(0, row_count), row_count, encoding, profile)

    @property
    def data(self) -> memoryview:
        """The encoded bytes, without a copy."""
        view: npt.NDArray[np.uint8] = self.bytes_view()
        return view.data

    def rows(self) -> RowSet:
        """Give the rows set as runs."""
        return RowSet(*self.row_runs())

    def chunks(self, size: int = _CHUNK_ROWS) -> Iterator[npt.NDArray[np.uint64]]:
        """Yield the rows set, ascending, in arrays of `size` (the last may be shorter)."""
        if size < 1:
            raise InputError(f"chunks need a size of at least 1, not {size}")
        cursor = _kernel.RowCursor(self)
        while len(rows := cursor.next(size)):
            yield rows

    def __iter__(self) -> Iterator[int]:
        for rows in self.chunks():
            yield from rows.tolist()

    def rank(self, row: int) -> int:
        """Count the rows set below `row`.

        >>> Bitmap.from_positions([2, 5, 6], row_count=10).rank(6)
        2
        """
        return self.rank_of(min(max(row, 0), ROW_ID_STOP))

    def select(self, index: int) -> int:
        """Give the row that has `index` rows set below it; raises IndexError when fewer are set.

        >>> Bitmap.from_positions([2, 5, 6], row_count=10).select(2)
        6
        """
        if not 0 <= index < self.count():
            raise IndexError(f"the bitmap has {self.count()} rows, there is none with index {index}")
        return self.select_at(index)

    def __contains__(self, row: object) -> bool:
        if not isinstance(row, (int, np.integer)) or not 0 <= row < self.row_count:
            return False
        return self.contains(int(row))

    def union(self, others: Iterable[Bitmap]) -> Bitmap:
        """OR this bitmap and all others in one pass, in this one's encoding."""
        return cast(Bitmap, _kernel.unite_all([self, *others]))

    __hash__ = None  # type: ignore[assignment]  # compared by content, of any size: not a key

    def __repr__(self) -> str:
        return f"Bitmap({self.count():,} of {self.row_count:,} rows, {self.encoding}, {self.nbytes:,} bytes)"

    def recoded(self, encoding: str, profile: str = "balanced") -> Bitmap:
        """Encode the same rows in another way."""
        return self.encoded(*_form(encoding, profile))

    def optimized(self) -> Bitmap:
        """Choose the encoding again, as `from_positions` does; a bitmap whose encoding is fixed stays as it is."""
        return self.encoded("", self.profile) if self.profile else self

    def statistics(self) -> BitmapStatistics:
        """Say what the bitmap takes, what it would take in other encodings, and why it has the one it has.

        >>> Bitmap.from_positions([3], row_count=1_000_000, encoding="auto", profile="size").statistics().candidates
        {'dense': 126992, 'wah64': 16, 'gap_run': 4}
        """
        groups, literals, dense, wah64, gap_run = self.weigh()
        profile = self.profile or None
        reason = f"profile {profile}" if profile else "as asked for"
        if profile and self.optimized().encoding != self.encoding:
            reason = f"the result of an operation; profile {profile} would choose {self.optimized().encoding}"
        return BitmapStatistics(
            encoding=self.encoding,
            profile=profile,
            row_count=self.row_count,
            count=self.count(),
            bytes=self.nbytes,
            held_bytes=self.held_bytes,
            groups=groups,
            literal_groups=literals,
            candidates={"dense": dense, "wah64": wah64, "gap_run": gap_run},
            reason=reason,
        )

    def serialize(self) -> bytes:
        """Write the bitmap as bytes (docs/formats/bitmap.md), in the encoding its profile chooses if it has one.

        Equal bitmaps of one encoding or profile give equal bytes.
        """
        chosen = self.optimized()
        return StoredVector(chosen.encoding, chosen.row_count, chosen.count(), chosen.data).to_bytes()

    @classmethod
    def deserialize(cls, data: bytes | memoryview, place: str = "bitmap") -> Bitmap:
        """Read what `serialize` wrote; raises BitmapCorruptError, naming `place`, for any other bytes."""
        stored = StoredVector.from_bytes(data, place)
        return cls.decode(stored.data, stored.row_count, stored.encoding, count=stored.count, place=place)

    @classmethod
    def decode(
        cls,
        data: bytes | memoryview,
        row_count: int,
        encoding: str,
        *,
        count: int,
        place: str,
        profile: str | None = None,
    ) -> Bitmap:
        """Check encoded rows that were stored with their count; raises BitmapCorruptError, naming `place`.

        With a `profile` the bitmap is an automatic one, whose results may have another encoding; else its encoding is
        fixed.
        """
        variant = encoding.partition(".")[0]
        if variant not in ENCODINGS or ENCODINGS[variant].name != encoding:
            raise BitmapCorruptError(f"{place}: encoding {encoding!r} is not known; a newer Esker may have written it")
        if profile is not None:
            _check_profile(profile)
        try:
            stored = np.frombuffer(data, np.uint8)
            made = cast(Bitmap, _kernel.vector_from_data(cls, stored, row_count, encoding, profile or ""))
        except BitmapCorruptError as error:
            raise BitmapCorruptError(f"{place}: {error}") from None
        if made.count() != count:
            raise BitmapCorruptError(f"{place}: holds {made.count()} rows where {count} were stored")
        return made


def pack(
    rows: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.uint64],
    row_count: int,
    encoding: str,
    profile: str,
    offset: int,
    aligned_bytes: int,
    alignment: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64], npt.NDArray[np.uint64], list[str]]:
    """Encode rows `starts[i]` to `starts[i + 1]` as bitmap i, all in one call, as a file is to hold them at `offset`.

    Those of `aligned_bytes` or more begin at a multiple of `alignment`. Gives bytes, places, lengths and encodings.
    """
    data, offsets, lengths, codes = _kernel.pack(
        rows, starts, row_count, *_form(encoding, profile), offset, aligned_bytes, alignment
    )
    names = {code: _kernel.encoding_name(code) for code in np.unique(codes).tolist()}
    return data, offsets, lengths, [names[code] for code in codes.tolist()]


def _form(encoding: str, profile: str) -> tuple[str, str]:
    """Give what the kernel takes: the encoding's name in files and no profile, or a profile."""
    if encoding == AUTO:
        return "", _check_profile(profile)
    if encoding not in ENCODINGS:
        raise OptionError(f"no encoding {encoding!r}; there is: {', '.join(ENCODINGS)}, {AUTO}")
    return ENCODINGS[encoding].name, ""


def _check_profile(profile: str) -> str:
    if profile not in PROFILES:
        raise OptionError(f"no profile {profile!r}; there is: {', '.join(PROFILES)}")
    return profile


def _check_row_count(row_count: int, needed: int) -> None:
    if not 0 <= row_count <= ROW_ID_STOP:
        raise InputError(f"row_count={row_count} is outside 0 to {ROW_ID_STOP}")
    if needed > row_count:
        raise InputError(f"row {needed - 1} is past the last of {row_count} rows")
