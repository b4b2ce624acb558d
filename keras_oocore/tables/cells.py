"""What tables compute from typed cells: codes and counts of strings, and numbers that `float32` would change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

LARGEST_EXACT = 2**24  # float32 represents all integers up to this one


def as_codes(cells: Any, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the position of each string in `vocabulary`, `int32` of shape `(n,)`; -1 if it is missing or unknown."""
    places = pc.index_in(cells, pa.array(vocabulary, pa.string()), skip_nulls=True)
    return places.fill_null(-1).to_numpy(zero_copy_only=False)


def count_strings(cells: Any) -> dict[str, int]:
    """Return how often each string occurs, without missing cells."""
    values, counts = pc.value_counts(cells.drop_null()).flatten()
    return dict(zip(values.to_pylist(), counts.to_pylist()))


def distinct_strings(cells: Any) -> list[str]:
    """Return the distinct strings in the order of their first occurrence, without missing cells."""
    return pc.unique(cells.drop_null()).to_pylist()


def distinct_numbers(cells: Any) -> np.ndarray:
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
