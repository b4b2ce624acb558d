"""Where the chunks of a CSV file lie, as a record that is saved and loaded; knows nothing of how they were found."""

import dataclasses
import functools
import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.files import write_whole

FORMAT_VERSION = 1
ASCII = bytes(range(128)) + rb"\u0022" + b"\x1b$B!!"  # all of them, an escape and a shift to another alphabet


@dataclasses.dataclass(frozen=True)
class Dialect:
    r"""How a CSV file is written, as far as the ends of its records depend on it.

    Fields are quoted with `"`, which is doubled inside; records end with `\n`, `\r\n` or `\r`, mixed as they like.

    Args:
        delimiter: one ASCII character between fields.
        encoding: one in which every byte below 0x80 is an ASCII character, wherever it stands.
        header: whether the first record names the columns.
        skip_rows: physical lines before the header (or the first row) that are no part of the table.
        comment: one ASCII character; a line that begins with it, outside quotes, is left out.

    Raises:
        OptionError: for what cannot work.

    >>> Dialect(delimiter=";", comment="#")
    Dialect(delimiter=';', encoding='utf-8', header=True, skip_rows=0, comment='#')
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    skip_rows: int = 0
    comment: str | None = None

    def __post_init__(self):
        if not _can_stand_for_itself(self.delimiter):
            raise OptionError(
                "`delimiter` should be one ASCII character, but no quote and no newline. "
                f"Received: delimiter={self.delimiter!r}"
            )
        if self.comment is not None and (not _can_stand_for_itself(self.comment) or self.comment == self.delimiter):
            raise OptionError(
                "`comment` should be None, or one ASCII character, but no quote, no newline and not the delimiter. "
                f"Received: comment={self.comment!r}"
            )
        if not isinstance(self.header, bool):
            raise OptionError(f"`header` should be True or False. Received: header={self.header!r}")
        if not isinstance(self.skip_rows, int) or isinstance(self.skip_rows, bool) or self.skip_rows < 0:
            raise OptionError(f"`skip_rows` should be a non-negative integer. Received: skip_rows={self.skip_rows!r}")
        if not isinstance(self.encoding, str):
            raise OptionError(f"`encoding` should be a name such as 'utf-8'. Received: encoding={self.encoding!r}")
        if not _keeps_ascii(self.encoding):
            raise OptionError(
                "`encoding` should be one in which every byte below 0x80 is an ASCII character, such as 'utf-8' or "
                f"'latin-1'. Received: encoding={self.encoding!r}. If that is the file's encoding, convert it: "
                f"iconv -f {self.encoding.upper().replace('_', '-')} -t UTF-8 in.csv > out.csv"
            )


class BadRow(NamedTuple):
    """A row that was left out: the physical line of what is wrong, why, and the bytes from `start` to `stop`."""

    line: int
    reason: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False)
class RecordIndex:
    """Where the rows of a CSV file lie: a byte offset, a row number and a line number every few MB.

    Chunk `i` is the bytes from `starts[i]` to `starts[i + 1]` and holds the rows from `rows[i]` to `rows[i + 1]`, whole
    ones and at least one, with the blank lines, comments and bad rows that follow them. Those are no rows, nor is the
    header; rows are counted from 0.

    Attributes:
        path: the CSV file, as messages name it.
        absolute_path: where it lies, also after `os.chdir`.
        size_bytes: its size when it was scanned.
        changed_ns: when it had last changed then, in nanoseconds (`st_mtime_ns`).
        dialect: how it was read.
        header: the names of the columns as the file has them, whether empty, padded or twice the same; `None` without
            a header.
        starts: `int64` of shape `(num_chunks + 1,)`: where the first row of each chunk begins; last, where all end.
        rows: `int64` of shape `(num_chunks + 1,)`: how many rows come before each chunk; last, `num_rows`.
        lines: `int64` of shape `(num_chunks + 1,)`: the physical line, from 1, on which each chunk begins; last, the
            line on which the file ends.
        bad: the rows that were left out, in the file's order.
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

    def __post_init__(self):
        object.__setattr__(self, "absolute_path", os.path.abspath(self.path))

    @property
    def num_rows(self) -> int:
        """How many rows the file has."""
        return int(self.rows[-1])

    @property
    def num_chunks(self) -> int:
        """How many chunks the file was cut into; 0 when it has no rows."""
        return len(self.starts) - 1

    def chunk_of(self, row: int) -> int:
        """The number of the chunk that holds this row.

        Raises:
            IndexError: when there is no such row.
        """
        if not 0 <= row < self.num_rows:
            raise IndexError(f"{self.path}: there is no row {row}; rows are 0 to {self.num_rows - 1}")
        return int(np.searchsorted(self.rows, row, side="right")) - 1

    def require_unchanged(self) -> None:
        """Raise when the file is no longer the one that was scanned.

        Raises:
            DataError: when its size or time of change differ, or it is gone.
        """
        size_bytes, changed_ns = file_stamp(self.absolute_path)
        if (size_bytes, changed_ns) != (self.size_bytes, self.changed_ns):
            raise DataError(_changed(self.path, self.size_bytes, size_bytes))

    def save(self, path: str | os.PathLike) -> Path:
        """Write the index as JSON, whole or not at all.

        Raises:
            DestinationError: when it cannot be written.
        """
        path = Path(path)
        record = {
            "format": FORMAT_VERSION,
            "size_bytes": self.size_bytes,
            "changed_ns": self.changed_ns,
            "dialect": dataclasses.asdict(self.dialect),
            "header": self.header,
            "starts": self.starts.tolist(),
            "rows": self.rows.tolist(),
            "lines": self.lines.tolist(),
            "bad": self.bad,
        }
        with write_whole(path) as file:
            file.write(json.dumps(record).encode())
        return path

    @classmethod
    def load(cls, path: str | os.PathLike, csv_path: str | os.PathLike) -> "RecordIndex":
        """The index that was saved as `path`, of the CSV file that now lies at `csv_path`.

        Whoever calls compares `dialect`, and `bad` where bad rows are an error, with what is wanted now.

        Raises:
            DataError: when the CSV file is not the one that was scanned, or the index is missing, damaged or of a newer
                version.
        """
        index = _read(Path(path), os.fspath(csv_path))
        index.require_unchanged()
        return index


def file_stamp(path: str | os.PathLike) -> tuple[int, int]:
    """Size in bytes and time of change (ns) of a file.

    Raises:
        DataError: when it is missing, or no ordinary file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise cannot_read(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"Cannot read {os.fspath(path)!r}: it is a folder. Its files are '{os.fspath(path)}/*.csv'.")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"Cannot read {os.fspath(path)!r}: it is not an ordinary file.")
    return status.st_size, status.st_mtime_ns


def cannot_read(path: str | os.PathLike, error: OSError) -> DataError:
    """The error of a file that the operating system refuses to read."""
    return DataError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.")


def _changed(path: str, size_bytes: int, size_bytes_now: int) -> str:
    sizes = f" ({size_bytes:,} bytes then, {size_bytes_now:,} now)" if size_bytes != size_bytes_now else ""
    return f"{path}: the file changed since its rows were counted{sizes}. Open it again."


def _read(path: Path, csv_path: str) -> RecordIndex:
    name = os.fspath(path)
    try:
        saved = json.loads(path.read_bytes())
        if saved["format"] == FORMAT_VERSION:
            index = RecordIndex(
                path=csv_path,
                size_bytes=int(saved["size_bytes"]),
                changed_ns=int(saved["changed_ns"]),
                dialect=Dialect(**saved["dialect"]),
                header=None if saved["header"] is None else tuple(map(str, saved["header"])),
                starts=np.array(saved["starts"], np.int64),
                rows=np.array(saved["rows"], np.int64),
                lines=np.array(saved["lines"], np.int64),
                bad=tuple(BadRow(int(line), str(why), int(a), int(b)) for line, why, a, b in saved["bad"]),
            )
            _require_consistent(index)
            return index
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f"{name!r} is damaged ({error!r}). Remove it; the file is scanned again then.") from error
    raise DataError(
        f"{name!r} has format {saved['format']!r}, but this version of keras_oocore reads format {FORMAT_VERSION}. "
        "Upgrade: pip install -U keras_oocore"
    )


def _require_consistent(index: RecordIndex) -> None:
    """Raise a ValueError for numbers that no scan can have found."""
    starts, rows, lines = index.starts, index.rows, index.lines
    if not (starts.shape == rows.shape == lines.shape and starts.ndim == 1 and len(starts)):
        raise ValueError("starts, rows and lines differ in length")
    rising = (np.diff(starts) > 0).all() and (np.diff(rows) > 0).all() and (np.diff(lines) >= 0).all()
    if not rising or starts[0] < 0 or rows[0] != 0 or lines[0] < 1 or starts[-1] != index.size_bytes:
        raise ValueError("starts, rows or lines do not rise as they should")


def _can_stand_for_itself(character: str) -> bool:
    return isinstance(character, str) and len(character) == 1 and character.isascii() and character not in '"\r\n\0'


@functools.cache
def _keeps_ascii(encoding: str) -> bool:
    """Whether a byte below 0x80 is always that ASCII character: no trail byte (GBK), shift (UTF-7) or half (UTF-16).

    >>> [_keeps_ascii(name) for name in ("utf-8", "cp1252", "euc-jp", "gbk", "shift-jis", "utf-16", "klingon")]
    [True, True, True, False, False, False, False]
    """
    after_any_lead = (bytes([lead, trail]) + b"   " for lead in range(0x80, 0x100) for trail in range(0x20, 0x80))
    try:
        return ASCII.decode(encoding) == ASCII.decode("ascii") and all(
            found.decode(encoding, "replace")[1:] == found[1:].decode("ascii") for found in after_any_lead
        )
    except (LookupError, ValueError):  # unknown, or cannot read plain ASCII
        return False
