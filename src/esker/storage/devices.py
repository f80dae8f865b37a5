"""Device profiles, read from devices.toml: every figure there has its source and date."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError

_FILE = Path(__file__).with_name("devices.toml")
_WHOLE = frozenset({"concurrency", "wraps", "drives", "arms", "slots", "capacity_bytes"})
_FIGURES = frozenset(field.name for field in fields(DeviceProfile)) - {"name", "source"}


@dataclass(frozen=True)
class Figure:
    """One figure of a profile; `assumed` if nobody published it and it was carried over or chosen."""

    value: float
    source: str
    date: str
    assumed: bool


class Devices(Mapping[str, DeviceProfile]):
    """The profiles by name.

    >>> DEVICES["exabyte-220l"].mount_seconds
    71.0
    >>> DEVICES["lto9-hf"]
    Traceback (most recent call last):
        ...
    esker.errors.OptionError: no device 'lto9-hf'; did you mean 'lto9-hh'? devices: exabyte-220l, ibm-3584, lto9-hh, \
lto9-fh, lto10, optical-jukebox, hdd, nvme, s3-standard, glacier-flexible, glacier-deep-archive, memory [ESK-106]
    """

    def __getitem__(self, name: str) -> DeviceProfile:
        figures = self.figures(name)
        values = {
            figure: int(found.value) if figure in _WHOLE else float(found.value) for figure, found in figures.items()
        }
        sources = dict.fromkeys(f"{found.source} ({found.date})" for found in figures.values())
        return DeviceProfile(name=name, source="; ".join(sources), **values)  # type: ignore[arg-type]  # whole numbers where the field wants one

    def __iter__(self) -> Iterator[str]:
        return iter(_tables())

    def __len__(self) -> int:
        return len(_tables())

    def __contains__(self, name: object) -> bool:
        return name in _tables()

    def figures(self, name: str) -> Mapping[str, Figure]:
        """Give every figure of a profile with where it comes from."""
        tables = _tables()
        if name not in tables:
            near = difflib.get_close_matches(name, tables, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise OptionError(f"no device {name!r}{hint} devices: {', '.join(tables)}")
        return tables[name]


@cache
def _tables() -> Mapping[str, Mapping[str, Figure]]:
    """Read the file: sources have short names there, and figures refer to them."""
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    sources = read.pop("sources")
    tables: dict[str, dict[str, Figure]] = {}
    for name, table in read.items():
        tables[name] = {}
        for figure, (value, source) in table.items():
            assert figure in _FIGURES, f"{_FILE}: {figure} of {name} is no figure of a profile"
            origin = sources[source]
            tables[name][figure] = Figure(value, origin["text"], origin["date"], origin.get("assumed", False))
    return tables


DEVICES = Devices()


@cache
def device_profile(name: str) -> DeviceProfile:
    """Look a profile up by name."""
    return DEVICES[name]
