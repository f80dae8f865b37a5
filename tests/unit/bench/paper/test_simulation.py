"""The event simulation agrees with the closed form: totals within 5 %, phases within 10 %, counts exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.bench.paper import model
from esker.bench.paper.setting import Setting
from esker.bench.paper.simulation import ALGORITHMS, Simulated, simulate
from esker.errors import OptionError
from esker.storage.devices import DEVICES

EXABYTE = DEVICES["exabyte-220l"]


def agree(algorithm: str, point: Setting, *, phases: bool = True) -> Simulated:
    found, wanted = simulate(algorithm, point, EXABYTE), model.predict(algorithm, point)
    assert found.seconds == pytest.approx(wanted.seconds, rel=0.05), (algorithm, point)
    assert found.counts == wanted.counts, (algorithm, point)
    if phases:
        for name, seconds in found.phases.items():
            assert seconds == pytest.approx(wanted.phases[name], rel=0.1), (algorithm, point, name)
    assert found.disk_peak_bytes <= point.disk_mb * 1e6 + 64 or algorithm in ("grace_staged",)
    return found


@pytest.mark.parametrize("r_gb", range(1, 11))
def test_figures_2_and_3(r_gb: int) -> None:
    point = Setting.of_r(r_gb)
    agree("asj", point)
    for algorithm in ("ctt_gh", "ctt_gh_half"):
        agree(algorithm, point, phases=False)  # the closed form has all of its mounts in one


@pytest.mark.parametrize("c", range(10, 101, 10))
def test_figure_4(c: int) -> None:
    agree("asj", Setting.of_r(10, c=float(c)))


@pytest.mark.parametrize("f", [0.2, 0.3, 0.5, 0.7, 1.0])
def test_figure_5(f: float) -> None:
    # The closed form writes JRI in one go after the key join; the simulation after each chunk, as it must.
    agree("asj", Setting.of_r(10, f=f), phases=False)


@pytest.mark.parametrize("r_gb", range(1, 11))
def test_figure_6(r_gb: int) -> None:
    point = Setting.of_r(r_gb, disk_mb=1000.0)
    for algorithm in ("asj", "grace", "sort_merge", "nested_loop"):
        agree(algorithm, point)
    for algorithm in ("asj", "grace_staged"):
        agree(algorithm, Setting.of_r(r_gb, disk_mb=1000.0, free_rewinds=True))


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 1.0])
def test_figure_8(part: float) -> None:
    point = Setting.of_r(10, disk_mb=1000.0, tape=10 * part, mount_seconds=0.0, free_rewinds=True)
    # The closed form leaves the disk out, which the faster tape makes the key join wait for.
    agree("asj", point, phases=False)
    agree("grace_staged", point)


@settings(max_examples=12)
@given(
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
    device=st.sampled_from(["exabyte-220l", "ibm-3584", "lto9-fh"]),
    r_mb=st.floats(50, 20_000),
    ratio=st.floats(0.1, 10),
    c=st.floats(1, 100),
    f=st.floats(0.001, 1),
    memory=st.floats(2, 100),
    disk=st.floats(0.05, 10),
    rate=st.floats(5, 5000),
)
def test_any_point_ends_with_the_counts_of_the_closed_form_and_an_empty_disk(
    algorithm: str,
    device: str,
    r_mb: float,
    ratio: float,
    c: float,
    f: float,
    memory: float,
    disk: float,
    rate: float,
) -> None:
    library = DEVICES[device]
    point = Setting(r_mb, r_mb * ratio, c, f, memory, r_mb * disk, disk=rate).on(library)
    found, wanted = simulate(algorithm, point, library), model.predict(algorithm, point)
    # Where a quotient lies on a boundary, what is rounded to bytes may need one more.
    assert found.counts.keys() == wanted.counts.keys()
    assert all(abs(found.counts[name] - wanted.counts[name]) <= 1 for name in wanted.counts)
    assert found.seconds > 0
    busy: dict[str, float] = {}
    for (_, name, _), seconds in found.busy.items():
        busy[name] = busy.get(name, 0.0) + seconds
    assert all(seconds <= found.seconds * (1 + 1e-9) + 1e-6 for seconds in busy.values()), (
        "no device works twice at once"
    )


def test_what_is_moved_on_tape_is_what_the_algorithm_says() -> None:
    found = simulate("asj", Setting.of_r(1), EXABYTE)
    # Both relations to separate them, both to materialise; keys stay on the disk.
    assert found.tape_bytes == 6_000_000_000
    found = simulate("ctt_gh", Setting.of_r(1), EXABYTE)
    # Two scans, the partitions written once, four reads of them, and S.
    assert found.tape_bytes == 2_000_000_000 + 1_000_000_000 + 4_000_000_000 + 2_000_000_000


def test_a_simulation_repeats_to_the_bit() -> None:
    one, other = (simulate("asj", Setting.of_r(7), EXABYTE) for _ in range(2))
    assert (one.phases, one.events) == (other.phases, other.events)


def test_one_drive_is_too_few() -> None:
    from dataclasses import replace

    with pytest.raises(OptionError, match="these algorithms need two"):
        simulate("asj", Setting.of_r(1), replace(EXABYTE, drives=1))
