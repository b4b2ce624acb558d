"""Where CSV records begin and end: as Python's csv module says of sound files, and a slow reader of broken ones."""

import contextlib
import csv
import io
import itertools
import os
import pickle
import re
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv import scan as csv_records
from keras_oocore.tables.csv.scan import BadRow, Dialect, RecordIndex, index_records, locate, read_chunk

BARE = Dialect(header=False)
COMMENTED = Dialect(header=False, comment="#")
SKIP = 'Mend the file, or leave such rows out: on_bad_row="skip"'
DOUBLED = f'A quote inside a field is written twice, and the field between quotes: "12"" pipe". {SKIP}'
LINE_END = re.compile(rb"\r\n|\n|\r")


@pytest.fixture
def write(tmp_path):
    def written(content, name="t.csv"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file to write again and again; Hypothesis does not like a fresh folder for each example."""
    return tmp_path_factory.mktemp("csv") / "t.csv"


@contextlib.contextmanager
def small_blocks(block_bytes, careful_bytes=None):
    with mock.patch.multiple(csv_records, BLOCK_BYTES=block_bytes, CAREFUL_BYTES=careful_bytes or block_bytes):
        yield


def chunks(index):
    return [read_chunk(index, chunk) for chunk in range(index.num_chunks)]


def parsed(data, delimiter=",", encoding="utf-8"):
    """Rows that are not blank, each with the line on which it begins, as Python's csv module has them."""
    reader, rows, line = csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter), [], 1
    for row in reader:
        if row:
            rows.append((line, row))
        line = reader.line_num + 1
    return rows


def cells(index):
    """The rows of all chunks, each chunk parsed by itself."""
    dialect = index.dialect
    return [row for data in chunks(index) for _, row in parsed(data, dialect.delimiter, dialect.encoding)]


def located(index):
    numbers = [(chunk, row) for chunk in range(index.num_chunks) for row in range(np.diff(index.rows)[chunk])]
    return [locate(index, chunk, row) for chunk, row in numbers]


def refusal(path, dialect=BARE, **options):
    with pytest.raises(DataError) as caught:
        index_records(path, dialect, **options)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


# A slow reference: one byte after the other


def wrong_quote(data, position, delimiter):
    """The end of the record at `position`, and the field in it whose quotes are wrong, or None."""
    edges = b"\r\n" + delimiter
    while True:
        if data[position : position + 1] == b'"':
            field, position = position, position + 1
            while True:
                if position >= len(data):
                    return position, field
                if data[position : position + 1] != b'"':
                    position += 1
                elif data[position + 1 : position + 2] == b'"':
                    position += 2
                else:
                    break
            position += 1
            if position < len(data) and data[position] not in edges:
                return position, field
        else:
            while position < len(data) and data[position] not in edges:
                if data[position : position + 1] == b'"':
                    return position, position
                position += 1
        if data[position : position + 1] != delimiter:
            return position, None
        position += 1


def reference(data, delimiter=b",", comment=None):
    """Rows as (start, line, text) and bad rows as (line, start, stop)."""
    position, line, rows, bad = 0, 1, [], []
    while position < len(data):
        end = LINE_END.search(data, position)
        after_line = end.end() if end else len(data)
        if end and end.start() == position:
            pass
        elif data[position : position + 1] != comment:
            stop, field = wrong_quote(data, position, delimiter)
            if field is None:
                rows.append((position, line, data[position:stop]))
                end = LINE_END.match(data, stop)
                after_line = end.end() if end else len(data)
            else:
                end = LINE_END.search(data, field)
                after_line = end.end() if end else len(data)
                bad.append((line + len(LINE_END.findall(data, position, field)), position, after_line))
        line += len(LINE_END.findall(data, position, after_line))
        position = after_line
    return rows, bad


def reference_starts(rows, bad, size_bytes, chunk_bytes):
    starts, row_starts = [start for start, _, _ in rows][:1], [start for start, _, _ in rows]
    while starts and starts[-1] + chunk_bytes < size_bytes:
        limit = starts[-1] + chunk_bytes
        within = [start for start in row_starts if starts[-1] < start <= limit]
        if not within or any(within[-1] < start <= limit for _, start, _ in bad):
            within = [start for start in row_starts if start > limit][:1]
        if not within:
            break
        starts.append(within[-1])
    return [*starts, size_bytes]


# Sound files


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
@settings(max_examples=300, deadline=None)
def test_records_are_those_of_pythons_csv_module(scratch, file, chunk_bytes, block_bytes, num_workers, bom):
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
@settings(max_examples=300, deadline=None)
def test_comments_are_cut_before_quotes_are_counted(scratch, file, chunk_bytes, block_bytes, num_workers):
    data, rows, delimiter = file
    scratch.write_bytes(data)
    if not rows:
        return

    with small_blocks(block_bytes):
        index = index_records(scratch, Dialect(delimiter, header=False, comment="#"), chunk_bytes, num_workers)

    assert cells(index) == rows
    expected, _ = reference(data, delimiter.encode(), b"#")
    assert [(place.line, place.text) for place in located(index)] == [(line, text) for _, line, text in expected]


# Any bytes at all


@given(
    st.lists(st.sampled_from([*'a",\n\r#', '"\n', '""', ',"', '",', "\r\n"]), max_size=60).map("".join),
    st.sampled_from([None, "#"]),
    st.integers(1, 30),
    st.sampled_from([1, 2, 3, 7, 64, 100]),
    st.sampled_from([1, 4, 64]),
    st.integers(1, 2),
)
@settings(max_examples=1000, deadline=None)
@example('"a\n"b\n"c\n', None, 1, 1, 1, 1)
@example('#"\n"#\n', "#", 1, 2, 1, 1)
def test_broken_files_are_taken_apart_as_by_a_slow_reader(
    scratch, text, comment, chunk_bytes, block_bytes, careful_bytes, num_workers
):
    data, dialect = text.encode(), Dialect(header=False, comment=comment)
    scratch.write_bytes(data)
    rows, bad = reference(data, comment=comment and comment.encode())
    with small_blocks(block_bytes, careful_bytes):
        if not rows and not bad:
            assert refusal(scratch, dialect) == f"{scratch} is empty. Expected a row."
            return
        index = index_records(scratch, dialect, chunk_bytes, num_workers, "skip")
        if bad:
            assert re.search(rf" \(line {bad[0][0]}\): (a quote where|the quoted field)", refusal(scratch, dialect))
        else:
            assert index_records(scratch, dialect, chunk_bytes).starts.tolist() == index.starts.tolist()

    assert [(line, start, stop) for line, _, start, stop in index.bad] == bad
    assert index.starts.tolist() == reference_starts(rows, bad, len(data), chunk_bytes)
    assert [(place.line, place.text) for place in located(index)] == [(line, text) for _, line, text in rows]
    assert index.lines[-1] == 1 + len(LINE_END.findall(data))
    for content, first, end in zip(chunks(index), index.rows, index.rows[1:]):
        again, none = reference(content)
        assert [text for _, _, text in again] == [text for _, _, text in rows[first:end]]
        assert none == []


# Hostile files, one by one


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\r\n\r", b"\xef\xbb\xbf\n"])
def test_an_empty_file(write, content):
    path = write(content)
    assert refusal(path, Dialect()) == f"{path} is empty. Expected a header."
    assert refusal(path, BARE) == f"{path} is empty. Expected a row."
    assert refusal(path, Dialect(skip_rows=4)) == (
        f"{path} is empty after the lines that skip_rows=4 leaves out. Expected a header."
    )


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_a_header_alone_is_a_table_without_rows(write, end):
    index = index_records(write(b"id,price" + end), Dialect())
    assert index.header == ("id", "price")
    assert (index.num_rows, index.num_chunks, index.bad) == (0, 0, ())
    assert index.starts.tolist() == [8 + len(end)]
    assert index.lines.tolist() == [1 + len(LINE_END.findall(end))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_a_final_newline_may_be_missing(write, end, last):
    index = index_records(write(b"id" + end + b"1" + end + b"2" + end * last), Dialect())
    assert (index.num_rows, cells(index)) == (2, [["1"], ["2"]])
    assert (index.starts[0], index.lines[0]) == (2 + len(end), 2)


def test_a_byte_order_mark_before_a_quoted_header(write):
    index = index_records(write(b'\xef\xbb\xbf"i""d","two\r\nlines"\r\n\r\n1,2\r\n'), Dialect())
    assert index.header == ('i"d', "two\r\nlines")
    assert chunks(index) == [b"1,2\r\n"]
    assert index.lines.tolist() == [4, 5]


def test_header_names_are_reported_as_they_are(write):
    assert index_records(write(b"a,,a, b ,\n1,2,3,4,5\n"), Dialect()).header == ("a", "", "a", " b ", "")
    latin = index_records(write("größe;ä\n1;2\n".encode("latin-1")), Dialect(";", "latin-1"))
    assert latin.header == ("größe", "ä")


def test_a_header_in_another_encoding(write):
    path = write("größe,b\n1,2\n".encode("latin-1"))
    assert refusal(path, Dialect()) == (
        f"{path}: header (line 1): cannot read b'\\xf6' as utf-8. Pass the encoding of the file, such as "
        "encoding='latin-1'"
    )


def test_ten_thousand_columns(write):
    names = [f"column {number}" for number in range(10_000)]
    with small_blocks(4096):
        index = index_records(write(",".join(names).encode() + b"\n" + b"," * 9_999 + b"\n"), Dialect())
    assert index.header == tuple(names)
    assert index.num_rows == 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_quoted_newline_at_every_chunk_and_block_offset(write, end):
    content = end.join([b"ab,cd", b'"x' + end + b'y",1', b'"""' + end + b'"""', b"2"])
    path, rows = write(content), [["ab", "cd"], [f"x{end.decode()}y", "1"], [f'"{end.decode()}"'], ["2"]]
    for chunk_bytes, block_bytes in itertools.product(range(1, len(content) + 2), repeat=2):
        with small_blocks(block_bytes):
            index = index_records(path, BARE, chunk_bytes)
        assert cells(index) == rows
        assert np.diff(index.rows).min() >= 1
    assert [place.line for place in located(index)] == [1, 2, 4, 6]


def test_a_doubled_quote_split_by_a_block_edge(write):
    content = b'"a""b",""\n"""","c"\n'
    path = write(content)
    for block_bytes in range(1, len(content) + 1):
        with small_blocks(block_bytes):
            assert cells(index_records(path, BARE, 1)) == [['a"b', ""], ['"', "c"]]


def test_a_record_longer_than_a_chunk_makes_a_longer_chunk(write):
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


def test_nul_is_a_byte_like_any_other(write):
    assert cells(index_records(write(b'a\0b,"\0"\n\0\n'), BARE)) == [["a\0b", "\0"], ["\0"]]


def test_a_quoted_empty_field_is_a_row(write):
    assert cells(index_records(write(b'""\n\n""'), BARE)) == [[""], [""]]


def test_a_comment_that_holds_one_quote(write):
    content = b'# it"s\nid,text\n1,"a\n# no comment\n"\n# 12" pipe\n2,b # nor this\n#\n3,c\n#"'
    index = index_records(write(content), Dialect(comment="#"))
    assert index.header == ("id", "text")
    assert chunks(index) == [b'1,"a\n# no comment\n"\n2,b # nor this\n3,c\n']
    assert [(place.line, place.text) for place in located(index)] == [
        (3, b'1,"a\n# no comment\n"'),
        (7, b"2,b # nor this"),
        (9, b"3,c"),
    ]


def test_lines_before_the_header_are_left_out_whatever_they_hold(write):
    index = index_records(write(b'\xef\xbb\xbfmade by "x\r\n\r\nid\r1\n'), Dialect(skip_rows=2))
    assert (index.header, cells(index), index.lines[0]) == (("id",), [["1"]], 4)


def test_the_header_again_in_the_middle_is_a_row(write):
    assert cells(index_records(write(b"id\n1\nid\n2\n"), Dialect())) == [["1"], ["id"], ["2"]]


# Quotes where none may stand


def test_a_stray_quote_is_named_by_row_and_line(write):
    path = write(b'id,what\n0,"two\nlines"\n\n1,fine\n2,a rather long name of a 12" pipe made of brass\n')
    assert refusal(path, Dialect()) == (
        f"{path}: row 2 (line 6): a quote where none may stand, in '...er long name of a 12\" pipe made of brass'. "
        f"{DOUBLED}"
    )


@pytest.mark.parametrize(
    ("row", "shown", "remedy"),
    [
        (b'"q"x"', '\'"q"x"\'', DOUBLED),
        (b'1, "x"', "'1, \"x\"'", f"No space may stand between a delimiter and a quote. {SKIP}"),
        (b' "x",1', "' \"x\",1'", f"No space may stand between a delimiter and a quote. {SKIP}"),
        (b'"x" ,1', "'\"x\" ,1'", f"No space may stand between a delimiter and a quote. {SKIP}"),
        (b'a 12 "inch" pipe', "'a 12 \"inch\" pipe'", DOUBLED),
        (
            rb'"say \"hi\"",1',
            '\'"say \\\\"hi\\\\"",1\'',
            f'A backslash escapes nothing in CSV: a quote inside a field is written twice, "" and not \\". {SKIP}',
        ),
        ('"ü"é€"'.encode(), '\'"ü"é€"\'', DOUBLED),
    ],
)
def test_the_remedy_fits_the_quote(write, row, shown, remedy):
    path = write(b"1,2\n" + row + b"\n3,4\n")
    assert refusal(path) == f"{path}: row 1 (line 2): a quote where none may stand, in {shown}. {remedy}"
    index = index_records(path, BARE, on_bad_row="skip")
    assert cells(index) == [["1", "2"], ["3", "4"]]
    assert index.bad == (BadRow(2, f"a quote where none may stand, in {shown}", 4, 5 + len(row)),)


def test_an_unclosed_quote_says_where_it_opened(write):
    rows = b"".join(b"%d,x\n" % number for number in range(1000))
    in_the_middle = write(b'id,name\n0,x\n1,abc\n2,"lost,a quote that is never found\n' + rows, "middle.csv")
    in_the_last = write(b'id,name\n0,"x\ny"\n1,"', "last.csv")

    with small_blocks(100):
        assert refusal(in_the_middle, Dialect()) == (
            f"{in_the_middle}: row 2 (line 4): the quoted field that opens in '\"lost,a quote that is...' is never "
            f"closed. Close it where its field ends. {SKIP}"
        )
        assert refusal(in_the_last, Dialect()) == (
            f"{in_the_last}: row 1 (line 4): the quoted field that opens in '\"' is never closed. "
            f"Close it where its field ends. {SKIP}"
        )


def test_a_lost_quote_costs_its_own_row_and_none_that_follow(write):
    rows = [b"%d,x" % number for number in range(1000)]
    until_the_end = write(b'"lost,1\n' + b"\n".join(rows))
    with small_blocks(100, 8):
        index = index_records(until_the_end, BARE, 50, on_bad_row="skip")
    assert index.num_rows == 1000
    assert b"".join(chunks(index)) == b"\n".join(rows)
    assert max(map(len, chunks(index))) <= 50
    assert index.bad == (BadRow(1, "the quoted field that opens in '\"lost,1' is never closed", 0, 8),)

    until_another = write(b'1,"lost\n' + b"\n".join(rows) + b'\n2,"found"\n3,"lost again\n')
    with small_blocks(100, 8):
        index = index_records(until_another, BARE, 50, on_bad_row="skip")
    assert cells(index) == [[str(number), "x"] for number in range(1000)] + [["2", "found"]]
    assert [(bad.line, bad.reason) for bad in index.bad] == [
        (
            1,
            "a quote where none may stand, in '2,\"found\"' on line 1002, in the field that opens in '\"lost'",
        ),
        (1003, "the quoted field that opens in '\"lost again' is never closed"),
    ]


def test_a_row_that_is_bad_in_its_second_line_goes_with_its_first(write):
    index = index_records(write(b'"a\nb",12" pipe\n"c\n12"" d",1\n'), BARE, 1, on_bad_row="skip")
    assert [(bad.line, bad.start, bad.stop) for bad in index.bad] == [(2, 0, 15)]
    assert [(place.row, place.line, place.text) for place in located(index)] == [(0, 3, b'"c\n12"" d",1')]


def test_bad_rows_alone(write):
    index = index_records(write(b'12"\n13"'), BARE, on_bad_row="skip")
    assert (index.num_rows, index.num_chunks, len(index.bad)) == (0, 0, 2)


def test_a_header_is_never_skipped(write):
    stray, unclosed = write(b'a\n,b"\n1,2\n', "a.csv"), write(b'# "\na,"b\n1,2\n', "b.csv")
    for on_bad_row in ("error", "skip"):
        assert refusal(stray, Dialect(skip_rows=1), on_bad_row=on_bad_row) == (
            f"{stray}: header (line 2): a quote where none may stand, in ',b\"'. A quote inside a field is written "
            'twice, and the field between quotes: "12"" pipe". Mend the file.'
        )
        with small_blocks(2):
            assert refusal(unclosed, Dialect(comment="#"), on_bad_row=on_bad_row) == (
                f"{unclosed}: header (line 2): the quoted field that opens in '\"b' is never closed. "
                "Close it where its field ends. Mend the file."
            )
    with small_blocks(2), mock.patch.object(csv_records, "HEADER_BYTES", 3):
        assert refusal(unclosed, Dialect(comment="#")) == (
            f"{unclosed}: header (line 2): it does not end within 3 B. "
            "Is it a CSV file, and each quote in its header closed?"
        )


# What is no CSV, or cannot be read

UNPACKED = ' (or pass cache="DIR", where it is unpacked once)'


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"\x1f\x8b\x08", "a.csv.gz", "compressed with gzip, not CSV. Convert it first: gunzip -k {path}" + UNPACKED),
        (
            b"\x1f\x8b\x08",
            "a.csv",
            "compressed with gzip, not CSV. Convert it first: gunzip -c {path} > out.csv" + UNPACKED,
        ),
        (
            b"PK\x03\x04",
            "a.csv",
            "a zip archive, as Excel workbooks are, not CSV. Convert it first: unzip {path} "
            "(or save the workbook as CSV UTF-8)",
        ),
        (b"\x28\xb5\x2f\xfd", "a", "compressed with zstd, not CSV. Convert it first: zstd -dc {path} > out.csv"),
        (b"\xfd7zXZ\x00", "a", "compressed with xz, not CSV. Convert it first: xz -dc {path} > out.csv"),
        (b"BZh91AY&SY", "a", "compressed with bzip2, not CSV. Convert it first: bzip2 -dc {path} > out.csv"),
        ("a".encode("utf-16"), "a", "in UTF-16, not CSV. Convert it first: iconv -f UTF-16 -t UTF-8 {path} > out.csv"),
    ],
)
def test_other_files_are_told_by_how_they_begin(write, content, name, expected):
    path = write(content, name)
    assert refusal(path) == f"{path} is {expected.format(path=path)}"


def test_a_word_that_begins_as_bzip2_does_is_no_bzip2(write):
    assert cells(index_records(write(b"BZh9,PK\n"), BARE)) == [["BZh9", "PK"]]


def test_unreadable_paths(tmp_path):
    assert refusal(tmp_path / "gone.csv") == f"Cannot read '{tmp_path}/gone.csv': No such file or directory."
    assert refusal(tmp_path) == f"Cannot read '{tmp_path}': it is a folder. Its files are '{tmp_path}/*.csv'."


def test_a_file_that_changes_while_it_is_scanned(write):
    path = write(b"1\n" * 1000)

    def grow(_):
        with open(path, "ab") as file:
            file.write(b"3\n")

    def shrink(_):
        os.truncate(path, 100)

    assert refusal(path, progress=grow) == (
        f"{path}: the file changed while its rows were counted. Open it again once it is finished."
    )
    with small_blocks(200):
        assert refusal(path, progress=shrink) == f"{path}: the file became shorter while its rows were counted."


def test_progress_adds_up_to_the_file_though_bad_rows_are_read_twice(write):
    steps, content = [], b"id\n" + b"1\n" * 500 + b'"lost\n' + b"2\n" * 500
    with small_blocks(100):
        index_records(write(content), Dialect(), on_bad_row="skip", progress=steps.append)
    assert min(steps) > 0
    assert len(steps) > 10
    assert sum(steps) == len(content) - 3  # the header


# The index


def test_an_index_comes_back_as_it_was_saved(write, tmp_path):
    path = write('größe,"a\nb"\n1,2\n12",3\n4,5\n'.encode())
    index = index_records(path, Dialect(comment="#"), 1, on_bad_row="skip")
    loaded = RecordIndex.load(index.save(tmp_path / "deep" / "index.json"), path)

    for copy in (loaded, pickle.loads(pickle.dumps(index))):
        assert (copy.path, copy.dialect, copy.header, copy.bad) == (str(path), index.dialect, index.header, index.bad)
        assert (copy.size_bytes, copy.changed_ns) == (index.size_bytes, index.changed_ns)
        for name in ("starts", "rows", "lines"):
            assert getattr(copy, name).dtype == np.int64
            assert getattr(copy, name).tolist() == getattr(index, name).tolist()
        assert chunks(copy) == [b"1,2\n", b"4,5\n"]


def test_rows_are_found_again(write):
    index = index_records(write(b"1\n2\n3\n4\n5\n"), BARE, chunk_bytes=4)
    assert [index.chunk_of(row) for row in range(5)] == [0, 0, 1, 1, 2]
    for row in (-1, 5):
        with pytest.raises(IndexError, match=f"there is no row {row}; rows are 0 to 4"):
            index.chunk_of(row)
    for chunk in (-1, 3):
        with pytest.raises(IndexError, match=f"there is no chunk {chunk}; chunks are 0 to 2"):
            read_chunk(index, chunk)
    for row in (-1, 2):
        with pytest.raises(IndexError, match=f"chunk 0 has no row {row}; its rows are 0 to 1"):
            locate(index, 0, row)


def test_a_file_that_changed_since_the_scan_is_not_read(write, tmp_path):
    path = write(b"id\n1\n2\n")
    index = index_records(path, Dialect())
    saved = index.save(tmp_path / "index.json")
    shorter = f"{path}: the file changed since its rows were counted (7 bytes then, 5 now). Open it again."

    path.write_bytes(b"id\n1\n")
    for use in (lambda: read_chunk(index, 0), lambda: locate(index, 0, 0), lambda: RecordIndex.load(saved, path)):
        with pytest.raises(DataError) as caught:
            use()
        assert str(caught.value) == shorter
    path.write_bytes(b"id\n3\n4\n")
    os.utime(path, ns=(0, index.changed_ns + 1))
    with pytest.raises(DataError) as caught:
        read_chunk(index, 0)
    assert str(caught.value) == f"{path}: the file changed since its rows were counted. Open it again."
    os.utime(path, ns=(0, index.changed_ns))
    assert read_chunk(index, 0) == b"3\n4\n"
    path.unlink()
    with pytest.raises(DataError, match=r"Cannot read '.*t\.csv': No such file"):
        read_chunk(index, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: text.replace('"starts": [3, ', '"starts": ['),
        lambda text: text.replace('"starts": [3, ', '"starts": [9, '),
        lambda text: text.replace('"delimiter": ","', '"delimiter": "\\""'),
        lambda text: text.replace('"rows": ', '"raws": '),
        lambda text: text.replace('"rows": [0, 2]', '"rows": [0, 1e30]'),
    ],
)
def test_a_damaged_index_is_named(write, tmp_path, damage):
    path = write(b"id\n1\n2\n")
    saved = index_records(path, Dialect()).save(tmp_path / "index.json")
    saved.write_text(damage(saved.read_text()))
    with pytest.raises(
        DataError, match=r"index\.json' is damaged \(.*\)\. Remove it; the file is scanned again then\."
    ):
        RecordIndex.load(saved, path)


def test_a_newer_or_missing_index_is_named(write, tmp_path):
    path = write(b"id\n1\n2\n")
    saved = index_records(path, Dialect()).save(tmp_path / "index.json")
    saved.write_text(saved.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match=r"has format 2, but .* reads format 1\. Upgrade: pip install -U keras_oocore"):
        RecordIndex.load(saved, path)
    with pytest.raises(DataError, match=r"Cannot read '.*gone': No such file"):
        RecordIndex.load(tmp_path / "gone", path)


# Options


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "ö", None, 1])
def test_a_bad_delimiter_is_refused(delimiter):
    with pytest.raises(OptionError) as caught:
        Dialect(delimiter=delimiter)
    assert str(caught.value) == (
        f"`delimiter` should be one ASCII character, but no quote and no newline. Received: delimiter={delimiter!r}"
    )


@pytest.mark.parametrize("comment", ["", "//", '"', "\n", ",", "ö", 1])
def test_a_bad_comment_is_refused(comment):
    with pytest.raises(OptionError) as caught:
        Dialect(comment=comment)
    assert str(caught.value) == (
        "`comment` should be None, or one ASCII character, but no quote, no newline and not the delimiter. "
        f"Received: comment={comment!r}"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf_16_le", "UTF-32", "shift_jis", "gbk", "gb18030", "big5", "utf-7"])
def test_an_encoding_in_which_a_comma_may_be_no_comma_is_refused(encoding):
    with pytest.raises(OptionError) as caught:
        Dialect(encoding=encoding)
    assert str(caught.value) == (
        "`encoding` should be one in which every byte below 0x80 is an ASCII character, such as 'utf-8' or 'latin-1'. "
        f"Received: encoding={encoding!r}. If that is the file's encoding, convert it: "
        f"iconv -f {encoding.upper().replace('_', '-')} -t UTF-8 in.csv > out.csv"
    )


@pytest.mark.parametrize("encoding", ["cp037", "hz", "iso2022_jp", "base64", "idna", "klingon", "", None])
def test_other_encodings_that_are_refused(encoding):
    with pytest.raises(OptionError, match=r"`encoding` should be .* Received: encoding="):
        Dialect(encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "utf8", "UTF-8-sig", "cp1252", "latin-1", "koi8-r", "euc-jp", "euc-kr"])
def test_encodings_that_keep_ascii(encoding):
    assert Dialect(encoding=encoding).encoding == encoding


@pytest.mark.parametrize(("name", "value"), [("header", 1), ("header", None), ("skip_rows", -1), ("skip_rows", True)])
def test_other_options_of_a_dialect_that_are_refused(name, value):
    with pytest.raises(OptionError, match=rf"`{name}` should be .*\. Received: {name}={value!r}"):
        Dialect(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("chunk_bytes", 0), ("chunk_bytes", 1.5), ("num_workers", 0), ("num_workers", True), ("on_bad_row", "warn")],
)
def test_options_of_the_scan_that_are_refused(write, name, value):
    with pytest.raises(OptionError, match=rf"`{name}` should be .*\. Received: {name}={value!r}"):
        index_records(write(b"1\n"), BARE, **{name: value})


def test_without_bitwise_count_of_numpy_2(write, monkeypatch):
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    index = index_records(write(b'1,"\n"\n' * 1000), BARE, chunk_bytes=600)
    assert (index.num_rows, index.num_chunks, index.lines[-1]) == (1000, 10, 2001)


def test_the_numbers_of_a_longer_file_hold_with_threads_and_without(write):
    rng = np.random.default_rng(0)
    kinds = [b"1,2\n", b'3,"4\n5"\r\n', b'"6""7",8\r', b"\n", b"# nine\n", b'# "ten\n']
    lines = [kinds[kind] for kind in rng.integers(0, len(kinds), 200_000)]
    path, content = write(b"".join(lines)), b"".join(line for line in lines if not line.startswith(b"#"))
    indices = [index_records(path, COMMENTED, 100_000, num_workers) for num_workers in (1, 2, 4)]

    for index in indices:
        assert index.num_rows == sum(kind in line for line in lines for kind in (b"1,2", b"3,", b",8"))
        assert index.starts.tolist() == indices[0].starts.tolist()
        assert index.lines.tolist() == indices[0].lines.tolist()
    assert b"".join(chunks(indices[0])).strip(b"\n") == content.strip(b"\n")
    assert max(np.diff(indices[0].starts)) <= 100_000
    assert indices[0].lines[-1] == 1 + len(LINE_END.findall(b"".join(lines)))
