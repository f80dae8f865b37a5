"""The demo's steps: each runs a part of the job, checks it and tells it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import esker
from esker.cli import demo_job as job
from esker.cli.demo_check import DuckCheck
from esker.cli.demo_data import FlightData
from esker.cli.demo_story import Story
from esker.cli.plain import rows_of
from esker.core.byte_size import format_bytes
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.errors import EskerError
from esker.ui.numbers import format_seconds

if TYPE_CHECKING:
    from esker import Dataset

# Small enough that two months do not fit on one cartridge.
CARTRIDGE = "960KiB"
SHOWN_COLUMNS = ("month", "day", "carrier", "flight", "tailnum", "origin", "dest", "dep_delay")


@dataclass
class Scene:
    """What the steps share: where things are, how queries run, who checks and who tells.

    `compared` collects costs to put side by side in the summary.
    """

    data: FlightData
    folder: Path
    options: Mapping[str, Any]
    check: DuckCheck
    story: Story
    compared: list[tuple[str, Cost]] = field(default_factory=list)

    @property
    def on_tape(self) -> Path:
        """The flights frozen to the simulated tape library."""
        return self.folder / "flights-on-tape.esker"

    @property
    def on_disk(self) -> Path:
        """The flights frozen to local disk."""
        return self.folder / "flights-on-disk.esker"

    @property
    def weather(self) -> Path:
        """The weather frozen to local disk."""
        return self.folder / "weather.esker"

    @property
    def planes(self) -> Path:
        """The planes frozen to local disk."""
        return self.folder / "planes.esker"

    def run(self, dataset: Dataset) -> tuple[pa.Table, Explanation]:
        """Run a query to its end: the rows, and the plan with what it really cost."""
        with closing(dataset.execute(**self.options)) as result:
            return result.to_arrow(), result.explanation


def freeze(scene: Scene) -> None:
    """Freeze flights twice, on tape with a month a cartridge, and on disk; and what they are joined with."""
    story = scene.story
    story.step("freeze", "freeze: hot keys and index, cold payload, each month a cartridge", job.freeze_flights)
    flights, options = job.read_csv(scene.data.flights), scene.options
    library = f"tape:{scene.folder / 'library'}?device=lto9-hh&cartridge={CARTRIDGE}"
    reports = {
        "flights, tape": job.freeze_flights(flights, scene.on_tape, library, **options),
        "flights, disk": job.freeze_flights(flights, scene.on_disk, f"disk:{scene.folder / 'payload'}", **options),
        "weather, disk": job.freeze_weather(job.read_csv(scene.data.weather), scene.weather, **options),
        "planes, disk": job.freeze_planes(job.read_csv(scene.data.planes), scene.planes, **options),
    }
    rows = []
    for name, report in reports.items():
        story.figure(name, report.to_json())
        sizes = [format_bytes(size) for size in (report.payload_bytes, report.hot_bytes, report.index_bytes)]
        rows.append([name, report.rows, report.extents, *sizes, format_seconds(report.cost.seconds)])
    story.table("Frozen", ["", "rows", "extents", "payload", "keys", "index", "time to write"], rows)
    story.say("Time on tape is that of a simulated LTO-9 library with a virtual clock; the data is really stored.")
    rows_on_disk, _ = scene.run(esker.read_frozen(scene.on_disk))
    story.say(f"What was frozen, read back: {scene.check.same_rows('freeze', rows_on_disk)}")


def find(scene: Scene) -> None:
    """Find late flights: the index decides, two of twelve cartridges are mounted."""
    story = scene.story
    story.step("find", f'find "{job.LATE_IN_SUMMER}"', job.find_late_flights)
    rows, plan = scene.run(job.find_late_flights(scene.on_tape))
    on_disk, disk_plan = scene.run(job.find_late_flights(scene.on_disk))
    _require_equal(rows, on_disk, "find on tape and on disk")
    read = _thaw_of(plan)
    full = read.alternatives["full read"]
    story.say(f"{len(rows):,} rows of 336,776: {read.detail.get('index_vectors')} bitmap vectors decided which.")
    story.costs(
        "Tape library: the thaw plan, and what was counted",
        [("estimated", read.estimated), ("counted", read.actual), ("full read", full)],
    )
    _say_disk(scene, disk_plan)
    _show_rows(scene, "The first rows", rows)
    story.plan("The plan of find on tape", plan)
    story.timeline("What the library did", plan)
    story.say(scene.check.same_rows("find", rows))
    scene.compared += [("find", _actual(read)), ("a full read instead", full)]


def join_storms(scene: Scene) -> None:
    """Join with the hours of gale: keys first, then the same join by hash."""
    story = scene.story
    story.step("join-storms", "join with the stormy hours of weather: keys first against hash", job.join_storms)
    rows, plan = scene.run(job.join_storms(scene.on_tape, scene.weather))
    hashed, hash_plan = scene.run(job.join_storms(scene.on_tape, scene.weather, algorithm="hash"))
    _require_equal(rows, hashed, "the join keys first and by hash")
    join, by_hash = _join_of(plan), _join_of(hash_plan)
    story.say(f"{len(rows):,} rows; auto chose {join.choice}: {join.reason}.")
    story.costs(
        "Tape library: keys first, and the same join forced to hash",
        [
            (f"{join.choice}, estimated", join.estimated),
            (f"{join.choice}, counted", join.actual),
            ("hash, estimated", by_hash.estimated),
            ("hash, counted", by_hash.actual),
        ],
    )
    _show_rows(scene, "The first rows", rows, (*SHOWN_COLUMNS, "wind_speed"))
    story.plan("The plan chosen", plan)
    story.timeline("What the library did, keys first", plan)
    story.plan("The plan forced to hash", hash_plan)
    story.timeline("What the library did for hash", hash_plan)
    story.say(f"Both gave the same rows; {scene.check.same_rows('storms', rows)}")
    scene.compared += [("join, keys first", _actual(join)), ("the same join by hash", _actual(by_hash))]


def join_planes(scene: Scene) -> None:
    """Join with planes: nearly every row matches, so nothing beats a scan, and the plan says so."""
    story = scene.story
    story.step("join-planes", "join with planes: matches are everywhere, so it scans", job.join_planes)
    rows, plan = scene.run(job.join_planes(scene.on_tape, scene.planes))
    join = _join_of(plan)
    story.say(f"{len(rows):,} rows; auto chose {join.choice}: {join.reason}.")
    costs = [(f"{join.choice}, estimated", join.estimated), (f"{join.choice}, counted", join.actual)]
    story.costs("Tape library", [*costs, *((f"{name}, estimated", cost) for name, cost in join.alternatives.items())])
    story.plan("The plan", plan)
    story.timeline("What the library did", plan)
    story.say(scene.check.same_rows("planes", rows))


def regroup(scene: Scene) -> None:
    """Shuffle the joined rows by destination, run Python on each group, write a file a partition."""
    story = scene.story
    story.step(
        "shuffle", f"shuffle by dest into {job.PARTITIONS} partitions, a Python function per group",
        job.regroup_by_destination, job.longest_late_streak,
    )  # fmt: skip
    target = scene.folder / "late-streaks"
    regrouped = job.regroup_by_destination(job.join_planes(scene.on_disk, scene.planes))
    counts = regrouped.write_partitions(target, **scene.options)
    rows, plan = scene.run(job.regroup_by_destination(job.join_planes(scene.on_disk, scene.planes)))
    _require_equal(_read_folder(target), rows, "the files written and the rows of the same plan")
    story.figure("partition_rows", counts)
    story.say(f"{rows.num_rows} destinations in {len(counts)} files, {target.name}/part-*.parquet.")
    worst = rows.sort_by([("late_streak", "descending"), ("dest", "ascending")]).slice(0, 8).to_pylist()
    story.bars(
        "Most flights in a row that left late, by destination",
        [(row["dest"], row["late_streak"], f"{row['late_streak']} of {row['flights']:,}") for row in worst],
    )
    story.plan("The plan", plan)
    story.say(scene.check.same_rows("regroup", rows))


def summary(scene: Scene, elapsed_seconds: float) -> None:
    """Say what deciding on keys first saved."""
    story = scene.story
    story.step("summary", "summary")
    bars = [
        (name, cost.seconds, f"{format_seconds(cost.seconds)}, {cost.mounts} mounts") for name, cost in scene.compared
    ]
    story.bars("Time on the simulated tape library", bars)
    story.figure("elapsed_seconds", round(elapsed_seconds, 1))
    story.say(f"The demo took {format_seconds(elapsed_seconds)} on this machine.")


STEPS = (freeze, find, join_storms, join_planes, regroup)


def _show_rows(scene: Scene, title: str, rows: pa.Table, columns: tuple[str, ...] = SHOWN_COLUMNS) -> None:
    first = rows.select(list(columns)).slice(0, 5).combine_chunks()
    shown = [list(row.values()) for batch in first.to_batches() for row in rows_of(batch)]
    scene.story.figure("rows", rows.num_rows)
    scene.story.table(title, columns, shown)


def _say_disk(scene: Scene, plan: Explanation) -> None:
    read = _thaw_of(plan)
    full = read.alternatives.get("full read", read.estimated)
    scene.story.say(f"On disk the same find read {_actual(read)}, against {full} for a full read ({read.choice}).")


def _thaw_of(plan: Explanation) -> Explanation:
    return next(step for step in plan.walk() if step.alternatives)


def _join_of(plan: Explanation) -> Explanation:
    return next(step for step in plan.walk() if step.operator == "join")


def _actual(step: Explanation) -> Cost:
    assert step.actual is not None, "the query ran to its end"
    return step.actual


def _read_folder(folder: Path) -> pa.Table:
    return esker.read_parquet(folder).to_arrow()


def _require_equal(left: pa.Table, right: pa.Table, what: str) -> None:
    keys = [(name, "ascending") for name in left.column_names[:20]]
    if not left.sort_by(keys).equals(right.sort_by(keys)):
        raise EskerError(f"{what} differ; this is a bug of Esker, please report it")
