"""The live page: an event log, folded into what a page shows, and a small server that shows it."""
