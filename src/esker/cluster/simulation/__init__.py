"""A simulated cluster: the machines on a seeded scheduler that loses, repeats, delays, crashes and wipes."""
