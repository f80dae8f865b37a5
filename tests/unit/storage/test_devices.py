"""Device profiles: figures with sources."""

from __future__ import annotations

import pytest

from esker.errors import OptionError
from esker.storage import DEVICES, device_profile


@pytest.mark.parametrize("name", list(DEVICES))
def test_every_figure_says_where_it_comes_from(name: str) -> None:
    for figure in DEVICES.figures(name).values():
        assert figure.source and figure.date[:2] == "20"
        assert figure.assumed == ("taken" in figure.source)
    assert DEVICES[name].bytes_per_second > 0
    assert DEVICES[name].source


def test_the_paper_s_libraries_have_the_figures_of_its_table() -> None:
    exabyte, ibm = device_profile("exabyte-220l"), device_profile("ibm-3584")
    assert (exabyte.drives, exabyte.slots, exabyte.capacity_bytes) == (2, 20, 10_000_000_000)
    assert (exabyte.mount_seconds, exabyte.locate_bytes_per_second, exabyte.bytes_per_second) == (71, 5e6, 3.5e6)
    assert (ibm.drives, ibm.slots, ibm.slots * ibm.capacity_bytes) == (192, 6881, 2_752_400_000_000_000)
    assert (ibm.mount_seconds, ibm.bytes_per_second) == (49, 70e6)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(OptionError, match="did you mean 'lto10'"):
        device_profile("lto-10")
    assert "lto-10" not in DEVICES and "lto10" in DEVICES


def test_an_arm_is_never_busy_longer_than_a_mount_takes() -> None:
    tapes = [device for device in DEVICES.values() if device.mount_seconds]
    assert len(tapes) == 6
    assert all(device.exchange_seconds <= device.mount_seconds for device in tapes)
