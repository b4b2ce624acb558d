"""Messages for misplaced and unclosed quotes."""

import pytest
from csv_outcomes import (
    TEXT,
    TWO_ROWS,
    Rows,
    among,
    at,
    late,
    outcomes,
)
from csv_scans import (
    BARE,
    DOUBLED,
    ESCAPED,
    SPACED,
    UNCLOSED,
    cells,
    chunks,
    located,
    refusal,
    small_blocks,
)

from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import BadRow
from keras_oocore.csv.scan import index_records


@outcomes(
    ("quoted CRLF", 'x,y\r\n"a\r\nb",2\r\n', TEXT, Rows(["a\r\nb"], [2])),
    ("doubled quotes", 'x,y\n"12"" pipe",2\n"""",4\n', TEXT, Rows(['12" pipe', '"'], [2, 4])),
    ("quoted delimiter", 'x,y\n"a,b",2\n', TEXT, Rows(["a,b"], [2])),
    ('12" pipe', late('12" pipe,2', "a,2"), TEXT, Rows(among('12" pipe', "a"), [2] * 199)),
    ('"q"x"', late('"q"x",2'), TEXT, at(99, f"misplaced quote in '\"q\"x\",2'. {DOUBLED}")),
    (', "x"', late('1, "x"'), TEXT, at(99, f"misplaced quote in '1, \"x\"'. {SPACED}")),
    ("backslash escapes", late(r'"say \"hi\"",2'), TEXT,
     at(99, f"misplaced quote in '\"say \\\\\"hi\\\\\"\",2'. {ESCAPED}")),
    ("backslash before a delimiter", "x,y\n" r"a\,2" "\n", TEXT, Rows(["a\\"], [2])),
    ("unclosed quote in the middle", late('"lost,2'), TEXT,
     at(99, f"the quoted field that opens in '\"lost,2' is never closed. {UNCLOSED}")),
    ("unclosed quote in the last row", 'x,y\n1,2\n3,"4', {},
     at(1, f"the quoted field that opens in '\"4' is never closed. {UNCLOSED}")),
    ("unclosed quote before others", late('"lost,2') + '"a",2\n', TEXT,
     at(99, "misplaced quote in '\"a\",2' on line 201, in the field that opens in '\"lost,2'. "
        f"{DOUBLED}")),
    ("a lost quote that a later quote closes", 'x,y\n"1,2\n3,4\n5",6\n', TEXT,
     Rows(["1,2\n3,4\n5"], [6])),
    ("unclosed quote is skipped", late('"lost,2'), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("quotes around numbers with spaces", 'x,y\n" 1 ",2\n"3", 4 \n', {}, TWO_ROWS),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_misplaced_quote_is_named_by_row_and_line(write):
    path = write(b'id,what\n0,"two\nlines"\n\n1,fine\n2,"a rather long name of a 12" pipe made of brass"\n')
    assert refusal(path, Dialect()) == (
        f"{path}: row 2 (line 6): misplaced quote in '...er long name of a 12\" pipe made of brass\"'. {DOUBLED}"
    )


@pytest.mark.parametrize(
    ("row", "shown", "remedy"),
    [
        (b'"q"x"', '\'"q"x"\'', DOUBLED),
        (b'1, "x"', "'1, \"x\"'", SPACED),
        (b' "x",1', "' \"x\",1'", SPACED),
        (
            b'"x" ,1',
            "'\"x\" ,1'",
            'Remove the space between the quote and the delimiter. Fix the file, or skip such rows: on_bad_row="skip"',
        ),
        (b'"Swing it" magistern,1', "'\"Swing it\" magistern,1'", DOUBLED),
        (rb'"say \"hi\"",1', '\'"say \\\\"hi\\\\"",1\'', ESCAPED),
        ('"ü"é€"'.encode(), '\'"ü"é€"\'', DOUBLED),
    ],
)
def test_remedy_fits_the_fault(write, row, shown, remedy):
    path = write(b"1,2\n" + row + b"\n3,4\n")
    assert refusal(path) == f"{path}: row 1 (line 2): misplaced quote in {shown}. {remedy}"
    index = index_records(path, BARE, on_bad_row="skip")
    assert cells(index) == [["1", "2"], ["3", "4"]]
    assert index.bad == (BadRow(2, f"misplaced quote in {shown}", 4, 5 + len(row)),)


def test_unclosed_quote_is_named_where_it_opens(write):
    rows = b"".join(b"%d,x\n" % number for number in range(1000))
    in_the_middle = write(b'id,name\n0,x\n1,abc\n2,"lost,a quote that is never found\n' + rows, "middle.csv")
    in_the_last = write(b'id,name\n0,"x\ny"\n1,"', "last.csv")

    with small_blocks(100):
        assert refusal(in_the_middle, Dialect()) == (
            f"{in_the_middle}: row 2 (line 4): the quoted field that opens in '\"lost,a quote that is...' is never "
            f"closed. {UNCLOSED}"
        )
        assert refusal(in_the_last, Dialect()) == (
            f"{in_the_last}: row 1 (line 4): the quoted field that opens in '\"' is never closed. {UNCLOSED}"
        )


def test_lost_quote_costs_one_row(write):
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
            "misplaced quote in '2,\"found\"' on line 1002, in the field that opens in '\"lost'",
        ),
        (1003, "the quoted field that opens in '\"lost again' is never closed"),
    ]


def test_bad_row_is_skipped_from_its_first_line(write):
    index = index_records(write(b'"a\nb","12" pipe"\n"c\n12"" d",1\n'), BARE, 1, on_bad_row="skip")
    assert [(bad.line, bad.start, bad.stop) for bad in index.bad] == [(2, 0, 17)]
    assert [(place.row, place.line, place.text) for place in located(index)] == [(0, 3, b'"c\n12"" d",1')]


def test_file_of_bad_rows_only(write):
    index = index_records(write(b'"12"x\n"13"x'), BARE, on_bad_row="skip")
    assert (index.num_rows, index.num_chunks, len(index.bad)) == (0, 0, 2)
