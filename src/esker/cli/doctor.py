"""`esker doctor`: looks whether this machine and this installation can do what Esker does, by doing a little of it."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from esker.cli.options import command
from esker.cli.outcome import DONE, FAILED
from esker.cli.session import Session

# What SQLite needs to be free of a bug that could lose committed pages of its log.
SQLITE_LEAST = (3, 51, 3)
SPILL_BYTES_FEW = 10 << 30
MEMORY_BYTES_FEW = 1 << 30
FILES_FEW = 1024
# File systems that are memory: spilling there frees none.
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True)
class Check:
    """What was looked at: `state` is ok, warning, failed, or absent (an extra that is not installed)."""

    name: str
    state: str
    detail: str
    advice: str = ""


@command
def doctor(session: Session) -> int:
    """Check the installation: kernel, packages, extras, memory, disk, limits, worker processes.

    Ends with 1 when something failed; warnings and extras that are not there are none. Nothing leaves this machine.

    \b
    esker doctor
    esker doctor --json
    """
    checks = list(examine())
    failed = [check for check in checks if check.state == "failed"]
    if session.json:
        session.document({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        _show(checks)
    return FAILED if failed else DONE


def examine() -> Iterator[Check]:
    """All checks, in order; one that breaks is a check that failed."""
    for name, check in _CHECKS.items():
        try:
            yield from check(name)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the installation is what we look for
            yield Check(name, "failed", f"{type(error).__name__}: {error}", "reinstall esker, or report this")


def _python(name: str) -> Iterator[Check]:
    words = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.version_info < (3, 11) or platform.system() != "Linux":
        yield Check(name, "failed", words, "Esker runs on Linux with Python 3.11 or later")
        return
    yield Check(name, "ok", words)


def _kernel(name: str) -> Iterator[Check]:
    import pyarrow as pa

    import esker
    from esker.core.version import VERSION

    rows = esker.from_arrow(pa.table({"k": pa.array(range(10_000)), "text": [f"{n % 7}" for n in range(10_000)]}))
    shuffled = rows.shuffle("text", 4).with_options(memory="64MiB", log=os.devnull).to_arrow()
    if shuffled.num_rows != 10_000 or set(shuffled["k"].to_pylist()) != set(range(10_000)):
        yield Check(name, "failed", "a shuffle gave other rows than it took", "reinstall esker")
        return
    yield Check(name, "ok", f"esker {VERSION}: a shuffle of 10,000 rows came out right")


def _packages(name: str) -> Iterator[Check]:
    needed = _requirements(None)
    versions = {package: _version(package) for package in needed}
    missing = [package for package, version in versions.items() if version is None]
    words = ", ".join(f"{package} {version}" for package, version in versions.items() if version is not None)
    if missing:
        yield Check(name, "failed", f"{words}; missing: {', '.join(missing)}", "pip install --upgrade esker")
        return
    yield Check(name, "ok", words)
    import apsw

    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    state = "ok" if found >= SQLITE_LEAST else "failed"
    yield Check("sqlite", state, f"SQLite {apsw.sqlite_lib_version()}", "" if state == "ok" else "pip install -U apsw")


def _extras(name: str) -> Iterator[Check]:
    for extra in metadata.metadata("esker").get_all("Provides-Extra") or []:
        packages = [package for package in _requirements(extra) if package != "esker"]
        if not packages:
            continue
        versions = {package: _version(package) for package in packages}
        if all(versions.values()):
            words = ", ".join(f"{package} {version}" for package, version in versions.items())
            yield Check(f"{name} {extra}", "ok", words)
        else:
            missing = ", ".join(package for package, version in versions.items() if version is None)
            yield Check(f"{name} {extra}", "absent", f"no {missing}", f"pip install 'esker[{extra}]'")


def _memory(name: str) -> Iterator[Check]:
    from esker.core.byte_size import format_bytes
    from esker.core.memory import file_cache_bytes, machine_memory_bytes

    total, free = machine_memory_bytes(), file_cache_bytes()
    words = f"{format_bytes(total)}, {format_bytes(free)} of it free; a query takes half of all unless told otherwise"
    few = 0 < free < MEMORY_BYTES_FEW
    yield Check(name, "warning" if few else "ok", words, "give --memory, or close other programs" if few else "")
    yield Check("cores", "ok", f"{len(os.sched_getaffinity(0))} for this process")


def _spill(name: str) -> Iterator[Check]:
    from esker.core.byte_size import format_bytes
    from esker.core.spill import SpillFolder, spill_root

    root = spill_root()
    with SpillFolder() as folder:
        path, descriptor = folder.new_file("doctor")
        try:
            os.write(descriptor, b"esker" * 1000)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path.stat().st_size != 5000:
            yield Check(name, "failed", f"{root} does not keep what is written", "set ESKER_SPILL_FOLDER")
            return
    free, kind = shutil.disk_usage(root).free, _file_system_of(root)
    words = f"{root} ({kind}): {format_bytes(free)} free"
    if kind in IN_MEMORY:
        yield Check(name, "warning", words, "what is spilled there takes memory: set ESKER_SPILL_FOLDER to a disk")
    elif free < SPILL_BYTES_FEW:
        yield Check(name, "warning", words, "set ESKER_SPILL_FOLDER to a disk with more room")
    else:
        yield Check(name, "ok", words)


def _limits(name: str) -> Iterator[Check]:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = files != resource.RLIM_INFINITY and files < FILES_FEW
    words = f"{files:,} open files" if files != resource.RLIM_INFINITY else "any number of open files"
    yield Check(name, "warning" if few else "ok", words, f"ulimit -n {FILES_FEW}" if few else "")
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space != resource.RLIM_INFINITY:
        advice = "mapped files count there: raise it with ulimit -v unlimited, and bound memory with --memory"
        yield Check(name, "warning", f"address space is limited to {space:,} bytes", advice)


def _workers(name: str) -> Iterator[Check]:
    import esker

    found = esker.range(4).map(str).with_options(workers=2, log=os.devnull).collect()
    if found != ["0", "1", "2", "3"]:
        yield Check(name, "failed", f"worker processes gave {found}", "with_options(runtime='threads') does without")
        return
    yield Check(name, "ok", "two worker processes started, and gave what they should")


def _logs(name: str) -> Iterator[Check]:
    from esker.core.event_log import LOG_FOLDER_VARIABLE, default_log_folder, recent_logs

    folder = default_log_folder()
    if folder is None:
        yield Check(name, "ok", f"no log is kept; {LOG_FOLDER_VARIABLE} names a folder for one of each query")
        return
    writable = os.access(folder, os.W_OK | os.X_OK)
    words = f"{folder}: {len(recent_logs(folder, 1 << 20)):,} logs"
    yield Check(name, "ok" if writable else "failed", words, "" if writable else f"make {folder} writable")


_CHECKS: dict[str, Callable[[str], Iterator[Check]]] = {
    "python": _python,
    "kernel": _kernel,
    "packages": _packages,
    "extra": _extras,
    "memory": _memory,
    "spill folder": _spill,
    "limits": _limits,
    "workers": _workers,
    "event logs": _logs,
}


def _requirements(extra: str | None) -> list[str]:
    """The packages that esker asks for, with an extra or without.

    >>> "numpy" in _requirements(None), "boto3" in _requirements("s3"), "boto3" in _requirements(None)
    (True, True, False)
    """
    found = []
    for line in metadata.requires("esker") or []:
        package, _, condition = line.partition(";")
        named = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", condition)
        match = re.match(r"[A-Za-z0-9._-]+", package.strip())
        if match is not None and (named[1] if named else None) == extra:
            found.append(match[0])
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _file_system_of(path: Path) -> str:
    """The type of the file system that a path lies on, as /proc/mounts has it."""
    real = path.resolve()
    best, kind = -1, "unknown"
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, mounted, type_, *_ = line.split()
        place = Path(mounted.replace("\\040", " "))
        if real.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), type_
    return kind


def _show(checks: list[Check]) -> None:
    marks = {"ok": "ok", "warning": "warn", "failed": "FAIL", "absent": "-"}
    wide = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{marks[check.state]:>4}  {check.name:<{wide}}  {check.detail}")
        if check.advice:
            print(f"{'':>4}  {'':<{wide}}  -> {check.advice}")
