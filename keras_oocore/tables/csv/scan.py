"""Where the records of a CSV file begin and end; knows nothing of columns, types or who parses them.

A physical line ends with `\\n`, `\\r\\n` or a bare `\\r`, inside quotes too: that is how Python's `csv.reader` counts
`line_num` over a file that was opened with `newline=""`. NUL is a byte like any other, as it is for `csv.reader`.
"""

import bisect
import csv
import io
import os
import re
import shlex
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, NoReturn

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.tables.csv.index import BadRow, Dialect, RecordIndex, cannot_read, file_stamp
from keras_oocore.tables.csv.marks import (
    INSIDE,
    LF,
    OUTSIDE,
    Look,
    Marks,
    below,
    count,
    find_lines,
    first,
    has,
    last,
    look,
    mark,
    next_one,
    positions,
)

__all__ = ["BadRow", "Dialect", "Location", "RecordIndex", "index_records", "locate", "read_chunk"]

CHUNK_BYTES = 4 * 2**20
BLOCK_BYTES = 2**21  # read and looked at at once; of less, threads would wait for each other more often
CAREFUL_BYTES = 2**12  # looked at after a bad row, where another may follow
HEADER_BYTES = 2**24  # no header is longer; a wrong delimiter or a lost quote can make one
SHOWN_BYTES = 20  # on either side of a quote, in messages

BOM = b"\xef\xbb\xbf"
CONVERSIONS = {  # what other files begin with
    rb"\x1f\x8b": (
        "compressed with gzip",
        'gunzip -c {0} > out.csv (or pass cache="DIR", where it is unpacked once)',
    ),
    rb"PK\x03\x04": ("a zip archive, as Excel workbooks are", "unzip {0} (or save the workbook as CSV UTF-8)"),
    rb"\x28\xb5\x2f\xfd": ("compressed with zstd", "zstd -dc {0} > out.csv"),
    rb"\xfd7zXZ\x00": ("compressed with xz", "xz -dc {0} > out.csv"),
    rb"BZh[1-9]1AY&SY": ("compressed with bzip2", "bzip2 -dc {0} > out.csv"),
    rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff": ("in UTF-32", "iconv -f UTF-32 -t UTF-8 {0} > out.csv"),
    rb"\xff\xfe|\xfe\xff": ("in UTF-16", "iconv -f UTF-16 -t UTF-8 {0} > out.csv"),
    rb"([^\x00]\x00){8}": ("in UTF-16", "iconv -f UTF-16LE -t UTF-8 {0} > out.csv"),
    rb"(\x00[^\x00]){8}": ("in UTF-16", "iconv -f UTF-16BE -t UTF-8 {0} > out.csv"),
}
DOUBLED = 'A quote inside a field is written twice, and the field between quotes: "12"" pipe".'
SPACED = "No space may stand between a delimiter and a quote."
ESCAPED = 'A backslash escapes nothing in CSV: a quote inside a field is written twice, "" and not \\".'
UNCLOSED = "Close it where its field ends."
SKIP = 'Mend the file, or leave such rows out: on_bad_row="skip"'


class Location(NamedTuple):
    """Where a row is: its number in the file, the physical line on which it begins, and its bytes."""

    row: int
    line: int
    text: bytes


class Place(NamedTuple):
    """A byte of the file: its offset, how many rows came before it, and on which physical line it is."""

    offset: int
    row: int
    line: int


def index_records(
    path: str | os.PathLike,
    dialect: Dialect,
    chunk_bytes: int = CHUNK_BYTES,
    num_workers: int = 1,
    on_bad_row: str = "error",
    progress: Callable[[int], object] | None = None,
) -> RecordIndex:
    """Find where the records of a CSV file begin, in one pass over it and a few MB of memory.

    A row is bad when a quote stands where none may, or is never closed. It is left out from its beginning to the end
    of the physical line on which the wrong field begins, and the next line begins a row: a lost quote costs its own row
    and none that follow.

    Args:
        path: the file.
        dialect: how it is written.
        chunk_bytes: what the rows of a chunk may add up to; one row that is longer is a chunk of its own.
        num_workers: threads: all but the calling one read ahead and look at what they read. The result is the same for
            any number.
        on_bad_row: `"error"` raises for the first bad row; `"skip"` leaves bad rows out and lists them in `bad`.
        progress: called with the number of bytes just scanned, from the calling thread.

    Raises:
        DataError: when the file is empty, compressed or in UTF-16, cannot be read, has a bad row or changes meanwhile.
        OptionError: for an argument that cannot work.
    """
    for name, value in (("chunk_bytes", chunk_bytes), ("num_workers", num_workers)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(f"`{name}` should be a positive integer. Received: {name}={value!r}")
    if on_bad_row not in ("error", "skip"):
        raise OptionError(f'`on_bad_row` should be "error" or "skip". Received: on_bad_row={on_bad_row!r}')
    path = os.fspath(path)
    stamp = file_stamp(path)
    place = _table_start(path, dialect, stamp[0])
    header = None
    if dialect.header:
        with _Blocks(path, place.offset, stamp[0], dialect) as blocks:
            header, place = _read_header(blocks, place)
    with _Blocks(path, place.offset, stamp[0], dialect, num_workers) as blocks:
        scan = _Scan(blocks, place, chunk_bytes, on_bad_row)
        scan.run(progress or (lambda _: None))
    if file_stamp(path) != stamp:
        raise DataError(f"{path}: the file changed while its rows were counted. Open it again once it is finished.")
    if header is None and not scan.chunks and not scan.bad:
        raise _empty(path, dialect)
    places = np.array([*scan.chunks, scan.place], np.int64)
    starts, rows, lines = np.ascontiguousarray(places.T)
    return RecordIndex(path, *stamp, dialect, header, starts, rows, lines, tuple(scan.bad))


def read_chunk(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> bytes | memoryview:
    """The rows of one chunk, ready for a strict parser: no header, no comments, no bad rows; blank lines stay.

    Args:
        index: of the file.
        chunk: the chunk's number.
        memory: `uint8` to read into, where the chunk fits, because fresh memory costs more than the reading. What is
            returned may view it.

    Raises:
        DataError: when the file changed since the scan, or cannot be read.
        IndexError: when there is no such chunk.
    """
    pieces = [_without_comments(piece, index.dialect) for _, piece in _good_pieces(index, chunk, memory)]
    return pieces[0] if memory is not None and len(pieces) == 1 else b"".join(pieces)


def locate(index: RecordIndex, chunk: int, row_in_chunk: int) -> Location:
    """Where a row is that a parser complains of.

    Args:
        index: of the file.
        chunk: the chunk's number.
        row_in_chunk: counted from 0, as a parser counts that was given `read_chunk(index, chunk)`.

    Raises:
        DataError: when the file changed since the scan, or cannot be read.
        IndexError: when there is no such chunk, or it has no such row.
    """
    num_rows = int(index.rows[chunk + 1] - index.rows[chunk])
    if not 0 <= row_in_chunk < num_rows:
        raise IndexError(f"{index.path}: chunk {chunk} has no row {row_in_chunk}; its rows are 0 to {num_rows - 1}")
    row = row_in_chunk
    for offset, piece in _good_pieces(index, chunk):  # noqa: B007 - the one that holds the row
        marks = mark(look(_framed(piece, index.dialect), index.dialect))
        starts = positions(marks.row_starts)
        if row < len(starts):
            break
        row -= len(starts)
    start = int(starts[row])
    stop = next_one(marks.record_ends, start)
    text = bytes(piece[start : stop if stop >= 0 else None]).rstrip(b"\r\n")
    before = _framed(_raw_chunk(index, chunk)[: offset + start], index.dialect)
    num_lines = count(find_lines(before)[0])
    return Location(int(index.rows[chunk]) + row_in_chunk, int(index.lines[chunk]) + num_lines, text)


# The pass over the file


class _Blocks:
    """The bytes of a file from `begin` to `stop`, read in blocks, by threads ahead of the one that looks at them."""

    def __init__(self, path: str, begin: int, stop: int, dialect: Dialect, num_workers: int = 1):
        self.path, self.begin, self.stop, self.dialect = path, begin, stop, dialect
        num_helpers = num_workers - 1  # besides the thread that uses the blocks
        self._pool = ThreadPoolExecutor(num_helpers, "keras_oocore-csv") if num_helpers else None
        self._num_ahead = 2 * num_helpers
        self._coming: deque[tuple[int, Future]] = deque()
        self._spare: list[np.ndarray] = []  # fresh memory costs more than the reading
        self._own = threading.local()
        self._number, self._data, self._seen = -1, None, None

    def __enter__(self) -> "_Blocks":
        return self

    def __exit__(self, *_) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def window(self, offset: int, size_bytes: int) -> np.ndarray:
        """`uint8`: at most `size_bytes` from `offset` on, and the bytes before and after them; valid until the next.

        The table begins after a newline and ends before a delimiter, as it were.
        """
        start = self._load(offset)
        return self._data[start : min(start + size_bytes, len(self._data) - 2) + 2]

    def look(self, offset: int, size_bytes: int) -> Look:
        """What can be said of at most `size_bytes` from `offset` on; of a whole block it has been said ahead."""
        start = self._load(offset)
        if start or size_bytes < self._seen.size_bytes:
            return look(self.window(offset, size_bytes), self.dialect, self._scratch())
        return self._seen

    def windows(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """The bytes from `start` to `stop`: offsets and windows."""
        while start < stop:
            data = self.window(start, stop - start)
            yield start, data
            start += len(data) - 2

    def text(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, as far as there are any."""
        windows = self.windows(max(start, self.begin), min(stop, self.stop))
        return b"".join(data[1:-1].tobytes() for _, data in windows)

    def count_lines(self, start: int, stop: int) -> int:
        """How many lines end between these offsets."""
        return sum(count(find_lines(data)[0]) for _, data in self.windows(start, stop))

    def find_line_end(self, start: int, num_lines: int = 1) -> tuple[int, int]:
        """Where the `num_lines`-th line from `start` on ends, and how many had an end before the file did."""
        num_ended, size_bytes = 0, CAREFUL_BYTES
        while start < self.stop:
            data = self.window(start, size_bytes)
            ends = positions(find_lines(data)[0])
            if num_ended + len(ends) >= num_lines:
                return start + int(ends[num_lines - num_ended - 1]) + 1, num_lines
            num_ended, start, size_bytes = num_ended + len(ends), start + len(data) - 2, BLOCK_BYTES
        return self.stop, num_ended

    def _load(self, offset: int) -> int:
        """Have the block of this offset at hand; returns the offset's place in it."""
        number, start = divmod(offset - self.begin, BLOCK_BYTES)
        if number == self._number:
            return start
        if self._data is not None:
            self._spare.append(self._data.base)
            self._data, self._seen, self._number = None, None, -1
        while self._coming and self._coming[0][0] != number:  # going back to what was read before
            self._coming.popleft()
        coming = self._coming.popleft()[1] if self._coming else None
        self._data, self._seen = coming.result() if coming else self._read(number, self._buffer())
        self._number = number
        latest = self._coming[-1][0] if self._coming else number
        last_block = (self.stop - self.begin - 1) // BLOCK_BYTES
        for following in range(latest + 1, min(number + self._num_ahead, last_block) + 1):
            self._coming.append((following, self._pool.submit(self._read, following, self._buffer())))
        return start

    def _buffer(self) -> np.ndarray:
        return self._spare.pop() if self._spare else np.empty(BLOCK_BYTES + 2, np.uint8)

    def _scratch(self) -> np.ndarray:
        """What `look` works in, one a thread."""
        if not hasattr(self._own, "scratch"):
            self._own.scratch = np.empty(BLOCK_BYTES, bool)
        return self._own.scratch

    def _read(self, number: int, buffer: np.ndarray) -> tuple[np.ndarray, Look]:
        start = self.begin + number * BLOCK_BYTES
        stop = min(start + BLOCK_BYTES, self.stop)
        data = buffer[: stop - start + 2]
        data[0], data[-1] = LF, ord(self.dialect.delimiter)
        has_before, has_after = number > 0, stop < self.stop
        wanted = memoryview(data)[1 - has_before : len(data) - 1 + has_after]
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(start - has_before)
                while wanted:
                    num_read = file.readinto(wanted)
                    if not num_read:
                        raise DataError(f"{self.path}: the file became shorter while its rows were counted.")
                    wanted = wanted[num_read:]
        except OSError as error:
            raise cannot_read(self.path, error) from error
        return data, look(data, self.dialect, self._scratch())


class _Scan:
    """One pass over the rows of a file, window by window: counts rows and lines, cuts chunks, finds bad rows."""

    def __init__(self, blocks: _Blocks, place: Place, chunk_bytes: int, on_bad_row: str):
        self.blocks = blocks
        self.chunk_bytes = chunk_bytes
        self.on_bad_row = on_bad_row
        self.place, self.state = place, OUTSIDE
        self.record = place  # where the latest row begins
        self.opened = -1  # where the latest quoted field begins
        self.chunks: list[Place] = []
        self.bad: list[BadRow] = []

    def run(self, progress: Callable[[int], object]) -> None:
        """Go to the end of the file."""
        size_bytes, reported = BLOCK_BYTES, self.place.offset
        while self.place.offset < self.blocks.stop or self.state == INSIDE:
            if self.place.offset == self.blocks.stop:
                self._leave_out(-1, self.opened)
            elif self._step(size_bytes):
                size_bytes = min(2 * size_bytes, BLOCK_BYTES)
            else:
                size_bytes = CAREFUL_BYTES
            if self.place.offset > reported:  # after a bad row it goes back
                progress(self.place.offset - reported)
                reported = self.place.offset

    def _step(self, size_bytes: int) -> bool:
        """Take one window, or what precedes the first bad row in it; returns whether there was none."""
        offset = self.place.offset
        seen = self.blocks.look(offset, size_bytes)
        marks = mark(seen, self.state)
        wrong = first(marks.faults)
        if wrong < 0:
            self._take(seen, marks.row_starts, seen.size_bytes)
            self.state = marks.state
            if (opened := last(marks.opened)) >= 0:  # also where it seems closed: a doubled quote may be cut in two
                self.opened = offset + opened
            return True
        field = _field_of(marks, wrong, offset, self.opened)
        row_start = last(below(marks.row_starts, wrong + 1))
        if row_start >= 0:
            self._take(seen, below(marks.row_starts, row_start), row_start)
            self.record = self.place
        self._leave_out(offset + wrong, field)
        return False

    def _take(self, seen: Look, row_starts: np.ndarray, stop: int) -> None:
        """Count the rows and lines of a window before `stop`, a place in it, and go on from there."""
        self._cut(seen, row_starts, stop)
        num_rows, latest = count(row_starts), last(row_starts)
        if latest >= 0:
            self.record = self._at(latest, num_rows - 1, seen)
        self.place = self._at(stop, num_rows, seen)

    def _at(self, position: int, num_rows: int, seen: Look) -> Place:
        """A place in the window, with so many rows of the window before it."""
        offset, row, line = self.place
        return Place(offset + position, row + num_rows, line + count(below(seen.line_ends, position)))

    def _cut(self, seen: Look, row_starts: np.ndarray, stop: int) -> None:
        """Begin chunks: each at the last row that keeps the one before within `chunk_bytes`, or else at the next."""
        begin = self.place.offset
        if not self.chunks and (found := first(row_starts)) >= 0:
            self.chunks.append(self._at(found, 0, seen))
        while self.chunks and self.chunks[-1].offset + self.chunk_bytes < begin + stop:
            chunk = self.chunks[-1].offset - begin
            limit = max(0, chunk + self.chunk_bytes + 1)
            found = last(below(row_starts, limit))
            if found <= max(chunk, -1):  # none, or the chunk's own first
                if self.record.offset - begin > chunk:  # a row that begins before the window
                    self.chunks.append(self.record)
                    continue
                found = next_one(row_starts, limit)
                if found < 0:
                    break
            self.chunks.append(self._at(found, count(below(row_starts, found)), seen))

    def _leave_out(self, wrong: int, field: int) -> None:
        """Leave the latest row out, through the line on which its wrong field begins, or raise.

        Args:
            wrong: offset of the quote that may not stand there; -1 for one that is missing.
            field: offset of the field's first quote.
        """
        record, blocks = self.record, self.blocks
        line = record.line + blocks.count_lines(record.offset, field)
        reason = _explained(blocks, wrong, field, line)
        if self.on_bad_row == "error":
            remedy = _remedy(blocks, wrong, field)
            raise DataError(f"{blocks.path}: row {record.row} (line {line}): {reason}. {remedy} {SKIP}")
        stop, num_ended = blocks.find_line_end(field)
        self.bad.append(BadRow(line, reason, record.offset, stop))
        if self.chunks and self.chunks[-1].offset == record.offset:
            self.chunks.pop()
        self.place, self.state = Place(stop, record.row, line + num_ended), OUTSIDE
        self.record = self.chunks[-1] if self.chunks else self.place


def _field_of(marks: Marks, wrong: int, offset: int, opened: int) -> int:
    """The offset of the first quote of the field in which a quote is wrong.

    Args:
        marks: of a window.
        wrong: the quote's place in the window.
        offset: of the window.
        opened: offset of the quote that opened the latest field before the window.
    """
    if has(marks.inside, wrong):  # it opens a field, or would
        return offset + wrong
    latest = last(below(marks.opened, wrong))
    return offset + latest if latest >= 0 else opened


def _explained(blocks: _Blocks, wrong: int, field: int, line: int) -> str:
    """What is wrong with a quote, at the offset `wrong` or -1 when it is missing; `line` is that of the field."""
    if wrong < 0:
        return f"the quoted field that opens in {_shown(blocks, field, 0)} is never closed"
    reason = f"a quote where none may stand, in {_shown(blocks, wrong)}"
    num_lines = blocks.count_lines(field, wrong)
    if num_lines:
        reason += f" on line {line + num_lines}, in the field that opens in {_shown(blocks, field, 0)}"
    return reason


def _remedy(blocks: _Blocks, wrong: int, field: int) -> str:
    """What to do about it."""
    if wrong < 0:
        return UNCLOSED
    before, after = blocks.text(wrong - SHOWN_BYTES, wrong), blocks.text(wrong + 1, wrong + SHOWN_BYTES)
    if before.endswith(b"\\"):
        return ESCAPED
    edges = re.escape(blocks.dialect.delimiter.encode()) + rb"\r\n"
    spaced = (
        re.search(rb"(^|[" + edges + rb"]) +$", before)
        if wrong == field
        else re.match(rb" +($|[" + edges + rb"])", after)
    )
    return SPACED if spaced else DOUBLED


def _shown(blocks: _Blocks, offset: int, num_before: int = SHOWN_BYTES) -> str:
    """The text around a byte, as far as its line goes."""
    before = re.split(rb"[\r\n]", blocks.text(offset - num_before - 1, offset))[-1]
    after = re.split(rb"[\r\n]", blocks.text(offset, offset + SHOWN_BYTES + 2))[0]
    text = before[max(0, len(before) - num_before) :] + after[: SHOWN_BYTES + 1]
    shown = text.decode(blocks.dialect.encoding, "ignore")  # its first or last character may be cut in two
    more_before, more_after = len(before) > num_before > 0, len(after) > SHOWN_BYTES + 1
    return repr(f"{'...' * more_before}{shown}{'...' * more_after}")


# What comes before the first row


def _table_start(path: str, dialect: Dialect, size_bytes: int) -> Place:
    """Where the header, or the first row, may begin: after the byte order mark and the lines that are left out."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise cannot_read(path, error) from error
    _require_text(path, head)
    begin = len(BOM) if head.startswith(BOM) else 0
    if not dialect.skip_rows:
        return Place(begin, 0, 1)
    with _Blocks(path, begin, size_bytes, dialect) as blocks:
        offset, num_lines = blocks.find_line_end(begin, dialect.skip_rows)
    return Place(offset, 0, 1 + num_lines)


def _require_text(path: str, head: bytes) -> None:
    """Raise for a file that is compressed, or in another encoding, by the bytes that it begins with."""
    for magic, (what, command) in CONVERSIONS.items():
        if re.match(magic, head, re.DOTALL):
            if path.endswith(".gz"):
                command = command.replace("gunzip -c {0} > out.csv", "gunzip -k {0}")
            raise DataError(f"{path} is {what}, not CSV. Convert it first: {command.format(shlex.quote(path))}")


def _empty(path: str, dialect: Dialect) -> DataError:
    skipped = f" after the lines that skip_rows={dialect.skip_rows} leaves out" if dialect.skip_rows else ""
    return DataError(f"{path} is empty{skipped}. Expected {'a header' if dialect.header else 'a row'}.")


def _read_header(blocks: _Blocks, place: Place) -> tuple[tuple[str, ...], Place]:
    """The names of the columns, and the place after them.

    Raises:
        DataError: when there is no header, or it cannot be read.
    """
    start, stop, state, opened = -1, -1, OUTSIDE, -1
    for offset, data in blocks.windows(place.offset, blocks.stop):
        marks = mark(look(data, blocks.dialect), state)
        if start < 0 and (found := first(marks.row_starts)) >= 0:
            start = offset + found
        end = next_one(marks.record_ends, max(0, start - offset)) if start >= 0 else -1
        wrong = first(marks.faults if end < 0 else below(marks.faults, end))
        if wrong >= 0:
            _refuse_header(blocks, place, offset + wrong, _field_of(marks, wrong, offset, opened))
        if end >= 0:
            stop = offset + end + 1
            break
        if (latest := last(marks.opened)) >= 0:
            opened = offset + latest
        state = marks.state
        if start >= 0 and offset - start > HEADER_BYTES:
            break
    if start < 0:
        raise _empty(blocks.path, blocks.dialect)
    line = place.line + blocks.count_lines(place.offset, start)
    if stop < 0:
        if offset + len(data) - 2 < blocks.stop:
            raise DataError(
                f"{blocks.path}: header (line {line}): it does not end within {format_bytes(HEADER_BYTES)}. "
                "Is it a CSV file, and each quote in its header closed?"
            )
        if state == INSIDE:
            _refuse_header(blocks, place, -1, opened)
        stop = blocks.stop
    names = _names(blocks.text(start, stop), blocks, line)
    return names, Place(stop, 0, line + blocks.count_lines(start, stop))


def _refuse_header(blocks: _Blocks, place: Place, wrong: int, field: int) -> NoReturn:
    line = place.line + blocks.count_lines(place.offset, field)
    reason = _explained(blocks, wrong, field, line)
    raise DataError(f"{blocks.path}: header (line {line}): {reason}. {_remedy(blocks, wrong, field)} Mend the file.")


def _names(text: bytes, blocks: _Blocks, line: int) -> tuple[str, ...]:
    encoding, where = blocks.dialect.encoding, f"{blocks.path}: header (line {line})"
    try:
        lines = io.StringIO(text.decode(encoding), newline="")
        return tuple(next(csv.reader(lines, delimiter=blocks.dialect.delimiter, strict=True)))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: cannot read {text[error.start : error.end]!r} as {encoding}. "
            "Pass the encoding of the file, such as encoding='latin-1'"
        ) from error
    except csv.Error as error:  # a name of more than 128 KiB
        raise DataError(f"{where}: {error}. Is it a CSV file?") from error


# The rows of a chunk


def _raw_chunk(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> memoryview:
    if not 0 <= chunk < index.num_chunks:
        raise IndexError(f"{index.path}: there is no chunk {chunk}; chunks are 0 to {index.num_chunks - 1}")
    start, stop = index.starts[chunk : chunk + 2].tolist()
    try:
        with open(index.absolute_path, "rb", buffering=0) as file:
            file.seek(start)
            fits = memory is not None and stop - start <= len(memory)
            data = memoryview(memory if fits else bytearray(stop - start))[: stop - start]
            num_read = file.readinto(data)
    except OSError as error:
        raise cannot_read(index.path, error) from error
    index.require_unchanged()  # after the reading: nor did it change meanwhile
    if num_read != stop - start:
        raise DataError(
            f"{index.path}: read {num_read:,} of {stop - start:,} bytes at {start:,}. Is the disk at fault?"
        )
    return data


def _good_pieces(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> Iterator[tuple[int, memoryview]]:
    """The parts of a chunk between its bad rows, each with its place in the chunk."""
    raw = _raw_chunk(index, chunk, memory)
    start, stop = index.starts[chunk : chunk + 2].tolist()
    position = start
    among = [bisect.bisect_left(index.bad, offset, key=lambda bad: bad.start) for offset in (start, stop)]
    for bad in index.bad[slice(*among)]:
        if bad.start > position:
            yield position - start, raw[position - start : bad.start - start]
        position = bad.stop
    if position < stop:
        yield position - start, raw[position - start :]


def _without_comments(piece: memoryview, dialect: Dialect) -> bytes | memoryview:
    if dialect.comment is None:
        return piece
    seen = look(_framed(piece, dialect), dialect)
    starts, ends = positions(mark(seen).comments), positions(seen.line_ends)
    stops = np.append(ends + 1, len(piece))[np.searchsorted(ends, starts)]
    kept = zip([0, *stops.tolist()], [*starts.tolist(), len(piece)])
    return b"".join(piece[start:stop] for start, stop in kept)


def _framed(piece: bytes | memoryview, dialect: Dialect) -> np.ndarray:
    """Bytes between records, with what `mark` wants before and after them."""
    return np.frombuffer(b"\n" + piece + dialect.delimiter.encode(), np.uint8)
