"""Bag: lazy, partitioned, Python objects. One file for each kind of method."""
