"""The closed form gives every value of the reference series, within its rounding; counts exactly."""

from __future__ import annotations

import pytest

from esker.bench.paper import model
from esker.bench.paper.setting import Setting
from esker.errors import OptionError
from esker.storage.devices import DEVICES
from tests.unit.bench.paper.reference import Row, reference, tolerance

BIG_DISK = 1000.0


def near(found: float, row: Row, heading: str) -> None:
    wanted = row[heading]
    assert isinstance(wanted, float)
    assert abs(found - wanted) <= tolerance(wanted), (heading, row, found)


@pytest.mark.parametrize("row", reference("Figure 2"), ids=lambda row: str(row["R, GB"]))
def test_figure_2(row: Row) -> None:
    point, free = Setting.of_r(row["R, GB"]), Setting.of_r(row["R, GB"], free_rewinds=True)
    asj, whole, half = model.asj(point), model.ctt_gh(point), model.ctt_gh(point, half=True)
    near(asj.seconds, row, "ASJ, s")
    near(whole.seconds, row, "CTT-GH, s")
    near(half.seconds, row, "CTT-GH at half D, s")
    near(whole.seconds / asj.seconds, row, "ratio")
    near(half.seconds / asj.seconds, row, "ratio, half D")
    near(model.ctt_gh(free, half=True).seconds / model.asj(free).seconds, row, "ratio, half D, free rewinds")
    assert whole.counts == {"scans_1": row["scans I"], "scans_2": row["scans II"]}
    assert asj.counts["passes"] == row["ASJ passes"]


@pytest.mark.parametrize("row", reference("Figure 3"), ids=lambda row: str(row["R, GB"]))
def test_figure_3(row: Row) -> None:
    found = model.asj(Setting.of_r(row["R, GB"]))
    near(found.phases["separate"], row, "separate, s")
    near(found.phases["join"], row, "join, s")
    near(found.phases["materialise"], row, "materialise, s")
    assert found.phases["join"] / found.seconds == pytest.approx(row["join share"], abs=5.1e-5)
    assert found.method == row["key join is"]


@pytest.mark.parametrize("row", reference("Figure 4"), ids=lambda row: str(row["c"]))
def test_figure_4(row: Row) -> None:
    point = Setting.of_r(10, c=row["c"])
    found = model.asj(point)
    near(found.seconds, row, "ASJ, s")
    near(found.phases["join"], row, "join, s")
    assert found.counts["passes"] == row["passes"]
    assert found.seconds / model.least_seconds(point) == pytest.approx(row["of least I/O"], abs=5.1e-3)


@pytest.mark.parametrize("row", reference("Figure 5"), ids=lambda row: str(row["JRI/S"]))
def test_figure_5(row: Row) -> None:
    point = Setting.of_r(10, f=row["JRI/S"])
    found = model.asj(point)
    near(found.seconds, row, "ASJ, s")
    assert found.counts["passes"] == row["passes"]
    near(found.seconds / model.ctt_gh(point).seconds, row, "of CTT-GH")
    near(found.seconds / model.ctt_gh(point, half=True).seconds, row, "of CTT-GH at half D")


@pytest.mark.parametrize("row", reference("Figure 6"), ids=lambda row: str(row["R, GB"]))
def test_figure_6(row: Row) -> None:
    point = Setting.of_r(row["R, GB"], disk_mb=BIG_DISK)
    free = Setting.of_r(row["R, GB"], disk_mb=BIG_DISK, free_rewinds=True)
    near(model.asj(point).seconds, row, "ASJ, s")
    near(model.grace(point).seconds, row, "Grace, s")
    near(model.sort_merge(point).seconds, row, "sort-merge, s")
    near(model.nested_loop(point).seconds, row, "nested loop, s")
    near(model.asj(free).seconds, row, "ASJ, free rewinds, s")
    near(model.grace_staged(free).seconds, row, "Grace staged + seeks, s")


@pytest.mark.parametrize("row", reference("Figure 7"), ids=lambda row: str(row["R, GB"]))
def test_figure_7(row: Row) -> None:
    point = Setting.of_r(row["R, GB"], disk_mb=BIG_DISK)
    for heading, algorithm in {
        "ASJ": "asj",
        "Grace": "grace",
        "sort-merge": "sort_merge",
        "nested loop": "nested_loop",
        "CTT-GH": "ctt_gh",
    }.items():
        near(model.predict(algorithm, point).scans, row, heading)


@pytest.mark.parametrize("row", reference("Figure 8"), ids=lambda row: str(row["tape/disk rate"]))
def test_figure_8(row: Row) -> None:
    rate = 10 * row["tape/disk rate"]
    point = Setting.of_r(10, disk_mb=BIG_DISK, tape=rate, mount_seconds=0.0, free_rewinds=True)
    near(model.asj(point).seconds, row, "ASJ, s")
    near(model.grace(point).seconds, row, "Grace, s")
    near(model.sort_merge(point).seconds, row, "sort-merge, s")
    near(model.grace_staged(point).seconds, row, "Grace staged + seeks, s")


@pytest.mark.parametrize("row", reference("LTO-9 library"), ids=lambda row: str(row["R, TB"]))
def test_todays_library_comes_out_within_a_hundredth(row: Row) -> None:
    point = Setting.of_r(row["R, TB"] * 1000, c=50.0, memory_mb=32e3, disk_mb=2e6, disk=2000.0, seek_seconds=0.0).on(
        DEVICES["lto9-fh"]
    )
    found = model.asj(point)
    assert found.seconds / 3600 == pytest.approx(row["ASJ, h"], rel=0.01)
    assert model.asj(point, apart=True).seconds / 3600 == pytest.approx(row["ASJ, keys already apart, h"], rel=0.01)
    assert model.tape_hash(point).seconds / 3600 == pytest.approx(row["CTT/CDT-GH, h"], rel=0.01)
    assert model.grace_staged(point).seconds / 3600 == pytest.approx(row["staged Grace, h"], rel=0.01)
    assert found.counts["passes"] == row["passes"]
    assert 2 * point.both_mb / 1e6 == row["disk it needs, TB"]
    assert point.both_mb / point.tape / 3600 == pytest.approx(row["one read of both, h"], rel=0.005)


def test_the_claims_last_crossing_lies_at_the_size_that_memory_divides_in_one_level() -> None:
    # M^2 / B of 40 MB and buffers of 256 KB.
    below, above = Setting.of_r(6.4), Setting.of_r(6.41)
    assert (model.grace(below).counts["levels"], model.grace(above).counts["levels"]) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r_mb": 0.0}, "r mb is 0"),
        ({"c": 0.5}, "c is 0.5"),
        ({"f": 0.0}, "f is 0"),
        ({"f": 1.5}, "f is 1.5"),
        ({"disk_mb": -1.0}, "disk mb is -1"),
        ({"tape": float("nan")}, "the tape's rate is nan"),
        ({"r_mb": float("inf")}, "r mb is inf"),
        ({"memory_mb": 0.1}, "does not hold two buffers"),
    ],
)
def test_a_point_no_machine_has_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Setting.of_r(1, **changes)


def test_an_unknown_algorithm_is_refused_with_what_there_is() -> None:
    with pytest.raises(OptionError, match="no algorithm 'merge'; there is: asj"):
        model.predict("merge", Setting.of_r(1))
