"""Makes batches ahead of time, in threads."""
