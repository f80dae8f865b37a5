"""Bag: lazy, partitioned, Python objects. One file for each kind of method.

Whoever loads this is about to run functions in worker processes: the server that forks them starts meanwhile.
"""

from esker.runtime.server_process import start_early

start_early()
