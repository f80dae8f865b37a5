"""The compiled simulator: what was compiled does what the sources do, or is not used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scripts import compile_simulator
from scripts.compile_simulator import SOURCES, copied, digest, main


@pytest.fixture(autouse=True)
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_simulator, "DIGESTED_SEEDS", "2")
    # It is left by what translates.
    monkeypatch.chdir(os.curdir)


def test_the_copy_has_all_that_a_run_imports(tmp_path: Path) -> None:
    copied(tmp_path)
    assert digest(tmp_path) == digest(SOURCES)


def test_what_differs_from_the_sources_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tampered(paths: list[str], library: Path, build: Path) -> list[object]:
        world = library / "esker/cluster/simulation/world.py"
        text = world.read_text()
        world.write_text(text.replace("TICK_SECONDS = 0.5", "TICK_SECONDS = 0.4"))
        assert world.read_text() != text
        return []

    monkeypatch.setattr(compile_simulator, "translated", tampered)
    assert main(tmp_path) == 1
    assert "differs from plain Python" in capsys.readouterr().err
    assert not (tmp_path / "lib/.same").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_compiled_machines_do_the_same_as_the_sources(tmp_path: Path) -> None:
    assert main(tmp_path) == 0
    assert (tmp_path / "lib/.same").read_text() == digest(SOURCES)
    names = {path.name.split(".")[0] for path in (tmp_path / "lib/esker/cluster").rglob("*.so")}
    assert names >= {"node", "coordinator", "puts", "reads", "world", "check", "random_replica"}
