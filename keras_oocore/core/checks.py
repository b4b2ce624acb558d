"""Checks of arguments. Each returns the value, or raises an OptionError that names the argument."""

import numbers
import operator
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import listed

Value = TypeVar("Value")
SECONDS = 'dates.astype("datetime64[s]").astype("float64") for seconds since 1970'
NOT_NUMBERS = {  # kind of a dtype → what it is, and what to do
    "M": ("dates", f"Convert them, such as with {SECONDS}"),
    "m": ("time differences", 'Convert them, such as with times / np.timedelta64(1, "s") for seconds'),
    "U": ("strings", "Convert them to numbers"),
    "S": ("strings", "Convert them to numbers"),
}


def positive(value: int, name: str) -> int:
    """Return `value` as an `int`.

    Raises:
        OptionError: If it is not an integer of at least 1.

    >>> positive(np.int64(3), "batch_size")
    3
    """
    return integer(value, name, 1, "a positive integer")


def non_negative(value: int, name: str) -> int:
    """Return `value` as an `int`.

    Raises:
        OptionError: If it is not an integer of at least 0.

    >>> non_negative(-1, "skip_rows")
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `skip_rows` should be a non-negative integer. Received: skip_rows=-1
    """
    return integer(value, name, 0, "a non-negative integer")


def integer(value: int, name: str, at_least: int, expected: str) -> int:
    """Return `value` as an `int`.

    Args:
        value: The value of the argument. Booleans and floats are not integers.
        name: The name of the argument.
        at_least: The smallest value that is allowed.
        expected: What the argument should be, for the message.

    Raises:
        OptionError: If it is not such an integer.
    """
    if is_boolean(value) or not is_integer(value) or value < at_least:
        raise OptionError(f"`{name}` should be {expected}. Received: {name}={value!r}")
    return operator.index(value)


def distinct(names: Iterable[str], name: str) -> list[str]:
    """Return names as a list.

    Args:
        names: The names, such as those of columns.
        name: The name of the argument.

    Raises:
        OptionError: If one of them occurs more than once.

    >>> distinct(["sqft", "city", "sqft"], "features")
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `features` should contain each name once. Received 'sqft' more than once
    """
    names = list(names)
    repeated = [key for key, count in Counter(names).items() if count > 1]
    if repeated:
        raise OptionError(f"`{name}` should contain each name once. Received {listed(repeated)} more than once")
    return names


def boolean(value: bool, name: str) -> bool:
    """Return `value` as a `bool`.

    Raises:
        OptionError: If it is not `True` or `False`.

    >>> boolean(np.True_, "header")
    True
    """
    if not is_boolean(value):
        raise OptionError(f"`{name}` should be True or False. Received: {name}={value!r}")
    return bool(value)


def fraction(value: float, name: str) -> float:
    """Return `value` as a `float`.

    Raises:
        OptionError: If it is not a number between 0 and 1, both excluded.

    >>> fraction(0.2, "validation_split")
    0.2
    """
    if not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise OptionError(f"`{name}` should be a fraction between 0 and 1. Received: {name}={value!r}")
    return float(value)


def choice(value: Value, name: str, choices: Collection[Value]) -> Value:
    """Return `value`.

    Raises:
        OptionError: If it is not one of `choices`.

    >>> choice("keep", "last_batch", ("keep", "drop"))
    'keep'
    >>> choice("lend", "mode", ("copy", "move", "link"))
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `mode` should be one of 'copy', 'move', 'link'. Received: mode='lend'
    """
    if not any(isinstance(value, type(one)) and value == one for one in choices):
        raise OptionError(f"`{name}` should be one of {', '.join(map(repr, choices))}. Received: {name}={value!r}")
    return value


def require_numbers(dtype: np.dtype, what: str) -> None:
    """Raise an error if an array has dates, time differences or strings.

    Args:
        dtype: The dtype of the array.
        what: What the array is, to begin the message.

    Raises:
        OptionError: If it has. The message says how to convert them.

    >>> require_numbers(np.dtype("datetime64[D]"), "`labels`")
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `labels` should be numbers. Received: dates, of dtype datetime64[D]. Convert \
them, such as with dates.astype("datetime64[s]").astype("float64") for seconds since 1970.
    """
    if dtype.kind in NOT_NUMBERS:
        kind, conversion = NOT_NUMBERS[dtype.kind]
        raise OptionError(f"{what} should be numbers. Received: {kind}, of dtype {dtype}. {conversion}.")


def is_boolean(value: Any) -> bool:
    """Whether a value is `True` or `False`, also one of NumPy's."""
    return isinstance(value, bool | np.bool_)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, also one of NumPy's, and not a boolean."""
    return isinstance(value, numbers.Integral) and not is_boolean(value)
