"""The classes of a column to stratify by, counted and numbered in the order in which the files have them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import FIRST_ROUNDED, Column

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

MOST_CLASSES = 10_000


class ClassIndex:
    """Gives each class of a column a code: 0, 1, 2, ...

    Args:
        column: The column, for error messages.

    Attributes:
        classes: Strings or numbers, in the order of their codes. `None` is a missing cell.

    >>> index = ClassIndex(Column("fraud", 0, "string"))
    >>> index.codes(["no", "yes"]).tolist(), index.codes(["yes", None]).tolist(), index.classes
    ([0, 1], [1, 2], ['no', 'yes', None])
    """

    def __init__(self, column: Column):
        self.column: Column = column
        self._codes = {}

    @property
    def classes(self) -> list[Any]:
        return list(self._codes)

    def codes(self, classes: Sequence[Any]) -> np.ndarray:
        """Return the codes of classes, `int64`. New classes get the next codes.

        Raises:
            OptionError: If they are measured values, too large, or too many.
        """
        for value in classes:
            if value not in self._codes:
                if isinstance(value, float) and not value.is_integer():
                    raise OptionError(
                        f"`stratify` requires a column of classes. Column {self.column.name!r} has measured values, "
                        f"such as {value:g}. Split without `stratify`, or add a column of ranges."
                    )
                if isinstance(value, float) and abs(value) >= FIRST_ROUNDED:
                    name = self.column.name
                    raise OptionError(
                        f"`stratify` compares numbers as float64, which does not tell integers from 2^53 on apart. "
                        f"Column {name!r} has such integers. To compare them as strings: categorical=[{name!r}]"
                    )
                self._codes[value] = len(self._codes)
        if len(self._codes) > MOST_CLASSES:
            raise OptionError(
                f"`stratify` requires a column of classes. Column {self.column.name!r} has more than {MOST_CLASSES:,} "
                "distinct values. Split without `stratify`, or choose a column of fewer classes."
            )
        return np.array([self._codes[value] for value in classes], np.int64)


def count_classes(cells: Any) -> tuple[list[Any], np.ndarray]:
    """Return the distinct cells, `None` for a missing one, and how often each occurs, `int64`."""
    values, counts = pc.value_counts(cells).flatten()
    return values.to_pylist(), counts.to_numpy(zero_copy_only=False)


def codes_in(cells: Any, classes: Sequence[Any]) -> np.ndarray:
    """Return the code of each cell, `int32` of shape `(n,)`. All cells are among the classes."""
    return pc.index_in(cells, pa.array(classes, cells.type)).to_numpy(zero_copy_only=False)


def class_name(value: str | float | None) -> str:
    """Return the name of a class, for messages.

    >>> class_name("yes"), class_name(1.0), class_name(None)
    ('yes', '1', '(missing)')
    """
    if value is None:
        return "(missing)"
    return value if isinstance(value, str) else f"{value:g}"
