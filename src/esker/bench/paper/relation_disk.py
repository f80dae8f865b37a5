"""A disk of any rate whose objects lie in memory: what the joins on disk of the paper read from."""

from __future__ import annotations

from itertools import count

from esker.core.device_profile import DeviceProfile
from esker.storage.tiers.memory import MemoryTier

_NUMBERS = count()


class RelationDisk(MemoryTier):
    """Objects for one measurement; they are gone with it."""

    def __init__(self, device: DeviceProfile) -> None:
        # Memory tiers of one name share their objects, and each measurement has its own.
        super().__init__(f"paper-{next(_NUMBERS)}")
        self._objects = {}
        self.device = device
