"""What can be put around a tier, by name: faults for tests and drills, and a cache."""

from __future__ import annotations

from typing import Any

from esker.core.family import Family
from esker.storage.tier import Tier
from esker.storage.wrapped import WrappedTier

WRAPPERS: Family[type[WrappedTier]] = Family(
    "tier wrapper",
    {
        "slow": "esker.storage.wrappers.slow:SlowTier",
        "throttled": "esker.storage.wrappers.throttled:ThrottledTier",
        "flaky": "esker.storage.wrappers.flaky:FlakyTier",
        "half_read": "esker.storage.wrappers.half_read:HalfReadTier",
        "expired_restore": "esker.storage.wrappers.expired_restore:ExpiredRestoreTier",
        "drive_failure": "esker.storage.wrappers.drive_failure:DriveFailureTier",
        "bad_block": "esker.storage.wrappers.bad_block:BadBlockTier",
        "cached": "esker.storage.wrappers.cached:CachedTier",
    },
)


def wrap(tier: Tier, kind: str, **options: Any) -> WrappedTier:
    """Put a fault, or a cache, around a tier.

    >>> from esker.core.extent import ByteRange
    >>> from esker.storage import open_tier
    >>> tier = wrap(open_tier("memory:drill"), "flaky", seed=4, rate=1.0)
    >>> _ = tier.inner.write("a", b"every byte")
    >>> tier.read("a", [ByteRange(0, 5)])
    Traceback (most recent call last):
        ...
    esker.errors.TierUnavailableError: memory:drill did not answer for 'a' (drill: flaky, seed 4) [ESK-401]
    """
    return WRAPPERS[kind](tier, **options)
