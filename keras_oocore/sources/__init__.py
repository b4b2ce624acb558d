"""Samples by number: the contract between the disk and a batch, and what keeps it."""
