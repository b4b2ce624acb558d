"""`Split`, the interface of all ways to divide the rows of a table into parts, and `RowSubset`, one of the parts."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.tables.format import KnownCells

TRAINING, VALIDATION, TEST = PARTS = ("training", "validation", "test")
NO_PART = -1  # of a row that is in no part


class Split(abc.ABC):
    """How the rows of a table are divided into parts. It never changes, and it pickles.

    Attributes:
        names: Names of the parts, the training part first.
        columns: The columns that decide the part of a row.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]

    @abc.abstractmethod
    def assign(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        """Return the number of the part of each row, an integer array of shape `(n,)`.

        Args:
            chunk: Number of the chunk.
            first: Number of the chunk's first row in the table.
            end: Number of its last row, plus 1.
            keys: The used rows of the chunk, with their cells in `columns`.
        """

    @abc.abstractmethod
    def describe(self, part: int) -> dict[str, Any]:
        """Return everything that determines the rows of a part, besides the files, as plain JSON."""

    @abc.abstractmethod
    def why_empty(self, part: int, num_rows: int) -> str:
        """Return why no row of a table of `num_rows` rows is in a part, for an error message."""

    def known_sizes(self, starts: np.ndarray, may_skip_rows: bool) -> list[list[int]] | None:
        """Return the number of rows of each part in each chunk, `sizes[part][chunk]`, or `None` if only reading tells.

        Args:
            starts: Number of rows before each chunk, and in total.
            may_skip_rows: Whether some rows of the chunks may not be used.
        """
        return None

    def part_of(self, known: Sequence[KnownCells | None]) -> int | None:
        """Return the part of all rows of a chunk, or `None` if only reading them tells.

        Args:
            known: What is known about the cells of the chunk, for each of `columns`.
        """
        return None


@dataclasses.dataclass(frozen=True)
class RowSubset:
    """The rows of one part of a split.

    Args:
        split: The split.
        part: Number of the part among `split.names`.
    """

    split: Split
    part: int

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.split.names[self.part]

    def mask(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        """Return which rows are in the part, `bool` of shape `(n,)`. See `Split.assign`."""
        return self.split.assign(chunk, first, end, keys) == self.part

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the rows, besides the files, as plain JSON."""
        return self.split.describe(self.part)

    def why_empty(self, num_rows: int) -> str:
        """Return why none of the `num_rows` rows of the table is in the part."""
        return self.split.why_empty(self.part, num_rows)


@dataclasses.dataclass(frozen=True)
class Fractions:
    """The fractions of the rows that are for validation and for testing. `0` for no such part.

    >>> Fractions(0.2, 0.1).names
    ('training', 'validation', 'test')
    """

    validation: float
    test: float

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            raise OptionError(
                "`validation_split` and `test_split` should leave rows for training: their sum should be less than 1. "
                f"Received: validation_split={self.validation}, test_split={self.test}"
            )

    @property
    def others(self) -> dict[str, float]:
        """Name → fraction of each part but training."""
        return {name: value for name, value in ((VALIDATION, self.validation), (TEST, self.test)) if value}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts, the training part first."""
        return TRAINING, *self.others

    def counts(self, num_rows: int) -> dict[str, int]:
        """Return the number of rows of each part, at least one.

        >>> Fractions(0.2, 0).counts(10)
        {'training': 8, 'validation': 2}
        """
        others = {name: max(1, round(num_rows * value)) for name, value in self.others.items()}
        return {TRAINING: max(1, num_rows - sum(others.values())), **others}

    def describe(self) -> dict[str, float | None]:
        """Return the arguments of `split` as plain JSON."""
        return {"validation_split": self.validation or None, "test_split": self.test or None}

    def why_empty(self, part: str, num_rows: int) -> str:
        """Return why a part has no rows."""
        purpose = "testing" if part == TEST else part
        splits = {f"{name}_split": value for name, value in self.others.items() if part in (TRAINING, name)}
        asked = " and ".join(f"{name}={value}" for name, value in splits.items())
        return f"{asked} of {counted(num_rows, 'row')} leaves none for {purpose}."


def kinds_of(columns: tuple[Column, ...]) -> Mapping[str, str]:
    """Return how the columns are read, as plain JSON: name → kind, or format of a date."""
    return {column.name: column.format or column.kind for column in columns}


def generator(seed: int, chunk: int) -> np.random.RandomState:
    """Return the random generator of a chunk. Its stream never changes (NEP 19), and caches rely on it."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed, spawn_key=(chunk,))))
