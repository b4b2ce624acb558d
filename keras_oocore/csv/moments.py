"""Strings as moments, in a format of `datetime.strptime` or ISO 8601, exactly as strict as Python reads them.

Python is slow, and pyarrow's own `strptime` reads 2014-02-31 as the third of March, 14 as a year, "+1" as a month and
nothing as a space. So regular expressions decide, and Python reads the few strings that they do not fit.
"""

import calendar
import datetime
import functools
import re
import warnings
from typing import Any, NamedTuple

import numpy as np

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

ISO = "ISO8601"  # in place of a format: dates with or without a time, a fraction of a second and an offset
DAY_SECONDS = 86_400
SECOND_US, DAY_US = 10**6, DAY_SECONDS * 10**6
EPOCH = datetime.datetime(1970, 1, 1)
PLAIN_DATE, PLAIN_TIME = {"Y", "m", "d"}, {"H", "M", "S"}  # directives that pyarrow reads quickly
LAST_DOUBTFUL_DAY = 3  # of a month: pyarrow may have read a day after the end of the month before

_MONTHS, _MONTHS_IN_FULL = ("|".join(list(names)[1:]) for names in (calendar.month_abbr, calendar.month_name))
_FIELDS = {  # a subset of what Python's `strptime` reads, in its order of alternatives; Python itself reads the rest
    "Y": r"\d\d\d\d",
    "y": r"\d\d",
    "m": r"1[0-2]|0[1-9]|[1-9]",
    "b": _MONTHS,
    "B": _MONTHS_IN_FULL,
    "d": r"3[0-1]|[1-2]\d|0[1-9]|[1-9]",
    "H": r"2[0-3]|[0-1]\d|\d",
    "I": r"1[0-2]|0[1-9]|[1-9]",
    "p": r"am|pm",
    "M": r"[0-5]\d|\d",
    "S": r"[0-5]\d|\d",
    "f": r"[0-9]{1,6}",
    "z": r"[+-](?:[0-1]\d|2[0-3]):?[0-5]\d|(?-i:Z)",
}
_ISO = (
    r"^(?P<Y>\d{4})-(?P<m>1[0-2]|0[1-9])-(?P<d>3[01]|[12]\d|0[1-9])"
    r"(?:[T ](?P<H>[01]\d|2[0-3]):(?P<M>[0-5]\d)(?::(?P<S>[0-5]\d)"
    rf"(?:[.,](?P<f>\d{{1,9}}))?)?(?P<z>{_FIELDS['z']})?)?(?P<rest>)$"
)


class Moments(NamedTuple):
    """Dates and times.

    Attributes:
        local_us: `int64` of shape `(n,)`. Microseconds since 1970, as they are written.
        offset_us: `int64` of shape `(n,)`. The offset from UTC that is written with them, or 0.
        readable: `bool` of shape `(n,)`. Whether the string is a date.
    """

    local_us: np.ndarray
    offset_us: np.ndarray
    readable: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Days since 1970-01-01, without the time."""
        return self.local_us // DAY_US


def read_moments(texts: Any, form: str, ask_python: bool = True) -> Moments:
    """Read strings as dates and times.

    Args:
        texts: `pyarrow` array of distinct strings, without null.
        form: Format, as for `datetime.strptime`, or `ISO`.
        ask_python: Whether Python reads the strings that the regular expression does not fit.

    >>> read_moments(pa.array(["1970-01-02", "1970-02-31", "1970-01-+3"]), "%Y-%m-%d").readable
    array([ True, False, False])
    """
    moments = Moments(*np.zeros((2, len(texts)), np.int64), np.zeros(len(texts), bool))
    pattern = pattern_of(form)
    if pattern is not None:
        directives = set(re.findall("%(.)", form))
        if PLAIN_DATE <= directives <= PLAIN_DATE | PLAIN_TIME:
            _read_plainly(texts, form, pattern, moments)
        others = np.flatnonzero(~moments.readable)
        if len(others):
            found = _read_fields(pc.extract_regex(texts.take(pa.array(others)), pattern))
            for of_all, of_others in zip(moments, found):
                of_all[others] = of_others
    if ask_python:
        for i in np.flatnonzero(~moments.readable).tolist():
            found = _python_moment(texts[i].as_py(), form)
            if found is not None:
                moments.local_us[i], moments.offset_us[i] = found
                moments.readable[i] = True
    return moments


def _read_plainly(texts: Any, form: str, pattern: str, moments: Moments) -> None:
    """Read what pyarrow reads without doubt as Python does: five times as fast as `_read_fields`."""
    fits = pc.match_substring_regex(texts, pattern.replace("(?P<rest>.*)", ""))
    found = pc.strptime(texts, format=form, unit="s", error_is_null=True)
    sure = pc.and_(fits, pc.greater(pc.day(found), LAST_DOUBTFUL_DAY)).fill_null(False)
    moments.readable[:] = sure.to_numpy(zero_copy_only=False)
    moments.local_us[:] = found.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) * SECOND_US


@functools.lru_cache(maxsize=256)
def pattern_of(form: str) -> str | None:
    """Return a regular expression with a group per directive, or `None` if only Python reads the format."""
    if form == ISO:
        return _ISO
    directives = re.findall("%(.)", form.replace("%%", ""), re.DOTALL)
    if len(set(directives)) != len(directives) or not set(directives) <= set(_FIELDS):
        return None
    if any(len(group & set(directives)) > 1 for group in ({"Y", "y"}, {"m", "b", "B"}, {"H", "I"})):
        return None
    words = re.findall(r"%(.)|(\s+)|([^%\s]+)", form, re.DOTALL)
    parts = [
        (f"(?P<{directive}>{_FIELDS[directive]})" if directive != "%" else "%")
        if directive
        else r"\s+"
        if spaces
        else re.escape(literal)
        for directive, spaces, literal in words
    ]
    return rf"(?is)^{''.join(parts)}(?P<rest>.*)$"


def _read_fields(found: Any) -> Moments:
    """Return the moments whose fields a regular expression found; without an impossible date and with nothing after."""
    names = {field.name for field in found.type}
    texts = {name: pc.struct_field(found, name).fill_null("") for name in names}
    readable = pc.and_(pc.is_valid(found), pc.equal(texts["rest"], "")).to_numpy(zero_copy_only=False)

    def number(name: str, default: int = 0) -> np.ndarray:
        if name not in names:
            return np.full(len(found), default)
        filled = pc.if_else(pc.equal(texts[name], ""), str(default), texts[name])
        return filled.cast(pa.int64()).to_numpy(zero_copy_only=False)

    def place(name: str, choices: list[str]) -> np.ndarray:
        places = pc.index_in(pc.utf8_lower(texts[name]), pa.array([choice.lower() for choice in choices]))
        return places.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)

    year = number("Y", 1900)
    if "y" in names:
        year = number("y")
        year = year + np.where(year < 69, 2000, 1900)  # as POSIX
    month = number("m", 1)
    if names & {"b", "B"}:
        month = place("b", _MONTHS.split("|")) if "b" in names else place("B", _MONTHS_IN_FULL.split("|"))
        month += 1
    hour = number("H")
    if "I" in names:
        hour = number("I") % 12 + 12 * (place("p", ["am", "pm"]) if "p" in names else 0)
    months = (year - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + number("d", 1) - 1
    next_month = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    fraction = 0
    if "f" in names:
        texts["f"] = pc.utf8_slice_codeunits(pc.utf8_rpad(texts["f"], 6, "0"), 0, 6)
        fraction = number("f")
    seconds = hour * 3600 + number("M") * 60 + number("S")
    offset_us = np.zeros(len(found), np.int64)
    if "z" in names:
        offsets = texts["z"].dictionary_encode()
        known = np.array([_offset_us(text) for text in offsets.dictionary.to_pylist()], np.int64)
        offset_us = known[offsets.indices.to_numpy()]
    readable = readable & (days < next_month) & (year >= 1)
    return Moments(days * DAY_US + seconds * SECOND_US + fraction, offset_us, readable)


def _offset_us(text: str) -> int:
    """Return an offset from UTC in microseconds.

    >>> _offset_us("+02:00") // SECOND_US, _offset_us("-0130") // SECOND_US, _offset_us("Z")
    (7200, -5400, 0)
    """
    digits = text[1:].replace(":", "")
    if not digits:
        return 0
    return (-1 if text[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:])) * 60 * SECOND_US


def _python_moment(text: str, form: str) -> tuple[int, int] | None:
    """Return the microseconds since 1970 and the offset of one date as Python reads it, or `None`.

    >>> _python_moment("2014-10-13", "%Y-%m-%d"), _python_moment("2014-02-31", "%Y-%m-%d")
    ((1413158400000000, 0), None)
    """
    try:
        moment = datetime.datetime.fromisoformat(text) if form == ISO else strptime(text, form)
    except ValueError:
        return None
    microsecond = datetime.timedelta(microseconds=1)
    offset = moment.utcoffset() or datetime.timedelta(0)
    return (moment.replace(tzinfo=None) - EPOCH) // microsecond, offset // microsecond


def strptime(text: str, form: str) -> datetime.datetime:
    """Call `datetime.strptime`, without a warning about formats of a day without a year."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return datetime.datetime.strptime(text, form)
