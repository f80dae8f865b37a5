"""A unit as one node has it: vectors, the version that they are at, and a digest to compare by."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from esker.cluster.messages import UnitCopy, UnitWrite

_MASK = (1 << 64) - 1
Entry = tuple[int, bytes]
"""The version in which a vector was put, and its value."""


def digest_of(vector: int, version: int, value: bytes) -> int:
    """Give what an entry adds to its unit's digest, which is the sum of them mod 2^64."""
    mixed = (
        vector * 0x9E3779B97F4A7C15 ^ version * 0xC2B2AE3D27D4EB4F ^ zlib.crc32(value) * 0x165667B19E3779F9
    ) & _MASK
    mixed ^= mixed >> 29
    return mixed * 0xBF58476D1CE4E5B9 & _MASK


class Unit:
    """Vectors of a unit at its newest version, and enough to read the version before that.

    `complete` is False while only commits since some version are here (`deltas`) and not what came before them: such
    a unit counts for nothing until a copy closes the gap.
    """

    __slots__ = ("before", "complete", "deltas", "digest", "entries", "version")

    def __init__(self) -> None:
        self.version = 0
        self.digest = 0
        self.complete = True
        self.entries: dict[int, Entry] = {}
        self.deltas: list[tuple[int, int]] = []
        self.before: tuple[int, dict[int, Entry]] | None = None

    @classmethod
    def from_copy(cls, copy: UnitCopy) -> Unit:
        """Make a unit of a copy."""
        unit = cls()
        unit.version, unit.digest = copy.version, copy.digest
        unit.entries = {vector: (version, value) for vector, version, value in copy.entries}
        return unit

    def copy(self, name: str) -> UnitCopy:
        """Give all of it, in the order of vectors."""
        return _copy(name, self.version, self.digest, self.entries)

    def fits(self, write: UnitWrite) -> bool:
        """Whether the writes lead from what is here to a complete unit."""
        return write.whole or (self.complete and self.version == write.base and self.digest == write.digest)

    def digest_with(self, write: UnitWrite, version: int) -> int:
        """Give the digest that `apply` would lead to."""
        digest = 0 if write.whole else self.digest
        for vector, value in write.entries:
            old = None if write.whole else self.entries.get(vector)
            if old is not None:
                digest -= digest_of(vector, old[0], old[1])
            digest += digest_of(vector, version, value)
        return digest & _MASK

    def entries_with(self, write: UnitWrite, version: int) -> dict[int, Entry]:
        """Give the entries that `apply` would lead to."""
        entries = {} if write.whole else dict(self.entries)
        for vector, value in write.entries:
            entries[vector] = (version, value)
        return entries

    def apply(self, write: UnitWrite, version: int, digest: int | None = None) -> None:
        """Commit writes. What does not fit is kept as a delta for a copy that comes later.

        `digest` is that of `digest_with`, where it is known; it is not looked at when the writes do not fit.
        """
        if version <= self.version:
            # A copy that came meanwhile has it already.
            return
        fits = self.fits(write)
        # An unchanged dictionary serves as the version before: writes go to a new one.
        self.before = (self.version, self.entries) if self.complete and fits else None
        self.digest = self.digest_with(write, version) if digest is None or not fits else digest
        self.entries = self.entries_with(write, version)
        self.complete = fits
        if fits:
            self.deltas = []
        else:
            self.deltas.append((write.base, version))
        self.version = version

    def merge(self, copy: UnitCopy) -> bool:
        """Take a copy, in place of what is older or below deltas that follow it without a gap; say if it helped."""
        if self.complete:
            if (copy.version, copy.digest) == (self.version, self.digest):
                return True
            if copy.version < self.version:
                return False
            self._become(Unit.from_copy(copy))
            return True
        later = [delta for delta in self.deltas if delta[1] > copy.version]
        if later and not _follow(copy.version, later):
            return False
        merged = Unit.from_copy(copy)
        for vector, (version, value) in self.entries.items():
            if version > copy.version:
                old = merged.entries.get(vector)
                if old is not None:
                    merged.digest -= digest_of(vector, old[0], old[1])
                merged.digest += digest_of(vector, version, value)
                merged.entries[vector] = (version, value)
        merged.digest &= _MASK
        if later:
            merged.version = later[-1][1]
        self._become(merged)
        return True

    def at(self, version: int) -> Mapping[int, Entry] | None:
        """Give the entries of exactly that version, if they are here and whole."""
        if not self.complete:
            return None
        if version == self.version:
            return self.entries
        if self.before is not None and self.before[0] == version:
            return self.before[1]
        return None

    def recomputed_digest(self) -> int:
        """Give the digest of the bytes as they are, to find what changed under our hands."""
        return sum(digest_of(vector, *entry) for vector, entry in self.entries.items()) & _MASK

    def _become(self, other: Unit) -> None:
        self.version, self.digest, self.entries = other.version, other.digest, other.entries
        self.complete, self.deltas, self.before = True, [], None


def _follow(base: int, deltas: Sequence[tuple[int, int]]) -> bool:
    """Whether each commit was made over the one before it, the first over `base`."""
    for delta_base, version in deltas:
        if delta_base != base:
            return False
        base = version
    return True


def _copy(name: str, version: int, digest: int, entries: Mapping[int, Entry]) -> UnitCopy:
    listed = sorted((vector, put_version, value) for vector, (put_version, value) in entries.items())
    return UnitCopy(name, version, digest, tuple(listed))


def copy_of(name: str, version: int, entries: Mapping[int, Entry]) -> UnitCopy:
    """Make a copy of entries at a version, with the digest that they have."""
    digest = sum(digest_of(vector, *entry) for vector, entry in entries.items()) & _MASK
    return _copy(name, version, digest, entries)
