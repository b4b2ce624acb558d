"""Rows in every dialect, as pyarrow parses them: the cells that Python's csv module finds."""

import csv
import io

from csv_reference import TEXTS, dialects
from examples import examples
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError
from keras_oocore.csv.cells import Column
from keras_oocore.csv.chunks import locate
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.csv.parsing import reader_options
from keras_oocore.csv.reader import CSVReader, num_cells
from keras_oocore.csv.scan import index_records


def cells_of(path, dialect, chunk_bytes=2**20):
    """The rows that have as many cells as the first one, as strings, and whether the file has a bad row."""
    index = index_records(path, dialect, chunk_bytes, on_bad_row="skip")
    if not index.num_rows:
        return [], bool(index.bad)
    width = num_cells(locate(index, 0, 0).text, dialect)
    reader = CSVReader(width, CellOptions(null_values=(), on_bad_row="skip"))
    columns = [Column(str(i), i, "string") for i in range(width)]
    parts = [reader.read(index, chunk, columns).columns for chunk in range(index.num_chunks)]
    rows = [row for part in parts for row in zip(*(part[column.name].to_pylist() for column in columns))]
    return [list(row) for row in rows], bool(index.bad)


@given(TEXTS, dialects(",|", [None]), st.integers(1, 30))
@examples(300)
@example('1|{"a": 1}|0\n2|[""]|"x"', Dialect("|", header=False), 5)
@example('a\\\nb,c\n"d\\"\n",e\\\n', Dialect(header=False, escapechar="\\"), 1)
@example(' "a\n, b",\t"c"\n', Dialect(header=False, skip_initial_space=True), 1)
def test_cells_match_pythons_csv_module(scratch, text, dialect, chunk_bytes):
    scratch.write_bytes(text.encode())
    options = dict(skipinitialspace=dialect.skip_initial_space, **reader_options(dialect))
    expected = [row for row in csv.reader(io.StringIO(text, newline=""), **options) if row]
    try:
        found, has_bad_rows = cells_of(scratch, dialect, chunk_bytes)
    except DataError:
        assert not expected
        return
    assume(not has_bad_rows)
    expected = [row for row in expected if len(row) == len(expected[0])]
    if dialect.skip_initial_space and expected and len(expected[0]) == 1:  # a line of spaces is a cell of one space
        found, expected = ([[cell.lstrip(" ")] for [cell] in rows] for rows in (found, expected))
    assert found == expected
