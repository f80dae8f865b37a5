"""Graphs: vertices and edges as two Datasets, and algorithms that scan the edges while vertex state stays in memory."""

from __future__ import annotations

from esker.graph.graph import Graph

__all__ = ["Graph"]
