"""What a join may use beside the time: memory for its build side, disk for what passes through, and that disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from esker.core.context import QueryContext
from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError
from esker.storage import device_profile

# Of the free memory, what a partition of the build side may take: it is held twice while it is loaded.
_MEMORY_SHARE = 8


@dataclass(frozen=True)
class JoinLimits:
    """Source 003's |M| and |D|: bytes of the build side in memory at a time, and of the disk used as a cache.

    `disk` is the device of the spill folder, `buffer_bytes` what each sorted run is read through. With `halved` a chunk
    of the probe side takes half of the disk while the other half is filled; without, the room a joined partition leaves
    is filled at once. With `even_passes` the rows that pass through the disk are split evenly over the passes they
    need; without, each pass takes all that fits.
    """

    memory_bytes: int
    disk_bytes: int
    disk: DeviceProfile = field(default_factory=lambda: device_profile("nvme"))
    buffer_bytes: int = 256 << 10
    halved: bool = False
    even_passes: bool = True

    def __post_init__(self) -> None:
        if min(self.memory_bytes, self.disk_bytes) < 1:
            raise OptionError("a join needs memory and disk: memory_bytes and disk_bytes are at least 1")

    @property
    def fan_in(self) -> int:
        """How many sorted runs are merged at a time."""
        return max(2, self.memory_bytes // self.buffer_bytes)

    @classmethod
    def of(cls, context: QueryContext) -> JoinLimits:
        """Take what the query's budget and its spill folder have free."""
        return cls(max(context.budget.free_bytes // _MEMORY_SHARE, 1), max(context.spill.limit_bytes, 1))
