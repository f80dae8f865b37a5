"""A disk that keeps what was synced, and of the rest what chance leaves."""

from __future__ import annotations

from collections.abc import Sequence

from esker.cluster.log_file import frame, scan
from esker.cluster.records import Record, decode, encode
from esker.cluster.simulation.dice import Dice


class SimulatedDisk:
    """A log that a crash cuts somewhere behind its last sync; a torn record is as if it were not there.

    Records are kept as they are, which is quick. `torn` goes through bytes, frames and checksums, and tears in the
    middle of them.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self.durable = 0

    def append(self, record: Record) -> None:
        """Add a record; not durable yet."""
        self._records.append(record)

    def sync(self) -> None:
        """Make all that was appended durable."""
        self.durable = len(self._records)

    def sync_to(self, length: int) -> None:
        """Make the first `length` records durable."""
        self.durable = max(self.durable, min(length, len(self._records)))

    def records(self) -> list[Record]:
        """Give what is there."""
        return list(self._records)

    def since(self, start: int) -> Sequence[Record]:
        """Give the durable records from number `start` on."""
        return self._records[start : self.durable]

    def __len__(self) -> int:
        return len(self._records)

    def replace(self, records: Sequence[Record]) -> None:
        """Put these in the place of all, at once and durably."""
        self._records = list(records)
        self.durable = len(self._records)

    def crash(self, dice: Dice, *, through_bytes: bool) -> None:
        """Lose some of what was not synced, from some place on."""
        loose = len(self._records) - self.durable
        if loose and through_bytes:
            data = b"".join(frame(encode(record)) for record in self._records[self.durable :])
            torn = bytearray(data[: dice.below(len(data) + 1)])
            if torn and dice.roll() < 0.5:
                torn[-1 - dice.below(min(len(torn), 20))] ^= 1 + dice.below(255)
            kept = [decode(one.payload) for one in scan(bytes(torn))[0]]
            self._records[self.durable :] = kept
        elif loose:
            del self._records[self.durable + dice.below(loose + 1) :]
        self.durable = len(self._records)

    def wipe(self) -> None:
        """Lose everything."""
        self._records = []
        self.durable = 0
