"""Rows as the text of a CSV file: quoted as by Python's `csv`, with numbers in the fewest digits that keep them."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from keras_oocore.core.files import CHUNK_BYTES, write_whole
from keras_oocore.predictions.csv_cells import empty_cell, lines_of, words
from keras_oocore.predictions.digits import shortest
from keras_oocore.predictions.groups import Rows

ROWS_PER_STEP = 1000
VALUES_PER_STEP = 8192  # as strings, they need 200 bytes each


class CSVFormat:
    """The format of `.csv` files. A part has rows without the header."""

    part_suffix = "csv"

    def encode(self, rows: Rows) -> bytes:
        """Return rows as text, without the header.

        >>> from keras_oocore.predictions.groups import Group
        >>> groups = [Group(("file",), np.array(["a, b.png"], object)), Group(("cat",), np.array([0.1], "float32"))]
        >>> CSVFormat().encode(Rows(groups, np.array([True])))
        b'"a, b.png",0.1\\n'
        """
        lines, size = _fastest(), max(1, VALUES_PER_STEP // max(1, len(rows.names)))
        return b"".join(lines(rows.between(start, start + size)) for start in range(0, len(rows.readable), size))

    def header(self, rows: Rows) -> bytes:
        """Return the header."""
        return lines_of([words(np.array(rows.names, object), empty_cell(rows))])

    def join(self, path: Path, parts: Sequence[Path], layout: Rows, num_rows: int) -> None:
        """Write a file from its parts.

        Args:
            path: The file, which is written whole.
            parts: The parts in their order.
            layout: Rows with its columns.
            num_rows: Number of rows of the file.
        """
        with write_whole(path) as out:
            out.write(self.header(layout))
            for part in parts:
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, out, CHUNK_BYTES)

    def save(self, path: str | os.PathLike[str], rows: Rows) -> None:
        """Write a file of rows in memory."""
        with write_whole(path) as out:
            out.write(self.header(rows))
            for start in range(0, len(rows.readable), ROWS_PER_STEP):
                out.write(self.encode(rows.between(start, start + ROWS_PER_STEP)))


def lines(rows: Rows) -> bytes:
    """Return some rows as text."""
    empty, columns = empty_cell(rows), []
    for group in rows.groups:
        values = group.values.reshape(len(group.values), -1).T
        cells = shortest(values) if values.dtype.kind == "f" else words(values, empty)
        if group.predicted:
            for place in np.flatnonzero(np.tile(~rows.readable, len(values))).tolist():
                cells[place] = empty
        columns += [cells[start : start + values.shape[1]] for start in range(0, len(cells), values.shape[1])]
    return lines_of(zip(*columns))


def _fastest() -> Callable[[Rows], bytes]:
    """Return `lines`, or the function of the same result that needs pyarrow."""
    try:
        from keras_oocore.predictions import csv_arrow
    except ImportError:
        return lines
    return csv_arrow.lines
