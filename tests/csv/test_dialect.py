"""Options of a CSV file that are accepted and refused."""

import pytest

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.dialect import CellOptions, Dialect


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "ö", None, 1])
def test_invalid_delimiter(delimiter):
    with pytest.raises(OptionError) as caught:
        Dialect(delimiter=delimiter)
    assert str(caught.value) == (
        "`delimiter` should be one ASCII character, but not a quote or a newline, or r'\\s+' for spaces and tabs. "
        f"Received: delimiter={delimiter!r}"
    )


@pytest.mark.parametrize("comment", ["", "//", '"', "\n", ",", "ö", 1])
def test_invalid_comment(comment):
    with pytest.raises(OptionError) as caught:
        Dialect(comment=comment)
    assert str(caught.value) == (
        "`comment` should be None, or one ASCII character, but not a quote, a newline or the delimiter. "
        f"Received: comment={comment!r}"
    )


@pytest.mark.parametrize("name", ["quotechar", "escapechar"])
@pytest.mark.parametrize("value", ["", "''", "\n", ",", "#", "é", " ", 1])
def test_invalid_quote_and_escape(name, value):
    with pytest.raises(OptionError) as caught:
        Dialect(comment="#", **{name: value})
    assert str(caught.value) == (
        f"`{name}` should be None, or one ASCII character that is not a space and has no other meaning. "
        f"Received: {name}={value!r}"
    )


def test_options_that_contradict_each_other():
    with pytest.raises(OptionError, match=r"`escapechar` should .* Received: escapechar='\"'"):
        Dialect(escapechar='"')
    with pytest.raises(OptionError, match=r"`comment` should .* Received: comment='\\t'"):
        Dialect(delimiter=r"\s+", comment="\t")
    with pytest.raises(OptionError, match=r"several spaces separate two cells: delimiter=r'\\s\+'\. Received: delim"):
        Dialect(delimiter=" ", skip_initial_space=True)
    assert Dialect(delimiter=r"\s+", skip_initial_space=True) == Dialect(delimiter=r"\s+")


@pytest.mark.parametrize("encoding", ["utf-16", "utf_16_le", "UTF-32", "shift_jis", "gbk", "gb18030", "big5", "utf-7"])
def test_encodings_that_reuse_ascii_bytes_are_refused(encoding):
    with pytest.raises(OptionError) as caught:
        Dialect(encoding=encoding)
    assert str(caught.value) == (
        "`encoding` should be one in which every byte below 0x80 is an ASCII character, such as 'utf-8' or 'latin-1'. "
        f"Received: encoding={encoding!r}. If the file has this encoding, convert it: "
        f"iconv -f {encoding.upper().replace('_', '-')} -t UTF-8 in.csv > out.csv"
    )


@pytest.mark.parametrize("encoding", ["cp037", "hz", "iso2022_jp", "base64", "idna", "klingon", "", None])
def test_invalid_encoding(encoding):
    with pytest.raises(OptionError, match=r"`encoding` should be .* Received: encoding="):
        Dialect(encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "utf8", "UTF-8-sig", "cp1252", "latin-1", "koi8-r", "euc-jp", "euc-kr"])
def test_encodings_that_keep_ascii_are_accepted(encoding):
    assert Dialect(encoding=encoding).encoding == encoding


@pytest.mark.parametrize(
    ("name", "value"),
    [("header", 1), ("header", None), ("skip_rows", -1), ("skip_rows", True), ("skip_initial_space", 1)],
)
def test_invalid_header_and_skip_rows(name, value):
    with pytest.raises(OptionError, match=rf"`{name}` should be .*\. Received: {name}={value!r}"):
        Dialect(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(decimal=";"), "`decimal` should be '.' or ','. Received: decimal=';'"),
        (dict(on_bad_row="warn"), '`on_bad_row` should be "error" or "skip". Received: on_bad_row=\'warn\''),
        (dict(null_values="NA"), "`null_values` should be a list of strings. Received: null_values='NA'"),
        (dict(thousands=";"),
         "`thousands` should be None or one of ',', '.', \"'\", ' ', '_'. Received: thousands=';'"),
        (dict(thousands="."), "`thousands` and `decimal` should differ. Received: '.' for both. For numbers such as "
                              "1.234,5: thousands='.', decimal=','"),
        (dict(strip=3), "`strip` should be a string of signs, or a list of strings. Received: strip=3"),
        (dict(strip=[3]), "`strip` should be a string of signs, or a list of strings. Received: strip=[3]"),
        (dict(strip="USD"), "`strip` as a string is a set of signs. Write words as a list: strip=['USD']. Received: "
                            "strip='USD'"),
        (dict(strip="("), "`strip` should have both parentheses, '()', or none. Received: strip='('"),
        (dict(strip=["-"]),
         "`strip` should name signs and words that begin with no digit and none of '+-.,'. Received: strip=['-']"),
        *((dict(strip=strip), f"`strip` never scales: '10{unit}' would be read as 10, whatever {unit!r} means. Write "
                              f"such numbers in full in the file. Received: strip={strip!r}")
          for strip, unit in (("$%", "%"), ("k", "k"), (["M"], "M"), (["USD", "million"], "million"), (["bn"], "bn"))),
        (dict(null_values=[3]), "`null_values` should be a list of strings. Received: null_values=[3]"),
    ],
)  # fmt: skip
def test_invalid_cell_options(options, message):
    with pytest.raises(OptionError) as caught:
        CellOptions(**options)
    assert str(caught.value) == message


def test_strip_is_a_tuple_of_signs_and_words():
    assert [CellOptions(strip=strip).strip for strip in (None, "", "$ €", ["$€", "USD"], ["()", " cm", "m"])] == [
        (),
        (),
        ("$", "€"),
        ("$", "€", "USD"),
        ("(", ")", "cm", "m"),
    ]
