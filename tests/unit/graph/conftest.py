"""Graphs that come in many pieces."""

from __future__ import annotations

import pytest

from esker.graph import sorter, workspace


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut edges into pieces of four, and sort them in runs of eight, so that small graphs cross every seam."""
    monkeypatch.setattr(workspace, "PIECE_EDGES_MIN", 4)
    monkeypatch.setattr(workspace, "PIECE_EDGES_MAX", 4)
    monkeypatch.setattr(sorter, "_RUN_MIN", 8)
    monkeypatch.setattr(sorter, "_COPIES", 1 << 40)


@pytest.fixture
def no_memory_for_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep all vertex state in mapped files."""
    monkeypatch.setattr(workspace, "STATE_BYTES_MAX", 0)
