"""Strings as dates: days since 1970, or parts of a date such as the weekday."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.moments import DAY_US, EPOCH, ISO, SECOND_US, Moments, read_moments, strptime

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

FIRST_DAY_OF_TIMES = -25_567  # 1900-01-01, which `strptime` returns for a time without a date
OFFSET = r"([zZ]|[+-]\d\d:?\d\d(:?\d\d(\.\d+)?)?)$"  # from UTC
DATE_ALONE = r"^\d{4}-?(\d\d-?\d\d|W\d\d(-?\d)?)$"  # of the forms that `fromisoformat` of Python reads
FRACTION = r"[.,]\d"
BEYOND_MICROSECONDS = r"[.,]\d{6}(?P<digits>\d{1,3})"
OF_DATE, OF_TIME = set("YymbBdjUWGVuaAcxD"), set("HIMSfpcXT")  # directives


def _part_of_year(days: np.ndarray) -> np.ndarray:
    """Return the day of the year, from 1."""
    dates = days.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[Y]")).astype(np.int64) + 1


def _month(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def _day(days: np.ndarray) -> np.ndarray:
    dates = days.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1


def _week(days: np.ndarray) -> np.ndarray:
    """Return the number of the ISO week, which is the week of its Thursday."""
    return (_part_of_year(days - (days + 3) % 7 + 3) - 1) // 7 + 1


PARTS_OF_DATE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "year": lambda days: days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970,
    "quarter": lambda days: (_month(days) + 2) // 3,
    "month": _month,
    "week": _week,
    "day": _day,
    "weekday": lambda days: (days + 3) % 7,
    "day_of_year": _part_of_year,
}
PARTS_OF_TIME = {"hour": (3600, 24), "minute": (60, 60), "second": (1, 60)}  # seconds in it, and how many there are
DAYS = "days"
PARTS = (DAYS, *PARTS_OF_DATE, *PARTS_OF_TIME)
NANOSECOND = "nanosecond of the second"  # not for users: days as `float64` and this part tell all moments apart


def as_dates(texts: Any, form: str, part: str | None = None, zone: str | None = None) -> Any:
    """Convert strings to days since 1970 or a part of a date, `double`; null if a string is not a date in this format.

    Args:
        texts: `pyarrow` array of strings.
        form: Format, as for `datetime.strptime`, or `ISO`. A time without a date becomes the fraction of a day.
        part: One of `PARTS`, or `NANOSECOND`. Defaults to `"days"`.
        zone: As in `Column`. With a name, strings without an offset from UTC are null; with `""`, those with one.

    >>> texts = pa.array(["2014-10-13 18:00", "2014-02-31 00:00"])
    >>> as_dates(texts, "%Y-%m-%d %H:%M").to_pylist(), as_dates(texts, "%Y-%m-%d %H:%M", "hour").to_pylist()
    ([16356.75, None], [18.0, None])
    """
    distinct = texts.dictionary_encode()
    if part == NANOSECOND:
        return pa.array(_nanoseconds(distinct.dictionary, form), pa.float64()).take(distinct.indices)
    moments = read_moments(distinct.dictionary, form)
    if zone is not None:
        moments = _in_zone(moments, distinct.dictionary, zone)
    values = values_of(moments, part, 0 if has_date(form) else FIRST_DAY_OF_TIMES)
    return pa.array(values, pa.float64(), mask=~moments.readable).take(distinct.indices)


def _nanoseconds(texts: Any, form: str) -> np.ndarray:
    """Return the nanosecond within its second of each moment, `int64`. Strings without a fraction are not read."""
    found = np.zeros(len(texts), np.int64)
    places = np.flatnonzero(pc.match_substring_regex(texts, FRACTION).to_numpy(zero_copy_only=False))
    if len(places):
        texts = texts.take(pa.array(places))
        moments = read_moments(texts, form)
        found[places] = (moments.local_us - moments.offset_us) % SECOND_US * 1000
        if form == ISO:  # no other format has more than six digits
            digits = pc.struct_field(pc.extract_regex(texts, BEYOND_MICROSECONDS), "digits").fill_null("")
            found[places] += pc.utf8_rpad(digits, 3, "0").cast(pa.int64()).to_numpy()
    return found


def _in_zone(moments: Moments, texts: Any, zone: str) -> Moments:
    """Return moments as they are written in a time zone, or without one, for `""`."""
    have_offsets = pc.match_substring_regex(texts, OFFSET).to_numpy(zero_copy_only=False)
    readable = moments.readable & (have_offsets == bool(zone))
    if not zone:
        return moments._replace(readable=readable)
    utc = moments.local_us - moments.offset_us
    local = pc.local_timestamp(pa.array(utc).cast(pa.timestamp("us", zone))).cast(pa.int64()).to_numpy()
    return Moments(local, local - utc, readable)


def values_of(moments: Moments, part: str | None = None, first_day: int = 0) -> np.ndarray:
    """Return days since 1970, or a part of each date.

    Args:
        moments: The dates and times.
        part: One of `PARTS`. Defaults to `"days"`.
        first_day: The day from which days are counted. It is the day of times that have no date.

    >>> values_of(Moments(np.array([DAY_US * 3 // 2]), np.zeros(1, np.int64), np.ones(1, bool)))
    array([1.5])
    """
    seconds = moments.local_us // SECOND_US
    if part in PARTS_OF_DATE:
        return PARTS_OF_DATE[part](moments.days)
    if part in PARTS_OF_TIME:
        unit, count = PARTS_OF_TIME[part]
        return seconds // unit % count
    return (moments.local_us - moments.offset_us - first_day * DAY_US) / DAY_US


def days_of(moment: object, form: str) -> float | None:
    """Return what a cell of a column of dates contains for a moment that a user gives, or `None` if it is not one.

    Args:
        moment: A string in the format of the column or in ISO form, a `date`, a `datetime` or a `datetime64`.
        form: Format of the column.

    >>> days_of("13/10/2014", "%d/%m/%Y") == days_of(datetime.date(2014, 10, 13), "%d/%m/%Y")
    True
    """
    if isinstance(moment, str):
        days = as_dates(pa.array([moment]), form)[0].as_py()
        return days_of(moment, ISO) if days is None and form != ISO and has_date(form) else days
    if isinstance(moment, np.datetime64):
        moment = moment.astype("datetime64[us]").item()
    is_moment = isinstance(moment, datetime.date) and moment == moment  # unlike pandas' NaT
    return as_dates(pa.array([moment.isoformat()]), ISO)[0].as_py() if is_moment else None


def is_finer_than_microseconds(moment: object) -> bool:
    """Return whether a moment that a user gives has nanoseconds, which `days_of` leaves out.

    >>> is_finer_than_microseconds("2014-10-13 18:00:00.000000001"), is_finer_than_microseconds("2014-10-13")
    (True, False)
    """
    if isinstance(moment, np.datetime64):
        return bool(moment != moment.astype("datetime64[us]")) and not np.isnat(moment)
    text = moment.isoformat() if isinstance(moment, datetime.date) and moment == moment else moment
    return isinstance(text, str) and bool(re.search(r"[.,]\d{6}0*[1-9]", text))


def moment_at(days: float) -> datetime.datetime:
    """Return a cell of a column of dates, which is days since 1970, as a `datetime`."""
    return EPOCH + datetime.timedelta(microseconds=round(days * DAY_US))


def as_moment(days: float) -> str:
    """Return a cell of a column of dates as a date in ISO form, with the time of day unless it is midnight.

    >>> as_moment(16356.0), as_moment(16356.75)
    ('2014-10-13', '2014-10-13 18:00:00')
    """
    return moment_at(days).isoformat(" ").removesuffix(" 00:00:00")


def has_date(form: str) -> bool:
    """Return whether a format has a year, a month or a day.

    >>> has_date("%d.%m.%Y"), has_date("%H:%M"), has_date(ISO)
    (True, False, True)
    """
    return form == ISO or not OF_DATE.isdisjoint(re.findall("%(.)", form))


def has_time(form: str) -> bool:
    """Return whether a format has a time of day."""
    return form == ISO or not OF_TIME.isdisjoint(re.findall("%(.)", form))


def why_no_time(texts: Any) -> str:
    """Return why dates in ISO form have no hour, as the end of a sentence, or `""` if one of them has a time.

    Args:
        texts: `pyarrow` array of strings, without null and spaces around them. Those that are not dates are ignored.

    >>> why_no_time(pa.array(["2014-10-13", "?"])), why_no_time(pa.array(["2014-10-13", "2014-10-14 18:00"]))
    ("its cells, such as '2014-10-13', have none", '')
    """
    dates = texts.unique()
    dates = dates.filter(pa.array(read_moments(dates, ISO).readable))
    if not len(dates) or not pc.all(pc.match_substring_regex(dates, DATE_ALONE)).as_py():
        return ""
    return f"its cells, such as {dates[0].as_py()!r}, have none"


def require_format(form: str, name: str) -> None:
    """Raise if Python does not know the format.

    Raises:
        OptionError: If a directive does not exist, or occurs twice.

    >>> require_format("%Y-%Q", "sold")
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `dtypes` should give a format of `datetime.strptime` for dates. Received: \
dtypes={'sold': '%Y-%Q'}: 'Q' is a bad directive in format '%Y-%Q'
    """
    if form == ISO:
        return
    try:
        strptime("", form)
    except (ValueError, re.error) as error:
        if isinstance(error, ValueError) and str(error).startswith("time data"):  # the directives are known
            return
        raise OptionError(
            "`dtypes` should give a format of `datetime.strptime` for dates. "
            f"Received: dtypes={{{name!r}: {form!r}}}: {error}"
        ) from None
