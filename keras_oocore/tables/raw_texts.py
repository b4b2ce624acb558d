"""Raw values, as a program or a data frame has them, as the text that a CSV file would have in their place."""

import datetime
import functools
import numbers
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from keras_oocore.csv.cells import BEYOND_INT64, FIRST_ROUNDED, LARGEST_FLOAT32, Column
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.dates import ISO
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.remedies import describe
from keras_oocore.csv.values import FALSE_VALUES, TRUE_VALUES, shortened

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

ABSENT_TYPES = ("NAType", "NaTType")  # of pandas, which is not imported for them
EXPECTED = {"float32": "a number", "bool": "true or false", "string": "a string, a number, a boolean or a date"}
ISO_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
EXAMPLE = datetime.datetime(2000, 11, 22, 12, 34, 56)


class UnreadableError(ValueError):
    """A raw value is not a value of its column. The message is the end of a sentence."""


class RawTexts:
    """The strings of the raw values of one column.

    Args:
        column: The column.
        options: How text is read as a cell.
        vocabulary: The categories of a column of strings, in the order of their codes.
        source: Name of the raw values. For a part of a date, that of the date. Defaults to the name of the column.

    >>> column = Column("grade", 0, "string")
    >>> texts = RawTexts(column, CellOptions(), ["5", "07", "True"])
    >>> [texts.of(value) for value in ("a", 5, 5.0, 7, True, None, float("nan"))]
    ['a', '5', '5', '07', 'True', None, None]
    """

    def __init__(self, column: Column, options: CellOptions, vocabulary: Sequence[str] = (), source: str | None = None):
        self.column: Column = column
        self.source: str = column.name if source is None else source
        self._options = options
        self._nulls = frozenset(options.null_values)
        self._vocabulary = vocabulary

    def of(self, value: Any) -> str | None:
        """Return the text of a value, or `None` if it is missing.

        Raises:
            UnreadableError: If the value cannot be one of this column.
        """
        if isinstance(value, str):
            return None if value in self._nulls else str(value)
        if _is_absent(value):
            return None
        if isinstance(value, numbers.Real | Decimal | np.bool_):
            if not self._nulls.isdisjoint((_canonical(value), str(value))):  # such as -999
                return None
            return self._of_category(value) if self.column.kind == "string" else self._of_number(value)
        moment = _as_moment(value)
        if moment is not None and self.column.kind in ("date", "string"):
            return _formatted(moment, self.column.format) if self.column.kind == "date" else self._of_moment(moment)
        raise UnreadableError(self.refusal(value))

    def refusal(self, value: Any) -> str:
        """Return that a value cannot be one of this column, as the end of a sentence."""
        form = "2024-09-01" if self.column.format == ISO else self.column.format
        expected = EXPECTED.get(self.column.kind) or f"a date, or a string like {form!r}"
        if self.column.zone is not None:
            expected = describe(self.column)
        return f"cannot read {shortened(repr(value))} as {expected}"

    def _of_number(self, value: Any) -> str:
        """Return the text of a number or a boolean in a column of numbers, booleans or dates."""
        if isinstance(value, bool | np.bool_):
            if self.column.kind == "date":
                raise UnreadableError(self.refusal(value))
            return str(int(value))
        if self.column.kind == "date":  # pandas reads a date such as 05102014 as a number, without its zero
            form = self.column.format
            return _canonical(value).zfill(len(_formatted(EXAMPLE, form)) if "%" in form else 0)
        text = _canonical(value) if self.column.kind == "bool" else _written(value)
        return text.replace(".", self._options.decimal)

    def _of_category(self, value: Any) -> str:
        """Return the category that a number or a boolean stands for.

        It is the way that Python writes the value, if it is a category. Otherwise it is the one category that has the
        value, such as "007" for 7. Otherwise the category is unknown.
        """
        for text in (_canonical(value), str(value), _of_32_bits(value)):
            if text in self._categories:
                return text
        if isinstance(value, bool | np.bool_):
            found = [text for text in (TRUE_VALUES if value else FALSE_VALUES) if text in self._categories]
        else:
            number = float(str(value))  # of the digits that a file would have, for 5.1 in 32 bits
            found = self._numbers.get(number, []) if abs(number) < FIRST_ROUNDED else []
        if len(found) > 1:
            raise UnreadableError(f"{value!r} could be the category {' or '.join(map(repr, found))}: pass the string")
        return found[0] if found else _canonical(value)

    def _of_moment(self, moment: Any) -> str:
        """Return the category that a date, a moment or a time of day stands for, as `_of_category` does."""
        written = str(_in_zone(moment, self.column.zone))
        for text in (written, written.replace("+00:00", "Z"), written.replace(" ", "T")):
            if text in self._categories:
                return text
        if isinstance(moment, datetime.time) and self._are_times:
            return written
        if self.column.zone and getattr(moment, "tzinfo", None) is not None:
            return written
        form = self._date_format()
        return written if _is_finer(moment, form) else _formatted(moment, form)

    @property
    def _are_times(self) -> bool:
        """Whether the categories are times of day."""
        try:
            return bool(self._vocabulary) and bool(datetime.time.fromisoformat(self._vocabulary[0][:15]))
        except ValueError:
            return False

    def _date_format(self) -> str:
        """Return how the categories write dates."""
        for form in ISO_FORMATS:
            if self._vocabulary and self._converted("date", self._vocabulary[:1], form)[0] is not None:
                return form
        example = f" such as {self._vocabulary[0]!r}" if self._vocabulary else ""
        raise UnreadableError(f"its categories are strings{example}: pass a date as such a string")

    def _converted(self, kind: str, texts: Sequence[str], form: str | None = None) -> list[float | None]:
        """Return strings as numbers or dates; `None` where a string is not one."""
        values, _ = convert(Column(self.column.name, 0, kind, form), pa.array(texts, pa.string()), self._options)
        return values.to_pylist()

    @functools.cached_property
    def _categories(self) -> frozenset[str]:
        return frozenset(self._vocabulary)

    @functools.cached_property
    def _numbers(self) -> dict[float, list[str]]:
        """Number → the categories that have this value."""
        found: dict[float, list[str]] = {}
        for text, number in zip(self._vocabulary, self._converted("float32", self._vocabulary)):
            if number is not None:
                found.setdefault(number, []).append(text)
        return found


def _is_absent(value: Any) -> bool:
    """Return whether a value marks a missing cell."""
    if value is None or type(value).__name__ in ABSENT_TYPES:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, numbers.Real) and bool(value != value)


def _written(value: Any) -> str:
    """Return all digits of a number.

    >>> _written(5.0), _written(np.float32(0.1)), _written(np.int8(5)), _written(Decimal("1.50"))
    ('5.0', '0.10000000149011612', '5', '1.50')
    """
    return str(value if isinstance(value, numbers.Integral | Decimal) else float(value))


def _canonical(value: Any) -> str:
    """Return a number or a boolean as Python prints it, without the `.0` of a whole number.

    >>> _canonical(5.0), _canonical(Decimal("5.00")), _canonical(1.5), _canonical(1e18), _canonical(True)
    ('5', '5', '1.5', '1000000000000000000', 'True')
    """
    if isinstance(value, numbers.Integral | np.bool_):
        return str(value)
    number = float(value)
    return str(int(value)) if number.is_integer() and abs(number) < BEYOND_INT64 else str(value)


def _of_32_bits(value: Any) -> str | None:
    """Return how a float of 32 bits is written, if the value is one, as Python's floats from a table may be.

    >>> _of_32_bits(0.10000000149011612), _of_32_bits(0.1)
    ('0.1', None)
    """
    if not isinstance(value, float | np.floating) or abs(number := float(value)) > LARGEST_FLOAT32:
        return None
    return str(np.float32(number)) if float(np.float32(number)) == number else None


def _in_zone(moment: Any, zone: str | None) -> Any:
    """Return a moment that knows its time zone in another one, if it is known, and other moments as they are."""
    if not zone or not isinstance(moment, datetime.datetime) or moment.tzinfo is None:
        return moment
    return pa.scalar(moment, pa.timestamp("us", zone)).as_py()


def _is_finer(moment: Any, form: str) -> bool:
    """Return whether a format, one of `ISO_FORMATS`, would lose a part of a moment.

    >>> [_is_finer(datetime.datetime(2024, 1, 1, hour), "%Y-%m-%d") for hour in (0, 12)]
    [False, True]
    """
    if not isinstance(moment, datetime.datetime):
        return False
    has_fraction = bool(moment.microsecond or getattr(moment, "nanosecond", 0))
    return has_fraction or (form == ISO_FORMATS[0] and moment.time() != datetime.time())


def _as_moment(value: Any) -> Any:
    """Return a value as a `datetime`, a `date` or a `time`, or `None` if it is another value."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    return value if isinstance(value, datetime.date | datetime.time) else None


def _formatted(moment: Any, form: str) -> str:
    """Return a date in a format. One that knows its time zone is in UTC, unless the format has the zone.

    A format without "%" is that of ISO 8601.

    >>> _formatted(datetime.datetime(2014, 10, 13, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=3))), "%d %H")
    '12 23'
    """
    if "%" not in form:
        return moment.isoformat()
    if getattr(moment, "tzinfo", None) is not None and "%z" not in form and isinstance(moment, datetime.datetime):
        moment = moment.astimezone(datetime.UTC)
    if isinstance(moment, datetime.date):  # the C library writes a year before 1000 with fewer digits
        year = f"{moment.year:04d}"
        form = re.sub("%(.)", lambda found: year if found[1] == "Y" else found[0], form)
    return moment.strftime(form)
