"""`TargetClasses`: the classes of a target, the form in which a batch has them, and their weights."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.core.warn import warn_user
from keras_oocore.tables.options import ClassWeight, ColumnOptions, LabelMode
from keras_oocore.tables.statistics import ColumnStatistics


class TargetClasses:
    """The classes of one target. Everything but `mode`, `separator` and `class_weight` is computed by `fit`.

    Args:
        column: Name of the target.
        options: The user's choice of columns.

    Attributes:
        strings: The distinct cells of the target in the order of their codes: the classes, or several labels each.
        names: Names of the classes in the order of their indices.
        weights: Weight of each class, `float32` of shape `(num_classes,)`, with `class_weight`.
        needs_cells: Whether the cells are those of other rows, and `adopt_cells` should add those that join the same
            labels in other ways.

    >>> from keras_oocore.csv.cells import Column
    >>> genres = TargetClasses("genre", ColumnOptions("genre", label_separator="|"))
    >>> training = ColumnStatistics(Column("genre", 0, "string"))
    >>> training.counts.update(["drama", "action|drama"])
    >>> genres.fit(["drama", "action|drama"], training)
    >>> genres.names, genres.arrays(np.array([1, 0])).tolist()
    (['action', 'drama'], [[1.0, 1.0], [0.0, 1.0]])
    """

    def __init__(self, column: str, options: ColumnOptions):
        self.column: str = column
        self.mode: LabelMode | None = options.label_mode
        self.separator: str | None = options.label_separator
        self.class_weight: ClassWeight | None = options.class_weight
        self.strings: list[str] = []
        self.names: list[str] | None = None
        self.weights: np.ndarray | None = None
        self.needs_cells: bool = False
        self._labels = None  # of each cell, with a separator: where they begin among all, and all

    def unfitted(self) -> "TargetClasses":
        """Return a copy without classes."""
        classes = copy.copy(self)
        classes.strings, classes.names, classes.weights, classes._labels = [], None, None, None
        return classes

    @property
    def expands(self) -> bool:
        """Whether `y` has a number per class."""
        return self.separator is not None or self.mode == "categorical"

    @property
    def changes_shape(self) -> bool:
        """Whether `y` is not the code of the cell."""
        return self.expands or self.mode == "binary"

    def options(self) -> dict[str, Any]:
        """Return the options by their names, as plain JSON."""
        weight = self.class_weight
        return {
            "label_mode": self.mode,
            "label_separator": self.separator,
            "class_weight": {str(key): float(value) for key, value in weight.items()}
            if isinstance(weight, Mapping)
            else weight,
        }

    def fit(self, strings: Sequence[str], training: ColumnStatistics) -> None:
        """Compute the classes and their weights.

        Args:
            strings: The distinct cells of all rows, in the order of their codes.
            training: The statistics of the cells of the training rows.

        Raises:
            OptionError: If `label_mode` or `class_weight` does not fit the classes.
        """
        self.strings = list(strings)
        if self.separator is None:
            self.names = self.strings
        else:
            self._fit_labels(self.separator)
            self._warn_of_missing(training.missing)
        if self.mode == "binary" and len(self.names) != 2:
            raise OptionError(
                f'`label_mode="binary"` requires exactly 2 classes. Received: {len(self.names)} classes in column '
                f"{self.column!r}: {listed(self.names)}"
            )
        counts = np.array([training.counts[string] for string in self.strings], np.int64)
        self._warn_of_lacking(counts if self._labels is None else self._count_labels(counts))
        if self.class_weight is not None:
            self.weights = self._weights(counts)

    def adopt(self, strings: Sequence[str]) -> None:
        """Set the classes to those of other rows. There are no weights."""
        self.strings = list(strings)
        self.names = self.strings
        if self.separator is not None:
            self._fit_labels(self.separator)
            self.needs_cells = True

    def adopt_cells(self, strings: Iterable[str]) -> None:
        """Add cells of the rows that adopted the classes, with labels that are known. They have the next codes."""
        known = set(self.names)
        new = sorted(cell for cell in {*strings}.difference(self.strings) if known.issuperset(self.labels(cell)))
        self.strings = [*self.strings, *new]
        self._fit_labels(self.separator)
        self.needs_cells = False

    def labels(self, cell: str) -> list[str]:
        """Return the labels in a cell: one, or several with `separator`."""
        return [cell] if self.separator is None else labels_in(cell, self.separator)

    def arrays(self, codes: np.ndarray) -> np.ndarray:
        """Return `y` for the codes of cells, `int32` of shape `(batch,)`. The shape depends on `mode`."""
        if self._labels is not None:
            return self._several_hot(codes)
        if self.mode == "binary":
            return codes.astype(np.float32)[:, np.newaxis]
        if self.mode == "categorical":
            one_hot = np.zeros((len(codes), len(self.names)), np.float32)
            one_hot[np.arange(len(codes)), codes] = 1
            return one_hot
        return codes

    def describe(self, num_rows: int) -> str:
        """Return dtype and shape of `y`, if `changes_shape`, for a batch of `num_rows` rows."""
        if self.mode == "binary":
            return f"float32 ({num_rows}, 1)"
        return f"float32 ({num_rows}, {'number of classes' if self.names is None else len(self.names)})"

    def _fit_labels(self, separator: str) -> None:
        """Find the labels of each distinct cell."""
        several = [labels_in(string, separator) for string in self.strings]
        self.names = sorted_classes({label for labels in several for label in labels})
        index = {name: number for number, name in enumerate(self.names)}
        sizes = [len(labels) for labels in several]
        starts = np.concatenate([[0], np.cumsum(sizes), [sum(sizes)]]).astype(np.int64)  # the last cell is missing
        self._labels = starts, np.array([index[label] for labels in several for label in labels], np.int64)

    def label_counts(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return label → number of rows, from the number of rows of each distinct cell, also of other rows."""
        found = dict.fromkeys(self.names, 0)
        for cell, count in counts.items():
            for label in self.labels(cell):
                found[label] = found.get(label, 0) + count
        return found

    def _count_labels(self, counts: np.ndarray) -> np.ndarray:
        """Return the number of rows of each label, from the number of rows of each distinct cell."""
        starts, labels = self._labels
        return np.bincount(labels, np.repeat(counts, np.diff(starts)[:-1]), len(self.names))

    def _several_hot(self, codes: np.ndarray) -> np.ndarray:
        """Return 1 for each label of a cell, and 0 for other classes. The code of a missing cell is -1."""
        starts, labels = self._labels
        first, sizes = starts[:-1][codes], np.diff(starts)[codes]
        rows = np.repeat(np.arange(len(codes)), sizes)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(first, sizes)
        out = np.zeros((len(codes), len(self.names)), np.float32)
        out[rows, labels[places]] = 1
        return out

    def _weights(self, counts: np.ndarray) -> np.ndarray:
        """Return the weight of each class."""
        if self.class_weight == "balanced":
            return (counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)
        weights, index = {}, {name: number for number, name in enumerate(self.names)}
        for name, weight in self.class_weight.items():
            number = index.get(name) if isinstance(name, str) else int(name)
            if number is None or not 0 <= number < len(self.names):
                raise OptionError(
                    f"`class_weight` should map classes to weights: names, or indices from 0 to {len(self.names) - 1}. "
                    f"Received: class {name!r}.{did_you_mean(name, self.names)} Classes: {listed(self.names)}"
                )
            if number in weights:
                raise OptionError(f"`class_weight` should give each class once. Received: {self.names[number]!r} twice")
            weights[number] = weight
        return np.array([weights.get(number, 1) for number in range(len(self.names))], np.float32)

    def _warn_of_lacking(self, counts: np.ndarray) -> None:
        """Warn of classes without training rows, which are classes of other rows."""
        lacking = [name for name, count in zip(self.names, counts) if not count]
        if lacking:
            one = len(lacking) == 1
            warn_user(
                f"The training part has no rows of {'class' if one else 'classes'} {listed(lacking)} of target "
                f"{self.column!r}: a model cannot learn {'it' if one else 'them'}. The model still needs "
                f"{len(self.names)} outputs. Fix: split with another seed, or with stratify={self.column!r}."
            )

    def _warn_of_missing(self, num_missing: int) -> None:
        """Warn of cells without labels."""
        if num_missing:
            warn_user(
                f"{num_missing:,} row{'s have' if num_missing > 1 else ' has'} no label in {self.column!r}: y is 0 for "
                "every class. missing='drop' leaves such rows out."
            )


def labels_in(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell, sorted.

    >>> labels_in("drama| action|", "|")
    ['action', 'drama']
    """
    return sorted({label.strip() for label in cell.split(separator)} - {""})


def sorted_classes(strings: Sequence[str] | set[str]) -> list[str]:
    """Return classes in the order of their indices: by value if all are numbers, alphabetically otherwise.

    >>> sorted_classes(["10", "9"]), sorted_classes(["10", "9", "b"])
    (['9', '10'], ['10', '9', 'b'])
    """
    try:
        numbers_of = {string: float(string) for string in strings}
    except ValueError:
        return sorted(strings)
    if any(math.isnan(number) for number in numbers_of.values()):  # "nan" has no place among numbers
        return sorted(strings)
    return sorted(strings, key=lambda string: (numbers_of[string], string))
