"""A binary file of sensor frames, checked and decoded as it streams by: `python examples/binary_frames.py [FOLDER]`.

Frames are read in chunks when there is room for them, checked by two threads in order, and dealt out: good ones become
rows of a Dataset, damaged ones go to a file for those who repair sensors. Nothing is held but a few chunks.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from esker import KillSwitch, Sink, Stream

HEAD = struct.Struct("<IHHI")  # second, sensor, number of samples, checksum of them
SAMPLES = 500
FRAME_BYTES = HEAD.size + 2 * SAMPLES


def write_frames(path: Path, frames: int, seed: int = 7) -> None:
    """Every 1000th frame or so is damaged, as on a noisy line."""
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        for second in range(frames):
            samples = random.integers(0, 4096, SAMPLES, dtype=np.uint16).tobytes()
            checksum = zlib.crc32(samples) ^ int(random.random() < 0.001)
            file.write(HEAD.pack(second, second % 16, SAMPLES, checksum) + samples)


def frames(chunk: bytes) -> list[bytes]:
    """Cut a chunk of whole frames."""
    return [chunk[begin : begin + FRAME_BYTES] for begin in range(0, len(chunk), FRAME_BYTES)]


def decode(cut: list[bytes]) -> list[tuple[bytes, dict[str, object] | None]]:
    """Check and decode frames; a damaged one has no row."""

    def rows() -> Iterator[tuple[bytes, dict[str, object] | None]]:
        for frame in cut:
            second, sensor, _, checksum = HEAD.unpack_from(frame)
            samples = frame[HEAD.size :]
            if zlib.crc32(samples) != checksum:
                yield frame, None
                continue
            values = np.frombuffer(samples, np.uint16)
            yield frame, {"second": second, "sensor": sensor, "mean": float(values.mean()), "peak": int(values.max())}

    return list(rows())


def main(folder: Path) -> None:
    path = folder / "frames.bin"
    write_frames(path, 20_000)
    decoded = (
        Stream.file(path, chunk_bytes=256 * FRAME_BYTES)
        .map(frames)
        .buffer(4)
        .map_async(decode, workers=2)
        .flat_map(lambda results: results)
    )
    good = Sink.dataset(folder / "frames.parquet", overwrite=True).after(lambda s: s.map(lambda result: result[1]))
    damaged = Sink.file(folder / "damaged.bin", overwrite=True).after(lambda s: s.map(lambda result: result[0]))
    dataset, damaged_bytes = decoded.run(Sink.partition(lambda result: int(result[1] is None), good, damaged))
    print(f"{path.stat().st_size:,} bytes of frames streamed")
    print(f"{dataset.count():,} good frames in frames.parquet")
    print(f"{damaged_bytes // FRAME_BYTES:,} damaged ones in damaged.bin")

    loud = dataset.group_by("sensor").agg({"loudest": ("mean", "max")}).to_arrow().sort_by("sensor")
    for row in loud.slice(0, 4).to_pylist():
        print(f"  sensor {row['sensor']:>2}: loudest second {row['loudest']:.1f}")

    switch = KillSwitch()
    seen = decoded.kill_switch(switch).foreach(lambda result: result[1] is None and switch.shutdown()).run(Sink.count())
    print(f"the first damaged frame is among the first {seen:,}; the rest was not read")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
