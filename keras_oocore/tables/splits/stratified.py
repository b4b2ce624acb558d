"""`StratifiedSplit`: each class has its fraction in each part. One pass counts the classes of each chunk."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import and_more
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.tables.splits.base import Fractions, Split, generator, kinds_of
from keras_oocore.tables.splits.classes import ClassIndex, class_name, codes_in

LISTED = 5  # classes of too few rows in an error message


@dataclasses.dataclass(frozen=True, eq=False)
class StratifiedSplit(Split):
    """Rows drawn per chunk and class, so that each part has its fraction of each class within one row.

    Args:
        fractions: Fractions of the rows of each class.
        seed: Seed of the draw.
        column: The column that has the classes.
        classes: The classes, in the order of their codes. `None` is a missing cell.
        counts: `int64` of shape `(num_classes,)`. Number of rows of each class.
        chunks: Per chunk, three arrays: the codes of its classes, their numbers of rows in all earlier chunks, and in
            this one.
    """

    fractions: Fractions
    seed: int
    column: Column
    classes: list[Any]
    counts: np.ndarray
    chunks: list[tuple[np.ndarray, np.ndarray, np.ndarray]]

    @classmethod
    def of(
        cls, column: Column, counted: Iterable[tuple[list[Any], np.ndarray]], fractions: Fractions, seed: int
    ) -> "StratifiedSplit":
        """Return the split of a table.

        Args:
            column: The column that has the classes.
            counted: Per chunk, its classes and their numbers of rows.
            fractions: Fractions of the rows of each class.
            seed: Seed of the draw.

        Raises:
            OptionError: If a class has fewer rows than there are parts, or the column has no classes.
        """
        index, total, chunks = ClassIndex(column), np.zeros(0, np.int64), []
        for classes, counts in counted:
            codes = index.codes(classes)
            total = np.concatenate([total, np.zeros(len(index.classes) - len(total), np.int64)])
            chunks.append((codes, total[codes], counts))
            total[codes] += counts
        _require_rows(column, index.classes, total, len(fractions.names))
        return cls(fractions, seed, column, index.classes, total, chunks)

    @property
    def names(self) -> tuple[str, ...]:
        return self.fractions.names

    @property
    def columns(self) -> tuple[Column, ...]:
        return (self.column,)

    def assign(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        codes = codes_in(keys.columns[self.column.name], self.classes)
        drawn = generator(self.seed, chunk).permutation(len(codes))
        by_class = drawn[np.argsort(codes[drawn], kind="stable")]  # within a class, in random order
        own, _, counts = self.chunks[chunk]
        counts = counts[np.argsort(own)]
        place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its class
        ends = np.zeros((len(self.names), len(self.classes)), np.int64)  # the first row after each part but training
        ends[1:, own] = np.cumsum(self._sizes(chunk), axis=0)
        parts = np.empty(len(codes), np.int8)
        parts[by_class] = (place >= ends[:, codes[by_class]]).sum(axis=0) % len(self.names)
        return parts

    def known_sizes(self, starts: np.ndarray, may_skip_rows: bool) -> list[list[int]]:
        others = np.array([self._sizes(chunk).sum(axis=1) for chunk in range(len(self.chunks))])
        totals = np.array([counts.sum() for _, _, counts in self.chunks])
        return [(totals - others.sum(axis=1)).tolist(), *others.T.tolist()]

    def _sizes(self, chunk: int) -> np.ndarray:
        """Return the number of rows of each of its classes in each part but training, `(num_parts, num_classes)`."""
        own, before, counts = self.chunks[chunk]
        return self._taken(own, before + counts) - self._taken(own, before)

    def _taken(self, classes: np.ndarray, num_rows: np.ndarray) -> np.ndarray:
        """Return how many of the first rows of the classes are in each part but training."""
        left, total, parts = num_rows, self.counts[classes], []
        for quota in self._quotas[:, classes]:
            parts.append(left * quota // total)
            left, total = left - parts[-1], total - quota
        return np.stack(parts)

    @functools.cached_property
    def _quotas(self) -> np.ndarray:
        return quotas(self.counts, list(self.fractions.others.values()))

    def describe(self, part: int) -> dict[str, Any]:
        return {
            **self.fractions.describe(),
            "stratify": self.column.name,
            "seed": self.seed,
            "part": self.names[part],
            "kinds": kinds_of(self.columns),
        }

    def why_empty(self, part: int, num_rows: int) -> str:
        return self.fractions.why_empty(self.names[part], num_rows)


def quotas(counts: np.ndarray, fractions: list[float]) -> np.ndarray:
    """Return the number of rows of each class in each part but training, `int64` of shape `(num_parts, num_classes)`.

    They are rounded by the largest remainders, so that the parts have their fractions of all rows, too. Each part,
    including training, has a row of each class.

    >>> quotas(np.array([10, 10, 4]), [0.25]).tolist()
    [[3, 2, 1]]
    """
    parts = []
    for fraction in fractions:
        exact = counts * fraction
        quota = np.floor(exact).astype(np.int64)
        num_more = round(exact.sum()) - int(quota.sum())
        quota[np.argsort(quota - exact, kind="stable")[: max(0, num_more)]] += 1
        parts.append(np.maximum(quota, 1))
    found = np.stack(parts)
    while (lacking := found.sum(axis=0) >= counts).any():
        found[found.argmax(axis=0)[lacking], lacking] -= 1
    return found


def _require_rows(column: Column, classes: list[Any], counts: np.ndarray, num_parts: int) -> None:
    """Raise if a class has fewer rows than there are parts."""
    small = np.flatnonzero(counts < num_parts)
    if not len(small):
        return
    named = ", ".join(f"{class_name(classes[code])!r} ({counts[code]})" for code in small[:LISTED])
    more = and_more(len(small), LISTED)
    remedy = "Split without `stratify`, or merge the class with another class."
    if 2 * len(small) > len(classes):
        remedy = "Most of its values are that rare, so they are not classes: split without `stratify`."
    raise OptionError(
        f"`stratify` requires rows of every class in each of the {num_parts} parts. Too few rows of class {named}{more}"
        f" in column {column.name!r}. {remedy}"
    )
