"""Sources of a plan: tables in memory, one-time streams, files, frozen data sets."""
