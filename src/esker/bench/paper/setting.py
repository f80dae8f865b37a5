"""A point of the separation join paper's experiments: relations, memory, disk, and the rates of devices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf, isfinite

from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError

MB = 1_000_000
# Tables 1 and 2 and section 4.4 of the paper: "the disk data transfer rate of personal computer is about 10MB/s".
DISK_MB_PER_SECOND = 10.0
MEMORY_MB = 40.0
DISK_MB = 650.0
# What the reading of the claims that fits takes for the disk joins: 256 KB buffers, and 10 ms to seek.
BUFFER_MB = 0.25
SEEK_SECONDS = 0.01
# Join indexes that would take more of the disk than this are kept on tape.
INDEX_SHARE = 0.5


@dataclass(frozen=True)
class Setting:
    """Sizes in MB (10^6 bytes), rates in MB/s. `c` is the reducing ratio, `f` is ||JRI|| / ||S||.

    `positioning` is the speed of locating and rewinding, `rewind_seconds` what a rewind takes besides (all it takes
    on a serpentine drive, whose `positioning` is infinite); `free_rewinds` leaves both out.
    """

    r_mb: float
    s_mb: float
    c: float = 10.0
    f: float = 0.1
    memory_mb: float = MEMORY_MB
    disk_mb: float = DISK_MB
    tape: float = 3.5
    disk: float = DISK_MB_PER_SECOND
    positioning: float = 5.0
    rewind_seconds: float = 0.0
    mount_seconds: float = 71.0
    cartridge_mb: float = 10_000.0
    buffer_mb: float = BUFFER_MB
    seek_seconds: float = SEEK_SECONDS
    free_rewinds: bool = False

    @classmethod
    def of_r(cls, r_gb: float, **changes: float | bool) -> Setting:
        """The paper's point for a size of R: S has twice its tuples and twice its bytes.

        >>> Setting.of_r(10).s_mb
        20000.0
        """
        return replace(cls(r_gb * 1000.0, r_gb * 2000.0), **changes)  # type: ignore[arg-type]  # checked below

    def on(self, device: DeviceProfile) -> Setting:
        """The same point in another tape library; its mounts include the unmount before."""
        return replace(
            self,
            tape=device.bytes_per_second / MB,
            positioning=device.rewind_bytes_per_second / MB,
            rewind_seconds=device.rewind_seconds,
            mount_seconds=device.mount_seconds + device.unmount_seconds,
            cartridge_mb=device.capacity_bytes / MB or inf,
        )

    def __post_init__(self) -> None:
        """Raise OptionError for what no machine has."""
        sizes = ("r_mb", "s_mb", "memory_mb", "disk_mb", "tape", "disk", "cartridge_mb", "buffer_mb")
        for name in sizes:
            value = getattr(self, name)
            if not value > 0 or (not isfinite(value) and name != "cartridge_mb"):
                raise OptionError(f"{_words(name)} is {value:g}: it has to be above 0")
        if not self.c >= 1 or not isfinite(self.c):
            raise OptionError(f"c is {self.c:g}: keys are no larger than their rows, so it is 1 at least")
        if not 0 < self.f <= 1:
            raise OptionError(f"f is {self.f:g}: it is the part of S that matches, above 0 and at most 1")
        if self.buffer_mb * 2 > self.memory_mb:
            raise OptionError(f"memory of {self.memory_mb:g} MB does not hold two buffers of {self.buffer_mb:g} MB")

    @property
    def keys(self) -> Setting:
        """The point of the key join: J_R and J_S, which are c times smaller."""
        return replace(self, r_mb=self.r_mb / self.c, s_mb=self.s_mb / self.c)

    @property
    def both_mb(self) -> float:
        """Both relations."""
        return self.r_mb + self.s_mb

    @property
    def index_mb(self) -> float:
        """JRI: its tuples are two ids, as large as a tuple of J_S."""
        return self.f * self.s_mb / self.c

    @property
    def index_on_tape(self) -> bool:
        """Whether JRI is kept on tape, as it would leave RC no disk."""
        return self.index_mb > INDEX_SHARE * self.disk_mb

    @property
    def rc_mb(self) -> float:
        """RC: the tuples of S that matched."""
        return self.f * self.s_mb

    @property
    def room_mb(self) -> float:
        """What a pass over A_R finds of RC on the disk."""
        return self.disk_mb - (0.0 if self.index_on_tape else self.index_mb)

    def cartridges(self, size_mb: float) -> int:
        """Cartridges that a relation takes."""
        return ceil(size_mb / self.cartridge_mb - 1e-9) if isfinite(self.cartridge_mb) else 1

    def rewind(self, distance_mb: float) -> float:
        """Seconds back over a distance."""
        return 0.0 if self.free_rewinds else self.rewind_seconds + distance_mb / self.positioning


def times(size: float, unit: float) -> int:
    """How many units it takes to hold a size; what rounding left over does not count.

    >>> times(1000, 650), times(0.1 * 3, 0.1), times(650, 650)
    (2, 3, 1)
    """
    return max(ceil(size / unit - 1e-9), 1)


def _words(name: str) -> str:
    return {"tape": "the tape's rate", "disk": "the disk's rate"}.get(name, name.replace("_", " "))
