"""All threads work on one morsel, and share one buffer a partition."""

from __future__ import annotations

from typing import ClassVar

from esker.shuffle.native import NativeStrategy


class CollaborativeBuffers(NativeStrategy):
    """Source 002, 3.8.2, which has a title and no text; see decision 0005.

    Counts of the slices before it tell each thread where its rows go, so no lock is needed, and the order is that of
    the input. Time O(rows x columns) with four meetings a morsel; memory: pages, plus one `buffer_bytes`
    for all threads.
    """

    name: ClassVar[str] = "collaborative_buffers"
    ordered: ClassVar[bool] = True
