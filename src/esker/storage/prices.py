"""What archives ask for bringing objects back, read from prices.toml: a list with its date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from esker.errors import OptionError

_FILE = Path(__file__).with_name("prices.toml")
_DAY_SECONDS = 86_400.0
_MONTH_DAYS = 30.0


@dataclass(frozen=True)
class RestorePrice:
    """A speed of a storage class: money (US dollars) by byte and by object, and how long it takes.

    >>> price = restore_price("DEEP_ARCHIVE", "bulk")
    >>> round(price.money(10**12, 100, days=7), 2), price.seconds_max / 3600, price.date
    (7.87, 48.0, '2026-11')
    """

    storage_class: str
    speed: str
    money_per_byte: float
    money_per_request: float
    copy_money_per_byte_month: float
    seconds_min: float
    seconds_max: float
    date: str
    source: str

    def money(self, size_bytes: int, objects: int, days: int) -> float:
        """What restoring objects costs, with the copy that lies in the warm class for some days."""
        copy = self.copy_money_per_byte_month * days / _MONTH_DAYS
        return size_bytes * (self.money_per_byte + copy) + objects * self.money_per_request


@cache
def restore_price(storage_class: str, speed: str) -> RestorePrice:
    """Look up what a speed of a storage class costs; OptionError names the speeds there are."""
    read = _read()
    table = read[storage_class]
    if speed not in speeds(storage_class):
        raise OptionError(
            f"speed={speed!r} is not offered for {storage_class}; there is: {', '.join(speeds(storage_class))}"
        )
    figures = {name: float(value) for name, (value, _) in table[speed].items()}
    sources = dict.fromkeys(source for _, source in table[speed].values())
    return RestorePrice(
        storage_class,
        speed,
        copy_money_per_byte_month=float(table["copy_money_per_byte_month"][0]),
        date=str(read["date"]),
        source="; ".join(read["sources"][source]["text"] for source in sources),
        **figures,
    )


def storage_classes() -> tuple[str, ...]:
    """Name the storage classes that need a restore."""
    return tuple(name for name, table in _read().items() if isinstance(table, dict) and name != "sources")


def month_price(storage_class: str) -> float:
    """What a byte costs in a storage class for a month, in US dollars.

    >>> round(month_price("DEEP_ARCHIVE") * 10**12, 2)
    0.99
    """
    return float(_read()[storage_class]["money_per_byte_month"][0])


def speeds(storage_class: str) -> tuple[str, ...]:
    """Name the speeds of a storage class, fastest first."""
    return tuple(name for name, table in _read()[storage_class].items() if isinstance(table, dict))


@cache
def _read() -> Mapping[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
