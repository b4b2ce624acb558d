"""Samples by number: `Source`, the contract between the disk and a batch, and its implementations."""
