"""Run the evaluation: the sections that were asked for, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from esker.bench.bench import Asked, Bench
from esker.bench.document import Evaluation, Section
from esker.bench.machine import describe_machine
from esker.bench.sections import SECTIONS
from esker.bench.verdict import judge
from esker.bench.way import combinations


def evaluate(
    asked: Asked,
    names: Sequence[str] = (),
    *,
    progress: Callable[[str], None] = lambda line: None,
    check: Callable[[], None] = lambda: None,
    done: Callable[[Section], None] = lambda section: None,
) -> Evaluation:
    """Measure sections (all, unless `names` says which), and judge; `done` is handed each as soon as it is there.

    `check` is called between runs and raises to stop. OptionError for a section that there is not.
    """
    chosen = {name: SECTIONS[name] for name in names or SECTIONS}
    bench = Bench(asked, progress=progress, check=check)
    # A strategy that there is not should not be found out at the end.
    combinations(asked.strategies)
    sections = []
    for name, measure in chosen.items():
        progress(f"{name}: measuring")
        sections.append(measure(bench))
        # Pages of one section's sizes are of no use to the next.
        bench.pool.trim()
        done(sections[-1])
    if (verdict := judge(sections)) is not None:
        sections.append(verdict)
        done(verdict)
    return Evaluation(describe_machine(), asked.to_json(), sections)
