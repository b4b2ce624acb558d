"""Strings as dates: days since 1970, and parts of a date."""

import datetime

import numpy as np
import pandas as pd
import pytest
from csv_outcomes import Rows, late, looks_like, measured, only_text, outcomes, unreadable
from csv_scans import error_of
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import pa
from keras_oocore.csv.dates import NANOSECOND, PARTS, as_dates, as_moment, days_of, has_date, require_format
from keras_oocore.csv.moments import ISO, read_moments

BOTH = "give their format in dtypes, such as '%m/%d/%Y' or '%d/%m/%Y'"
SKIP_OR_FORMAT = "on_bad_row='skip', or dtypes={'x': FORMAT} with the format of these cells"
FORMATS = [
    *("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%d.%m.%y", "%H:%M", "%H%M", "%I:%M %p", "%d-%b-%Y", "%B %d, %Y", "%j %Y"),
    *("%Y-%m-%dT%H:%M:%S.%f%z", "%Y%m%d", "%m/%d/%Y %I %p", "%y%m%d%H%M", "%d%m", "%a %d %b %Y", "100%% %Y"),
    ISO,
]


@outcomes(
    ("20141013T000000", "x,y\n20141013T000000,2\n", {}, Rows([16356], [2])),
    ("a format that is given", "x,y\n1/2/2014,2\n", dict(dtypes={"x": "%d/%m/%Y"}), Rows([16102], [2])),
    ("either the day or the month is first", "x,y\n1/2/2014,2\n", {},
     only_text(note=looks_like("1/2/2014", BOTH, "dates"))),
    ("either the day or the month is first, as a target", "x,y\n1,1/2/2014\n", {}, measured("1/2/2014", BOTH, "dates")),
    ("one cell decides that the day is first", "x,y\n1/2/2014,2\n13/2/2014,4\n", {}, Rows([16102, 16114], [2, 4])),
    ("with and without a fraction", "x,y\n2014-10-13T00:00:00Z,2\n2014-10-13T06:00:00.000+06:00,4\n2014-10-14,6\n", {},
     Rows([16356, 16356, 16357], [2, 4, 6])),
    ("a late cell in another format", late("13.10.2014,2", "2014-10-13,2"), {},
     unreadable(99, "13.10.2014", "a date like '%Y-%m-%d'", fix="dtypes={'x': '%d.%m.%Y'}, or on_bad_row='skip'")),
    ("a day that does not exist", late("2014-02-31,2", "2014-02-28,2"), {},
     unreadable(99, "2014-02-31", "a date like '%Y-%m-%d'", fix=f"null_values=[..., '2014-02-31'], {SKIP_OR_FORMAT}")),
    ("a part of a day that does not exist", late("2014-02-31,2", "2014-02-28,2"), dict(dates={"x": ["year", "day"]}),
     unreadable(99, "2014-02-31", "a date like '%Y-%m-%d'", fix=f"null_values=[..., '2014-02-31'], {SKIP_OR_FORMAT}")),
    ("parts", "x,y\n2014-10-13 18:30,2\n", dict(dates={"x": ["year", "weekday", "hour", "minute"]}),
     Rows([[2014, 0, 18, 30]], [2])),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def days(read, text, form):
    return read(f'a,b\n"{text}",1\n', a=("date", form))["a"]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2014-10-13", "%Y-%m-%d", 16356),
        ("20141013T000000", "%Y%m%dT%H%M%S", 16356),
        ("1969-12-31", "%Y-%m-%d", -1),
        ("2016-02-29", "%Y-%m-%d", 16860),
        ("2014-03-01", "%Y-%m-%d", 16130),
        (" 2014-10-13 ", "%Y-%m-%d", 16356),
        ("13.10.14", "%d.%m.%y", 16356),
        ("2014-10-13 12:00:00.5", "%Y-%m-%d %H:%M:%S.%f", 16356.5 + 0.5 / 86400),
        ("2014-10-13 02:00 +0200", "%Y-%m-%d %H:%M %z", 16356),
        ("2014-10-13T23:00:00.123456789-01:00", ISO, 16357 + 0.123456 / 86400),
        ("2014-W42-1", ISO, 16356),
        ("06:00", "%H:%M", 0.25),
        ("12:30 AM", "%I:%M %p", 1 / 48),
        ("", "%Y-%m-%d", None),
    ],
)
def test_dates_become_days_since_1970(read, text, form, expected):
    assert days(read, text, form) == [expected]


@pytest.mark.parametrize(
    "text", ["2014-02-30", "2014-10-13x", "14-10-13", "2014-13-01", "2014-+1-13", "2014- 1-13", "0000-01-01", "x"]
)
def test_nonexistent_dates_are_named(read, text):
    assert error_of(days, read, text, "%Y-%m-%d") == (
        f"houses.csv: row 0 (line 2), column 'a' (#0): cannot read {text!r} as a date like '%Y-%m-%d'. "
        f"Fix: null_values=[..., {text!r}], on_bad_row='skip', or dtypes={{'a': FORMAT}} with the format of these "
        "cells."
    )


def as_python(text, form):
    """The date as Python reads it, as a `datetime` in UTC, or None."""
    try:
        return datetime.datetime.fromisoformat(text) if form == ISO else datetime.datetime.strptime(text, form)
    except ValueError:
        return None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@examples(25)
@given(st.sampled_from(FORMATS), st.datetimes(datetime.datetime(1, 1, 1)), st.data())
def test_dates_are_read_as_python_reads_them(form, moment, data):
    """The text of a date, and what is left of it after a few characters were replaced, inserted or removed."""
    moment = moment.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    texts = {moment.isoformat() if form == ISO else moment.strftime(form)}
    for _ in range(8):
        text = data.draw(st.sampled_from(sorted(texts)))
        start = data.draw(st.integers(0, len(text)))
        added, removed = data.draw(st.text("0123 :-+Zx٣", max_size=2)), data.draw(st.integers(0, 1))
        texts.add(text[:start] + added + text[start + removed :])
    texts = pa.array(sorted(texts))
    expected = [as_python(text, form) for text in texts.to_pylist()]
    found = {part: as_dates(texts, form, part).to_pylist() for part in PARTS}

    assert [day is not None for day in found["days"]] == [date is not None for date in expected]
    for fast in (False, True):  # what the regular expression reads alone is the same
        moments = read_moments(texts, form, ask_python=not fast)
        assert fast or moments.readable.tolist() == [date is not None for date in expected]
        for i in np.flatnonzero(moments.readable).tolist():
            naive = expected[i].replace(tzinfo=None)
            assert datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(moments.local_us[i])) == naive
    for i, date in enumerate(expected):
        if date is not None:
            epoch = datetime.datetime(1970 if has_date(form) else 1900, 1, 1, tzinfo=date.tzinfo and datetime.UTC)
            assert found["days"][i] == pytest.approx((date - epoch) / datetime.timedelta(days=1), rel=1e-15)
            assert {part: values[i] for part, values in found.items() if part != "days"} == {
                "year": date.year,
                "quarter": (date.month + 2) // 3,
                "month": date.month,
                "week": date.isocalendar().week,
                "day": date.day,
                "weekday": date.weekday(),
                "day_of_year": date.timetuple().tm_yday,
                "hour": date.hour,
                "minute": date.minute,
                "second": date.second,
            }


def test_most_dates_are_read_without_python(monkeypatch):
    moments = np.datetime64("1999-12-25T23:59:59") + 86_399 * np.arange(1500)
    monkeypatch.setattr("keras_oocore.csv.moments.strptime", None)
    for form, texts in (
        ("%Y-%m-%d %H:%M:%S", np.datetime_as_string(moments)),
        (ISO, np.datetime_as_string(moments.astype("datetime64[ms]"))),
    ):
        texts = pa.array([str(text).replace("T", " ") for text in texts])
        found = as_dates(texts, form).to_numpy()
        np.testing.assert_array_equal(found, moments.astype(np.int64) / 86400)


def test_a_format_that_python_does_not_know_is_refused_at_once():
    for form, reason in (("%Q", "bad directive"), ("%d %d", "redefinition"), ("%", "stray %")):
        with pytest.raises(OptionError, match=f"as for|of `datetime.strptime`.*{reason}"):
            require_format(form, "x")
    require_format("%H %%", "x")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("13.10.2014", "2014-10-13"),
        ("2014-10-13", "2014-10-13"),
        ("2014-10-13T08:30", "2014-10-13 08:30:00"),
        ("2014-10-13T02:00+02:00", "2014-10-13"),
        (datetime.date(2014, 10, 13), "2014-10-13"),
        (datetime.datetime(2014, 10, 13, 8, tzinfo=datetime.timezone(datetime.timedelta(hours=8))), "2014-10-13"),
        (np.datetime64("2014-10-13"), "2014-10-13"),
        (np.datetime64("1969-12-31T23:59:59"), "1969-12-31 23:59:59"),
    ],
)
def test_moments_that_a_user_gives(moment, expected):
    assert as_moment(days_of(moment, "%d.%m.%Y")) == expected


@pytest.mark.parametrize("moment", ["", "soon", "2014-02-31", 2014, None, np.datetime64("NaT"), pd.NaT, ["2014-10-13"]])
def test_moments_that_are_none(moment):
    assert days_of(moment, "%d.%m.%Y") is None


def test_nanoseconds_within_the_second():
    texts = ["2014-10-13", "2014-10-13 18:30:05", "2014-10-13T18:30:05.25", "2014-10-13T18:30:05.123456789Z",
             "1969-12-31 23:59:59.9999995", "2014-10-13T18:30:05,000001", "?.5", None]  # fmt: skip
    assert as_dates(pa.array(texts), ISO, NANOSECOND).to_pylist() == [
        *(0, 0, 250_000_000, 123_456_789, 999_999_500, 1000, 0, None)
    ]
    assert as_dates(pa.array(["5:30.000250"]), "%M:%S.%f", NANOSECOND).to_pylist() == [250_000]
