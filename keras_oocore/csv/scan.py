"""The scan of a CSV file: one pass that counts rows and lines, cuts chunks and finds bad rows.

A physical line ends with `\\n`, `\\r\\n` or a bare `\\r`, also inside quotes. Python's `csv.reader` counts `line_num`
in the same way for a file opened with `newline=""`. NUL is treated like any other byte. The module knows nothing about
columns, types or parsers.
"""

import os
from collections.abc import Callable
from typing import get_args

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import CSVError, DataError, OptionError
from keras_oocore.csv.blocks import Blocks, FileOffset
from keras_oocore.csv.chunks import index_of_first_rows
from keras_oocore.csv.dialect import Dialect, OnBadRow
from keras_oocore.csv.faults import OR_SKIP, SKIP, explain, field_of, remedy
from keras_oocore.csv.header import empty_file, read_header, table_start
from keras_oocore.csv.index import CHUNK_BYTES, BadRow, RecordIndex, file_stamp
from keras_oocore.csv.marks import INSIDE, START
from keras_oocore.csv.stretch import Stretch, Tally


def index_records(
    path: str | os.PathLike[str],
    dialect: Dialect,
    chunk_bytes: int = CHUNK_BYTES,
    num_workers: int = 1,
    on_bad_row: OnBadRow = "error",
    progress: Callable[[int], object] | None = None,
    num_rows: int | None = None,
) -> RecordIndex:
    """Find where the records of a CSV file begin, in one pass over the file and a few MB of memory.

    A row is bad if it has a misplaced quote or a quote that is never closed. A bad row ends with the physical line on
    which the wrong field begins, and the next line begins a new row. So a lost quote costs its own row only.

    Args:
        path: The file.
        dialect: The dialect of the file.
        chunk_bytes: Maximum size of the rows of a chunk. A longer row is a chunk of its own.
        num_workers: Number of threads that read ahead, or `1` to read in the calling thread. The result does not depend
            on it. Defaults to `1`.
        on_bad_row: `"error"` raises for the first bad row. `"skip"` skips bad rows and lists them in `bad`.
        progress: Function that is called, in the calling thread, with the number of bytes scanned since the last call.
        num_rows: Number of rows after which the scan stops, or `None` for the whole file.

    Returns:
        The `RecordIndex` of the file, or of its first `num_rows` rows.

    Raises:
        DataError: If the file is empty, compressed or in UTF-16, cannot be read, has a bad row, or changes during the
            scan.
        OptionError: If an argument is not supported.
    """
    for name, value in (("chunk_bytes", chunk_bytes), ("num_workers", num_workers)):
        positive(value, name)
    if on_bad_row not in get_args(OnBadRow):
        raise OptionError(f'`on_bad_row` should be "error" or "skip". Received: on_bad_row={on_bad_row!r}')
    path = os.fspath(path)
    stamp = file_stamp(path)
    begin = table_start(path, dialect, stamp[0])
    header = None
    if dialect.header:
        with Blocks(path, begin.offset, stamp[0], dialect) as blocks:
            header, begin = read_header(blocks, begin)
    with Blocks(path, begin.offset, stamp[0], dialect, num_workers) as blocks:
        scan = _Scan(blocks, begin, chunk_bytes, on_bad_row, num_rows)
        scan.run(progress or (lambda _: None))
    if file_stamp(path) != stamp:
        raise DataError(f"{path}: the file changed while its rows were counted. Open it again once it is complete.")
    if header is None and not scan.chunks and not scan.bad:
        raise empty_file(path, dialect)
    offsets = np.array([*scan.chunks, scan.current], np.int64)
    starts, rows, lines = np.ascontiguousarray(offsets.T)
    index = RecordIndex(path, *stamp, dialect, header, starts, rows, lines, tuple(scan.bad))
    return index if num_rows is None else index_of_first_rows(index, num_rows)


class _Scan:
    """One pass over the rows of a file, window by window."""

    def __init__(self, blocks: Blocks, begin: FileOffset, chunk_bytes: int, on_bad_row: OnBadRow, num_rows: int | None):
        self.blocks = blocks
        self.most_rows = float("inf") if num_rows is None else num_rows
        self.chunk_bytes = chunk_bytes
        self.on_bad_row = on_bad_row
        self.current, self.state = begin, START
        self.record = begin  # start of the latest row
        self.opened = -1  # start of the latest quoted field
        self.chunks: list[FileOffset] = []
        self.bad: list[BadRow] = []

    def run(self, progress: Callable[[int], object]) -> None:
        """Scan to the end of the file, or until one row more than needed has begun."""
        blocks = self.blocks
        size_bytes, reported = blocks.block_bytes, self.current.offset
        while self.current.offset < blocks.stop or self.state.place == INSIDE:
            if self.current.offset == blocks.stop:
                self._skip_row(-1, self.opened)
            elif self._step(size_bytes):
                size_bytes = min(2 * size_bytes, blocks.block_bytes)
            else:
                size_bytes = blocks.careful_bytes
            if self.current.offset > reported:  # the scan goes back after a bad row
                progress(self.current.offset - reported)
                reported = self.current.offset
            if self.current.row > self.most_rows:
                break

    def _step(self, size_bytes: int) -> bool:
        """Consume one window, or the part before its first bad row. Return whether the window has no bad row."""
        offset = self.current.offset
        stretch = self.blocks.examine(offset, size_bytes, self.state)
        if stretch.fault < 0:
            self._consume(stretch, stretch.seen.size_bytes, stretch.tally)
            self.state = stretch.end
            if stretch.last_opened >= 0:  # even if it seems closed: a doubled quote may be cut in two
                self.opened = offset + stretch.last_opened
            return True
        field = field_of(stretch.marks, stretch.fault, offset, self.opened)
        row_start = stretch.last_row_before(stretch.fault + 1)
        if row_start >= 0:
            self._consume(stretch, row_start, stretch.tally_before(row_start))
            self.record = self.current
        self._skip_row(offset + stretch.fault, field)
        return False

    def _consume(self, stretch: Stretch, stop: int, found: Tally) -> None:
        """Count the rows and lines of a window before its position `stop`, and continue from there."""
        self._cut(stretch, stop)
        offset, row, line = self.current
        if found.last_row >= 0:
            before = found.num_rows - 1, found.lines_before_last_row
            self.record = FileOffset(offset + found.last_row, row + before[0], line + before[1])
        self.current = FileOffset(offset + stop, row + found.num_rows, line + found.num_lines)

    def _at(self, row_start: int, stretch: Stretch) -> FileOffset:
        """Return the file offset of a row of the window."""
        offset, row, line = self.current
        before = stretch.rows_before(row_start), stretch.lines_before(row_start)
        return FileOffset(offset + row_start, row + before[0], line + before[1])

    def _cut(self, stretch: Stretch, stop: int) -> None:
        """Begin new chunks before position `stop`, each at the last row that keeps the previous chunk in `chunk_bytes`.

        If there is no such row, the chunk begins at the next row.
        """
        begin = self.current.offset
        if not self.chunks and 0 <= (found := stretch.next_row(0)) < stop:
            self.chunks.append(self._at(found, stretch))
        while self.chunks and self.chunks[-1].offset + self.chunk_bytes < begin + stop:
            chunk = self.chunks[-1].offset - begin
            limit = max(0, chunk + self.chunk_bytes + 1)
            found = stretch.last_row_before(limit)
            if found <= max(chunk, -1):  # no row, or the first row of the chunk itself
                if self.record.offset - begin > chunk:  # a row that begins before the window
                    self.chunks.append(self.record)
                    continue
                found = stretch.next_row(limit)
                if not 0 <= found < stop:
                    break
            self.chunks.append(self._at(found, stretch))

    def _skip_row(self, wrong: int, field: int) -> None:
        """Skip the latest row, up to the end of the line on which its wrong field begins, or raise.

        Args:
            wrong: Offset of the misplaced quote, or -1 if the closing quote is missing.
            field: Offset of the first quote of the field.
        """
        record, blocks = self.record, self.blocks
        line = record.line + blocks.count_lines(record.offset, field)
        reason = explain(blocks, wrong, field, line)
        if self.on_bad_row == "error":
            change, option = remedy(blocks, wrong, field)
            fault = f"row {record.row} (line {line}): {reason}. {change}"
            raise CSVError.of(blocks.path, fault, f"{option} {OR_SKIP}" if option else SKIP)
        stop, num_ended = blocks.find_line_end(field)
        self.bad.append(BadRow(line, reason, record.offset, stop))
        if self.chunks and self.chunks[-1].offset == record.offset:
            self.chunks.pop()
        self.current, self.state = FileOffset(stop, record.row, line + num_ended), START
        self.record = self.chunks[-1] if self.chunks else self.current
