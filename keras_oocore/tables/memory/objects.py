"""Arrays of Python's objects, such as a pandas column of dtype `object`: the one type that all values have, if any.

pyarrow looks at some of the values only, and turns others into what they are not, such as a `datetime` into a date.
"""

import datetime
import decimal
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_oocore.csv.values import shortened
from keras_oocore.tables.raw_texts import ABSENT_TYPES

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

PIECE_ROWS = 65_536
MISSING = ("NoneType", *ABSENT_TYPES)  # names of the types of missing values
STRING, BOOLEAN, INTEGER, FLOAT, DECIMAL, BYTES = "strings", "booleans", "integers", "floats", "decimals", "bytes"
DATE, MOMENT, TIME = "dates", "moments", "times"
NUMBERS = {INTEGER, FLOAT, DECIMAL}
MIXED = "convert it to one type first, such as with .astype(str)"
CLASSES = (
    (bool | np.bool_, BOOLEAN),
    (str, STRING),
    (bytes, BYTES),
    (int | np.integer, INTEGER),
    (float | np.floating, FLOAT),
    (decimal.Decimal, DECIMAL),
    (datetime.datetime, MOMENT),
    (datetime.date, DATE),
    (datetime.time, TIME),
)  # in this order: a `bool` is an `int`, and a `datetime` a `date`


def type_of_objects(values: np.ndarray) -> tuple[Any, Callable[[int, int], Any], str]:
    """Return the `pyarrow` type, a function that takes rows, and why the objects cannot be read.

    All values are examined once, in pieces. The type is `None` if the values have several types.

    Args:
        values: Array of dtype `object`, of shape `(n,)`. `None`, NaN and pandas' `NA` and `NaT` are missing.

    >>> kind, take, _ = type_of_objects(np.array(["a", None], object))
    >>> str(kind), take(0, 2).to_pylist()
    ('string', ['a', None])
    >>> type_of_objects(np.array(["a", 1], object))[2]
    "of objects of several types, such as 'a' and 1: convert it to one type first, such as with .astype(str)"
    """
    found = _groups(values)
    groups = set(found)
    if FLOAT in groups and not groups <= NUMBERS and not _has_numbers(values):
        groups.discard(FLOAT)  # all are NaN, which marks missing values
    kind = _integer_type(values) if groups == {INTEGER} else _kind(groups, found)
    if kind is None:
        return None, partial(_taken, np.empty(0, object), pa.null()), _refusal(values, found, groups)
    return kind, partial(_taken, values, kind), ""


def _taken(values: np.ndarray, kind: Any, first: int, end: int) -> Any:
    """Return some rows as a `pyarrow` array."""
    rows = values[first:end]
    if kind == pa.float64():  # pyarrow takes no decimals, and no mixture with large integers
        rows = np.array([np.nan if _is_absent(value) else float(value) for value in rows.tolist()], np.float64)
    if pa.types.is_decimal(kind):  # of integers that may be those of NumPy
        rows = [None if _is_absent(value) else decimal.Decimal(int(value)) for value in rows.tolist()]
    return pa.array(rows, kind, from_pandas=True)


def _kind(groups: set[str], found: dict[str, Any]) -> Any:
    """Return the type of values of some groups, or `None`."""
    if not groups:
        return pa.null()
    if groups <= NUMBERS:
        return pa.float64()
    if len(groups) > 1:
        return None
    group = next(iter(groups))
    if group.startswith(MOMENT):
        return pa.infer_type([found[group]])
    kinds = {STRING: pa.string(), BOOLEAN: pa.bool_(), DATE: pa.date32(), TIME: pa.time64("us"), BYTES: pa.binary()}
    return kinds.get(group)


def _integer_type(values: np.ndarray) -> Any:
    """Return the narrowest type of at least 64 bits that has all integers: beyond 128 bits, as decimals, the float."""
    smallest = largest = 0
    for start in range(0, len(values), PIECE_ROWS):
        integers = [int(value) for value in values[start : start + PIECE_ROWS].tolist() if not _is_absent(value)]
        smallest, largest = min(smallest, *integers, 0), max(largest, *integers, 0)
    if smallest >= -(2**63) and largest < 2**63:
        return pa.int64()
    if smallest == 0 and largest < 2**64:
        return pa.uint64()
    return pa.decimal128(38) if max(-smallest, largest) < 10**38 else pa.float64()


def _groups(values: np.ndarray) -> dict[str, Any]:
    """Return the groups of types that occur, each with an example."""
    found: dict[str, Any] = {}
    known: dict[type, str] = {}
    for start in range(0, len(values), PIECE_ROWS):
        piece = values[start : start + PIECE_ROWS].tolist()
        for kind in dict.fromkeys(map(type, piece)):
            if kind not in known:
                known[kind] = _group(kind)
            group = known[kind]
            if group == MOMENT:
                zones = {str(value.tzinfo): value for value in piece if type(value) is kind and not _is_absent(value)}
                found.update({f"{MOMENT} {zone}": value for zone, value in zones.items()})
            elif group and group not in found:
                found[group] = next(value for value in piece if type(value) is kind)
    return found


def _group(kind: type) -> str:
    """Return the group of a type; `""` for missing values."""
    if kind.__name__ in MISSING:
        return ""
    return next((group for classes, group in CLASSES if issubclass(kind, classes)), kind.__name__)


def _has_numbers(values: np.ndarray) -> bool:
    """Return whether a value is a `float` that is not NaN."""
    for start in range(0, len(values), PIECE_ROWS):
        piece = values[start : start + PIECE_ROWS].tolist()
        if any(isinstance(value, float | np.floating) and value == value for value in piece):
            return True
    return False


def _is_absent(value: Any) -> bool:
    return type(value).__name__ in MISSING or (isinstance(value, float | np.floating) and value != value)


def _refusal(values: np.ndarray, found: dict[str, Any], groups: set[str]) -> str:
    """Return why objects cannot be read, as the end of a sentence."""
    if len(groups) == 1:
        example = shortened(repr(next(iter(found.values()))))
        return f"of objects that are no numbers, strings or dates, such as {example}"
    first, second, *_ = (shortened(repr(_example(values, group, found[group]))) for group in found if group in groups)
    return f"of objects of several types, such as {first} and {second}: {MIXED}"


def _example(values: np.ndarray, group: str, first: Any) -> Any:
    """Return a value of a group: for floats, one that is a number, if there is one."""
    if group != FLOAT or first == first:
        return first
    return next((value for value in values if isinstance(value, float | np.floating) and value == value), first)
