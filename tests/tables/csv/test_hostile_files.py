r"""Hostile files: what a user of CSVChunkSequence meets with each, rows or words.

A case of `CASES` is a file, options and an outcome: rows, an error, or rows and a warning. Each is read as many chunks,
and as one chunk into a cache; the outcome is the same to the letter. What takes several files or processes follows
below. The readers' own tests go deeper where a property counts and not a file.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.tables.csv import reader as csv
from keras_oocore.tables.csv import scan as csv_records
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.rows import CSVRows

MANY, ONE = 64, 2**20  # bytes in a chunk
BOM = b"\xef\xbb\xbf"
SKIP = 'Mend the file, or leave such rows out: on_bad_row="skip"'
DOUBLED = f'A quote inside a field is written twice, and the field between quotes: "12"" pipe". {SKIP}'
SPACED = f"No space may stand between a delimiter and a quote. {SKIP}"
UNCLOSED = f"Close it where its field ends. {SKIP}"
ESCAPED = f'A backslash escapes nothing in CSV: a quote inside a field is written twice, "" and not \\". {SKIP}'
TEXT = dict(features=["x"])  # which may then be text
LARGE = "integers beyond 2^24, which float32 rounds, such as"
ZEROS = "numbers with leading zeros, which are lost, such as"
ALIKE = "All files of a table have the same columns in the same order."
GAP = "the cell is missing. Missing in this part of the file:"
REMEDIES = "Fix: missing='mean', 'nan', 'drop' or {column: value}."


class Rows(NamedTuple):
    """What is served: of one feature its cells, of several a list each; text as text, a missing number as None."""

    x: list
    y: list
    warnings: tuple = ()


class Fails(NamedTuple):
    """What an error says."""

    message: str
    error: type = DataError


def late(row, other="1,2"):
    """A file whose row 99, on line 101, no sample sees."""
    return "x,y\n" + f"{other}\n" * 99 + f"{row}\n" + f"{other}\n" * 99


def among(value, other):
    return [other] * 99 + [value] + [other] * 99


def at(row, rest, column=None):
    """A message that begins with a row; each line of the file is one."""
    where = "" if column is None else f", column {column!r} (#{'xy'.index(column)})"
    return Fails(f"houses.csv: row {row} (line {row + 2}){where}: {rest}")


def unreadable(row, text, kind="float32", column="x", fix=None):
    fix = fix or f"dtypes={{{column!r}: 'string'}}, null_values=[..., {text!r}]"
    return at(row, f"cannot read {text!r} as {kind}. Fix: {fix}, or on_bad_row='skip'.", column)


def ragged(row, num_cells, text):
    return at(row, f"{num_cells} and not 2, in {text!r}. Fix: mend the row, or on_bad_row='skip'.")


def warned(what, column="x"):
    return (f"Column {column!r} has {what}. If they are names and no amounts: categorical=[{column!r}]",)


def no_csv(what, command):
    return Fails(f"houses.csv is {what}, not CSV. Convert it first: {command}")


def only_text(column="x"):
    return Fails(
        f"Columns hold text: {column!r}. Say which columns are features, features=[...]; or give text codes, "
        f"categorical=[{column!r}]; or a date's format, dtypes={{{column!r}: '%Y-%m-%d'}}.",
        OptionError,
    )


ONE_ROW, TWO_ROWS = Rows([1], [2]), Rows([1, 3], [2, 4])
EMPTY, ROWLESS = Fails("houses.csv is empty. Expected a header."), Fails("There are no rows in 'houses.csv'.")

CASES = [
    # Hardly a file
    ("zero bytes", b"", {}, EMPTY),
    ("BOM only", BOM, {}, EMPTY),
    ("blank lines only", "\n\r\n\r", {}, EMPTY),
    ("comments only", "#a\n#b\n", dict(comment="#"), EMPTY),
    ("zero bytes without a header", b"", dict(header=False), Fails("houses.csv is empty. Expected a row.")),
    ("header only", "x,y\n", {}, ROWLESS),
    ("header only without newline", "x,y", {}, ROWLESS),
    ("header and comments", "x,y\n#1,2\n", dict(comment="#"), ROWLESS),
    ("less than the lines to skip", "x,y\n1,2\n", dict(skip_rows=3),
     Fails("houses.csv is empty after the lines that skip_rows=3 leaves out. Expected a header.")),
    # Line ends
    ("no final newline", "x,y\n1,2", {}, ONE_ROW),
    ("CRLF", "x,y\r\n1,2\r\n3,4\r\n", {}, TWO_ROWS),
    ("CR only", "x,y\r1,2\r3,4\r", {}, TWO_ROWS),
    ("CR only without a final one", "x,y\r1,2\r3,4", {}, TWO_ROWS),
    ("mixed ends", "x,y\r\n1,2\r3,4\n", {}, TWO_ROWS),
    ("blank lines in the middle and at the end", "x,y\n1,2\n\n\r\n3,4\n\n\n", {}, TWO_ROWS),
    ("blank lines before the header", "\n\nx,y\n1,2\n", {}, ONE_ROW),
    ("a line of spaces", "x,y\n1,2\n  \n3,4\n", {}, ragged(1, "1 cell", "  ")),
    ("U+2028, U+0085 and form feeds end no line", "x,y\na\u2028b,1\nc\x85d,2\ne\x0cf,3\n", TEXT,
     Rows(["a\u2028b", "c\x85d", "e\x0cf"], [1, 2, 3])),
    ("Ctrl-Z at the end", "x,y\n1,2\n\x1a", {}, ragged(1, "1 cell", "\x1a")),
    # Quotes
    ("quoted CRLF", 'x,y\r\n"a\r\nb",2\r\n', TEXT, Rows(["a\r\nb"], [2])),
    ("doubled quotes", 'x,y\n"12"" pipe",2\n"""",4\n', TEXT, Rows(['12" pipe', '"'], [2, 4])),
    ("quoted delimiter", 'x,y\n"a,b",2\n', TEXT, Rows(["a,b"], [2])),
    ('12" pipe', late('12" pipe,2'), TEXT, at(99, f"a quote where none may stand, in '12\" pipe,2'. {DOUBLED}")),
    ('"q"x"', late('"q"x",2'), TEXT, at(99, f"a quote where none may stand, in '\"q\"x\",2'. {DOUBLED}")),
    (', "x"', late('1, "x"'), TEXT, at(99, f"a quote where none may stand, in '1, \"x\"'. {SPACED}")),
    ("backslash escapes", late(r'"say \"hi\"",2'), TEXT,
     at(99, f"a quote where none may stand, in '\"say \\\\\"hi\\\\\"\",2'. {ESCAPED}")),
    ("backslash before a delimiter", "x,y\n" r"a\,2" "\n", TEXT, Rows(["a\\"], [2])),
    ("unclosed quote in the middle", late('"lost,2'), TEXT,
     at(99, f"the quoted field that opens in '\"lost,2' is never closed. {UNCLOSED}")),
    ("unclosed quote in the last row", 'x,y\n1,2\n3,"4', {},
     at(1, f"the quoted field that opens in '\"4' is never closed. {UNCLOSED}")),
    ("unclosed quote before others", late('"lost,2') + '"a",2\n', TEXT,
     at(99, "a quote where none may stand, in '\"a\",2' on line 201, in the field that opens in '\"lost,2'. "
        f"{DOUBLED}")),
    ("a lost quote that a later one happens to close is no fault of the file", 'x,y\n"1,2\n3,4\n5",6\n', TEXT,
     Rows(["1,2\n3,4\n5"], [6])),
    ("unclosed quote is skipped", late('"lost,2'), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("quotes around numbers with spaces", 'x,y\n" 1 ",2\n"3", 4 \n', {}, TWO_ROWS),
    # Rows of another length
    ("short row", late("3"), {}, ragged(99, "1 cell", "3")),
    ("long row", late("3,4,5"), {}, ragged(99, "3 cells", "3,4,5")),
    ("trailing delimiter", late("3,4,"), {}, ragged(99, "3 cells", "3,4,")),
    ("trailing delimiters everywhere", "x,y,\n1,2,\n", TEXT, ONE_ROW),
    ("bad rows are skipped", late("3,4,"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("bad rows alone", "x,y\n1\n", dict(on_bad_row="skip"),
     Fails("None of the 1 rows in 'houses.csv' is left with on_bad_row='skip'.")),
    ("bad rows alone without a header", '12"\n', dict(on_bad_row="skip", header=False, target="column_0"),
          ROWLESS),
    ("1,234 without quotes", late("1,234,2"), {}, ragged(99, "3 cells", "1,234,2")),
    # Headers
    ("BOM before a quoted header", BOM + b'"x","y"\n1,2\n', {}, ONE_ROW),
    ("BOM before lines to skip and comments", BOM + b'it"s\n#"\nx,y\n1,2\n', dict(skip_rows=1, comment="#"), ONE_ROW),
    ("duplicate names", "x,x,y\n1,1,2\n", {},
     Fails("houses.csv: the header has 'x' 2 times. Pass column_names=[...] with a name of its own for each.")),
    ("names that differ in spaces", "x, x ,y\n1,1,2\n", {},
     Fails("houses.csv: the header has 'x' 2 times. Pass column_names=[...] with a name of its own for each.")),
    ("duplicate names, given others", "x,x,y\n1,3,2\n", dict(column_names=["x", "z", "y"]), Rows([[1, 3]], [2])),
    ("empty name", ",y\n1,2\n", dict(features=["Unnamed: 0"]), ONE_ROW),
    ("padded names", " x ,\ty\n1,2\n", dict(features=["x"]), ONE_ROW),
    ("names that are numbers", "1,2\n1,2\n", dict(target="2"),
     Rows([1], [2], ("houses.csv: the header holds numbers only, and is no row. If it is one: header=False",))),
    ("1,180 with a sign", "x,y\n$1180,2\n", TEXT,
     Rows(["$1180"], [2], ("Column 'x' is taken for text, though its cells look like numbers, such as '$1180'. "
                           "Fix: write them without signs, or categorical=['x'].",))),
    ("a date as a name", "x,y\n2014-10-13,2\n", TEXT,
     Rows(["2014-10-13"], [2], ("Column 'x' is taken for text, though its cells look like dates, such as '2014-10-13'. "
                                "Fix: in dtypes the format, such as '%Y-%m-%d', or categorical=['x'].",))),
    ("null values and the usual ones", "x,y\nN/K,2\n,2\n", dict(null_values=[..., "N/K"], missing="nan"),
     Rows([None, None], [2, 2])),
    ("newline in a name", '"a\nb",y\n1,2\n', dict(features=["a\nb"]), ONE_ROW),
    ("newline in a name, and an error", '"a\nb",y\n' + "1,2\n" * 9 + "k,2\n", {},
     Fails("houses.csv: row 9 (line 12), column 'a\\nb' (#0): cannot read 'k' as float32. "
           "Fix: dtypes={'a\\nb': 'string'}, null_values=[..., 'k'], or on_bad_row='skip'.")),
    ("the header repeated", late("x,y"), {}, unreadable(99, "x")),
    ("the header repeated is skipped", late("x,y"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("a quote in the header", 'x,12" y\n1,2\n', dict(on_bad_row="skip"),
     Fails("houses.csv: header (line 1): a quote where none may stand, in 'x,12\" y'. A quote inside a field is "
           'written twice, and the field between quotes: "12"" pipe". Mend the file.')),
    ("another delimiter", "x;y\n1;2\n", {},
     Fails("`target` names a column that does not exist: 'y'. Columns: 'x;y'. Is it delimiter=';'?", OptionError)),
    ("a misspelt target", "sqft,price\n1,2\n", dict(target="prize"),
     Fails("`target` names a column that does not exist: 'prize'. Did you mean 'price'? Columns: 'sqft', 'price'",
           OptionError)),
    # Comments and lines to skip
    ("a comment holding one quote", '# "\nx,y\n1,2\n#it"s\n3,4\n', dict(comment="#"), TWO_ROWS),
    ("comments, lines to skip and CRLF", 'a "\r\nb\r\n# "\r\nx,y\r\n#"\r\n1,2\r\n#\r\n3,4\r\n',
     dict(skip_rows=2, comment="#"), TWO_ROWS),
    ("comments and CR", '#"\rx,y\r#"\r1,2\r', dict(comment="#"), ONE_ROW),
    ("no comment within quotes", 'x,y\n"#a\n#b",2\n', dict(comment="#", **TEXT), Rows(["#a\n#b"], [2])),
    ("a comment is a whole line", late("1,2 # c"), dict(comment="#"), unreadable(99, "2 # c", column="y")),
    # Bytes
    ("NUL", "x,y\na\0b,2\n\0,4\n", TEXT, Rows(["a\0b", "\0"], [2, 4])),
    ("NUL among numbers", late("\0,2"), {}, unreadable(99, "\0")),
    ("a tail of NUL, as a crash leaves it", "x,y\n1,2\n" + "\0" * 9, {}, ragged(1, "1 cell", "\0" * 9)),
    ("latin-1 in a late row", late("München,2", "Rome,2").encode("latin-1"), TEXT,
     unreadable(99, b"M\xfcnchen", "utf-8", fix="the encoding of the file, such as encoding='latin-1'")),
    ("latin-1 in a column that is not used", "z,x,y\nMünchen,1,2\n".encode("latin-1"), TEXT, ONE_ROW),
    ("latin-1 among numbers", late("1\xa0000,2").encode("latin-1"), {},
     unreadable(99, b"1\xa0000", "utf-8", fix="the encoding of the file, such as encoding='latin-1'")),
    ("latin-1 in the header", "größe,y\n1,2\n".encode("latin-1"), {},
     Fails("houses.csv: header (line 1): cannot read b'\\xf6' as utf-8. "
           "Pass the encoding of the file, such as encoding='latin-1'")),
    ("latin-1 as such", "x,y\nMünchen,2\n".encode("latin-1"), dict(encoding="latin-1", **TEXT), Rows(["München"], [2])),
    ("a byte order mark between two files that were joined", "x,y\n1,2\n" * 9 + "\ufeffx,y\n3,4\n",
     dict(on_bad_row="skip", dtypes={"x": "float32", "y": "float32"}),
     Rows([1] * 9 + [3], [2] * 9 + [4], ("9 rows are left out: on_bad_row='skip'.",))),
    ("UTF-16", "x,y\n1,2\n".encode("utf-16"), {},
     no_csv("in UTF-16", "iconv -f UTF-16 -t UTF-8 houses.csv > out.csv")),
    ("UTF-16 without a mark", "x,y\n1,2\n3,4\n".encode("utf-16-le"), {},
     no_csv("in UTF-16", "iconv -f UTF-16LE -t UTF-8 houses.csv > out.csv")),
    ("zip", b"PK\x03\x04", {},
     no_csv("a zip archive, as Excel workbooks are", "unzip houses.csv (or save the workbook as CSV UTF-8)")),
    ("zstd", b"\x28\xb5\x2f\xfd", {}, no_csv("compressed with zstd", "zstd -dc houses.csv > out.csv")),
    ("xz", b"\xfd7zXZ\x00", {}, no_csv("compressed with xz", "xz -dc houses.csv > out.csv")),
    ("bzip2", b"BZh91AY&SY", {}, no_csv("compressed with bzip2", "bzip2 -dc houses.csv > out.csv")),
    # Numbers
    ("text in a late row", late("N/K,2"), {}, unreadable(99, "N/K")),
    ("int, then float, then text after the sample", late("1.5,2") + "abc,2\n", {}, unreadable(199, "abc")),
    ("an all-empty head", "x,y\n" + ",2\n" * 99 + "7,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     Rows(among(7, 0), [2] * 199)),
    ("an all-empty head, then text", "x,y\n" + ",2\n" * 99 + "abc,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     unreadable(99, "abc")),
    ("a target that turns to text", late("1,N/K"), {}, unreadable(99, "N/K", column="y")),
    ("2^63", "x,y\n9223372036854775808,2\n", {}, Rows([2.0**63], [2], warned(f"{LARGE} 9223372036854775808"))),
    ("an integer beyond 2^24 after the sample", late("16777217,2"), {},
     Rows(among(2.0**24, 1), [2] * 199, warned(f"{LARGE} 16777217"))),
    ("an integer beyond 2^24 as a target", "x,y\n1,16777217\n", {},
     Rows([1], [2.0**24], warned(f"{LARGE} 16777217", "y"))),
    ("an integer beyond 2^24 as a name", "x,y\n16777217,2\n", dict(categorical=["x"]), Rows(["16777217"], [2])),
    ("1e400", late("1e400,2"), {}, unreadable(99, "1e400")),
    ("1e39, too large for float32 alone", late("1e39,2"), {}, unreadable(99, "1e39")),
    ("40 digits", late("1" * 40 + ",2"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("a long decimal", f"x,y\n0.{'1' * 400},2\n", {}, Rows([float(np.float32(1 / 9))], [2])),
    ("inf is what it says", "x,y\ninf,2\n-Infinity,4\n", {}, Rows([np.inf, -np.inf], [2, 4])),
    ("0x10", late("0x10,2"), {}, unreadable(99, "0x10")),
    ("1_000", late("1_000,2"), {}, unreadable(99, "1_000")),
    ("digits of another script", late("٣,2"), {}, unreadable(99, "٣")),
    ("negative zero", "x,y\n-0,2\n-0.0,2\n", {}, Rows([0, 0], [2, 2])),
    ("007", "x,y\n007,2\n", {}, Rows([7], [2], warned(f"{ZEROS} '007'"))),
    ("007 as a name", "x,y\n007,2\n7,4\n", dict(categorical=["x"]), Rows(["007", "7"], [2, 4])),
    ("007 after the sample, where nobody looks for zeros", late("007,2"), {}, Rows(among(7, 1), [2] * 199)),
    ("1,234", late('"1,234",2'), {}, unreadable(99, "1,234")),
    ("1,234 all over", 'x,y\n"1,234",2\n', {}, only_text()),
    ("1,5 with ;", "x;y\n1,5;2\n3;4\n", dict(delimiter=";", decimal=","), Rows([1.5, 3], [2, 4])),
    ("1,5 with ; and no decimal", "x;y\n1,5;2\n", dict(delimiter=";"), only_text()),
    ("1.234,5 with a decimal comma", "x;y\n" + "1;2\n" * 99 + "1.234,5;2\n", dict(delimiter=";", decimal=","),
     unreadable(99, "1.234,5")),
    ("a decimal comma between quotes", 'x,y\n"1,5",2\n', dict(decimal=","), Rows([1.5], [2])),
    ("1,5 with ; and no decimal, as a feature", "x;y\n1,5;2\n2,5;2\n", dict(delimiter=";", **TEXT),
          Rows(["1,5", "2,5"], [2, 2], ("Column 'x' is taken for text, though its cells look like numbers, such as "
                                        "'1,5'. Fix: decimal=',', or categorical=['x'].",))),
    ("1,5 with ; and no decimal, as a target", "x;y\n1;1,5\n1;2,5\n", dict(delimiter=";"),
          Rows([1, 1], ["1,5", "2,5"], ("Column 'y' is taken for text, though its cells look like numbers, such as "
                                        "'1,5'. Fix: decimal=',', or categorical=['y'].",))),
    ("a target of numbers, half of which are N/K", "x,y\n" + "1,2.5\n2,N/K\n" * 20, {},
          Rows([1, 2] * 20, ["2.5", "N/K"] * 20, ("Column 'y' is taken for text, though many of its cells are numbers, "
                                                  "because of 'N/K'. Fix: null_values=[..., 'N/K'], or "
                                                  "categorical=['y'].",))),
    ("a text too long to be shown is no null value", late("1" * 60 + ",2"), {},
          unreadable(99, "1" * 37 + "...", fix="dtypes={'x': 'string'}")),
    ("tabs with spaces", "x\ty\n 1\t2 \n3 \t 4\n", dict(delimiter="\t"), TWO_ROWS),
    ("two spaces as a delimiter", "x y\n1  2\n", dict(delimiter=" "), ragged(0, "3 cells", "1  2")),
    # Truth values, dates
    ("True, 0 and yes", "x,y\nTrue,1\n0,2\nyes,3\n", {}, Rows([1, 0, 1], [1, 2, 3])),
    ("True as a target", "x,y\n1,True\n2,False\n", {}, Rows([1, 2], [1, 0])),
    ("True among numbers", late("True,2"), {}, unreadable(99, "True", fix="dtypes={'x': 'bool'}")),
    ("20141013T000000", "x,y\n20141013T000000,2\n", {}, only_text()),
    ("20141013T000000 as a date", "x,y\n20141013T000000,2\n", dict(dtypes={"x": "%Y%m%dT%H%M%S"}),
     Rows([1413158400], [2])),
    ("a day that does not exist", late("2014-02-31,2", "2014-02-28,2"), dict(dtypes={"x": "%Y-%m-%d"}),
     unreadable(99, "2014-02-31", "a date like '%Y-%m-%d'")),
    ("a day that float32 cannot hold", "x,y\n2038-01-21,2\n", dict(dtypes={"x": "%Y-%m-%d"}),
          Rows([float(np.float32(2147644800))], [2], ("Column 'x' has dates, which float32 rounds: seconds since 1970 "
                                                     "come in steps of 256.",))),
    # Missing cells
    ('NA and "NA"', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n', dict(categorical=["x"]),
     Rows([None, "NA", "", None], [1, 2, 3, 4])),
    ('NA and "NA" among numbers', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n5,5\n', dict(missing={"x": -1}),
     Rows([-1, -1, -1, -1, 5], [1, 2, 3, 4, 5])),
    ("a missing number", "x,y\n1,2\n,3\n,4\n", {}, at(1, f"{GAP} 'x': 2. {REMEDIES}", "x")),
    ("missing numbers in several columns", "x,y,z\n1,2,3\n,2,\n1,2,\n", {},
     at(1, f"{GAP} 'x': 1, 'z': 2. {REMEDIES}", "x")),
    ("a missing target", "x,y\n1,2\n3,\n", dict(missing="mean"), at(1, f"{GAP} 'y': 1. Fix: missing='drop'.", "y")),
    ("no null values, numbers", late(",2"), dict(null_values=[]), unreadable(99, "")),
    ("no null values, text", "x,y\n,2\nNA,4\n", dict(null_values=[], **TEXT), Rows(["", "NA"], [2, 4])),
    ("a column without a number", "x,y\n,2\n,4\n", dict(missing="nan"), Rows([None, None], [2, 4])),
    ("a column without a number, as names", "x,y\n,2\n,4\n", dict(categorical=["x"]), Rows([None, None], [2, 4])),
    ("a column without a number and its mean", "x,y\n,2\n,4\n", dict(missing="mean"),
          Fails("houses.csv: columns have no number that a mean could be taken of: 'x'. "
                "Fix: features=[...] without them, or missing='nan'.")),
    ("the mean of an infinity", "x,y\ninf,2\n1,2\n,2\n", dict(missing="mean"),
          Rows([np.inf, 1, 1], [2, 2, 2])),
    ("all rows have a gap", "x,y\n1,\n2,\n", dict(missing="drop"),
     Fails("None of the 2 rows in 'houses.csv' is left with missing='drop'.")),
    # Shapes
    ("a record longer than a chunk", f'x,y\na,1\n"{"b," * 999}\n",2\nc,3\n', TEXT,
     Rows(["a", "b," * 999 + "\n", "c"], [1, 2, 3])),
    ("a cell of more than 128 KiB", f"x,y\n{'a' * 2**18},2\n", TEXT, Rows(["a" * 2**18], [2])),
    ("a cell of more than 128 KiB in a first row without a header", f"{'a' * 2**18},2\n",
          dict(header=False, column_names=["x", "y"], **TEXT), Rows(["a" * 2**18], [2])),
    ("one column", "y\n1\n\n2\n", dict(features=["y"]), Rows([1, 2], [1, 2])),
    ("one column and nothing to learn from", "y\n1\n", {},
     Fails("`features` should name at least one column of each input. Received: none", OptionError)),
    ("features as a text", "xx,x,y\n1,9,2\n", dict(features="xx"), ONE_ROW),
    ("a target among the features", "x,y\n1,b\n2,a\n", dict(features=["y"]), Rows(["b", "a"], ["b", "a"])),
    ("batches of one row", "x,y\n1,2\n3,4\n", dict(batch_size=1), TWO_ROWS),
    ("fewer rows than a batch", "x,y\n1,2\n3,4\n", dict(batch_size=1000), TWO_ROWS),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the test runs; samples are so small that they miss what comes late."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", MANY)
    monkeypatch.setattr(csv, "SAMPLED_BYTES", 8)
    return tmp_path


def write(content, name="houses.csv"):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def make(data="houses.csv", **options):
    return ko.CSVChunkSequence(data, **{"target": "y", "shuffle": False, "batch_size": 64, **options})


def served(sequence):
    """`x` and `y` of a pass, with texts in place of codes and None for what is missing."""

    def as_cell(value):
        return None if value != value else value

    xs, ys = zip(*((x, y) for x, y, *_ in sequence))
    x, y = np.concatenate(xs), np.concatenate(ys).tolist()
    if sequence.class_names:
        y = [sequence.class_names[index] for index in y]
    if x.shape[1] > 1:
        return x.tolist(), y
    if x.dtype != np.int32:
        return [as_cell(value) for value in x[:, 0].tolist()], y
    [word] = [word for word in sequence._rows.recipe.words if word.role == "feature"]
    texts = [None, "unknown", *sequence.vocabulary(word.column.name)]
    return [texts[code] for code in x[:, 0].tolist()], y


def outcome_of(*arguments, **options):
    """What reading it comes to, as `CASES` has it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            x, y = served(make(*arguments, **options))
        except (DataError, OptionError, DestinationError) as error:
            return Fails(str(error), type(error))
    return Rows(x, y, tuple(str(warning.message) for warning in caught))


@pytest.mark.parametrize(("chunk_bytes", "cache"), [(MANY, None), (ONE, "cache")], ids=["files", "cache"])
@pytest.mark.parametrize(
    ("content", "options", "outcome"),
    [case if hasattr(case, "marks") else pytest.param(*case[1:], id=case[0]) for case in CASES],
)
def test_the_outcome_of(monkeypatch, content, options, outcome, chunk_bytes, cache):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", chunk_bytes)
    write(content)
    assert outcome_of(**options, cache=cache) == outcome


def test_the_words_of_the_issue(monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 2**16)
    rows = [f'"{i}\n",1,2,3,4,{i}\n' if i < 4 else f"{i},1,2,3,4,{i}\n" for i in range(50_000)]
    rows[48213] = "48213,1,2,3,4,N/K\n"
    write("id,a,b,c,y,sqft\n" + "".join(rows))
    assert outcome_of(features=["sqft"]) == Fails(
        "houses.csv: row 48213 (line 48219), column 'sqft' (#5): cannot read 'N/K' as float32. "
        "Fix: dtypes={'sqft': 'string'}, null_values=[..., 'N/K'], or on_bad_row='skip'."
    )


# Where chunks and blocks are cut


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quoted_newlines_and_doubled_quotes_at_every_offset(monkeypatch, end):
    content = end.join(["x,y", f'"a{end}b",1', f'"""{end}""",2', '"c""d",3', '"""",4'])
    write(content)
    for size_bytes in range(1, len(content) + 2):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", size_bytes)
        monkeypatch.setattr(csv_records, "BLOCK_BYTES", size_bytes)  # read at once: a doubled quote is cut in two
        assert outcome_of(**TEXT) == Rows([f"a{end}b", f'"{end}"', 'c"d', '"'], [1, 2, 3, 4])


# Several files


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ("x,y\n3,4", TWO_ROWS),
        ("x,y\n", ONE_ROW),
        (BOM + b'"x","y"\r\n3,4\r\n', TWO_ROWS),
        ("y,x\n4,3\n", Fails(f"b.csv: the columns are in another order than in a.csv. {ALIKE}")),
        ("y\n4\n", Fails(f"b.csv: no column 'x', which is in a.csv. {ALIKE}")),
        ("x,y,z\n3,4,5\n", Fails(f"b.csv: a column 'z', which is not in a.csv. {ALIKE}")),
        ("X,y\n3,4\n", Fails(f"b.csv: no column 'x', which is in a.csv. {ALIKE}")),
        ("", Fails("b.csv is empty. Expected a header.")),
        (None, Fails("Cannot read 'b.csv': No such file or directory.")),
        (" x ,y\n3,4\n", TWO_ROWS),
    ],
    ids=["sound", "without rows", "quoted", "reordered", "fewer", "more", "other case", "empty", "missing", "padded"],
)  # fmt: skip
def test_a_second_file_that_is(second, outcome):
    write("x,y\n1,2\n", "a.csv")
    if second is not None:
        write(second, "b.csv")
    for data in (["a.csv", "b.csv"], *(["[ab].csv"] if second is not None else [])):
        assert outcome_of(data) == outcome


def test_an_error_in_a_second_file_counts_the_rows_of_that_file():
    write(late("1,2"), "a.csv")
    write(late("N/K,2"), "b.csv")
    assert outcome_of("?.csv") == Fails("b.csv" + unreadable(99, "N/K").message.removeprefix("houses.csv"))


def test_several_files_with_decimal_commas_in_latin_1():
    for k in (1, 2):
        content = "Größe;Ort;y\n" + "".join(f"{k},{i};Köln;{i}\n" for i in range(5))
        write(content.encode("latin-1"), f"part-{k}.csv")
    rows = make("part-*.csv", features=["Größe", "Ort"], delimiter=";", decimal=",", encoding="latin-1")
    x, _ = rows[0]
    np.testing.assert_allclose(x[:, 0], [k + i / 10 for k in (1, 2) for i in range(5)], rtol=1e-6)
    assert rows.vocabulary("Ort") == ["Köln"]


# Paths


def test_paths_that_cannot_be_read():
    os.mkdir("folder")
    os.symlink("nowhere", "dangling.csv")
    write("x,y\n1,2\n", "a.csv")
    for path, why in (
        ("no.csv", "No such file or directory"),
        ("folder", "it is a folder. Its files are 'folder/*.csv'"),
        ("dangling.csv", "No such file or directory"),
        ("a.csv/b.csv", "Not a directory"),
        ("n" * 300, "File name too long"),
    ):
        assert (
            outcome_of(path) == outcome_of(Path(path)) == outcome_of([path]) == Fails(f"Cannot read {path!r}: {why}.")
        )
    assert outcome_of("no-*.csv") == Fails("No file matches 'no-*.csv'.")
    assert outcome_of(["?.csv", "no-*.csv"]) == Fails("No file matches 'no-*.csv'.")
    assert outcome_of(["?.csv", "a.csv"]) == outcome_of(["a.csv", "a.csv"])


def test_a_file_without_permission():
    write("x,y\n1,2\n")
    os.chmod("houses.csv", 0)
    if os.access("houses.csv", os.R_OK):
        pytest.skip("this user may read everything")
    assert outcome_of() == Fails("Cannot read 'houses.csv': Permission denied.")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for():
    os.mkfifo("pipe.csv")
    assert outcome_of("pipe.csv") == Fails("Cannot read 'pipe.csv': it is not an ordinary file.")


def test_paths_of_all_kinds():
    write("x,y\n1,2\n", "a[1].csv")  # no pattern, since it exists
    write("x,y\n9,9\n", "a1.csv")
    os.symlink("a[1].csv", "link.csv")
    for data in ("a[1].csv", Path("a[1].csv"), "link.csv", os.path.abspath("link.csv"), (p for p in ["a[1].csv"])):
        assert outcome_of(data) == ONE_ROW


def test_another_folder_later_on():
    write(late("1,2"))
    sequence = make()
    os.mkdir("other")
    os.chdir("other")
    assert served(sequence) == ([1] * 199, [2] * 199)


def test_a_cache_among_the_files_of_a_pattern():
    os.mkdir("data")
    write("x,y\n1,2\n", "data/a.csv")
    assert outcome_of("data/*", cache="data/cache") == ONE_ROW
    assert outcome_of("data/*", cache="data/cache") == ONE_ROW


# Options


@pytest.mark.parametrize(
    "options",
    [
        dict(target=1),
        dict(data=3),
        dict(features=3),
        dict(categorical=3),
        dict(dtypes="float32"),
        dict(null_values=None),
        dict(null_values=[3]),
        dict(column_names=[1, 2, "y"]),
        dict(missing={"x": "a"}),
        dict(missing={"x": None}),
        dict(missing={"x": 1e39}),
        dict(missing={"text": 7}, features=["text"]),
        dict(delimiter="\0"),
    ],
    ids=str,
)
def test_options_of_a_wrong_kind(options):
    write("text,x,y\na,,2\n")
    with pytest.raises(OptionError, match=f"`{next(iter(options))}` should "):
        served(make(**{"features": ["x"], "data": "houses.csv", **options}))


def test_weights_are_served_as_they_are_but_a_missing_one_is_an_error():
    write("x,w,y\n1,-1,2\n1,inf,2\n1,0,2\n")
    [(_, _, weights)] = make(sample_weight="w")
    assert weights.tolist() == [-1, np.inf, 0]
    write("x,w,y\n1,nan,2\n")
    assert outcome_of(sample_weight="w", missing="nan") == Fails(
        f"houses.csv: row 0 (line 2), column 'w' (#1): {GAP} 'w': 1. Fix: missing='drop'."
    )


def said_by(sequence):
    """Whether a Sequence can be read; otherwise, what it says."""
    try:
        served(sequence)
    except DataError as error:
        return str(error)
    return "read"


def test_a_class_that_training_never_sees():
    write("x,y\n" + "".join(f"{i},{'rare' if i == 6 else 'often'}\n" for i in range(20)))
    found = [part for seed in range(9) for part in make().split(0.2, seed=seed)]
    assert {said_by(part) for part in found} == {
        "read",
        "houses.csv: row 6 (line 8), column 'y' (#1): 'rare' is none of the 1 classes that the training rows have. "
        "Fix: split with another seed, so that training sees it, or leave out its rows.",
    }


# Large ones


def test_ten_thousand_columns():
    header = ",".join([*(f"c{i}" for i in range(9_999)), "y"])
    write(header + "\n" + "\n".join(",".join(str(row + i) for i in range(10_000)) for row in range(5)))
    x, y = make()[0]
    assert x.shape == (5, 9_999)
    assert (x == np.arange(5)[:, np.newaxis] + np.arange(9_999)).all()
    assert y.tolist() == [9_999 + row for row in range(5)]


def test_a_million_categories(monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 4 * 2**20)
    write("x,y\n" + "".join(f"id{i},1\n" for i in range(1_000_000)))
    rows = make(categorical=["x"], batch_size=500_000)
    second = rows[1][0]
    assert len(rows.vocabulary("x")) == 1_000_000
    assert len(np.unique(second)) == 500_000


# Files that change


def test_a_file_that_grows_while_its_rows_are_looked_for(monkeypatch):
    write(late("1,2"))

    class Bar(contextlib.nullcontext):
        def update(self, _):
            with open("houses.csv", "a") as file:
                file.write("1,2\n")

    monkeypatch.setattr(csv_table, "tqdm", lambda **_: Bar(Bar()))
    assert outcome_of() == Fails(
        "houses.csv: the file changed while its rows were counted. Open it again once it is finished."
    )


def test_a_file_that_grows_while_it_is_read():
    write(late("1,2"))
    sequence = make(batch_size=1, workers=0, memory_limit=200)  # too little to hold what is to come
    sequence[0]
    write("1,2\n" * 50)
    with pytest.raises(DataError) as caught:
        served(sequence)
    assert str(caught.value) == (
        "houses.csv: the file changed since its rows were counted (800 bytes then, 200 now). Open it again."
    )


def test_a_file_that_changes_while_it_is_converted(monkeypatch):
    write(late("1,2"))
    parse, parsed = CSVRows.rows, []

    def meddling(rows, chunk):
        parsed.append(chunk)
        if len(parsed) == 9:
            write(late("1,2") + "5,6\n", "new.csv")
            os.replace("new.csv", "houses.csv")  # at no moment is it shorter
        return parse(rows, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(CSVRows, "rows", meddling)
        assert outcome_of(cache="cache") == Fails(
            "houses.csv: the file changed since its rows were counted (800 bytes then, 804 now). Open it again."
        )
    message = outcome_of(cache="cache").message
    assert f"{os.path.abspath('cache')!r} stores other rows: files was ['houses.csv, 800 bytes, of " in message
    assert "is ['houses.csv, 804 bytes, of " in message
    assert "Pass overwrite_cache=True to make it again" in message
    expected = Rows([1] * 199 + [5], [2] * 199 + [6])
    assert outcome_of(cache="cache", overwrite_cache=True) == outcome_of(cache="cache") == expected


# Disks and processes


def test_a_cache_that_cannot_be_written():
    write("x,y\n1,2\n")
    write("", "file")
    assert outcome_of(cache="file/cache").error is DestinationError
    assert "file" in outcome_of(cache="file").message


def test_a_full_disk_is_said_and_what_is_there_counts(monkeypatch):
    write(late("5,2"))
    write_there, written = os.pwrite, []

    def full(descriptor, data, offset):
        written.append(offset)
        if len(written) > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_there(descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "pwrite", full)
        found = outcome_of(cache="cache", workers=1)
    remedy = "Free some space, or choose a destination on another disk."
    assert found in [
        Fails(f"Cannot write {os.path.abspath(path)!r}: No space left on device. {remedy}", DestinationError)
        for path in ("cache/x.npy", "cache/rows.npy")
    ]
    assert outcome_of(cache="cache") == Rows(among(5, 1), [2] * 199)
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "disk_usage", lambda path: type("", (), {"free": 10})())
        found = outcome_of(cache="another")
    assert found.message.startswith("Not enough disk for the packed store: ")
    assert found.message.endswith(remedy)
    assert not os.path.exists("another")


FILLING = """
    # What the class does, less Keras, which takes seconds to import
    import time
    from pathlib import Path
    from keras_oocore.tables.csv import table as csv_table
    from keras_oocore.store import writer as packed_writer
    from keras_oocore.tables.features import FeatureSpec
    from keras_oocore.tables.rows import CSVRows
    from keras_oocore.tables.stored import converted
    from keras_oocore.tables.csv.scan import Dialect

    csv_table.CHUNK_BYTES, packed_writer.SYNC_SECONDS = 64, 0.0
    table = csv_table.CSVTable("houses.csv", Dialect())
    rows = CSVRows(table, FeatureSpec(table, "y", ["x", "city"], None, (), "mean", False), None, 1, 2**20)
    parse, parsed = rows.rows, []

    def slowly(chunk):
        parsed.append(chunk)
        if len(parsed) == 15:
            print("half", flush=True)
            time.sleep(60)
        return parse(chunk)

    rows.rows = slowly
    converted(rows, Path("cache"), False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_two_processes_convert_at_once_and_the_first_is_killed(monkeypatch):
    write("x,city,y\n" + "".join(f"{i if i % 9 else ''},{'Rome' if i % 3 else 'Oslo'},{2 * i}\n" for i in range(199)))
    options = dict(features=["x", "city"], missing="mean")
    expected = outcome_of(**options)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FILLING)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "half\n", child.stderr.read()
        there = f"{os.path.abspath('cache')!r} is being filled by another process or thread; this one reads the files."
        assert outcome_of(cache="cache", **options) == expected._replace(warnings=(there,))
        deadline = time.monotonic() + 20
        while not np.load("cache/rows.npy").any():  # until the disk has the first states
            assert time.monotonic() < deadline, "nothing reaches the disk"
    finally:
        child.kill()
        child.communicate(timeout=30)
    parse, parsed = CSVRows.rows, []
    monkeypatch.setattr(CSVRows, "rows", lambda rows, chunk: parsed.append(chunk) or parse(rows, chunk))
    assert outcome_of(cache="cache", **options) == expected
    num_chunks = make(**options)._rows.table.num_chunks
    assert num_chunks - 15 <= len(parsed) < num_chunks  # of what is there already, nothing is parsed again
    parsed.clear()
    assert outcome_of(cache="cache", **options) == expected
    assert parsed == []
