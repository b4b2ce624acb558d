"""Helpers for tests of Sequences with a cache."""

import inside_sequence as inside


def filled(sequence):
    """Read all batches, and finish the store. Returns the Sequence."""
    list(sequence)
    inside.cache(sequence).finish()
    return sequence
