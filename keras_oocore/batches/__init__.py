"""Batches, made ahead of time in threads."""
