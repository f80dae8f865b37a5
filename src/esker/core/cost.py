"""What a plan costs: bytes, requests, mounts, seconds, money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from esker.core.byte_size import format_bytes


@dataclass(frozen=True)
class Cost:
    """The cost of reads, as estimated before or counted after.

    `bytes` and `requests` are counted at the store; `seconds` is elapsed time on the device's clock (virtual for a
    simulated device); `money` is in US dollars; `devices` says how many seconds each device is busy.

    >>> Cost(bytes=10, requests=1) + Cost(bytes=5, seconds=2.0)
    Cost(bytes=15, requests=1, mounts=0, seconds=2.0, money=0.0, devices={})
    """

    bytes: int = 0
    requests: int = 0
    mounts: int = 0
    seconds: float = 0.0
    money: float = 0.0
    devices: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Cost) -> Cost:
        devices = dict(self.devices)
        for name, seconds in other.devices.items():
            devices[name] = devices.get(name, 0.0) + seconds
        return Cost(
            self.bytes + other.bytes,
            self.requests + other.requests,
            self.mounts + other.mounts,
            self.seconds + other.seconds,
            self.money + other.money,
            devices,
        )

    def since(self, before: Cost) -> Cost:
        """What was added between two looks at a running count.

        >>> Cost(bytes=15, requests=2).since(Cost(bytes=10, requests=1)).bytes
        5
        """
        devices = {name: seconds - before.devices.get(name, 0.0) for name, seconds in self.devices.items()}
        return Cost(
            self.bytes - before.bytes,
            self.requests - before.requests,
            self.mounts - before.mounts,
            self.seconds - before.seconds,
            self.money - before.money,
            {name: seconds for name, seconds in devices.items() if seconds},
        )

    def __str__(self) -> str:
        parts = [format_bytes(self.bytes), f"{self.requests:,} requests"]
        if self.mounts:
            parts.append(f"{self.mounts:,} mounts")
        parts.append(f"{self.seconds:,.1f} s" if self.seconds >= 0.1 else f"{self.seconds * 1000:,.1f} ms")
        if self.money:
            parts.append(f"${self.money:,.2f}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, object]:
        """A plain dictionary for `--json` and the event log."""
        return {
            "bytes": self.bytes,
            "requests": self.requests,
            "mounts": self.mounts,
            "seconds": round(self.seconds, 6),
            "money": round(self.money, 6),
            "devices": {name: round(seconds, 6) for name, seconds in self.devices.items()},
        }


NO_COST = Cost()
