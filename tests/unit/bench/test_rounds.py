"""Rounds tell calm from disturbed."""

from __future__ import annotations

from esker.bench.rounds import Memcpy, Rounds, Sample

CALM, SLOW, STARVED = Sample(1.0, 2.0), Sample(2.0, 2.0), Sample(1.0, 1.2)


def rounds(references: list[tuple[Sample, Sample]], samples: list[Sample], threads: int = 2) -> Rounds[str]:
    memcpy = Memcpy(64, 2)
    memcpy.samples = [each for pair in references for each in pair]
    return Rounds(memcpy, {"case": threads}, references, {"case": samples})


def test_a_round_whose_memcpy_is_slow_or_starved_does_not_count() -> None:
    found = rounds([(CALM, CALM), (CALM, SLOW), (STARVED, CALM), (CALM, CALM)], [Sample(4.0, 2.0)] * 4)
    assert found.calm() == [0, 3]
    assert found.figure("case").ratios == (0.25, 0.25)


def test_a_one_thread_case_without_its_core_does_not_count() -> None:
    found = rounds([(CALM, CALM)] * 2, [Sample(4.0, 0.5), Sample(2.0, 1.0)], threads=1)
    assert found.figure("case").ratios == (0.5,)


def test_figures_of_disturbed_rounds_alone_are_given_and_not_called_calm() -> None:
    figure = rounds([(STARVED, STARVED)], [Sample(2.0, 2.0)]).figure("case")
    assert (figure.ratios, figure.calm) == ((0.5,), False)


def test_the_reference_is_the_mean_of_memcpy_before_and_after() -> None:
    found = rounds([(Sample(1.0, 2.0), Sample(1.2, 2.0))], [Sample(2.2, 2.0)])
    assert found.figure("case").ratios == (0.5,)
