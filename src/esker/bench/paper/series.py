"""What the figures and the claims are made of: closed forms, simulations and measured operators, each made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from esker.bench.paper import model
from esker.bench.paper.model import Prediction
from esker.bench.paper.operators import SCALE, Measured, run_operator
from esker.bench.paper.setting import Setting
from esker.bench.paper.simulation import Simulated, simulate
from esker.storage.devices import device_profile

DEVICE = "exabyte-220l"
R_GB = tuple(range(1, 11))
REDUCING = tuple(range(10, 101, 10))
SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
RATES = SHARES
# "Disk cache is set to 1GB for ASJ" (section 4.4).
BIG_DISK_MB = 1000.0


@dataclass
class Series:
    """Results by algorithm and point. `operators` says whether the real operators may run, which takes minutes."""

    operators: bool = True
    scale: float = SCALE
    progress: Callable[[str], None] = lambda line: None
    check: Callable[[], None] = lambda: None
    _measured: dict[tuple[str, Setting], Measured] = field(default_factory=dict)

    def closed(self, algorithm: str, point: Setting) -> Prediction:
        """The closed form."""
        return model.predict(algorithm, point)

    def simulated(self, algorithm: str, point: Setting) -> Simulated:
        """The simulation without data."""
        self.check()
        return _simulate(algorithm, point)

    def measured(self, algorithm: str, point: Setting) -> Measured | None:
        """The real operator on relations scaled down; None when operators are not to run."""
        if not self.operators:
            return None
        key = (algorithm, point)
        if key not in self._measured:
            self.check()
            self.progress(f"{algorithm}, R = {point.r_mb / 1000:g} GB, c = {point.c:g}, JRI = {point.f:g} of S")
            self._measured[key] = run_operator(algorithm, point, device_profile(DEVICE), scale=self.scale)
        return self._measured[key]

    def scans(self, algorithm: str, point: Setting) -> float:
        """How often both relations are read, by the counts of the simulation."""
        counts, closed = self.simulated(algorithm, point).counts, self.closed(algorithm, point)
        # The closed form turns counts into scans; the simulation counts for itself.
        assert counts == closed.counts, f"{algorithm} at {point} scans otherwise than the closed form says"
        return closed.scans


@cache
def _simulate(algorithm: str, point: Setting) -> Simulated:
    """Simulate once a process: nothing in it depends on when."""
    return simulate(algorithm, point, device_profile(DEVICE))


def on_disk_point(r_gb: float, *, free_rewinds: bool = False) -> Setting:
    """A point of figures 6 and 7."""
    return Setting.of_r(r_gb, disk_mb=BIG_DISK_MB, free_rewinds=free_rewinds)
