"""Rows as the text of a CSV file, by pyarrow: the bytes of `csv_rows`, faster, and while other threads run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_oocore.predictions.csv_cells import ENCODING, empty_cell, words
from keras_oocore.predictions.digits import shortest
from keras_oocore.predictions.groups import Rows

EDGE = 1e-6  # beside powers of ten, rounding may have changed the exponent
SMALL = range(-6, -4)  # exponents that pyarrow does not write


def lines(rows: Rows) -> bytes:
    """Return some rows as text."""
    empty, columns = empty_cell(rows), []
    for group in rows.groups:
        values = group.values.reshape(len(group.values), -1)
        width = values.shape[1]
        if values.dtype.kind == "f":
            cells = shortest_of_arrow(values.ravel())
        else:
            cells = pa.array([word.encode(**ENCODING) for word in words(values, empty)], pa.binary())
        if group.predicted and not rows.readable.all():
            cells = pc.if_else(pa.array(np.repeat(rows.readable, width)), cells, pa.scalar(empty.encode(), pa.binary()))
        if width > 1:
            starts = np.arange(0, len(cells) + 1, width, dtype=np.int32)
            cells = pc.binary_join(pa.ListArray.from_arrays(starts, cells), b",")
        columns.append(cells)
    lines = pc.binary_join_element_wise(*columns, b",")
    lines = pc.binary_join_element_wise(lines, pa.scalar(b"", pa.binary()), b"\n")
    text = b"".join(lines.to_pylist())
    pa.default_memory_pool().release_unused()  # mimalloc keeps much more than it used
    return text


def shortest_of_arrow(values: np.ndarray) -> pa.BinaryArray:
    """Return `float32` or `float64` numbers of shape `(n,)` as strings. pyarrow writes other zeros and exponents.

    >>> shortest_of_arrow(np.array([0.25, 2.5e-5, 1e-7, 3], "float32")).to_pylist()
    [b'0.25', b'2.5e-05', b'1e-07', b'3.0']
    """
    cells = pc.cast(pa.array(values), pa.string())
    size = np.abs(values).astype(np.float64)
    done = (size >= 1e-4) & (size < 1e7) & (values != np.rint(values))  # integers have no ".0"
    done |= ((size > 0) & (size < 9e-10)) | ~np.isfinite(values)
    for places, function in _other_exponents(size):
        if places.any():
            mask = pa.array(places)
            cells = pc.replace_with_mask(cells, mask, function(cells.filter(mask)))
            done |= places
    if not done.all():
        cells = pc.replace_with_mask(cells, pa.array(~done), pa.array(shortest(values[~done]), pa.string()))
    return pc.cast(cells, pa.binary())


def _other_exponents(size: np.ndarray) -> Iterator[tuple[np.ndarray, Any]]:
    """Iterate over the numbers with other exponents, as a mask, and the functions that write these."""
    yield _between(size, 1e-9, 1e-6), lambda cells: pc.replace_substring(cells, "e-", "e-0")
    for exponent in SMALL:

        def written(cells: Any, end: str = f"e{exponent:03d}") -> Any:
            cells = pc.replace_substring_regex(cells, r"0\.0*([1-9])(\d+)$", rf"\1.\2{end}")
            return pc.replace_substring_regex(cells, r"0\.0*([1-9])$", rf"\1{end}")

        yield _between(size, float(f"1e{exponent}"), float(f"1e{exponent + 1}")), written


def _between(size: np.ndarray, low: float, high: float) -> np.ndarray:
    return (size > low * (1 + EDGE)) & (size < high * (1 - EDGE))
