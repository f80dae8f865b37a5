"""`esker demo`: the main job on real data, from freeze to report."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esker.cli.options import command
from esker.cli.session import Session
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import InputFileError, OutputExistsError

if TYPE_CHECKING:
    from rich.console import Console

TITLE = "Esker demo: flights from New York, 2013"
TABLES = ("flights", "weather", "planes", "airports")
SUBTITLE = "336,776 flights, frozen to a simulated tape library: found, joined and regrouped by deciding on keys first."


@command
def demo(
    session: Session,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="The new folder (default: a temporary one).")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FOLDER", help="Only write its tables there, as Parquet: to try commands on."),
    ] = None,
) -> None:
    """Run the main job on real data: freeze, find, join, regroup.

    Needs the extra: pip install 'esker[demo]'. Ends with a report, one HTML file, and says where it is.

    \b
    esker demo --output demo
    esker demo --data .
    """
    if data is not None:
        _write_tables(session, Path(data))
        return
    from esker.cli import demo_steps

    if session.dry_run:
        for number, step in enumerate(demo_steps.STEPS, start=1):
            print(f"{number}  {step.__doc__}")
        return
    with _folder(output) as folder:
        report = _run(session, folder)
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    session.note(
        f"report: {report}\nall files: {folder} ({size_bytes >> 20} MiB; nothing needs them, remove them at will)"
    )


def _write_tables(session: Session, folder: Path) -> None:
    """Write flights, weather, planes and airports; OutputExistsError, before any is written, where one is there."""
    from esker.cli.demo_data import find_flight_data
    from esker.cli.demo_job import read_csv

    if not folder.is_dir():
        raise InputFileError(f"--data {folder}: there is no such folder")
    paths = {name: folder / f"{name}.parquet" for name in TABLES}
    for path in paths.values():
        if path.exists():
            raise OutputExistsError(f"--data: {path} exists already; choose another folder or remove it")
    if session.dry_run:
        print("\n".join(map(str, paths.values())))
        return
    with tempfile.TemporaryDirectory(prefix="esker-demo-") as unpacked:
        data = find_flight_data(Path(unpacked))
        rows = {
            name: read_csv(getattr(data, name)).write_parquet(path, **session.options()) for name, path in paths.items()
        }
    if session.json:
        session.document({"tables": [{"path": str(paths[name]), "row_count": count} for name, count in rows.items()]})
        return
    for name, count in rows.items():
        print(f"wrote {paths[name]}: {count:,} rows")


def _run(session: Session, folder: Path) -> Path:
    from esker.cli import demo_steps
    from esker.cli.demo_check import DuckCheck
    from esker.cli.demo_data import find_flight_data
    from esker.cli.demo_story import Story

    begin = SYSTEM_CLOCK.seconds()
    data = find_flight_data(folder)
    story = Story(_console(session), TITLE, SUBTITLE)
    check = DuckCheck(data)
    try:
        scene = demo_steps.Scene(data, folder, session.options(), check, story)
        for step in demo_steps.STEPS:
            session.check()
            step(scene)
    finally:
        check.close()
    session.check()
    demo_steps.summary(scene, SYSTEM_CLOCK.seconds() - begin)
    report = folder / "report.html"
    story.write(report)
    if session.json:
        session.document({"folder": str(folder), "report": str(report), "steps": story.figures})
    return report


def _console(session: Session) -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, quiet=session.quiet or session.json, highlight=False)


@contextmanager
def _folder(output: str | None) -> Iterator[Path]:
    """A new folder, taken away again when the demo does not end well."""
    folder = Path(output).absolute() if output is not None else Path(tempfile.mkdtemp(prefix="esker-demo-"))
    if output is not None:
        if folder.exists():
            raise OutputExistsError(f"--output {output} exists already; choose another name or remove it")
        if not folder.parent.is_dir():
            raise InputFileError(f"--output {output}: there is no folder {folder.parent}")
        folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
