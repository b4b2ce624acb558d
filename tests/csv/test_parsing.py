"""Rows in every dialect, as pyarrow parses them: the cells that Python's csv module finds."""

import csv
import io

import pytest
from csv_reference import TEXTS, dialects
from csv_scans import small_blocks
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
@examples(40)
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


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"'


SPACED = st.text(" \t", min_size=1, max_size=3)


@given(st.data(), st.integers(1, 3), st.integers(1, 30))
@examples(30)
def test_runs_of_spaces_and_tabs_separate_cells(scratch, data, width, chunk_bytes):
    rows = data.draw(st.lists(st.lists(st.text('ab ,"\n\t', max_size=4), min_size=width, max_size=width), max_size=5))
    text = ""
    for row in rows:
        written = [quoted(cell) if set(cell) & set(' \t"\n') or not cell else cell for cell in row]
        edges = data.draw(st.tuples(*[st.text(" \t", max_size=2)] * 2))
        text += edges[0] + "".join(cell + data.draw(SPACED) for cell in written[:-1]) + written[-1] + edges[1] + "\n"
        text += data.draw(st.sampled_from(["", "", " \t\n"]))
    scratch.write_bytes(text.encode())
    if rows:
        assert cells_of(scratch, Dialect(r"\s+", header=False), chunk_bytes) == (rows, False)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ('a,12" pipe\nb,"q"\n', {}, [["a", '12" pipe'], ["b", "q"]]),
        ('1|{"a": "x, y"}\n', dict(delimiter="|"), [["1", '{"a": "x, y"}']]),
        ("it's,'a,b'\n", dict(quotechar="'"), [["it's", "a,b"]]),
        ('"Alpha,0\nBeta,1\nGamma",0\n', dict(quotechar=None), [['"Alpha', "0"], ["Beta", "1"], ['Gamma"', "0"]]),
        (r'"say \"hi\"",a\,b' + "\n", dict(escapechar="\\"), [['say "hi"', "a,b"]]),
        ("a\\\nb,\\\\\n", dict(escapechar="\\"), [["a\nb", "\\"]]),
        ("a,b\\", dict(escapechar="\\"), [["a", "b\n"]]),
        ('a, "Rome, Italy",  b \n', dict(skip_initial_space=True), [["a", "Rome, Italy", "b "]]),
        ('  1.5   "a  b"\t-3 \n \t\n2 "" 4', dict(delimiter=r"\s+"), [["1.5", "a  b", "-3"], ["2", "", "4"]]),
        ("# it\"s\n a b\n  # \"\nc d\n", dict(delimiter=r"\s+", comment="#"), [["a", "b"], ["c", "d"]]),
        ('#"\\\na,b\n#\\\n"#",c\n', dict(escapechar="\\", comment="#"), [["a", "b"], ["#", "c"]]),
        ("a, b\nö, é\n".encode("latin-1"), dict(skip_initial_space=True, encoding="latin-1"), [["a", "b"], ["ö", "é"]]),
    ],
)  # fmt: skip
def test_words_of_real_files(write, text, options, expected):
    path = write(text if isinstance(text, bytes) else text.encode())
    assert cells_of(path, Dialect(header=False, **options)) == (expected, False)


@pytest.mark.parametrize(
    ("text", "options", "header"),
    [
        ('12" pipe,"q"\n1,2\n', {}, ('12" pipe', "q")),
        ('"a",b"\n1,2\n', dict(quotechar=None), ('"a"', 'b"')),
        ("a\\\nb,\\\"c\n1,2\n", dict(escapechar="\\"), ("a\nb", '"c')),
        ('a,  "b, c"\n1, 2\n', dict(skip_initial_space=True), ("a", "b, c")),
        ('  a   "b c" \n1 2\n', dict(delimiter=r"\s+"), ("a", "b c")),
        ("'a,b',c\n1,2\n", dict(quotechar="'"), ("a,b", "c")),
    ],
)  # fmt: skip
def test_header_is_read_like_a_row(write, text, options, header):
    for block_bytes in (1, 2, 2**20):
        with small_blocks(block_bytes):
            index = index_records(write(text.encode()), Dialect(**options))
        assert (index.header, index.num_rows) == (header, 1)
