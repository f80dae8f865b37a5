"""What a simulated device did and when, for reports and the event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DeviceEvent:
    """A stretch of time one device was busy: `device` is "drive 0", "arm" and so on.

    `kind` is mount, locate, transfer, rewind or unmount; times are seconds on the tier's clock.
    """

    device: str
    kind: str
    start: float
    stop: float
    detail: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.stop - self.start

    def to_json(self) -> dict[str, object]:
        """A plain dictionary for `--json`, reports and the event log."""
        return {
            "device": self.device,
            "kind": self.kind,
            "start": round(self.start, 6),
            "stop": round(self.stop, 6),
            "detail": dict(self.detail),
        }
