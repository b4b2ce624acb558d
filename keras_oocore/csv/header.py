"""What precedes the first row of a CSV file: the byte order mark, skipped lines and the header."""

import csv
import io
from typing import NoReturn

from keras_oocore.core.errors import CSVError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.csv.bits import first, last, next_one
from keras_oocore.csv.blocks import Blocks, FileOffset
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.faults import explain, field_of, remedy
from keras_oocore.csv.look import look
from keras_oocore.csv.marks import INSIDE, START, mark
from keras_oocore.csv.not_csv import BOM, require_csv
from keras_oocore.csv.parsing import parseable, reader_options

HEADER_BYTES = 2**24  # a header that is longer has a wrong delimiter or an unclosed quote


def table_start(path: str, dialect: Dialect, size_bytes: int) -> FileOffset:
    """Return where the header, or the first row, may begin: after the byte order mark and the skipped lines.

    Raises:
        DataError: If the file cannot be read or is not CSV, as in `require_csv`.
    """
    head = require_csv(path, is_whole=not dialect.skip_rows)
    begin = len(BOM) if head.startswith(BOM) else 0
    if not dialect.skip_rows:
        return FileOffset(begin, 0, 1)
    with Blocks(path, begin, size_bytes, dialect) as blocks:
        offset, num_lines = blocks.find_line_end(begin, dialect.skip_rows)
    return FileOffset(offset, 0, 1 + num_lines)


def empty_file(path: str, dialect: Dialect) -> CSVError:
    """Return the error for a file without a header, or without a row."""
    skipped = f" after the lines that skip_rows={dialect.skip_rows} skips" if dialect.skip_rows else ""
    return CSVError.of(path, f"the file is empty{skipped}.", f"Expected {'a header' if dialect.header else 'a row'}.")


def read_header(blocks: Blocks, begin: FileOffset) -> tuple[tuple[str, ...], FileOffset]:
    """Return the names of the columns, and the position after the header.

    Raises:
        DataError: If there is no header, or it cannot be read.
    """
    start, stop, state, opened = -1, -1, START, -1
    for offset, data in blocks.windows(begin.offset, blocks.stop):
        marks = mark(look(data, blocks.dialect, None, state.before), state)
        if start < 0 and (found := first(marks.row_starts)) >= 0:
            start = offset + found
        end = next_one(marks.record_ends, max(0, start - offset)) if start >= 0 else -1
        if marks.fault >= 0 and (end < 0 or marks.fault < end):
            _refuse(blocks, begin, offset + marks.fault, field_of(marks, marks.fault, offset, opened))
        if end >= 0:
            stop = offset + end + 1
            break
        if (latest := last(marks.opened)) >= 0:
            opened = offset + latest
        state = marks.state
        if start >= 0 and offset - start > HEADER_BYTES:
            break
    if start < 0:
        raise empty_file(blocks.path, blocks.dialect)
    line = begin.line + blocks.count_lines(begin.offset, start)
    if stop < 0:
        if offset + len(data) - 2 < blocks.stop:
            raise CSVError.of(
                blocks.path,
                f"header (line {line}): it does not end within {format_bytes(HEADER_BYTES)}.",
                "Is it a CSV file, and is each quote in its header closed?",
            )
        if state.place == INSIDE:
            _refuse(blocks, begin, -1, opened)
        stop = blocks.stop
    names = _names(blocks.text(start, stop), blocks, line)
    return names, FileOffset(stop, 0, line + blocks.count_lines(start, stop))


def _refuse(blocks: Blocks, begin: FileOffset, wrong: int, field: int) -> NoReturn:
    """Raise for a misplaced or unclosed quote in the header. `wrong` and `field` are those of `explain`."""
    line = begin.line + blocks.count_lines(begin.offset, field)
    reason = explain(blocks, wrong, field, line)
    change, option = remedy(blocks, wrong, field)
    raise CSVError.of(blocks.path, f"header (line {line}): {reason}. {change}", option or "Fix the file.")


def _names(text: bytes, blocks: Blocks, line: int) -> tuple[str, ...]:
    """Return the fields of the header's record."""
    encoding, where = blocks.dialect.encoding, f"header (line {line})"
    try:
        lines = io.StringIO(bytes(parseable(text, blocks.dialect)).decode(encoding), newline="")
        return tuple(next(csv.reader(lines, strict=True, **reader_options(blocks.dialect))))
    except UnicodeDecodeError as error:
        fault = f"{where}: cannot read {text[error.start : error.end]!r} as {encoding}."
        fix = "Pass the encoding of the file, such as encoding='latin-1'"
        raise CSVError.of(blocks.path, fault, fix) from error
    except csv.Error as error:  # a name of more than 128 KiB
        raise CSVError.of(blocks.path, f"{where}: {error}.", "Is it a CSV file?") from error
