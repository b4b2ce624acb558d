"""The scan of a CSV file: records as Python's csv module finds them, and broken files as a slow reference does."""

import contextlib
import itertools
import os
import re

import numpy as np
import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    TWO_ROWS,
    Rows,
    outcomes,
    ragged,
)
from csv_reference import LINE_END, TEXTS, dialects, reference, reference_starts
from csv_scans import (
    BARE,
    COMMENTED,
    cells,
    chunks,
    located,
    parsed,
    refusal,
    small_blocks,
)
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.scan import index_records


@outcomes(
    ("no final newline", "x,y\n1,2", {}, ONE_ROW),
    ("CRLF", "x,y\r\n1,2\r\n3,4\r\n", {}, TWO_ROWS),
    ("CR only", "x,y\r1,2\r3,4\r", {}, TWO_ROWS),
    ("CR only without a final one", "x,y\r1,2\r3,4", {}, TWO_ROWS),
    ("mixed ends", "x,y\r\n1,2\r3,4\n", {}, TWO_ROWS),
    ("blank lines in the middle and at the end", "x,y\n1,2\n\n\r\n3,4\n\n\n", {}, TWO_ROWS),
    ("blank lines before the header", "\n\nx,y\n1,2\n", {}, ONE_ROW),
    ("a line of spaces", "x,y\n1,2\n  \n3,4\n", {}, ragged(1, 1, "  ")),
    ("U+2028, U+0085 and form feeds do not end a line", "x,y\na\u2028b,1\nc\x85d,2\ne\x0cf,3\n", TEXT,
     Rows(["a\u2028b", "c\x85d", "e\x0cf"], [1, 2, 3])),
    ("Ctrl-Z at the end", "x,y\n1,2\n\x1a", {}, ragged(1, 1, "\x1a")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


CELLS = st.text('ab",;\n\r#é🦊 \0', max_size=5)


TABLES = st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))


ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def sound_files(draw, comments=False):
    """Text of a table, and its rows; each cell quoted where it must be and sometimes where it need not."""
    delimiter, rows, lines = draw(st.sampled_from(",;\t|")), draw(TABLES), []
    for row in rows:
        if draw(st.integers(0, 4)) == 0:
            lines.append("")
        if comments and draw(st.integers(0, 2)) == 0:
            lines.append("#" + draw(st.text('ab",;# é', max_size=5)))
        must = [re.search(f'["\r\n{re.escape(delimiter)}]', cell) or cell.startswith("#") for cell in row]
        quoted = [must or row == [""] or draw(st.booleans()) for must in must]
        lines.append(delimiter.join(f'"{c.replace(chr(34), chr(34) * 2)}"' if q else c for c, q in zip(row, quoted)))
    text = "".join(line + draw(ENDS) for line in lines)
    if text and draw(st.booleans()):
        text = text.rstrip("\r\n") if not text.rstrip("\r\n").endswith(delimiter) else text
    return text.encode(), rows, delimiter


@given(
    sound_files(), st.integers(1, 40), st.sampled_from([1, 2, 3, 7, 64, 100, 2**20]), st.integers(1, 3), st.booleans()
)
@examples(40)
def test_records_match_pythons_csv_module(scratch, file, chunk_bytes, block_bytes, num_workers, bom):
    data, rows, delimiter = file
    expected = parsed(data, delimiter)
    assert [row for _, row in expected] == rows
    scratch.write_bytes(b"\xef\xbb\xbf" * bom + data)
    dialect = Dialect(delimiter=delimiter, header=False)
    if not rows:
        with contextlib.suppress(DataError):
            assert index_records(scratch, dialect).num_rows == 0
        return

    with small_blocks(block_bytes):
        index = index_records(scratch, dialect, chunk_bytes, num_workers)

    assert cells(index) == rows
    assert index.num_rows == index.rows[-1] == len(rows)
    assert [len(parsed(data, delimiter)) for data in chunks(index)] == np.diff(index.rows).tolist()
    locations = located(index)
    assert [(place.line, *parsed(place.text, delimiter)[0][1:]) for place in locations] == expected
    assert [place.row for place in locations] == list(range(len(rows)))
    first_rows = index.rows[:-1].tolist()
    assert index.lines[:-1].tolist() == [expected[row][0] for row in first_rows]
    assert index.lines[-1] == 1 + len(LINE_END.findall(data))
    for data, num_rows in zip(chunks(index), np.diff(index.rows)):
        assert num_rows == 1 or len(data.rstrip(b"\r\n")) <= chunk_bytes


@given(sound_files(comments=True), st.integers(1, 40), st.sampled_from([1, 2, 3, 7, 64, 100]), st.integers(1, 3))
@examples(25)
def test_comments_are_removed_before_quotes_are_counted(scratch, file, chunk_bytes, block_bytes, num_workers):
    data, rows, delimiter = file
    scratch.write_bytes(data)
    if not rows:
        return

    with small_blocks(block_bytes):
        index = index_records(scratch, Dialect(delimiter, header=False, comment="#"), chunk_bytes, num_workers)

    assert cells(index) == rows
    expected, _ = reference(data, index.dialect)
    assert [(place.line, place.text) for place in located(index)] == [(line, text) for _, line, text in expected]


@given(
    TEXTS,
    dialects(),
    st.integers(1, 30),
    st.sampled_from([1, 2, 3, 7, 64, 100]),
    st.sampled_from([1, 4, 64]),
    st.integers(1, 2),
)
@examples(80)
@example('"a\n"b\n"c\n', BARE, 1, 1, 1, 1)
@example('#"\n"#\n', COMMENTED, 1, 2, 1, 1)
def test_any_bytes_match_a_slow_reference(scratch, text, dialect, chunk_bytes, block_bytes, careful_bytes, num_workers):
    data = text.encode()
    scratch.write_bytes(data)
    rows, bad = reference(data, dialect)
    with small_blocks(block_bytes, careful_bytes):
        if not rows and not bad:
            assert refusal(scratch, dialect) == f"{scratch}: the file is empty. Expected a row."
            return
        index = index_records(scratch, dialect, chunk_bytes, num_workers, "skip")
        if bad:
            assert re.search(rf" \(line {bad[0][0]}\): (misplaced quote|the quoted field)", refusal(scratch, dialect))
        else:
            assert index_records(scratch, dialect, chunk_bytes).starts.tolist() == index.starts.tolist()

    assert [(line, start, stop) for line, _, start, stop in index.bad] == bad
    assert index.starts.tolist() == reference_starts(rows, bad, len(data), chunk_bytes)
    expected = [(line, text.rstrip(b"\r\n")) for _, line, text in rows]
    assert [(place.line, place.text) for place in located(index)] == expected
    assert index.lines[-1] == 1 + len(LINE_END.findall(data))
    for content, first, end in zip(chunks(index), index.rows, index.rows[1:]):
        again, none = reference(content, dialect)
        assert [text for _, _, text in again] == [text for _, _, text in rows[first:end]]
        assert none == []


@pytest.mark.parametrize("block_bytes", [77, 2**20])
@pytest.mark.parametrize(
    "options", [{}, dict(escapechar="\\"), dict(skip_initial_space=True), dict(delimiter=r"\s+", comment="#")]
)
def test_long_runs_match_a_slow_reference(write, options, block_bytes):
    rng, dialect = np.random.default_rng(0), Dialect(header=False, **options)
    pieces = ['"', "\\", " ", "\t", ",", "\n", "a", "#", '\n"', '"\n', ', "', '12" x', "\n"]
    repeated = rng.choice(pieces, 400).tolist(), rng.choice([1, 1, 1, 2, 3, 64, 129, 200], 400).tolist()
    data = "".join(piece * times for piece, times in zip(*repeated)).encode()
    rows, bad = reference(data, dialect)
    with small_blocks(block_bytes):
        index = index_records(write(data), dialect, 500, on_bad_row="skip")
    assert [(line, start, stop) for line, _, start, stop in index.bad] == bad
    assert index.starts.tolist() == reference_starts(rows, bad, len(data), 500)
    assert index.rows[-1] == len(rows)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_final_newline_is_optional(write, end, last):
    index = index_records(write(b"id" + end + b"1" + end + b"2" + end * last), Dialect())
    assert (index.num_rows, cells(index)) == (2, [["1"], ["2"]])
    assert (index.starts[0], index.lines[0]) == (2 + len(end), 2)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_quoted_newline_at_every_chunk_and_block_offset(write, end):
    content = end.join([b"ab,cd", b'"x' + end + b'y",1', b'"""' + end + b'"""', b"2"])
    path, rows = write(content), [["ab", "cd"], [f"x{end.decode()}y", "1"], [f'"{end.decode()}"'], ["2"]]
    sizes = range(1, len(content) + 2)
    for chunk_bytes, block_bytes in {
        *zip(sizes, sizes),
        *zip(sizes, reversed(sizes)),
        *itertools.product(sizes, (1, 2)),
    }:
        with small_blocks(block_bytes):
            index = index_records(path, BARE, chunk_bytes)
        assert cells(index) == rows
        assert np.diff(index.rows).min() >= 1
    assert [place.line for place in located(index)] == [1, 2, 4, 6]


def test_long_record_is_a_chunk_of_its_own(write):
    long = b'"' + b"x\n" * 500 + b'"\n'
    with small_blocks(64):
        index = index_records(write(b"1\n2\n3\n" + long + b"4\n5\n"), BARE, chunk_bytes=4)
    assert chunks(index) == [b"1\n2\n", b"3\n", long, b"4\n5\n"]
    assert index.lines.tolist() == [1, 3, 4, 505, 507]


def test_mixed_line_ends_and_blank_lines(write):
    index = index_records(write(b"1\r\r\n\n2\r\n\r\n\r3\n\r\n4\r\n\n\n"), BARE)
    assert (index.num_rows, cells(index)) == (4, [["1"], ["2"], ["3"], ["4"]])
    assert [place.line for place in located(index)] == [1, 4, 7, 9]
    assert index.lines.tolist() == [1, 12]


def test_nul_is_an_ordinary_byte(write):
    assert cells(index_records(write(b'a\0b,"\0"\n\0\n'), BARE)) == [["a\0b", "\0"], ["\0"]]


def test_quoted_empty_field_is_a_row(write):
    assert cells(index_records(write(b'""\n\n""'), BARE)) == [[""], [""]]


def test_repeated_header_is_a_row(write):
    assert cells(index_records(write(b"id\n1\nid\n2\n"), Dialect())) == [["1"], ["id"], ["2"]]


def test_file_that_changes_during_the_scan_is_refused(write):
    path = write(b"1\n" * 1000)

    def grow(_):
        with open(path, "ab") as file:
            file.write(b"3\n")

    def shrink(_):
        os.truncate(path, 100)

    assert refusal(path, progress=grow) == (
        f"{path}: the file changed while its rows were counted. Open it again once it is complete."
    )
    with small_blocks(200):
        assert refusal(path, progress=shrink) == f"{path}: the file became shorter while its rows were counted."


def test_progress_adds_up_despite_bad_rows(write):
    steps, content = [], b"id\n" + b"1\n" * 500 + b'"lost\n' + b"2\n" * 500
    with small_blocks(100):
        index_records(write(content), Dialect(), on_bad_row="skip", progress=steps.append)
    assert min(steps) > 0
    assert len(steps) > 10
    assert sum(steps) == len(content) - 3  # the header


@pytest.mark.parametrize(
    ("name", "value"),
    [("chunk_bytes", 0), ("chunk_bytes", 1.5), ("num_workers", 0), ("num_workers", True), ("on_bad_row", "warn")],
)
def test_invalid_options(write, name, value):
    with pytest.raises(OptionError, match=rf"`{name}` should be .*\. Received: {name}={value!r}"):
        index_records(write(b"1\n"), BARE, **{name: value})
