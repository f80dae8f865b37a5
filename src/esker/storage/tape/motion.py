"""How long tape takes to move: locate, transfer, rewind."""

from __future__ import annotations

from esker.core.device_profile import DeviceProfile


def transfer_seconds(device: DeviceProfile, size_bytes: int) -> float:
    """Say how long reading or writing takes once the head is in place."""
    return size_bytes / device.bytes_per_second


def locate_seconds(device: DeviceProfile, position: int, target: int) -> float:
    """Say how long it takes from byte `position` to byte `target` of a cartridge.

    A linear drive passes over the distance at its positioning speed; a serpentine one turns to the right track and
    takes a mean time, wherever that is. Going forward a little, a drive may as well run on at its reading speed.
    """
    if position == target:
        return 0.0
    distance = abs(target - position)
    seconds = device.locate_seconds + distance / device.locate_bytes_per_second
    return min(seconds, transfer_seconds(device, distance)) if target > position else seconds


def rewind_seconds(device: DeviceProfile, position: int) -> float:
    """Say how long it takes back to the start of the tape."""
    return device.rewind_seconds + position / device.rewind_bytes_per_second if position else 0.0
