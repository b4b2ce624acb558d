"""What precedes the rows: byte order mark, skipped lines, header, and files that are not CSV."""

from unittest import mock

import pytest
from csv_outcomes import (
    Fails,
    outcomes,
)
from csv_reference import LINE_END
from csv_scans import BARE, cells, chunks, refusal, small_blocks

from keras_oocore.csv import header
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.scan import index_records

EMPTY, ROWLESS = Fails("houses.csv: the file is empty. Expected a header."), Fails("There are no rows in 'houses.csv'.")
BOM = b"\xef\xbb\xbf"


@outcomes(
    ("zero bytes", b"", {}, EMPTY),
    ("byte order mark only", BOM, {}, EMPTY),
    ("blank lines only", "\n\r\n\r", {}, EMPTY),
    ("comments only", "#a\n#b\n", dict(comment="#"), EMPTY),
    ("zero bytes without a header", b"", dict(header=False), Fails("houses.csv: the file is empty. Expected a row.")),
    ("header only", "x,y\n", {}, ROWLESS),
    ("header only without newline", "x,y", {}, ROWLESS),
    ("header and comments", "x,y\n#1,2\n", dict(comment="#"), ROWLESS),
    ("fewer lines than skip_rows", "x,y\n1,2\n", dict(skip_rows=3),
     Fails("houses.csv: the file is empty after the lines that skip_rows=3 skips. Expected a header.")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\r\n\r", b"\xef\xbb\xbf\n"])
def test_empty_file_is_refused(write, content):
    path = write(content)
    assert refusal(path, Dialect()) == f"{path}: the file is empty. Expected a header."
    assert refusal(path, BARE) == f"{path}: the file is empty. Expected a row."
    assert refusal(path, Dialect(skip_rows=4)) == (
        f"{path}: the file is empty after the lines that skip_rows=4 skips. Expected a header."
    )


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_header_only_file_has_no_rows(write, end):
    index = index_records(write(b"id,price" + end), Dialect())
    assert index.header == ("id", "price")
    assert (index.num_rows, index.num_chunks, index.bad) == (0, 0, ())
    assert index.starts.tolist() == [8 + len(end)]
    assert index.lines.tolist() == [1 + len(LINE_END.findall(end))]


def test_byte_order_mark_before_quoted_header(write):
    index = index_records(write(b'\xef\xbb\xbf"i""d","two\r\nlines"\r\n\r\n1,2\r\n'), Dialect())
    assert index.header == ('i"d', "two\r\nlines")
    assert chunks(index) == [b"1,2\r\n"]
    assert index.lines.tolist() == [4, 5]


def test_names_are_kept_as_written(write):
    assert index_records(write(b"a,,a, b ,\n1,2,3,4,5\n"), Dialect()).header == ("a", "", "a", " b ", "")
    latin = index_records(write("größe;ä\n1;2\n".encode("latin-1")), Dialect(";", "latin-1"))
    assert latin.header == ("größe", "ä")


def test_header_in_another_encoding_is_refused(write):
    path = write("größe,b\n1,2\n".encode("latin-1"))
    assert refusal(path, Dialect()) == (
        f"{path}: header (line 1): cannot read b'\\xf6' as utf-8. Pass the encoding of the file, such as "
        "encoding='latin-1'"
    )


def test_ten_thousand_names(write):
    names = [f"column {number}" for number in range(10_000)]
    with small_blocks(4096):
        index = index_records(write(",".join(names).encode() + b"\n" + b"," * 9_999 + b"\n"), Dialect())
    assert index.header == tuple(names)
    assert index.num_rows == 1


def test_skip_rows_ignores_quotes(write):
    index = index_records(write(b'\xef\xbb\xbfmade by "x\r\n\r\nid\r1\n'), Dialect(skip_rows=2))
    assert (index.header, cells(index), index.lines[0]) == (("id",), [["1"]], 4)


def test_bad_header_is_never_skipped(write):
    stray, unclosed = write(b'a\n,"b"c\n1,2\n', "a.csv"), write(b'# "\na,"b\n1,2\n', "b.csv")
    for on_bad_row in ("error", "skip"):
        assert refusal(stray, Dialect(skip_rows=1), on_bad_row=on_bad_row) == (
            f"{stray}: header (line 2): misplaced quote in ',\"b\"c'. "
            'Double a quote inside a quoted field: "12"" pipe". If the file does not quote cells: quotechar=None.'
        )
        with small_blocks(2):
            assert refusal(unclosed, Dialect(comment="#"), on_bad_row=on_bad_row) == (
                f"{unclosed}: header (line 2): the quoted field that opens in '\"b' is never closed. "
                "Add the missing quote at the end of the field. If the file does not quote cells: quotechar=None."
            )
    with small_blocks(2), mock.patch.object(header, "HEADER_BYTES", 3):
        assert refusal(unclosed, Dialect(comment="#")) == (
            f"{unclosed}: header (line 2): it does not end within 3 B. "
            "Is it a CSV file, and is each quote in its header closed?"
        )


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
        (b"PK\x03\x04", "a", "compressed with zip, not CSV. Convert it first: unzip {path}" + UNPACKED),
        (
            b"\x28\xb5\x2f\xfd",
            "a",
            "compressed with zstd, not CSV. Convert it first: zstd -dc {path} > out.csv" + UNPACKED,
        ),
        (b"\xfd7zXZ\x00", "a", "compressed with xz, not CSV. Convert it first: xz -dc {path} > out.csv" + UNPACKED),
        (b"BZh91AY&SY", "a", "compressed with bzip2, not CSV. Convert it first: bzip2 -dc {path} > out.csv" + UNPACKED),
        (
            b"\x04\x22\x4d\x18",
            "a",
            "compressed with lz4, not CSV. Convert it first: lz4 -dc {path} > out.csv" + UNPACKED,
        ),
        ("a".encode("utf-16"), "a", "in UTF-16, not CSV. Convert it first: iconv -f UTF-16 -t UTF-8 {path} > out.csv"),
    ],
)
def test_other_file_types_are_recognized(write, content, name, expected):
    path = write(content, name)
    assert refusal(path) == f"{path}: the file is {expected.format(path=path)}"


def test_text_that_begins_like_bzip2_is_csv(write):
    assert cells(index_records(write(b"BZh9,PK\n"), BARE)) == [["BZh9", "PK"]]
