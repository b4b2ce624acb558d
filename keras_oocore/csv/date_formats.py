"""The usual ways to write a date, and which of them fit the cells of a column."""

import collections
import functools
import re
from typing import Any

import numpy as np

from keras_oocore.csv.moments import ISO, pattern_of, read_moments

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d/%b/%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d. %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
)
SHORT_DATES = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y")
TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
OTHERS = ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S%z", "%Y%m%dT%H%M", "%d/%b/%Y:%H:%M:%S %z")
WITH_TIMES = tuple(
    f"{date}{between}{time}{offset}"
    for date in (*DATES, *SHORT_DATES)
    for between in ((" ", "T") if date == "%Y-%m-%d" else (" ",))
    for time in TIMES
    for offset in (("", "%z", " %z") if date == "%Y-%m-%d" else ("",))
)
CERTAIN = (
    *DATES,
    *OTHERS,
    *(form for form in WITH_TIMES if "%y" not in form),
    ISO,
)  # nothing else is written like this
USUAL = (*CERTAIN, *SHORT_DATES, *(form for form in WITH_TIMES if "%y" in form), *TIMES)
MAY_BE_DATE = re.compile(r"(?=.*\d)(?=.*[-/.:T ])[\dA-Za-z][\dA-Za-z ,./:+-]{3,39}")
TRIED = 50  # strings that suggest a format
DAY = r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"  # as an integer, %Y%m%d


def fitting_formats(texts: Any) -> list[str]:
    """Return the usual formats that fit all strings, the more likely ones first; `[]` if they are not dates.

    Args:
        texts: `pyarrow` array of strings without spaces around them, without null.

    >>> fitting_formats(pa.array(["1/2/2014", "2/1/2014"])), fitting_formats(pa.array(["1/2/2014", "13/2/2014"]))
    (['%m/%d/%Y', '%d/%m/%Y'], ['%d/%m/%Y'])
    """
    if not len(texts):
        return []
    distinct = texts.unique()
    found = [form for form in _fitting(distinct[0].as_py()) if _fit(distinct, form).all()]
    if len(found) > 1:
        found = [form for form in found if form != ISO]
    return found[:1] if len({form.replace("%B", "%b") for form in found}) == 1 else found  # "May" is both


def are_days(texts: Any) -> bool:
    """Return whether all strings are integers that look like days, such as 20141013."""
    return pc.all(pc.match_substring_regex(texts, DAY)).as_py()


def most_fitting_format(texts: Any) -> tuple[str, np.ndarray] | None:
    """Return the usual format that fits most strings, and which of them, `bool` of shape `(n,)`; or `None`."""
    counts = collections.Counter(form for text in texts[:TRIED].to_pylist() for form in _fitting(text))
    if not counts:
        return None
    form = counts.most_common(1)[0][0]
    return form, _fit(texts, form)


def _fitting(text: str) -> list[str]:
    """Return the usual formats that fit one string."""
    if not MAY_BE_DATE.fullmatch(text):
        return []
    signs = _signs(text)
    likely = [form for form in USUAL if _signs_of(form) in (None, signs)]
    return [form for form in likely if (match := re.match(pattern_of(form), text)) and not match["rest"]]


def _signs(text: str) -> str:
    """Return the characters between the fields of a date, sorted."""
    return "".join(sorted(re.sub(r"\w", "", text)))


@functools.cache
def _signs_of(form: str) -> str | None:
    """Return the characters between the fields of a format, sorted, or `None` if not all dates have the same."""
    return None if form == ISO or "%z" in form else _signs(re.sub("%.", "", form))


def _fit(texts: Any, form: str) -> np.ndarray:
    """Return which strings a format fits, `bool` of shape `(n,)`."""
    return read_moments(texts, form, ask_python=False).readable
