"""Esker finds, joins and regroups data bigger than memory and colder than disk."""

__version__ = "0.1.0"
