"""The index on many machines: ring, replicated commits, repair, planners, as machines without clock or socket."""
