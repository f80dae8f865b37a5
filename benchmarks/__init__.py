"""Benchmarks: named cases against a reference, each in a process of its own. See README.md in this folder."""
