"""`DrawnSplit`: parts drawn at random from each chunk, which is known without reading a row."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from keras_oocore.csv.cells import Cells, Column
from keras_oocore.tables.splits.base import VALIDATION, Fractions, Split, generator

ROUNDING = 1e-6  # of a number of rows, so that 15% of 100 rows are not 14


@dataclasses.dataclass(frozen=True)
class DrawnSplit(Split):
    """A random fraction of the rows of each chunk per part, and all other rows for training.

    Args:
        fractions: Fractions of the rows.
        seed: Seed of the draw.

    >>> rows = Cells(np.arange(4), {})
    >>> DrawnSplit(Fractions(0.5, 0), seed=1).assign(chunk=0, first=0, end=4, keys=rows)
    array([0, 0, 1, 1], dtype=int8)
    """

    fractions: Fractions
    seed: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.fractions.names

    def assign(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        drawn = generator(self.seed, chunk).permutation(end - first)
        parts, begin = np.zeros(end - first, np.int8), 0
        for part, size in enumerate(self._sizes(first, end), start=1):
            parts[drawn[begin : begin + size]] = part
            begin += size
        return parts[keys.rows]

    def known_sizes(self, starts: np.ndarray, may_skip_rows: bool) -> list[list[int]] | None:
        if may_skip_rows:
            return None
        others = [(end - first, self._sizes(first, end)) for first, end in itertools.pairwise(starts.tolist())]
        return [
            [total - sum(sizes) for total, sizes in others],
            *([sizes[part] for _, sizes in others] for part in range(len(self.names) - 1)),
        ]

    def describe(self, part: int) -> dict[str, Any]:
        if not self.fractions.test:  # the only split of earlier versions, whose caches and states stay valid
            return {
                "validation_split": self.fractions.validation,
                "seed": self.seed,
                "validation": self.names[part] == VALIDATION,
            }
        return {**self.fractions.describe(), "seed": self.seed, "part": self.names[part]}

    def why_empty(self, part: int, num_rows: int) -> str:
        return self.fractions.why_empty(self.names[part], num_rows)

    def _sizes(self, first: int, end: int) -> list[int]:
        """Return the number of rows of each part but training, in a chunk with the table's rows `first` to `end`."""
        # Differences of rounded products: the numbers of all chunks add up to those of the table.
        return [after - before for before, after in zip(self._taken(first), self._taken(end))]

    def _taken(self, num_rows: int) -> list[int]:
        """Return how many of the first rows of the table are in each part but training."""
        first, *second = self.fractions.others.values()
        taken = int(num_rows * first)
        return [taken, *(int((num_rows - taken) * fraction / (1 - first) + ROUNDING) for fraction in second)]
