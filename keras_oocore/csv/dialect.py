"""How a CSV file is written: the options of its records (`Dialect`) and of its cells (`CellOptions`)."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

from keras_oocore.core.checks import boolean, non_negative
from keras_oocore.core.errors import OptionError

NULL_VALUES = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "null", "NULL", "nan", "NaN", "-nan", "-NaN", "None")
ASCII_PROBE = bytes(range(128)) + rb"\u0022" + b"\x1b$B!!"  # every ASCII byte, an escape sequence and a shift sequence
SCALES = ("k", "M", "MM", "B", "bn", "mn", "mio", "mrd", "thousand", "million", "billion", "%", "\u2030", "percent")
SPACES = " \t\u00a0\u2009\u202f"
Decimal = Literal[".", ","]
Thousands = Literal[",", ".", "'", " ", "_"]
OnBadRow = Literal["error", "skip"]


@dataclasses.dataclass(frozen=True)
class Dialect:
    r"""The options of a CSV file that determine where its records end.

    Fields are quoted with `"`, and a quote inside a quoted field is doubled. Records end with `\n`, `\r\n` or `\r`,
    in any mixture.

    Args:
        delimiter: One ASCII character between fields. Defaults to `","`.
        encoding: Name of an encoding in which every byte below 0x80 is an ASCII character. Defaults to `"utf-8"`.
        header: Whether the first record names the columns. Defaults to `True`.
        skip_rows: Number of physical lines to skip before the header (or the first row). Defaults to `0`.
        comment: One ASCII character. Lines that start with it, outside quotes, are skipped. Defaults to `None`.

    Raises:
        OptionError: If an argument is not supported.

    >>> Dialect(delimiter=";", comment="#")
    Dialect(delimiter=';', encoding='utf-8', header=True, skip_rows=0, comment='#')
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    skip_rows: int = 0
    comment: str | None = None

    def __post_init__(self) -> None:
        if not _is_single_ascii(self.delimiter):
            raise OptionError(
                "`delimiter` should be one ASCII character, but not a quote or a newline. "
                f"Received: delimiter={self.delimiter!r}"
            )
        if self.comment is not None and (not _is_single_ascii(self.comment) or self.comment == self.delimiter):
            raise OptionError(
                "`comment` should be None, or one ASCII character, but not a quote, a newline or the delimiter. "
                f"Received: comment={self.comment!r}"
            )
        object.__setattr__(self, "header", boolean(self.header, "header"))  # plain, for the fingerprint
        object.__setattr__(self, "skip_rows", non_negative(self.skip_rows, "skip_rows"))
        if not isinstance(self.encoding, str):
            raise OptionError(f"`encoding` should be a name such as 'utf-8'. Received: encoding={self.encoding!r}")
        if not _keeps_ascii(self.encoding):
            raise OptionError(
                "`encoding` should be one in which every byte below 0x80 is an ASCII character, such as 'utf-8' or "
                f"'latin-1'. Received: encoding={self.encoding!r}. If the file has this encoding, convert it: "
                f"iconv -f {self.encoding.upper().replace('_', '-')} -t UTF-8 in.csv > out.csv"
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
            raise OptionError(f"`null_values` should be a list of strings. Received: null_values={self.null_values!r}")
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


def _is_single_ascii(character: str) -> bool:
    """Return whether the argument is one ASCII character that may serve as a delimiter."""
    return isinstance(character, str) and len(character) == 1 and character.isascii() and character not in '"\r\n\0'


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
