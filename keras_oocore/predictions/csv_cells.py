"""Cells of a CSV file: quoted as by Python's `csv`."""

from collections.abc import Iterable

import numpy as np

from keras_oocore.predictions.groups import Rows

ENCODING = dict(encoding="utf-8", errors="surrogateescape")  # names of files need not be valid UTF-8
SPECIAL = frozenset(',"\r\n')


def quoted(text: str) -> str:
    """Return a string as a cell.

    >>> quoted('a "b", c')
    '"a ""b"", c"'
    """
    return text if SPECIAL.isdisjoint(text) else '"' + text.replace('"', '""') + '"'


def words(values: np.ndarray, empty: str) -> list[str]:
    """Return values that are not floats as cells, row by row. `None` is an empty cell."""
    return [empty if value is None or value == "" else quoted(str(value)) for value in values.ravel().tolist()]


def empty_cell(rows: Rows) -> str:
    """Return an empty cell of these rows. A single one in its line is quoted, because readers skip empty lines."""
    return '""' if len(rows.names) == 1 else ""


def lines_of(rows: Iterable[Iterable[str]]) -> bytes:
    """Return rows of cells as text."""
    return "".join(f"{','.join(row)}\n" for row in rows).encode(**ENCODING)
