"""Rates and times of a storage device, with where each figure comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceProfile:
    """A device's rates (bytes per second), times (seconds) and capacity (bytes).

    `request_seconds` is the fixed time of one read request (seek, round trip), of which `concurrency` may be under way
    at a time while `bytes_per_second` is what they get together. For a tape library,
    `mount_seconds` covers fetching, loading and getting ready, `unmount_seconds` the way back; locating costs
    `locate_seconds` plus distance / `locate_bytes_per_second`, and a rewind distance / `rewind_bytes_per_second`
    plus `rewind_seconds`. A serpentine drive writes `wraps` there and back again and winds its whole tape in
    `wind_seconds`: its `locate_seconds` and `rewind_seconds` are means, from the load point and to it.
    """

    name: str
    bytes_per_second: float
    request_seconds: float = 0.0
    concurrency: int = 1
    drives: int = 1
    arms: int = 1
    slots: int = 0
    capacity_bytes: int = 0
    mount_seconds: float = 0.0
    unmount_seconds: float = 0.0
    exchange_seconds: float = 0.0
    locate_seconds: float = 0.0
    locate_bytes_per_second: float = float("inf")
    rewind_seconds: float = 0.0
    rewind_bytes_per_second: float = float("inf")
    wraps: int = 0
    wind_seconds: float = 0.0
    money_per_byte: float = 0.0
    money_per_request: float = 0.0
    source: str = ""

    @property
    def gap_bytes(self) -> int:
        """Reading this many bytes over is as cheap as a second request: the break-even gap between two ranges."""
        return int(self.request_seconds * self.bytes_per_second / self.concurrency)
