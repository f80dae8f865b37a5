"""Storage tiers: where objects lie, what reading them costs, and which devices they lie on."""

from __future__ import annotations

from esker.storage.device_event import DeviceEvent
from esker.storage.devices import DEVICES, device_profile
from esker.storage.recall import wait_for
from esker.storage.tier import Capability, ReadRequest, Recall, RecallState, Stored, Tier
from esker.storage.tiers import TIERS, open_tier

__all__ = [
    "DEVICES",
    "TIERS",
    "Capability",
    "DeviceEvent",
    "ReadRequest",
    "Recall",
    "RecallState",
    "Stored",
    "Tier",
    "device_profile",
    "open_tier",
    "wait_for",
]
