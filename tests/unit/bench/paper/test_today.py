"""Today's devices: the table of the LTO-9 library comes out, and the archive's bill is what the price list says."""

from __future__ import annotations

import pytest

from esker.bench.paper.today import COPY_DAYS, OBJECT_BYTES, archive_table, library_table
from esker.storage.prices import restore_price
from tests.unit.bench.paper.reference import reference


def test_the_library_is_that_of_the_reference_and_the_simulation_agrees() -> None:
    rows = {row["r_tb"]: row for row in library_table().rows}
    for wanted in reference("LTO-9 library"):
        row = rows[wanted["R, TB"]]
        for name, heading in {
            "asj": "ASJ, h",
            "asj_apart": "ASJ, keys already apart, h",
            "tape_hash": "CTT/CDT-GH, h",
            "grace_staged": "staged Grace, h",
            "disk_tb": "disk it needs, TB",
            "read_once": "one read of both, h",
        }.items():
            assert row[name] == pytest.approx(wanted[heading], rel=0.01), heading
        assert row["passes"] == wanted["passes"]
        assert row["asj_simulated"] == pytest.approx(row["asj"], rel=0.05)
        assert row["asj_apart_simulated"] == pytest.approx(row["asj_apart"], rel=0.05)


def test_keys_apart_are_one_read_of_both_until_rc_outgrows_the_cache() -> None:
    for row in library_table().rows:
        assert (row["asj_apart"] < 1.05 * row["read_once"]) == (row["passes"] == 1)


def test_the_archive_costs_what_the_price_list_says_by_what_comes_back() -> None:
    rows = {(row["r_tb"], row["how"]): row for row in archive_table().rows}
    whole, clustered = rows[4, "not apart"], rows[4, "apart, clustered"]
    assert whole["restored_tb"] == 12 and clustered["restored_tb"] == pytest.approx(1.6)
    objects = -(-12 * 10**12 // OBJECT_BYTES)
    standard = restore_price("DEEP_ARCHIVE", "standard").money(12 * 10**12, objects, COPY_DAYS)
    assert whole["money_standard"] == pytest.approx(standard, rel=1e-3)
    assert clustered["money_bulk"] == pytest.approx(whole["money_bulk"] * 1.6 / 12, rel=1e-3)
    assert rows[4, "apart, uniform"]["money_standard"] == whole["money_standard"]
    assert whole["hours_standard"] > 12 and whole["hours_bulk"] > 48
