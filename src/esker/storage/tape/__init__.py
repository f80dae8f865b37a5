"""A simulated tape library: data in cartridge files, a catalogue of objects, and drives on a virtual clock."""

from __future__ import annotations
