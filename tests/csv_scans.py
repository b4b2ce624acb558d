"""Helpers for tests of the CSV scan: Python's csv module as the reference, and what a scan finds in a file."""

import contextlib
import csv
import io
import pickle
from unittest import mock

import numpy as np
import pytest

from keras_oocore.core.errors import DataError
from keras_oocore.csv import blocks
from keras_oocore.csv.chunks import locate, read_chunk
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.scan import index_records

BARE = Dialect(header=False)
COMMENTED = Dialect(header=False, comment="#")
SKIP = 'Or skip such rows: on_bad_row="skip"'
NO_QUOTES = f"If the file does not quote cells: quotechar=None. {SKIP}"
DOUBLED = f'Double a quote inside a quoted field: "12"" pipe". {NO_QUOTES}'
UNCLOSED = f"Add the missing quote at the end of the field. {NO_QUOTES}"
SPACED = (
    "Remove the space between the delimiter and the quote. "
    f"If spaces follow the delimiters: skip_initial_space=True. {SKIP}"
)
ESCAPED = (
    'Double a quote inside a quoted field: "12"" pipe". '
    f"If a backslash makes the next character text: escapechar='\\\\'. {SKIP}"
)


@contextlib.contextmanager
def small_blocks(block_bytes, careful_bytes=None):
    """Scan in blocks of a few bytes."""
    with mock.patch.multiple(blocks, BLOCK_BYTES=block_bytes, CAREFUL_BYTES=careful_bytes or block_bytes):
        yield


def chunks(index):
    """The bytes of all chunks."""
    return [read_chunk(index, chunk) for chunk in range(index.num_chunks)]


def parsed(data, delimiter=",", encoding="utf-8"):
    """Rows that are not blank, each with the line on which it begins, according to Python's csv module."""
    reader, rows, line = csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter), [], 1
    for row in reader:
        if row:
            rows.append((line, row))
        line = reader.line_num + 1
    return rows


def cells(index):
    """The rows of all chunks, each chunk parsed on its own."""
    dialect = index.dialect
    return [row for data in chunks(index) for _, row in parsed(data, dialect.delimiter, dialect.encoding)]


def located(index):
    """The location of every row."""
    numbers = [(chunk, row) for chunk in range(index.num_chunks) for row in range(np.diff(index.rows)[chunk])]
    return [locate(index, chunk, row) for chunk, row in numbers]


def refusal(path, dialect=BARE, **options):
    """The message of the error that a scan raises."""
    with pytest.raises(DataError) as caught:
        index_records(path, dialect, **options)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


def error_of(function, *arguments, **options):
    """The message of the error that a function raises for `houses.csv`, without the folder."""
    with pytest.raises(DataError) as caught:
        function(*arguments, **options)
    return "houses.csv" + str(caught.value).partition("houses.csv")[2]
