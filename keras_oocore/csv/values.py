"""Strings as values: numbers, booleans and dates."""

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.csv.cells import LARGEST_FLOAT32
from keras_oocore.csv.dialect import Decimal

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

TRUE_VALUES = ("1", "True", "TRUE", "true", "yes", "Yes", "YES")
FALSE_VALUES = ("0", "False", "FALSE", "false", "no", "No", "NO")
PLAIN_DATE, PLAIN_TIME = {"%Y", "%m", "%d"}, {"%H", "%M", "%S"}  # directives that pyarrow reads as Python does
SHOWN_CHARACTERS = 40


def is_one_of(texts: Any, values: Sequence[str]) -> Any:
    """Return which strings are among `values`, as a boolean array."""
    return pc.is_in(texts, pa.array(values, pa.string()))


def as_numbers(texts: Any, decimal: Decimal) -> Any:
    """Convert strings to `double`; null if a string is not a number that `float32` can represent."""
    point = re.escape(decimal)
    number = rf"^[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d+)?$"
    infinite = pc.match_substring_regex(texts, r"^[+-]?inf(inity)?$", ignore_case=True)
    readable = pc.or_(pc.match_substring_regex(texts, number), infinite)
    texts = pc.if_else(readable, texts, pa.scalar(None, pa.string()))
    values = (pc.replace_substring(texts, ",", ".") if decimal == "," else texts).cast(pa.float64())
    too_large = pc.and_(pc.greater(pc.abs(values), LARGEST_FLOAT32), pc.invert(infinite))
    return pc.if_else(too_large, pa.scalar(None, pa.float64()), values)


def as_booleans(texts: Any) -> Any:
    """Convert strings to `double`, 0 or 1; null if a string is not a boolean."""
    values = is_one_of(texts, TRUE_VALUES).cast(pa.float64())
    return pc.if_else(is_one_of(texts, TRUE_VALUES + FALSE_VALUES), values, pa.scalar(None, pa.float64()))


def as_seconds(texts: Any, form: str) -> Any:
    """Convert strings to seconds since 1970, `double`; null if `datetime.strptime` does not read it as a date.

    pyarrow is much faster, but it reads 2014-02-31 as the third of March and 14 as a year, does not support `%f`, and
    reads other directives as the C library does. Python reads the dates that may be affected.
    """
    if PLAIN_DATE <= set(re.findall("%.", form)) <= PLAIN_DATE | PLAIN_TIME:
        moments = pc.strptime(texts, format=form, unit="s", error_is_null=True)
        doubtful = pc.or_(pc.less_equal(pc.day(moments), 3), pc.less(pc.year(moments), 1000)).fill_null(True)
        seconds = moments.cast(pa.int64()).cast(pa.float64())
    else:
        doubtful, seconds = pa.array(np.ones(len(texts), bool)), pa.nulls(len(texts), pa.float64())
    if not pc.any(doubtful).as_py():
        return seconds
    asked = texts.filter(doubtful).dictionary_encode()
    answers = pa.array([python_seconds(text, form) for text in asked.dictionary.to_pylist()], pa.float64())
    return pc.replace_with_mask(seconds, doubtful, answers.take(asked.indices))


def python_seconds(text: str, form: str) -> float | None:
    """Return the seconds since 1970 of one date as Python reads it, or `None`.

    >>> python_seconds("2014-10-13", "%Y-%m-%d"), python_seconds("2014-02-31", "%Y-%m-%d")
    (1413158400.0, None)
    """
    try:
        moment = datetime.datetime.strptime(text, form)
    except ValueError:
        return None
    return _seconds(moment)


def seconds_of(moment: object, form: str) -> float | None:
    """Return what a cell of a column of dates contains for a moment that a user gives, or `None` if it is none.

    Args:
        moment: A string in the format of the column or in ISO form, a `date`, a `datetime` or a `datetime64`.
        form: Format of the column.

    >>> seconds_of("13/10/2014", "%d/%m/%Y") == seconds_of(datetime.date(2014, 10, 13), "%d/%m/%Y")
    True
    """
    if isinstance(moment, str):
        seconds = python_seconds(moment, form)
        if seconds is not None:
            return seconds
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError:
            return None
    elif isinstance(moment, np.datetime64):
        moment = moment.astype("datetime64[us]").item()
    if isinstance(moment, datetime.date) and not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time())
    return _seconds(moment) if isinstance(moment, datetime.datetime) and moment == moment else None  # pandas' NaT


def as_moment(seconds: float) -> str:
    """Return a cell of a column of dates as a date in ISO form, with the time of day unless it is midnight.

    >>> as_moment(1413158400.0), as_moment(1413158460.0)
    ('2014-10-13', '2014-10-13 00:01:00')
    """
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(" ").removesuffix(" 00:00:00")


def iso_format(text: str) -> str | None:
    """Return the format of a date in ISO form, or `None` if a string is none.

    >>> iso_format("2014-10-13"), iso_format("2014-10-13T08:00:00"), iso_format("13.10.2014")
    ('%Y-%m-%d', '%Y-%m-%dT%H:%M:%S', None)
    """
    times = ("", *(f"{between}{time}" for between in " T" for time in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")))
    forms = [f"%Y-%m-%d{time}{zone}" for time in times for zone in ("", "%z") if time or not zone]
    return next((form for form in forms if python_seconds(text, form) is not None), None)


def _seconds(moment: datetime.datetime) -> float:
    """Return the seconds since 1970 of a moment, in UTC if it has no time zone."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def shortened(text: str | bytes) -> str | bytes:
    """Return the beginning of a long string, for messages."""
    dots = b"..." if isinstance(text, bytes) else "..."
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + dots
