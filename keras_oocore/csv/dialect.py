"""How a CSV file is written: the options of its records (`Dialect`) and of its cells (`CellOptions`)."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

from keras_oocore.core.checks import boolean, non_negative
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown

NULL_VALUES = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "null", "NULL", "nan", "NaN", "-nan", "-NaN", "None")
ASCII_PROBE = bytes(range(128)) + rb"\u0022" + b"\x1b$B!!"  # every ASCII byte, an escape sequence and a shift sequence
Decimal = Literal[".", ","]
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
        on_bad_row: `"error"`, or `"skip"` to skip rows that have too few or too many cells, or a cell that cannot be
            read. Defaults to `"error"`.

    Raises:
        OptionError: If an argument is not supported.
    """

    null_values: Sequence[str] = NULL_VALUES
    decimal: Decimal = "."
    on_bad_row: OnBadRow = "error"

    def __post_init__(self) -> None:
        if self.decimal not in get_args(Decimal):
            raise OptionError(f"`decimal` should be '.' or ','. Received: decimal={self.decimal!r}")
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
