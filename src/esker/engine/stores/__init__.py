"""Data with row ids that needs no freeze: tables in memory, files, spooled results."""
