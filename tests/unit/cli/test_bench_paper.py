"""`esker bench paper` prints figures and claims in one shape, and refuses what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.bench.paper.reference import reference
from tests.unit.cli.command import Run, one_line

QUICK = ("bench", "paper", "--extents-only", "--quick")


def test_json_has_exactly_figures_and_claims(run: Run) -> None:
    ended = run(*QUICK, "--json")
    assert (ended.code, ended.err) == (0, "")
    content = json.loads(ended.out)
    assert set(content) == {"figures", "claims"}
    assert list(content["figures"]) == ["2", "3", "4", "5", "6", "7", "8"]
    for figure in content["figures"].values():
        assert set(figure) == {"columns", "rows"}
        assert figure["rows"] and all(len(row) == len(figure["columns"]) for row in figure["rows"])
    assert list(content["claims"]) == ["a", "b", "c", "d", "d2", "e", "f", "g"]
    assert all(claim["verdict"] in ("holds", "fails") for claim in content["claims"].values())


def test_figures_hold_the_reference_and_the_simulation_within_its_band(run: Run) -> None:
    figure = json.loads(run(*QUICK, "--figure", "2", "--json").out)["figures"]["2"]
    rows = [dict(zip(figure["columns"], row, strict=True)) for row in figure["rows"]]
    wanted = {row["R, GB"]: row for row in reference("Figure 2")}
    for row in rows:
        for name, heading in (("asj", "ASJ, s"), ("ctt_gh", "CTT-GH, s"), ("ctt_gh_half", "CTT-GH at half D, s")):
            assert row[f"{name}_closed"] == pytest.approx(wanted[row["r_gb"]][heading], abs=0.51)
            assert row[f"{name}_simulated"] == pytest.approx(row[f"{name}_closed"], rel=0.05)
            assert row[f"{name}_operator"] is None
        assert [row["scans_1"], row["scans_2"], row["passes"]] == [
            wanted[row["r_gb"]][heading] for heading in ("scans I", "scans II", "ASJ passes")
        ]


def test_tables_and_plots(run: Run, tmp_path: Path) -> None:
    ended = run(*QUICK, "--figure", "3,8", "--plots", tmp_path / "plots")
    assert ended.code == 0
    assert "Figure 3" in ended.out and "Figure 8" in ended.out and "Figure 2:" not in ended.out
    assert "(e) fails" in ended.out and "holds if relations come from tape" in ended.out
    files = sorted((tmp_path / "plots").iterdir())
    assert [path.name for path in files] == ["figure-3.svg", "figure-8.svg"]
    assert all(path.read_text().startswith("<svg") for path in files)


def test_operators_run_beside_the_simulation(run: Run) -> None:
    figure = json.loads(run("bench", "paper", "--quick", "--figure", "3", "--json").out)["figures"]["3"]
    row = dict(zip(figure["columns"], figure["rows"][0], strict=True))
    assert row["join_operator"] == pytest.approx(row["join_closed"], rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--figure", "9"), "there is no figure 9"),
        (("--figure", "1"), "there is no figure 1"),
        (("--figure", "two"), "--figure 'two'"),
        (("--scale", "2"), "no such option"),
    ],
)
def test_bad_input_is_refused_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = run("bench", "paper", *arguments)
    assert ended.code == 2 and message in ended.err.lower()
    assert one_line(ended.err)


def test_a_folder_for_plots_that_is_a_file_is_refused_before_anything_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plots").touch()
    ended = run(*QUICK, "--plots", tmp_path / "plots")
    assert ended.code == 2 and "is a file" in ended.err
