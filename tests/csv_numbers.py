"""Rows of a CSV file whose values prove which row they are, for tests of CSVChunkSequence."""

import pytest

NUM_ROWS = 118
cached = pytest.mark.parametrize("cached", [False, True], ids=["files", "cache"])


def numbers(sequence):
    """The numbers of the rows of a pass, in one list per batch. Their targets are checked."""
    batches = []
    for x, y in sequence:
        batches.append(x[:, 0].astype(int).tolist())
        assert y.tolist() == [2 * number for number in batches[-1]]
    return batches


def flat(batches):
    return [number for batch in batches for number in batch]
