"""Rows of a CSV file as pyarrow and Python's csv module can parse them, and the options to parse them with.

pyarrow cannot skip initial spaces, and has no delimiter of several spaces. These spaces are removed first.
"""

import csv
from typing import Any

import numpy as np

from keras_oocore.csv.bits import as_flags, filled, shifted, shifted_back
from keras_oocore.csv.dialect import SPACES, Dialect
from keras_oocore.csv.look import BLANK, framed, look
from keras_oocore.csv.marks import mark

try:
    from pyarrow import csv as pa_csv
except ImportError:  # the `csv` extra is not installed
    pa_csv = None

TAB = "\t"  # instead of spaces and tabs between cells


def parse_options(dialect: Dialect, **options: Any) -> Any:
    """Return the `pyarrow.csv.ParseOptions` for rows that `parseable` returns."""
    return pa_csv.ParseOptions(
        delimiter=_delimiter(dialect),
        quote_char=dialect.quotechar or False,
        escape_char=dialect.escapechar or False,
        newlines_in_values=True,
        **options,
    )


def reader_options(dialect: Dialect) -> dict[str, Any]:
    """Return the options of Python's `csv.reader` for rows that `parseable` returns."""
    return {
        "delimiter": _delimiter(dialect),
        "quotechar": dialect.quotechar,
        "escapechar": dialect.escapechar,
        "quoting": csv.QUOTE_NONE if dialect.quotechar is None else csv.QUOTE_MINIMAL,
    }


def _delimiter(dialect: Dialect) -> str:
    return TAB if dialect.delimiter == SPACES else dialect.delimiter


def parseable(data: bytes | memoryview, dialect: Dialect) -> bytes | memoryview:
    r"""Return whole rows without the spaces that have no meaning, and with one delimiter between cells.

    >>> parseable(b'a,  b,"  c"\n', Dialect(skip_initial_space=True))
    b'a,b,"  c"\n'
    >>> parseable(b'  a  b \t"c  d" \n', Dialect(delimiter=r"\s+"))
    b'a\tb\t"c  d"\n'
    """
    if dialect.escapechar is not None:
        data = b"".join((data, b"\n\n"))  # pyarrow refuses an escaped newline at the end
    if not dialect.skip_initial_space and dialect.delimiter != SPACES:
        return data
    rows = framed(data, dialect)
    seen = look(rows, dialect)
    marks = mark(seen)
    before_end = shifted_back(seen.breaks, True, seen.size_bytes)
    after_line = shifted(marks.record_ends, True)
    if dialect.delimiter == SPACES:
        spaces = seen.separators & ~marks.inside
        kept = spaces & ~shifted_back(spaces, False, seen.size_bytes) & ~before_end & ~filled(after_line, spaces)
        removed = spaces & ~kept
    else:
        spaces = seen.find(BLANK) & ~marks.inside
        starts = after_line | shifted(seen.find(dialect.delimiters[0]), False)
        kept = filled(after_line, spaces) & before_end  # the cell of a line of spaces, which is a row
        removed = filled(starts, spaces) & ~kept
    rows = rows[1:-1]
    if dialect.delimiter == SPACES:
        rows = np.where(as_flags(kept, len(rows)), np.uint8(ord(TAB)), rows)
    return rows[~as_flags(removed, len(rows))].tobytes()
