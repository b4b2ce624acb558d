"""Reads the factors of `augment`, as Keras writes them. Each function raises an OptionError that names the factor."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.core.checks import is_integer
from keras_oocore.core.errors import OptionError

Factor = float | tuple[float, float]
NO_CROP = (1.0, 1.0)


def number(name: str, value: Any) -> float:
    """Return a factor as a `float`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
        raise OptionError(f"`{name}` should be a number. Received: {name}={value!r}")
    return float(value)


def _pair(name: str, value: Any) -> tuple[float, float] | None:
    """Return a tuple of two numbers, or `None` for a single number."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        number(name, value)
        return None
    if len(value) != 2:
        raise OptionError(f"`{name}` should be a number or a tuple of two numbers. Received: {name}={value!r}")
    low, high = (number(name, end) for end in value)
    return low, high


def _within(name: str, value: Any, bounds: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    if not low <= bounds[0] <= bounds[1] <= high:
        fix = ""
        if name == "rotation" and -360 <= bounds[0] <= bounds[1] <= 360:
            fix = f" It is in full turns: {bounds[1]:g} degrees are {bounds[1]:g}/360."
        order = ", the smaller number first" if bounds[0] > bounds[1] else ""
        raise OptionError(f"`{name}` should be from {low:g} to {high:g}{order}.{fix} Received: {name}={value!r}")
    return bounds


def symmetric(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """Return the range of a factor that is a change in both directions."""
    pair = _pair(name, value)
    return _within(name, value, pair or (-abs(float(value)), abs(float(value))), low, high)


def from_zero(name: str, value: Any) -> tuple[float, float]:
    """Return the range of a factor that begins at 0."""
    return _within(name, value, _pair(name, value) or (0.0, float(value)), 0, 1)


def contrast_factors(value: Any) -> tuple[float, float]:
    """Return the range of the factor of the contrast."""
    lower, upper = _pair("contrast", value) or (float(value), float(value))
    if not 0 <= lower <= 1 or upper < 0:
        raise OptionError(f"`contrast` should be from 0 to 1, or a tuple of such numbers. Received: contrast={value!r}")
    return 1 - lower, 1 + upper


def probability(name: str, value: Any) -> float:
    """Return a probability."""
    return _within(name, value, (0, number(name, value)), 0, 1)[1]


def at_least_zero(name: str, value: Any) -> float:
    """Return a number of at least 0."""
    if number(name, value) < 0:
        raise OptionError(f"`{name}` should be 0 or more. Received: {name}={value!r}")
    return float(value)


def range_of_values(value: Any) -> tuple[float, float] | None:
    """Return the lowest and the highest value."""
    if value is None:
        return None
    pair = _pair("value_range", value)
    if pair is None or pair[0] >= pair[1]:
        raise OptionError(
            f"`value_range` should be a tuple of the lowest and the highest value. Received: value_range={value!r}"
        )
    return pair


def crop_factors(value: Any) -> tuple[tuple[float, float] | None, tuple[int, int] | None]:
    """Return the area of a crop, or its size."""
    if value is None:
        return None, None
    pair = _pair("crop", value)
    if pair is not None and all(is_integer(end) for end in value):
        if min(value) < 1:
            raise OptionError(f"`crop` should be a height and width of 1 or more pixels. Received: crop={value!r}")
        return None, (int(value[0]), int(value[1]))
    area = _within("crop", value, pair or (float(value), 1.0), 0, 1)
    if not area[0] > 0:
        raise OptionError(f"`crop` should be an area of more than 0. Received: crop={value!r}")
    return (None if area == NO_CROP else area), None
