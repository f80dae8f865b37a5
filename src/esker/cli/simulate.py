"""`esker simulate`: what a join, or a large library, would take on devices that nobody has to own."""

from __future__ import annotations

import functools
import json as json_
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.arguments import Debug, Json, Quiet
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.bench.paper.model import Prediction
    from esker.bench.paper.setting import Setting
    from esker.bench.paper.simulation import Simulated
    from esker.core.device_profile import DeviceProfile

simulate = typer.Typer(name="simulate", no_args_is_help=True, rich_markup_mode=None)

DEVICE = "exabyte-220l"
TODAY_BEGIN = "<!-- esker simulate today --markdown: begin -->"
TODAY_END = "<!-- esker simulate today --markdown: end -->"
OF_THE_PAPER = (DEVICE, "ibm-3584")


@simulate.callback()
def simulate_() -> None:
    """Simulate joins on tertiary storage, and a large tape library, at full size and without data."""


@simulate.command()
def join(
    algorithm: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="asj, asj_apart (keys apart when archived), ctt_gh, ctt_gh_half (half the disk is filled while half"
            " is joined), grace, grace_staged, sort_merge or nested_loop.",
        ),
    ] = "asj",
    r_mb: Annotated[float, typer.Option("--r-mb", metavar="MB", help="Size of R.")] = 10_000.0,
    s_mb: Annotated[float | None, typer.Option("--s-mb", metavar="MB", help="Size of S (default: twice R).")] = None,
    c: Annotated[float, typer.Option("--c", metavar="N", help="How many times smaller keys are than rows.")] = 10.0,
    f: Annotated[float, typer.Option("--f", metavar="PART", help="The part of S that matches, ||JRI|| / ||S||.")] = 0.1,
    memory_mb: Annotated[float, typer.Option("--memory-mb", metavar="MB", help="Memory.")] = 40.0,
    disk_mb: Annotated[float, typer.Option("--disk-mb", metavar="MB", help="Disk cache.")] = 650.0,
    disk_rate: Annotated[
        float | None,
        typer.Option("--disk-rate", metavar="MB/S", help="Rate of the disk (default: 10 as in the paper, 2000 today)."),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Tape library, as in devices.toml.")] = DEVICE,
    tape_rate: Annotated[
        float | None, typer.Option("--tape-rate", metavar="MB/S", help="Rate of the tape instead of the device's.")
    ] = None,
    free_rewinds: Annotated[bool, typer.Option("--free-rewinds", help="Charge no locating and no rewinds.")] = False,
    events: Annotated[bool, typer.Option("--events", help="With --json: every event of every device.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Simulate one join of the paper's algorithms, event by event, beside its closed form.

    No data is made: extents pass on tape, space is taken and freed on disk, and a virtual clock says how long.

    \b
    esker simulate join --algorithm asj --r-mb 10000
    esker simulate join --algorithm ctt_gh --r-mb 3000 --s-mb 9000 --disk-mb 2000 --device lto9-hh --json
    """
    changes = {
        "r_mb": r_mb,
        "s_mb": 2 * r_mb if s_mb is None else s_mb,
        "c": c,
        "f": f,
        "memory_mb": memory_mb,
        "disk_mb": disk_mb,
        "disk": disk_rate if disk_rate is not None else 10.0 if device in OF_THE_PAPER else 2000.0,
        "free_rewinds": free_rewinds,
    }
    return functools.partial(_join, algorithm, changes, device, tape_rate, events=events, as_json=json)


@simulate.command()
def library(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="fifo, mounted_first, sweep, shortest_locate or fullest. Repeatable (default: all).",
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Tape library, as in devices.toml.")] = "ibm-3584",
    drives: Annotated[int | None, typer.Option(metavar="N", min=1, help="Drives (default: the device's).")] = None,
    arms: Annotated[int, typer.Option(metavar="N", min=1, help="Robot arms.")] = 2,
    queries: Annotated[int, typer.Option(metavar="N", help="Queries in all.")] = 2000,
    concurrent: Annotated[int, typer.Option(metavar="N", help="Queries under way at any time.")] = 1000,
    extents: Annotated[int, typer.Option(metavar="N", help="Extents a query reads, each on some cartridge.")] = 4,
    extent: Annotated[str, typer.Option(metavar="SIZE", help="Mean size of an extent.")] = "1GB",
    skew: Annotated[float, typer.Option(metavar="X", help="Zipf exponent of how cartridges are wanted.")] = 0.8,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the workload.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Simulate a large tape library under many queries at once, for each scheduling policy.

    fifo serves the oldest request. The others stay with the cartridge in the drive while anyone waits for it: in
    order of arrival (mounted_first), of position (sweep), or the nearest first (shortest_locate, fullest); then comes
    the cartridge of the oldest request, or for fullest the one most requests wait for.

    \b
    esker simulate library
    esker simulate library --policy fifo --policy sweep --arms 8 --skew 0 --json
    """
    from esker.core.byte_size import parse_bytes

    workload = {
        "queries": queries,
        "concurrent": concurrent,
        "extents": extents,
        "extent_bytes": parse_bytes(extent, "extent"),
        "skew": skew,
        "seed": seed,
    }
    return functools.partial(_library, tuple(policy or ()), device, drives, arms, workload, as_json=json)


@simulate.command()
def today(
    json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the block that docs/paper-joins.md has.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Show the paper's join on today's devices: one LTO-9 library, and S3 Glacier Deep Archive with its prices.

    \b
    esker simulate today --json
    """
    return functools.partial(_today, as_json=json, markdown=markdown)


def _today(*, as_json: bool, markdown: bool) -> None:
    from rich.console import Console

    from esker.bench.paper.today import archive_table, library_table
    from esker.bench.tables import print_section, section_markdown

    tables = [library_table(), archive_table()]
    if as_json:
        document = {table.name: {"title": table.title, "rows": [dict(row) for row in table.rows]} for table in tables}
        sys.stdout.write(json_.dumps(document, indent=1) + "\n")
    elif markdown:
        print("\n".join([TODAY_BEGIN, "", *(line for table in tables for line in section_markdown(table)), TODAY_END]))
    else:
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200)
        for table in tables:
            print_section(console, table)


def _library(
    policies: tuple[str, ...],
    name: str,
    drives: int | None,
    arms: int,
    words: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    from dataclasses import asdict, replace

    from esker.storage.tape.crowd import POLICIES, Workload, check_policy, serve

    device = replace(tape_library(name), arms=arms)
    device = replace(device, drives=drives or device.drives)
    workload = Workload(**words)
    chosen = tuple(dict.fromkeys(policies)) or tuple(POLICIES)
    for policy in chosen:
        check_policy(policy)
    document = {
        "library": {
            "device": name,
            "drives": device.drives,
            "arms": device.arms,
            "slots": device.slots,
            "capacity_bytes": device.slots * device.capacity_bytes,
        },
        "workload": asdict(workload),
        "policies": {policy: serve(workload, device, policy).to_json() for policy in chosen},
    }
    if as_json:
        sys.stdout.write(json_.dumps(document, indent=1) + "\n")
    else:
        _show_library(document)


def _show_library(document: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    library, workload = document["library"], document["workload"]
    console.print(
        f"{library['device']}: {library['drives']} drives, {library['arms']} arms, {library['slots']:,} cartridges,"
        f" {library['capacity_bytes'] / 1e15:.2f} PB; {workload['concurrent']:,} queries at a time,"
        f" {workload['queries']:,} in all, {workload['extents']} extents each",
        markup=False,
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy")
    columns = {
        "queries_per_hour": "queries/h",
        "mb_per_second": "MB/s",
        "mounts": "mounts",
        "requests_per_mount": "requests a mount",
        "response_median": "median s",
        "response_95": "95 % s",
        "response_max": "longest s",
        "fairness": "fairness",
        "arm_share": "arms busy",
    }
    for heading in columns.values():
        table.add_column(heading, justify="right")
    table.add_column("drives transfer", justify="right")
    for policy, found in document["policies"].items():
        cells = [f"{found[name]:,.2f}" if found[name] < 100 else f"{found[name]:,.0f}" for name in columns]
        table.add_row(policy, *cells, f"{found['drive_shares'].get('transfer', 0):.1%}")
    console.print(table)


def _join(
    algorithm: str, changes: Mapping[str, Any], device: str, tape_rate: float | None, *, events: bool, as_json: bool
) -> None:
    from dataclasses import replace

    from esker.bench.paper.model import predict
    from esker.bench.paper.setting import Setting
    from esker.bench.paper.simulation import simulate as run

    library = tape_library(device)
    point = Setting(**changes).on(library)
    if tape_rate is not None:
        point = replace(point, tape=tape_rate)
    closed = predict(algorithm, point)
    simulated = run(algorithm, point, library)
    document = _document(algorithm, point, library, closed, simulated, events=events)
    if as_json:
        sys.stdout.write(json_.dumps(document, indent=1) + "\n")
    else:
        _show(document)


def tape_library(name: str) -> DeviceProfile:
    """The profile of a tape library by name; OptionError for another device."""
    from esker.storage.devices import device_profile

    device = device_profile(name)
    if not device.mount_seconds:
        raise OptionError(f"--device {name} is not a tape library")
    return device


def _document(
    algorithm: str,
    point: Setting,
    library: DeviceProfile,
    closed: Prediction,
    simulated: Simulated,
    *,
    events: bool,
) -> dict[str, Any]:
    from dataclasses import asdict
    from math import isfinite

    busy: dict[str, dict[str, dict[str, float]]] = {}
    for (phase, device, kind), seconds in simulated.busy.items():
        busy.setdefault(phase, {}).setdefault(device, {})[kind] = round(seconds, 3)
    document: dict[str, Any] = {
        "algorithm": algorithm,
        "device": library.name,
        "setting": {
            name: value if not isinstance(value, float) or isfinite(value) else None
            for name, value in asdict(point).items()
        },
        "closed_form": {
            "seconds": round(closed.seconds, 3),
            "phases": {name: round(seconds, 3) for name, seconds in closed.phases.items()},
            "counts": dict(closed.counts),
            "scans": round(closed.scans, 4),
            "method": closed.method,
        },
        "simulated": {
            "seconds": round(simulated.seconds, 3),
            "phases": {name: round(seconds, 3) for name, seconds in simulated.phases.items()},
            "counts": dict(simulated.counts),
            "method": simulated.method,
            "mounts": simulated.mounts,
            "tape_bytes": simulated.tape_bytes,
            "disk_bytes": simulated.disk_bytes,
            "disk_peak_bytes": simulated.disk_peak_bytes,
            "busy": busy,
        },
        "difference": round(simulated.seconds / closed.seconds - 1, 4),
    }
    if events:
        document["simulated"]["events"] = [event.to_json() for event in simulated.events]
    return document


def _show(document: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    closed, simulated = document["closed_form"], document["simulated"]
    console.print(f"{document['algorithm']} on {document['device']} ({simulated['method']})", markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "closed form", "simulated"):
        table.add_column(heading, justify="left" if not heading else "right")
    names = list(dict.fromkeys([*closed["phases"], *simulated["phases"]]))
    for name in names:
        table.add_row(name, *(_seconds(side["phases"].get(name)) for side in (closed, simulated)))
    table.add_row("total", _seconds(closed["seconds"]), _seconds(simulated["seconds"]))
    for name, count in closed["counts"].items():
        table.add_row(name.replace("_", " "), f"{count:,}", f"{simulated['counts'].get(name, 0):,}")
    console.print(table)
    device_table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("phase", "device", "does", "seconds"):
        device_table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for phase, devices in simulated["busy"].items():
        for device, kinds in sorted(devices.items()):
            for kind, seconds in kinds.items():
                device_table.add_row(phase, device, kind, _seconds(seconds))
    console.print(device_table)
    console.print(
        f"{simulated['mounts']:,} mounts, {simulated['tape_bytes'] / 1e6:,.0f} MB on tape,"
        f" {simulated['disk_bytes'] / 1e6:,.0f} MB on disk, {simulated['disk_peak_bytes'] / 1e6:,.0f} MB used at most;"
        f" {document['difference']:+.1%} of the closed form",
        markup=False,
        highlight=False,
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"
