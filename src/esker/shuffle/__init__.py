"""Regroups rows by key: pages in the kernel, spill over budget, record batches out."""
