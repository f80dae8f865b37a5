"""What freezing asks of a storage tier; the tiers themselves are in `esker.storage`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from esker.core.cost import Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange


class StoredLike(Protocol):
    """What a tier says of an object it holds."""

    @property
    def key(self) -> str: ...
    @property
    def bytes(self) -> int: ...


class CapabilityLike(Protocol):
    """What a tier can do well."""

    @property
    def random_read(self) -> bool: ...


class Tier(Protocol):
    """Objects under keys, written once and never overwritten."""

    @property
    def capability(self) -> CapabilityLike: ...
    @property
    def device(self) -> DeviceProfile: ...

    @property
    def uri(self) -> str: ...
    @property
    def counted(self) -> Cost: ...
    def write(self, key: str, data: Path | bytes) -> StoredLike: ...
    def read(self, key: str, ranges: Sequence[ByteRange]) -> Sequence[bytes | memoryview]: ...
    def list(self, prefix: str = "") -> Iterator[StoredLike]: ...
    def delete(self, key: str) -> None: ...


def open_tier(uri: str) -> Tier:
    """Open the tier that `uri` names."""
    storage: Any = importlib.import_module("esker.storage")
    return cast(Tier, storage.open_tier(uri))
