"""Strings as numbers."""

import numpy as np
import pytest
from csv_outcomes import (
    TEXT,
    TWO_ROWS,
    Fails,
    Rows,
    among,
    infinite,
    late,
    looks_like,
    loses,
    measured,
    only_text,
    outcomes,
    unreadable,
)
from csv_scans import error_of
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.csv.cells import pa
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.csv.numbers import as_numbers

ZEROS = "numbers with leading zeros, which are lost, such as"
LARGE = "integers beyond 2^24, which float32 rounds, such as"


@outcomes(
    ("a string in a late row", late("N/K,2"), {}, unreadable(99, "N/K")),
    ("int, then float, then a string after the sample", late("1.5,2") + "abc,2\n", {}, unreadable(199, "abc")),
    ("an all-empty head", "x,y\n" + ",2\n" * 99 + "7,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     Rows(among(7, 0), [2] * 199)),
    ("an all-empty head, then a string", "x,y\n" + ",2\n" * 99 + "abc,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     unreadable(99, "abc")),
    ("a string in a late target", late("1,N/K"), {}, unreadable(99, "N/K", column="y")),
    ("2^63", "x,y\n9223372036854775808,2\n", {}, Rows([2.0**63], [2], loses(f"{LARGE} 9223372036854775808"))),
    ("an integer beyond 2^24 after the sample", late("16777217,2"), {},
     Rows(among(2.0**24, 1), [2] * 199, loses(f"{LARGE} 16777217"))),
    ("an integer beyond 2^24 as a target", "x,y\n1,16777217\n", {},
     Rows([1], [2.0**24], loses(f"{LARGE} 16777217", "y"))),
    ("an integer beyond 2^24 as a name", "x,y\n16777217,2\n", dict(categorical=["x"]), Rows(["16777217"], [2])),
    ("1e400", late("1e400,2"), {}, unreadable(99, "1e400")),
    ("1e39, too large for float32 alone", late("1e39,2"), {}, unreadable(99, "1e39")),
    ("40 digits", late("1" * 40 + ",2"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("a long decimal", f"x,y\n0.{'1' * 400},2\n", {}, Rows([float(np.float32(1 / 9))], [2])),
    ("inf is what it says", "x,y\ninf,2\n-Infinity,4\n", {}, Rows([np.inf, -np.inf], [2, 4], infinite(0))),
    ("0x10", late("0x10,2"), {}, unreadable(99, "0x10")),
    ("1_000", late("1_000,2"), {},
     unreadable(99, "1_000", fix="thousands='_', which reads it as 1000, or dtypes={'x': 'string'}")),
    ("digits of another script", late("٣,2"), {}, unreadable(99, "٣")),
    ("negative zero", "x,y\n-0,2\n-0.0,2\n", {}, Rows([0, 0], [2, 2])),
    ("007", "x,y\n007,2\n", {}, Rows([7], [2], loses(f"{ZEROS} '007'"))),
    ("007 as a name", "x,y\n007,2\n7,4\n", dict(categorical=["x"]), Rows(["007", "7"], [2, 4])),
    ("leading zeros after the sample", late("007,2"), {}, Rows(among(7, 1), [2] * 199)),
    ("1,234", late('"1,234",2'), {},
     unreadable(99, "1,234", fix="thousands=',', which reads it as 1234, or dtypes={'x': 'string'}")),
    ("1,234 everywhere", 'x,y\n"1,234",2\n', {}, only_text(note=looks_like("1,234", "thousands=','"))),
    ("1,234 with thousands", late('"1,234",2'), dict(thousands=","), Rows(among(1234, 1), [2] * 199)),
    ("1,5 with thousands", late('"1,5",2'), dict(thousands=","),
     unreadable(99, "1,5", fix="decimal=',', thousands=None, which reads it as 1.5, or dtypes={'x': 'string'}")),
    ("$1,234.50 with both", 'x,y\n"$1,234.50",2\n-$5,4\n', dict(thousands=",", strip="$"),
     Rows([1234.5, -5], [2, 4])),
    ("$5 in a late row", late("$5,2"), {},
     unreadable(99, "$5", fix="strip='$', which reads it as 5, or dtypes={'x': 'string'}")),
    ("10k in a late row", late("10k,2"), {},
     unreadable(99, "10k", fix="write such numbers in full in the file, without 'k' (`strip` never scales), or "
                               "dtypes={'x': 'string'}")),
    ("1,5 with ;", "x;y\n1,5;2\n3;4\n", dict(delimiter=";", decimal=","), Rows([1.5, 3], [2, 4])),
    ("1,5 with ; and no decimal", "x;y\n1,5;2\n", dict(delimiter=";"),
     only_text(note=looks_like("1,5", "decimal=','"))),
    ("1.234,5 with a decimal comma", "x;y\n" + "1;2\n" * 99 + "1.234,5;2\n", dict(delimiter=";", decimal=","),
     unreadable(99, "1.234,5", fix="thousands='.', which reads it as 1234.5, or dtypes={'x': 'string'}")),
    ("a decimal comma between quotes", 'x,y\n"1,5",2\n', dict(decimal=","), Rows([1.5], [2])),
    ("1,5 with ; and no decimal, as a feature", "x;y\n1,5;2\n2,5;2\n", dict(delimiter=";", **TEXT),
          Rows(["1,5", "2,5"], [2, 2], ("Column 'x' is read as strings, though its cells look like numbers, such as "
                                        "'1,5'. Fix: decimal=',', or categorical=['x'].",))),
    ("1,5 with ; and no decimal, as a target", "x;y\n1;1,5\n1;2,5\n", dict(delimiter=";"),
     measured("1,5", "decimal=','")),
    ("1,5 with ; as the name of a class", "x;y\n1;1,5\n1;2,5\n", dict(delimiter=";", categorical=["y"]),
     Rows([1, 1], ["1,5", "2,5"])),
    *((f"{cell} as a target", f'x,y\n1,"{cell}"\n2,"{other}"\n', {}, measured(cell, fix))
      for cell, other, fix in (
          ("$1,000.50", "$2,007.50", "thousands=',', strip='$'"),
          ("£68,486.66", "£106,077.69", "thousands=',', strip='£'"),
          ("1,000 USD", "2,000 USD", "thousands=',', strip=['USD']"),
          ("1'000", "2'000", """thousands="'\""""),
          ("10 cm", "12 cm", "strip=['cm']"),
          ("(1,234)", "5", "thousands=',', strip='()'"),
          ("1\u202f234,50", "9,5", "decimal=',', thousands=' '"),
          ("10k", "12k", "write such numbers in full in the file, without 'k' (`strip` never scales)"),
          ("12%", "5%", "write such numbers in full in the file, without '%' (`strip` never scales)"),
      )),
    ("a target of numbers, half of which are N/K", "x,y\n" + "1,2.5\n2,N/K\n" * 20, {},
          Rows([1, 2] * 20, ["2.5", "N/K"] * 20, ("Column 'y' is read as strings, though many of its cells are "
                                                  "numbers, because of 'N/K'. Fix: null_values=[..., 'N/K'], or "
                                                  "categorical=['y'].",))),
    ("a string too long for null_values", late("1" * 60 + ",2"), {},
          unreadable(99, "1" * 37 + "...", fix="on_bad_row='skip', or dtypes={'x': 'string'}")),
    ("tabs with spaces", "x\ty\n 1\t2 \n3 \t 4\n", dict(delimiter="\t"), TWO_ROWS),
    ("two spaces as a delimiter", "x y\n1  2\n", dict(delimiter=" "),
          Fails("houses.csv: its rows have 3 cells, such as '1  2', and the header has 2 names. If several spaces "
                "separate two cells: delimiter=r'\\s+'. If the first cell is the name of the row: "
                "index_column='index'. If cells contain the delimiter, put them between quotes. Otherwise name all "
                "columns, column_names=[...].")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_numbers_in_common_notations(read):
    texts = ["1", "-2", "+3", " 4 ", "5.", ".5", "6e2", "7E-1", "1e-400", '"8"', "9223372036854775808"]
    assert read("a\n" + "\n".join(texts), a="float32")["a"] == [1, -2, 3, 4, 5, 0.5, 600, 0.7, 0, 8, 2.0**63]


def test_infinity(read):
    assert read("a\ninf\n-Infinity\nInf\n", a="float32")["a"] == [np.inf, -np.inf, np.inf]


@pytest.mark.parametrize("text", ["1e400", "3.5e38", "0x10", "NAN", "1e", ".", "-", "٣"])
def test_strings_that_are_not_numbers_are_named(read, text):
    expected = (
        f"houses.csv: row 1 (line 3), column 'a' (#0): cannot read {text!r} as float32. "
        f"Fix: null_values=[..., {text!r}], on_bad_row='skip', or dtypes={{'a': 'string'}}."
    )
    assert error_of(read, f"a,b\n1,x\n{text},y\n", a="float32") == expected
    assert error_of(read, f"a,b\n1,x\n{text},y\n1,z\n", a="float32", b="string") == expected


def test_leading_zeros(read):
    assert read("a\n007\n", a="string")["a"] == ["007"]
    assert read("a\n007\n", a="float32")["a"] == [7]


def test_decimal_comma(read):
    semicolons = Dialect(delimiter=";")
    content = 'a;b\n1,5;-2\n"3,25";,5\n'
    found = read(content, dialect=semicolons, a="float32", b="float32", decimal=",")
    assert found == {"a": [1.5, 3.25], "b": [-2, 0.5]}
    for text in ("1.5", "1.234,5", "x"):
        assert f"cannot read {text!r}" in error_of(
            read, f"a;b\n1,5;1\n{text};2\n", dialect=semicolons, a="float32", decimal=","
        )


def numbers(*texts, **options):
    return as_numbers(pa.array(texts), CellOptions(**options)).to_pylist()


@pytest.mark.parametrize(
    ("options", "readable", "others"),
    [
        (
            dict(thousands=","),
            {"1,234": 1234, "1,234,567.5": 1234567.5, "12,34,567": 1234567, "-1,234": -1234, "1234": 1234},
            ["1,5", "1,23", "1234,567", "0,123", "1,2345", ",123", "1,,234", "1.234,5", "12,34", "1,234,56"],
        ),
        (dict(thousands=".", decimal=","), {"1.234,5": 1234.5, "0,5": 0.5}, ["1,234.5", "1.5"]),
        (dict(thousands="'"), {"1'234": 1234, "1\u2019234": 1234}, ["1 234"]),
        (dict(thousands=" ", decimal=","), {"1 234,5": 1234.5, "1\u202f234\xa0567": 1234567}, ["1  234", "1 23"]),
        (dict(thousands="_"), {"1_000": 1000}, ["1_0"]),
        (
            dict(strip="$€"),
            {"$5": 5, "-$5": -5, "$-5": -5, "- $ 5": -5, "5 €": 5, "5\xa0€": 5, "$5e3": 5000, "inf": np.inf},
            ["5k", "$", "-$-5", "$5$x", "($5)", "5$5", ""],
        ),
        (dict(strip=["USD", "m2", "cm"]), {"USD 5": 5, "5 cm": 5, "5m2": 5, "5 USD": 5}, ["m25", "5 m", "5 c"]),
        (dict(strip="$()"), {"($5)": -5, "(5)": -5, "$5": 5, "( 5 )": -5}, ["(5", "5)", "(-5)", "-(5)"]),
    ],
)
def test_thousands_and_strip(options, readable, others):
    assert numbers(*readable, **options) == list(readable.values())
    assert numbers(*others, **options) == [None] * len(others)


@examples(40)
@given(st.integers(-(10**9), 10**9), st.sampled_from(",.'_ "), st.sampled_from(["$", "USD", ""]))
def test_only_complete_groups_are_joined(number, thousands, unit):
    options = dict(thousands=thousands, decimal="," if thousands == "." else ".", strip=[unit] if unit else None)
    written = f"{number:,}".replace(",", thousands)
    assert numbers(f"{written} {unit}".strip(), f"{unit}{written}", **options) == [number, number]
    if thousands in written:
        i = written.rindex(thousands)
        assert numbers(written[:-1], written + "0", written[:i] + thousands + written[i:], **options) == [None] * 3


def test_a_chunk_without_thousands_takes_the_fast_path(read, monkeypatch):
    def never(*arguments):
        raise AssertionError("the strings of a chunk were converted")

    monkeypatch.setattr("keras_oocore.csv.conversion.as_numbers", never)
    assert read("a\n1\n2.5\n", a="float32", thousands=",", strip="$")["a"] == [1, 2.5]
