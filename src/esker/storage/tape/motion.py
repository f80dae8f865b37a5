"""How long tape takes to move: locate, transfer, rewind."""

from __future__ import annotations

from esker.core.device_profile import DeviceProfile


def transfer_seconds(device: DeviceProfile, size_bytes: int) -> float:
    """Say how long reading or writing takes once the head is in place."""
    return size_bytes / device.bytes_per_second


def locate_seconds(device: DeviceProfile, position: int, target: int) -> float:
    """Say how long it takes from byte `position` to byte `target` of a cartridge.

    A linear drive passes over the distance at its positioning speed. A serpentine one winds from one place along the
    tape to the other, whatever lies between them in bytes, and turns to the right wrap; without `wraps` in its profile
    it takes a mean time. Going forward a little, a drive may as well run on at its reading speed.
    """
    if position == target:
        return 0.0
    distance = abs(target - position)
    if _serpentine(device):
        way = abs(tape_place(device, target) - tape_place(device, position))
        # The mean from the load point is half of the tape, and what turning to a wrap takes.
        seconds = device.locate_seconds - device.wind_seconds / 2 + device.wind_seconds * way
    else:
        seconds = device.locate_seconds + distance / device.locate_bytes_per_second
    return min(seconds, transfer_seconds(device, distance)) if target > position else seconds


def rewind_seconds(device: DeviceProfile, position: int) -> float:
    """Say how long it takes back to the start of the tape."""
    if not position:
        return 0.0
    if _serpentine(device):
        return device.wind_seconds * tape_place(device, position)
    return device.rewind_seconds + position / device.rewind_bytes_per_second


def tape_place(device: DeviceProfile, position: int) -> float:
    """Say how far along a serpentine tape a byte lies: 0 at the load point, 1 at the far end.

    >>> from dataclasses import replace
    >>> from esker.storage.devices import device_profile
    >>> tape = replace(device_profile("lto9-fh"), capacity_bytes=1000, wraps=10)
    >>> [tape_place(tape, byte) for byte in (0, 50, 100, 125, 200)]
    [0.0, 0.5, 1.0, 0.75, 0.0]
    """
    wrap, within = divmod(position * device.wraps, device.capacity_bytes)
    part = within / device.capacity_bytes
    return part if wrap % 2 == 0 else 1.0 - part


def _serpentine(device: DeviceProfile) -> bool:
    return device.wraps > 0 and device.capacity_bytes > 0
