"""How a CSV file is written: the options of its records (`Dialect`) and of its cells (`CellOptions`)."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

from keras_oocore.core.checks import boolean, non_negative
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown

SUFFIXES = (".csv", ".tsv", ".tab", ".psv")  # usual endings of the names of the files
NULL_VALUES = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "null", "NULL", "nan", "NaN", "-nan", "-NaN", "None")
ASCII_PROBE = bytes(range(128)) + rb"\u0022" + b"\x1b$B!!"  # every ASCII byte, an escape sequence and a shift sequence
SCALES = ("k", "M", "MM", "B", "bn", "mn", "mio", "mrd", "thousand", "million", "billion", "%", "\u2030", "percent")
BLANKS = " \t\u00a0\u2009\u202f"
SPACES = r"\s+"  # the delimiter that stands for any number of spaces and tabs; the word of pandas
FIRST_OPTIONS = ("delimiter", "encoding", "header", "skip_rows", "comment")  # of the first version
Decimal = Literal[".", ","]
Thousands = Literal[",", ".", "'", " ", "_"]
OnBadRow = Literal["error", "skip"]


@dataclasses.dataclass(frozen=True)
class Dialect:
    r"""The options of a CSV file that determine where its cells and records end.

    A cell that begins with a quote is quoted, and a quote inside it is doubled. In other cells, a quote is text.
    Records end with `\n`, `\r\n` or `\r`, in any mixture.

    Args:
        delimiter: One ASCII character between cells, or `r"\s+"` for any number of spaces and tabs, where those at the
            beginning and the end of a line are ignored. Defaults to `","`.
        encoding: Name of an encoding in which every byte below 0x80 is an ASCII character. Defaults to `"utf-8"`.
        header: Whether the first record names the columns. Defaults to `True`.
        skip_rows: Number of physical lines to skip before the header (or the first row). Defaults to `0`.
        comment: One ASCII character. Lines that start with it, outside quotes, are skipped. Defaults to `None`.
        quotechar: One ASCII character, or `None` if a quote is text everywhere. Defaults to `'"'`.
        escapechar: One ASCII character. The character after it is text, inside and outside quotes: a quote, a
            delimiter, a newline or another escape character. Defaults to `None`.
        skip_initial_space: Whether spaces after a delimiter, or at the beginning of a line, are ignored. Defaults to
            `False`.

    Raises:
        OptionError: If an argument is not supported.

    >>> Dialect(delimiter=";", escapechar="\\").to_json()
    {'delimiter': ';', 'encoding': 'utf-8', 'header': True, 'skip_rows': 0, 'comment': None, 'escapechar': '\\'}
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    skip_rows: int = 0
    comment: str | None = None
    quotechar: str | None = '"'
    escapechar: str | None = None
    skip_initial_space: bool = False

    def __post_init__(self) -> None:
        if not _is_single_ascii(self.delimiter) and self.delimiter != SPACES:
            raise OptionError(
                "`delimiter` should be one ASCII character, but not a quote or a newline, or r'\\s+' for spaces and "
                f"tabs. Received: delimiter={self.delimiter!r}"
            )
        if self.comment is not None and (not _is_single_ascii(self.comment) or self.comment in self._delimiters):
            raise OptionError(
                "`comment` should be None, or one ASCII character, but not a quote, a newline or the delimiter. "
                f"Received: comment={self.comment!r}"
            )
        self._require_distinct("quotechar", self._delimiters, self.comment)
        self._require_distinct("escapechar", self._delimiters, self.comment, self.quotechar)
        object.__setattr__(self, "header", boolean(self.header, "header"))  # plain, for the fingerprint
        object.__setattr__(self, "skip_rows", non_negative(self.skip_rows, "skip_rows"))
        object.__setattr__(self, "skip_initial_space", boolean(self.skip_initial_space, "skip_initial_space"))
        if self.delimiter == SPACES:  # which skips them anyway
            object.__setattr__(self, "skip_initial_space", False)
        if self.skip_initial_space and self.delimiter == " ":
            raise OptionError(
                "With skip_initial_space=True, `delimiter` should not be a space. If several spaces separate two "
                "cells: delimiter=r'\\s+'. Received: delimiter=' '"
            )
        if not isinstance(self.encoding, str):
            raise OptionError(f"`encoding` should be a name such as 'utf-8'. Received: encoding={self.encoding!r}")
        if not _keeps_ascii(self.encoding):
            raise OptionError(
                "`encoding` should be one in which every byte below 0x80 is an ASCII character, such as 'utf-8' or "
                f"'latin-1'. Received: encoding={self.encoding!r}. If the file has this encoding, convert it: "
                f"iconv -f {self.encoding.upper().replace('_', '-')} -t UTF-8 in.csv > out.csv"
            )

    @property
    def delimiters(self) -> bytes:
        """The bytes that separate cells."""
        return self._delimiters.encode()

    @property
    def _delimiters(self) -> str:
        return " \t" if self.delimiter == SPACES else self.delimiter

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON: those of the first version, and the others if they are not the defaults."""
        options, defaults = dataclasses.asdict(self), dataclasses.asdict(Dialect())
        return {name: value for name, value in options.items() if name in FIRST_OPTIONS or value != defaults[name]}

    def _require_distinct(self, name: str, *others: str | None) -> None:
        """Raise if an option is not one ASCII character that differs from the characters of other options."""
        value = getattr(self, name)
        if value is None or (
            _is_single_ascii(value, "") and not value.isspace() and value not in "".join(filter(None, others))
        ):
            return
        raise OptionError(
            f"`{name}` should be None, or one ASCII character that is not a space and has no other meaning. "
            f"Received: {name}={value!r}"
        )


@dataclasses.dataclass(frozen=True)
class CellOptions:
    """The options that determine how the cells of a CSV file are read.

    Args:
        null_values: Strings that mark a missing cell. `...` stands for the default ones. In a column of strings they
            count only without quotes. In other columns they also count between quotes, or padded, unless they are
            numbers there.
        decimal: The decimal point, `"."` or `","`. Defaults to `"."`.
        thousands: What separates groups of digits: `","`, `"."`, `"'"`, `" "`, `"_"` or `None`. It is removed between
            complete groups only, so `"1,5"` is not 15. `" "` stands for no-break spaces, too. Defaults to `None`.
        strip: What to remove before and after a number: a string of signs, such as `"$€"`, or a list that may also
            contain words, such as `["USD", "cm"]`. With `"()"` in it, a number in parentheses is negative. Afterwards a
            tuple. Defaults to `None`.
        on_bad_row: `"error"`, or `"skip"` to skip rows that have too few or too many cells, or a cell that cannot be
            read. Defaults to `"error"`.

    Raises:
        OptionError: If an argument is not supported.
    """

    null_values: Sequence[str] = NULL_VALUES
    decimal: Decimal = "."
    on_bad_row: OnBadRow = "error"
    thousands: Thousands | None = None
    strip: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.decimal not in get_args(Decimal):
            raise OptionError(f"`decimal` should be '.' or ','. Received: decimal={self.decimal!r}")
        if self.thousands not in (None, *get_args(Thousands)):
            expected = ", ".join(map(repr, get_args(Thousands)))
            raise OptionError(
                f"`thousands` should be None or one of {expected}. Received: thousands={self.thousands!r}"
            )
        if self.thousands == self.decimal:
            raise OptionError(
                f"`thousands` and `decimal` should differ. Received: {self.thousands!r} for both. For numbers such as "
                "1.234,5: thousands='.', decimal=','"
            )
        object.__setattr__(self, "strip", _checked_strip(self.strip))
        if self.on_bad_row not in get_args(OnBadRow):
            raise OptionError(f'`on_bad_row` should be "error" or "skip". Received: on_bad_row={self.on_bad_row!r}')
        object.__setattr__(self, "null_values", _expand_null_values(self.null_values))
        if not _are_strings(self.null_values):
            raise OptionError(
                f"`null_values` should be a list of strings. Received: null_values={shown(self.null_values)}"
            )
        object.__setattr__(self, "null_values", tuple(self.null_values))  # the caller may change its list


def _expand_null_values(null_values: Sequence[Any]) -> Sequence[str]:
    """Replace `...` in `null_values` by the default null values.

    >>> _expand_null_values([..., "-"])[-2:], _expand_null_values(["-"])
    (['None', '-'], ['-'])
    """
    if not isinstance(null_values, list | tuple) or ... not in null_values:
        return null_values
    return [text for value in null_values for text in (NULL_VALUES if value is ... else [value])]


def is_scale(unit: str) -> bool:
    """Return whether a word after a number multiplies it.

    >>> [is_scale(unit) for unit in ("k", "K", "M", "m", "%", "Million", "cm")]
    [True, True, True, False, True, True, False]
    """
    return unit in SCALES or unit.casefold() in SCALES


def _checked_strip(strip: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the argument `strip` as a tuple of signs and words."""
    if strip is None or strip == "":
        return ()
    if not isinstance(strip, str) and not _are_strings(strip):
        raise OptionError(f"`strip` should be a string of signs, or a list of strings. Received: strip={strip!r}")
    parts = [strip] if isinstance(strip, str) else strip
    units = [unit for part in parts for unit in (part if part and _are_signs(part) else [part])]
    units = tuple(dict.fromkeys(unit.strip() for unit in units if unit != " "))
    for unit in units:
        if is_scale(unit):
            raise OptionError(
                f"`strip` never scales: '10{unit}' would be read as 10, whatever {unit!r} means. Write such numbers in "
                f"full in the file. Received: strip={strip!r}"
            )
        if not unit or unit[0].isdigit() or unit[0] in "+-.,":
            raise OptionError(
                "`strip` should name signs and words that begin with no digit and none of '+-.,'. "
                f"Received: strip={strip!r}"
            )
        if isinstance(strip, str) and not _are_signs(unit):
            raise OptionError(
                f"`strip` as a string is a set of signs. Write words as a list: strip=[{unit!r}]. "
                f"Received: strip={strip!r}"
            )
    if ("(" in units) != (")" in units):
        raise OptionError(f"`strip` should have both parentheses, '()', or none. Received: strip={strip!r}")
    return units


def _are_signs(text: str) -> bool:
    """Return whether a string is a set of signs, and not a word."""
    return not any(map(str.isalnum, text))


def _are_strings(values) -> bool:
    """Return whether the argument is a sequence of strings."""
    return (
        isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(text, str) for text in values)
    )


def _is_single_ascii(character: object, excluded: str = '"') -> bool:
    """Return whether the argument is one ASCII character, neither a newline nor NUL nor excluded."""
    return (
        isinstance(character, str)
        and len(character) == 1
        and character.isascii()
        and character not in "\r\n\0" + excluded
    )


@functools.cache
def _keeps_ascii(encoding: str) -> bool:
    """Return whether a byte below 0x80 is always the ASCII character of that number.

    This is not the case for trail bytes (GBK), shift sequences (UTF-7) and wide characters (UTF-16).

    >>> [_keeps_ascii(name) for name in ("utf-8", "cp1252", "euc-jp", "gbk", "shift-jis", "utf-16", "klingon")]
    [True, True, True, False, False, False, False]
    """
    after_any_lead = (bytes([lead, trail]) + b"   " for lead in range(0x80, 0x100) for trail in range(0x20, 0x80))
    try:
        return ASCII_PROBE.decode(encoding) == ASCII_PROBE.decode("ascii") and all(
            found.decode(encoding, "replace")[1:] == found[1:].decode("ascii") for found in after_any_lead
        )
    except (LookupError, ValueError):  # the encoding is unknown, or cannot decode plain ASCII
        return False
