"""Typed cells of a table, as pyarrow arrays, and what other modules compute from them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_oocore.core.errors import MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
LARGEST_EXACT = 2**24  # float32 represents all integers up to this one


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Name in the header, or as given by the user.
        position: Position in the file, counted from 0.
        kind: `"float32"`, `"bool"`, `"string"` or `"date"`.
        format: Format of a date, as for `datetime.strptime`; `None` for other kinds.
    """

    name: str
    position: int
    kind: str
    format: str | None = None


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of a chunk.

    Attributes:
        rows: `int64` of shape `(n,)`. Numbers of the rows within the chunk: all of them, unless some were skipped.
        columns: Name → `pyarrow` array of length `n`: `double` for numbers, dates (seconds since 1970) and booleans (0
            or 1), `string` for strings. Missing cells are null.
    """

    rows: np.ndarray
    columns: dict

    def select(self, mask: np.ndarray) -> "Cells":
        """Return the rows where `mask`, `bool` of shape `(n,)`, is true."""
        chosen = pa.array(mask)
        return Cells(self.rows[mask], {name: cells.filter(chosen) for name, cells in self.columns.items()})


def is_missing(cells) -> np.ndarray:
    """Return which cells are missing, `bool` of shape `(n,)`."""
    return np.zeros(len(cells), bool) if not cells.null_count else cells.is_null().to_numpy(zero_copy_only=False)


def as_codes(cells, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the position of each string in `vocabulary`, `int32` of shape `(n,)`; -1 if it is missing or unknown."""
    places = pc.index_in(cells, pa.array(vocabulary, pa.string()), skip_nulls=True)
    return places.fill_null(-1).to_numpy(zero_copy_only=False)


def count_strings(cells) -> dict[str, int]:
    """Return how often each string occurs, without missing cells."""
    values, counts = pc.value_counts(cells.drop_null()).flatten()
    return dict(zip(values.to_pylist(), counts.to_pylist()))


def distinct_numbers(cells) -> np.ndarray:
    """Return the distinct numbers, `float64`, without missing cells and in no particular order."""
    return pc.unique(cells.drop_null()).to_numpy(zero_copy_only=False)


def rounded_by_float32(values: np.ndarray) -> float | None:
    """Return the first integer of at most 64 bits that `float32` cannot represent, or `None`.

    `float64` does not tell such integers apart from 2^53 on, so every integer from there on counts.

    >>> rounded_by_float32(np.array([1.5, 2.0**24, 2.0**24 + 1]))
    16777217.0
    """
    if not (np.fmax.reduce(values, initial=0) > LARGEST_EXACT or np.fmin.reduce(values, initial=0) < -LARGEST_EXACT):
        return None
    values = values[np.abs(values) <= 2.0**64]  # neither NaN nor infinite
    lost = (values == np.floor(values)) & ((values.astype(np.float32) != values) | (np.abs(values) >= 2.0**53))
    return float(values[np.argmax(lost)]) if lost.any() else None


def require_pyarrow() -> None:
    """Raise if pyarrow is not installed.

    Raises:
        MissingExtraError: If pyarrow is not installed. The message has the command that installs it.
    """
    if pa is None:
        raise MissingExtraError("CSV files require pyarrow: pip install 'keras_oocore[csv]'")


def release_memory() -> None:
    """Return the memory that pyarrow keeps for reuse to the operating system."""
    if pa is not None:
        pa.default_memory_pool().release_unused()
