"""The kernel's generator and copy do what they are measured for."""

from __future__ import annotations

import numpy as np
import pytest

from esker.bench.tuples import SKEWED_SHARE, TEXT_BYTES, Room, Width, make_tuples
from esker.errors import OptionError
from esker.kernel import _kernel

WIDTHS = ("4", "5", "16", "100", "var")


@pytest.mark.parametrize("width", WIDTHS)
def test_tuples_do_not_depend_on_the_threads(width: str) -> None:
    one, many = Room(Width.of(width), 10_000), Room(Width.of(width), 10_000)
    one.generate(1)
    many.generate(3)
    assert one.tuples().whole.equals(many.tuples().whole)


@pytest.mark.parametrize("width", WIDTHS)
def test_tuples_are_valid_arrow_of_the_size_that_is_said(width: str) -> None:
    tuples = make_tuples(Width.of(width), 3000)
    tuples.whole.validate(full=True)
    assert sum(batch.num_rows for batch in tuples.batches) == 3000
    assert tuples.size / 3000 == pytest.approx(Width.of(width).tuple_bytes, rel=0.05)


def test_keys_are_spread_evenly() -> None:
    keys = make_tuples(Width.of("4"), 100_000).whole.column(0).to_numpy()
    counts = np.bincount(keys % 64, minlength=64)
    # Five standard deviations of a binomial count.
    assert abs(counts - 100_000 / 64).max() < 5 * np.sqrt(100_000 / 64)
    assert len(np.unique(keys)) > 99_990


def test_texts_have_every_length_they_may_have() -> None:
    lengths = {len(text) for text in make_tuples(Width.of("var"), 5000).whole.column("data").to_pylist()}
    assert lengths == set(range(TEXT_BYTES[0], TEXT_BYTES[1] + 1))


def test_skew_puts_the_share_it_says_on_one_key() -> None:
    keys = make_tuples(Width.of("16"), 20_000).skewed().whole.column(0).to_numpy()
    assert (keys == 7).mean() == pytest.approx(SKEWED_SHARE, abs=0.01)


@pytest.mark.parametrize("width", ["3", "wide", "-4", ""])
def test_a_width_that_holds_no_key_is_refused(width: str) -> None:
    with pytest.raises(OptionError, match="--widths"):
        Width.of(width)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 100_000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_copy_copies_every_byte_and_none_behind(size: int, threads: int) -> None:
    source = np.arange(size, dtype=np.uint64).astype(np.uint8)
    target = np.full(size + 16, 255, np.uint8)
    _kernel.copy_bytes(source, target[:size], threads, 2)
    assert np.array_equal(target[:size], source)
    assert (target[size:] == 255).all()


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller"):
        _kernel.copy_bytes(np.zeros(8, np.uint8), np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match="evenly"):
        _kernel.generate_tuples(np.zeros(2, np.uint32), np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        _kernel.generate_tuples(np.zeros(2, np.uint32), np.zeros(4, np.uint8), np.array([0, 2, 5], np.int32))
    with pytest.raises(ValueError, match="32-bit offsets"):
        _kernel.generate_offsets(np.zeros(5, np.int32), 1 << 30, 1 << 30)
