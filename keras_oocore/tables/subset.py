"""`RowSubset`: the training or the validation rows of a table, drawn chunk by chunk from a seed."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class RowSubset:
    """A random fraction of the rows of each chunk, or all other rows.

    Args:
        validation_split: Fraction of the rows that are for validation.
        seed: Seed of the draw.
        validation: Whether the subset is the validation rows, or the training rows.

    >>> RowSubset(0.5, seed=1, validation=True).mask(chunk=0, first=0, end=4)
    array([False, False,  True,  True])
    """

    validation_split: float
    seed: int
    validation: bool

    def num_rows(self, first: int, end: int) -> int:
        """Return the number of rows of the subset in a chunk that holds the table's rows `first` to `end`."""
        # A difference of rounded products: the numbers of all chunks add up to that of the table.
        num_validation = int(end * self.validation_split) - int(first * self.validation_split)
        return num_validation if self.validation else end - first - num_validation

    def mask(self, chunk: int, first: int, end: int) -> np.ndarray:
        """Return which rows of a chunk are in the subset, `bool` of shape `(end - first,)`."""
        generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(self.seed, spawn_key=(chunk,))))
        drawn = generator.permutation(end - first)  # the stream of RandomState never changes (NEP 19)
        mask = np.full(end - first, not self.validation)
        num_validation = dataclasses.replace(self, validation=True).num_rows(first, end)
        mask[drawn[:num_validation]] = self.validation
        return mask
