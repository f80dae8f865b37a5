"""Every claim gets the verdict that the paper's system deserves: those that fail as written say so."""

from __future__ import annotations

from typing import Any

import pytest

from esker.bench.paper.claims import check_claims
from esker.bench.paper.series import Series


@pytest.fixture(scope="module")
def claims() -> dict[str, dict[str, Any]]:
    return check_claims(Series(operators=False))


def test_the_verdicts(claims: dict[str, dict[str, Any]]) -> None:
    assert {name: claim["verdict"] for name, claim in claims.items()} == {
        "a": "holds",
        "b": "holds",
        "c": "holds",
        "d": "holds",
        "d2": "fails",
        "e": "fails",
        "f": "holds",
        "g": "fails",
    }


@pytest.mark.parametrize("name", ["d2", "e", "g"])
def test_what_fails_as_written_says_in_which_reading_it_holds(claims: dict[str, dict[str, Any]], name: str) -> None:
    assert all(reading["verdict"] == "holds" for reading in claims[name]["readings"])
    assert claims[name]["readings"] and claims[name]["as_written"]


def test_the_readings_fail_where_they_should(claims: dict[str, dict[str, Any]]) -> None:
    # Behind at 5 and 6 GB, ahead from 7 GB on.
    leads = claims["e"]["readings"][0]["staged_grace_over_asj"]
    assert [r for r, lead in leads.items() if lead < 1] == [5, 6]
    rates = claims["g"]["readings"][0]["staged_grace_over_asj"]
    assert [rate for rate, lead in rates.items() if lead < 1] == [0.1, 0.2]


def test_the_figures_of_the_verdicts(claims: dict[str, dict[str, Any]]) -> None:
    assert claims["a"]["ctt_gh_over_asj"][1] == pytest.approx(1.21, rel=0.05)
    assert claims["a"]["ctt_gh_over_asj"][10] == pytest.approx(5.18, rel=0.05)
    assert claims["d2"]["as_written"]["of_ctt_gh"] == pytest.approx(0.77, rel=0.05)
    assert claims["e"]["as_written"]["best_disk_join_over_asj"][10] == pytest.approx(1 / 2.3, rel=0.05)
    assert claims["g"]["break_even"] == {"two_levels": 0.57, "one_level": 0.94}
    assert claims["f"]["asj_least_at"] == [7, 8, 9, 10] or claims["f"]["asj_least_at"][-4:] == [7, 8, 9, 10]
