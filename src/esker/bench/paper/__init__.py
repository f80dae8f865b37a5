"""The separation join paper (source 003) again: its closed form, its simulation, its figures and its claims."""
