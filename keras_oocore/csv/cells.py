"""Typed cells of the rows of a file, as pyarrow arrays."""

import dataclasses
from typing import Any

import numpy as np

from keras_oocore.core.errors import MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

STRINGS = ("string", "text")  # kinds that are not converted
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
FIRST_ROUNDED = 2.0**53  # from which on `float64` does not represent every integer
BEYOND_INT64 = 2.0**63  # the first integer that `int64` cannot hold


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Name in the header, or as given by the user.
        position: Position in the file, counted from 0.
        kind: `"float32"`, `"bool"`, `"string"` or `"date"`; `"exact"`, a number without rounding, to be compared; or
            `"text"`, a string that is never missing. A column of that kind is read without columns of other kinds.
        format: Format of a date, as for `datetime.strptime`, or `"ISO8601"`; `None` for other kinds.
        part: The part of a date that the column is, such as `"weekday"`, which ends its name; `None` for days since
            1970. Columns that are parts of one date have the same position.
        zone: Name of the time zone of the parts of moments that are read as those of other rows; `""` if these have
            none, so that no moment has one; or `None` for parts as they are written.

    >>> Column("sold.weekday", 3, "date", "%Y-%m-%d", "weekday").name_in_file
    'sold'
    """

    name: str
    position: int
    kind: str
    format: str | None = None
    part: str | None = None
    zone: str | None = None

    @property
    def name_in_file(self) -> str:
        """Name in the header, without the part of a date."""
        return self.name.removesuffix(f".{self.part}") if self.part else self.name


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of a chunk.

    Attributes:
        rows: `int64` of shape `(n,)`. Numbers of the rows within the chunk: all of them, unless some were skipped.
        columns: Name → `pyarrow` array of length `n`: `double` for numbers, dates (days since 1970, or a part) and
            booleans (0 or 1), `string` for strings. An `"exact"` number is of any type of numbers, or a string of
            digits. Missing cells are null.
    """

    rows: np.ndarray
    columns: dict[str, Any]

    def select(self, mask: np.ndarray) -> "Cells":
        """Return the rows where `mask`, `bool` of shape `(n,)`, is true."""
        chosen = pa.array(mask)
        return Cells(self.rows[mask], {name: cells.filter(chosen) for name, cells in self.columns.items()})


def is_missing(cells: Any) -> np.ndarray:
    """Return which cells are missing, `bool` of shape `(n,)`."""
    return np.zeros(len(cells), bool) if not cells.null_count else cells.is_null().to_numpy(zero_copy_only=False)


def is_blank(cells: Any) -> np.ndarray:
    """Return which strings, or bytes, are missing or contain only white space, `bool` of shape `(n,)`."""
    if pa.types.is_binary(cells.type):
        return np.array([cell is None or not cell.strip() for cell in cells.to_pylist()], bool)
    blank = pc.equal(pc.utf8_trim_whitespace(cells), "")
    return pc.fill_null(blank, True).to_numpy(zero_copy_only=False)


def require_pyarrow(what: str = "CSV files", extra: str = "csv") -> None:
    """Raise if pyarrow is not installed.

    Args:
        what: What requires it, for the message.
        extra: The extra of this package that installs it.

    Raises:
        MissingExtraError: If pyarrow is not installed. The message has the command that installs it.
    """
    if pa is None:
        raise MissingExtraError(f"{what} require pyarrow: pip install 'keras_oocore[{extra}]'")


def release_memory() -> None:
    """Return the memory that pyarrow keeps for reuse to the operating system."""
    if pa is not None:
        pa.default_memory_pool().release_unused()
