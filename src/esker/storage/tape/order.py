"""In which order the passages of one cartridge go under the head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError
from esker.storage.tape.motion import locate_seconds

if TYPE_CHECKING:
    from esker.storage.tape.library import Passage

Order = Callable[[DeviceProfile, int, Sequence["Passage"]], list["Passage"]]

# Beyond it, trying moves takes longer than it saves.
_IMPROVED_MAX = 128
_ROUNDS_MAX = 8


def in_turn(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> list[Passage]:
    """Serve in the order asked for: what happens when nobody schedules."""
    return list(passages)


def by_position(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> list[Passage]:
    """Serve from the first byte to the last: a scan, or half a sweep of an elevator."""
    return sorted(passages)


def elevator(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> list[Passage]:
    """Serve what lies ahead of the head first, then from the start: no passage is skipped over for long."""
    ahead = sorted(passage for passage in passages if passage.start >= position)
    behind = sorted(passage for passage in passages if passage.start < position)
    return ahead + behind


def nearest(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> list[Passage]:
    """Serve what takes the shortest locate from where the head stands, again and again."""
    left = sorted(passages)
    found: list[Passage] = []
    while left:
        best = min(range(len(left)), key=lambda number: locate_seconds(device, position, left[number].start))
        found.append(left.pop(best))
        position = found[-1].stop
    return found


def recommended(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> list[Passage]:
    """Serve in the order that a drive with recommended access order would give: the best that a short search finds.

    Begins with the better of `by_position`, `elevator` and `nearest`, then moves single passages to where they
    shorten the way. Source: IBM's and CERN's notes on recommended access order of full-height LTO drives.
    """
    starts = [make(device, position, passages) for make in (by_position, elevator, nearest)]
    best = min(starts, key=lambda order: way_seconds(device, position, order))
    if not 3 <= len(best) <= _IMPROVED_MAX:
        return best
    for _ in range(_ROUNDS_MAX):
        moved = _move_one(device, position, best)
        if moved is None:
            return best
        best = moved
    return best


def way_seconds(device: DeviceProfile, position: int, passages: Sequence[Passage]) -> float:
    """Say how long all locates of an order take."""
    total = 0.0
    for passage in passages:
        total += locate_seconds(device, position, passage.start)
        position = passage.stop
    return total


def _move_one(device: DeviceProfile, position: int, order: list[Passage]) -> list[Passage] | None:
    """Take every passage out in turn and put it where the way gets shortest; None when nothing helps."""

    def way(before: int, after: Passage | None) -> float:
        return locate_seconds(device, before, after.start) if after is not None else 0.0

    helped = False
    for passage in order:
        place = order.index(passage)
        left = order[:place] + order[place + 1 :]
        gains: list[float] = []
        for at in range(len(left) + 1):
            before = left[at - 1].stop if at else position
            after = left[at] if at < len(left) else None
            gains.append(way(before, passage) + way(passage.stop, after) - way(before, after))
        best = min(range(len(gains)), key=gains.__getitem__)
        if gains[best] < gains[place] - 1e-9:
            order = [*left[:best], passage, *left[best:]]
            helped = True
    return order if helped else None


ORDERS: Mapping[str, Order] = {
    "fifo": in_turn,
    "scan": by_position,
    "elevator": elevator,
    "nearest": nearest,
    "recommended": recommended,
}


def check_order(name: str) -> str:
    """Give back the name of an order; OptionError for one that there is not."""
    if name not in ORDERS:
        raise OptionError(f"order={name!r}: there is {', '.join(ORDERS)}")
    return name
