"""What pyarrow is given to parse rows of a CSV file: their bytes, and the options that tell how they are written.

pyarrow neither skips initial spaces nor knows a delimiter of several spaces. So these are removed first.
"""

from typing import Any

import numpy as np

from keras_oocore.csv.bits import as_flags, filled, shifted, shifted_back
from keras_oocore.csv.dialect import SPACES, Dialect
from keras_oocore.csv.look import LINE, after_spaces, look
from keras_oocore.csv.marks import mark

try:
    from pyarrow import csv as pa_csv
except ImportError:  # the `csv` extra is not installed
    pa_csv = None

TAB = "\t"  # replaces spaces and tabs between cells


def parse_options(dialect: Dialect, **options: Any) -> Any:
    """Return the `pyarrow.csv.ParseOptions` for rows that `parseable` returns."""
    return pa_csv.ParseOptions(
        delimiter=delimiter_of(dialect),
        quote_char=dialect.quotechar or False,
        escape_char=dialect.escapechar or False,
        newlines_in_values=True,
        **options,
    )


def delimiter_of(dialect: Dialect) -> str:
    """Return the delimiter of rows that `parseable` returns."""
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
    bytes_of = np.frombuffer(b"".join((b"\n", data, dialect.delimiters[:1])), np.uint8)
    ...
