"""Rows as the text of a CSV file: quoted as by Python's `csv`, with numbers in the fewest digits that keep them."""

import csv
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.files import CHUNK_BYTES, write_whole
from keras_oocore.predictions.digits import shortest
from keras_oocore.predictions.groups import Group, Rows

ENCODING = dict(encoding="utf-8", errors="surrogateescape")  # names of files need not be valid UTF-8
ROWS_PER_STEP = 1000
VALUES_PER_STEP = 8192  # as strings, they need 200 bytes each


class CSVFormat:
    """The format of `.csv` files. A part has rows without the header."""

    part_suffix = "csv"

    def encode(self, rows: Rows) -> bytes:
        """Return rows as text, without the header.

        >>> group = Group(("file", ), np.array(["a, b.png"], object)), Group(("cat",), np.array([0.1], "float32"))
        >>> CSVFormat().encode(Rows(list(group), np.array([True])))
        b'"a, b.png",0.1\\n'
        """
        size, pieces = max(1, VALUES_PER_STEP // max(1, len(rows.names))), []
        for start in range(0, len(rows.readable), size):
            part = rows.between(start, start + size)
            columns = [column for group in part.groups for column in _cells(group, part.readable)]
            pieces.append(_text(zip(*columns)))
        return b"".join(pieces)

    def header(self, rows: Rows) -> bytes:
        """Return the header."""
        return _text([rows.names])

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


def _cells(group: Group, readable: np.ndarray) -> Iterable[list[Any]]:
    """Return the cells of each column as strings. Predictions of rows that cannot be read are empty."""
    values = group.values if group.values.ndim == 2 else group.values[:, np.newaxis]
    if values.dtype.kind == "f":
        texts, num_rows = shortest(values.T), len(values)
        columns = [texts[start : start + num_rows] for start in range(0, len(texts), num_rows)]
    else:
        columns = values.T.tolist()
    if group.predicted and not readable.all():
        missing = np.flatnonzero(~readable).tolist()
        for column in columns:
            for row in missing:
                column[row] = ""
    return columns


def _text(rows: Iterable[Sequence[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode(**ENCODING)
