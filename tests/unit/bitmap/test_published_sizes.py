"""WAH32 takes the published bits per integer on real data (CBitmapCompetition; see arXiv:1709.07821)."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from esker.bitmap import Bitmap

FOLDER = os.environ.get("ESKER_REALDATA", "")


@pytest.mark.skipif(not FOLDER, reason="set ESKER_REALDATA to a folder with CRoaring's real data sets (NAME.tar.xz)")
@pytest.mark.parametrize(
    ("name", "bits_per_integer"), [("census1881", 34.32), ("census-income_srt", 0.65), ("wikileaks-noquotes", 10.89)]
)
def test_wah32_takes_the_published_bits_per_integer(name, bits_per_integer):
    archive = Path(FOLDER) / f"{name}.tar.xz"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    with tarfile.open(archive) as files:
        texts = [files.extractfile(member).read() for member in files if member.isfile()]
    sets = [np.array(text.split(b","), np.uint64) for text in texts]
    row_count = int(max(rows.max() for rows in sets)) + 1
    size_bytes = sum(Bitmap.from_positions(rows, row_count).nbytes for rows in sets)
    assert round(8 * size_bytes / sum(map(len, sets)), 2) == bits_per_integer
