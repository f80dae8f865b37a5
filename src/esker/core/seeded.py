"""Chance comes from here: every generator is seeded, every stream independent and reproducible."""

from __future__ import annotations

import numpy as np


def generator(seed: int, *path: int) -> np.random.Generator:
    """A NumPy generator for `seed` and a path of stream numbers (operator, partition, ...).

    >>> float(generator(7, 1).random()) == float(generator(7, 1).random())
    True
    >>> float(generator(7, 1).random()) == float(generator(7, 2).random())
    False
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=path)))
