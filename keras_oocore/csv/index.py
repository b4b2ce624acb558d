"""The index of a CSV file: where each chunk of rows begins, as a record that is saved and loaded."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.faults import retried
from keras_oocore.core.record import RecordFormat
from keras_oocore.core.storage import open_file
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.look import framed, look
from keras_oocore.csv.marks import mark

INDEX_FORMAT = RecordFormat(version=2, remedy="Remove it; the file will be scanned again.")
CHUNK_BYTES = 4 * 2**20
MOST_CHECKED = 1000  # bad rows of format 1; with more, the file is scanned again


class BadRow(NamedTuple):
    """A row with a misplaced quote: its line, the reason, and the offsets of the bytes to skip."""

    line: int
    reason: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False)
class RecordIndex:
    """The offset, row number and line number of every chunk of a CSV file.

    Chunk `i` is the bytes from `starts[i]` to `starts[i + 1]`. It holds the rows `rows[i]` to `rows[i + 1]`: whole
    rows, and at least one, together with the blank lines, comments and bad rows that follow them. Rows are counted
    from 0. The header, blank lines, comments and bad rows are not counted.

    Attributes:
        path: The CSV file, as messages name it.
        absolute_path: The absolute path, which stays valid after `os.chdir`.
        size_bytes: Size of the file when it was scanned.
        changed_ns: Time of the last change before the scan, in nanoseconds (`st_mtime_ns`).
        dialect: The dialect with which the file was scanned.
        header: The names of the columns exactly as the file has them, or `None` without a header.
        starts: `int64` of shape `(num_chunks + 1,)`. Offset of the first row of each chunk, and the end of the file,
            or of the rows that are used.
        rows: `int64` of shape `(num_chunks + 1,)`. Number of rows before each chunk, and `num_rows`.
        lines: `int64` of shape `(num_chunks + 1,)`. The physical line, counted from 1, on which each chunk begins, and
            the line on which the file ends.
        bad: The bad rows, in the order of the file.
    """

    path: str
    size_bytes: int
    changed_ns: int
    dialect: Dialect
    header: tuple[str, ...] | None
    starts: np.ndarray
    rows: np.ndarray
    lines: np.ndarray
    bad: tuple[BadRow, ...] = ()
    absolute_path: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "absolute_path", storage.absolute(self.path))

    @property
    def num_rows(self) -> int:
        """Number of rows of the file."""
        return int(self.rows[-1])

    @property
    def num_chunks(self) -> int:
        """Number of chunks of the file, `0` if it has no rows."""
        return len(self.starts) - 1

    @property
    def is_whole(self) -> bool:
        """Whether the index is that of all rows of the file, and not of the first ones."""
        return int(self.starts[-1]) == self.size_bytes

    def chunk_of(self, row: int) -> int:
        """Return the number of the chunk that holds `row`.

        Raises:
            IndexError: If the row does not exist.
        """
        if not 0 <= row < self.num_rows:
            raise IndexError(f"{self.path}: row {row} does not exist; rows are 0 to {self.num_rows - 1}")
        return int(np.searchsorted(self.rows, row, side="right")) - 1

    def require_unchanged(self) -> None:
        """Raise if the file differs from the file that was scanned.

        Raises:
            DataError: If the size or time of change differ, or the file does not exist.
        """
        require_same(self.path, self.absolute_path, (self.size_bytes, self.changed_ns), "its rows were counted")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the index as JSON, atomically.

        Raises:
            DestinationError: If the file cannot be written.
        """
        path = Path(path)
        INDEX_FORMAT.write(
            path,
            {
                "size_bytes": self.size_bytes,
                "changed_ns": self.changed_ns,
                "dialect": self.dialect.to_json(),
                "header": self.header,
                "starts": self.starts.tolist(),
                "rows": self.rows.tolist(),
                "lines": self.lines.tolist(),
                "bad": self.bad,
            },
        )
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], csv_path: str | os.PathLike[str]) -> "RecordIndex":
        """Load the index saved as `path`, for the CSV file that is now stored as `csv_path`.

        The caller compares `dialect` with the current options, and `bad` if bad rows are an error.

        Raises:
            DataError: If the CSV file changed since it was scanned, or if the index is missing, damaged, was written
                by a newer version, or lists rows as bad that an older version could not read.
        """
        index, number = INDEX_FORMAT.read(path, lambda saved: (_from_json(saved, os.fspath(csv_path)), saved["format"]))
        index.require_unchanged()
        if number == 1 and not _are_bad(index):
            raise DataError(f"{os.fspath(path)!r} lists rows of {index.path} as bad that are rows by now. Remove it.")
        return index


def file_stamp(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return the size in bytes and the time of change in nanoseconds of a file.

    Raises:
        DataError: If the file does not exist or is not a regular file.
    """
    try:
        status = retried(storage.status, path)
    except OSError as error:
        raise cannot_read(path, error) from error
    if status.is_directory:
        pattern = os.path.join(path, "*.csv")
        raise DataError(
            f"Cannot read {os.fspath(path)!r}: it is a folder. To read the CSV files in it, pass {pattern!r}."
        )
    if not status.is_file:
        raise DataError(f"Cannot read {os.fspath(path)!r}: it is not an ordinary file.")
    return status.size_bytes, status.changed_ns


def cannot_read(path: str | os.PathLike[str], error: OSError) -> DataError:
    """Return the error for a file that the operating system refuses to read."""
    instead = storage.where_instead(path) if isinstance(error, FileNotFoundError) else ""
    return DataError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.{instead}")


def require_same(path: str, absolute_path: str, stamp: tuple[int, int], since: str) -> None:
    """Raise if a file changed.

    Args:
        path: The file, for messages.
        absolute_path: Its path that stays valid when the working directory changes.
        stamp: What `file_stamp` returned before.
        since: What happened then, as the end of a sentence.

    Raises:
        DataError: If its size or time of change differ, or it does not exist any more.
    """
    now = file_stamp(absolute_path)
    if now != stamp:
        sizes = f" ({stamp[0]:,} bytes before, {now[0]:,} now)" if now[0] != stamp[0] else ""
        raise DataError(f"{path}: the file changed since {since}{sizes}. Open it again.")


def _are_bad(index: RecordIndex) -> bool:
    """Return whether the bad rows of an index of format 1 are still bad. A quote in a cell without quotes was a fault.

    A row whose fault is beyond its first lines counts as one that may be good.
    """
    if len(index.bad) > MOST_CHECKED:
        return False
    try:
        with open_file(index.absolute_path) as file:
            for bad in index.bad:
                file.seek(bad.start)
                row = framed(file.read(bad.stop - bad.start), index.dialect)
                if mark(look(row, index.dialect)).fault < 0:
                    return False
    except OSError as error:
        raise cannot_read(index.path, error) from error
    return True


def _from_json(saved: dict[str, Any], csv_path: str) -> RecordIndex:
    """Return the index that a JSON record describes, or raise a ValueError for numbers that cannot come from a scan."""
    index = RecordIndex(
        path=csv_path,
        size_bytes=int(saved["size_bytes"]),
        changed_ns=int(saved["changed_ns"]),
        dialect=Dialect(**saved["dialect"]),
        header=None if saved["header"] is None else tuple(map(str, saved["header"])),
        starts=np.array(saved["starts"], np.int64),
        rows=np.array(saved["rows"], np.int64),
        lines=np.array(saved["lines"], np.int64),
        bad=tuple(BadRow(int(line), str(reason), int(a), int(b)) for line, reason, a, b in saved["bad"]),
    )
    _require_consistent(index)
    return index


def _require_consistent(index: RecordIndex) -> None:
    """Raise a ValueError if the numbers are inconsistent."""
    starts, rows, lines = index.starts, index.rows, index.lines
    if index.header == ():
        raise ValueError("the header is empty")
    if not (starts.shape == rows.shape == lines.shape and starts.ndim == 1 and len(starts)):
        raise ValueError("starts, rows and lines differ in length")
    rising = (np.diff(starts) > 0).all() and (np.diff(rows) > 0).all() and (np.diff(lines) >= 0).all()
    if not rising or starts[0] < 0 or rows[0] != 0 or lines[0] < 1 or starts[-1] != index.size_bytes:
        raise ValueError("starts, rows or lines do not increase as they should")
