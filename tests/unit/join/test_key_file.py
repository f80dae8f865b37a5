from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.frozen import FrozenCatalog

ROWS = 50_000


@pytest.mark.parametrize("text_bytes", [72, 392])
def test_the_keys_of_a_frozen_set_take_their_share_of_the_data_and_hardly_more(text_bytes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    letters = random.integers(97, 123, ROWS * text_bytes, dtype=np.uint8)
    offsets = np.arange(0, ROWS * text_bytes + 1, text_bytes, dtype=np.int32)
    text = pa.StringArray.from_buffers(ROWS, pa.py_buffer(offsets), pa.py_buffer(letters))
    table = pa.table({"k": random.permutation(ROWS), "text": text})
    esker.freeze(table, tmp_path / "rows.esker", keys=["k"])
    catalog = FrozenCatalog.open(tmp_path / "rows.esker")
    # The reducing ratio c of source 003: how many times a row is larger than its key.
    c = (8 + text_bytes) / 8
    data_bytes = ROWS * (8 + text_bytes)
    assert catalog.hot_bytes <= 1.05 / c * data_bytes
