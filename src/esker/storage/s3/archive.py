"""How far an archived object is from being readable: cold, restoring or restored, as its headers say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from esker.errors import TierError
from esker.storage.prices import storage_classes


@dataclass(frozen=True)
class Cold:
    """Archived, and nobody asked for it."""

    storage_class: str


@dataclass(frozen=True)
class Restoring:
    """Asked for, and not there yet."""

    storage_class: str


@dataclass(frozen=True)
class Restored:
    """Readable until a moment, in seconds since 1970 UTC."""

    storage_class: str
    until: float


@dataclass(frozen=True)
class Warm:
    """Readable for good: of a class that needs no restore."""

    storage_class: str


ArchiveState = Cold | Restoring | Restored | Warm

_ONGOING = re.compile(r'ongoing-request="(true|false)"')
_EXPIRY = re.compile(r'expiry-date="([^"]+)"')


def archive_state(name: str, head: Mapping[str, Any], now: float) -> ArchiveState:
    """Read the state out of what HEAD gave. The storage class stays what it was while a restored copy is there.

    >>> restore = 'ongoing-request="false", expiry-date="Fri, 02 Jan 1970 00:00:00 GMT"'
    >>> head = {"StorageClass": "GLACIER", "Restore": restore}
    >>> archive_state("a", head, now=100.0)
    Restored(storage_class='GLACIER', until=86400.0)
    >>> archive_state("a", head, now=90000.0), archive_state("a", {"StorageClass": "GLACIER"}, now=0.0)
    (Cold(storage_class='GLACIER'), Cold(storage_class='GLACIER'))
    """
    storage_class = str(head.get("StorageClass") or "STANDARD")
    restore = head.get("Restore")
    if storage_class not in storage_classes():
        return Warm(storage_class)
    if not restore:
        return Cold(storage_class)
    ongoing = _ONGOING.search(restore)
    if ongoing is None:
        raise TierError(f"cannot read what the store says of the restore of {name}: {restore!r}")
    if ongoing.group(1) == "true":
        return Restoring(storage_class)
    until = _seconds(name, restore)
    return Restored(storage_class, until) if until > now else Cold(storage_class)


def _seconds(name: str, restore: str) -> float:
    found = _EXPIRY.search(restore)
    try:
        return parsedate_to_datetime(found.group(1)).timestamp() if found else float("inf")
    except ValueError as error:
        raise TierError(f"cannot read when the restored copy of {name} expires: {restore!r}") from error
