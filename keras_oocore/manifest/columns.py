"""Further values per sample, such as weights and patients: checks them, selects samples, and writes them as JSON."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, OptionError

SAMPLE_WEIGHT = "sample_weight"
KINDS = "biufcUMm"  # numbers, strings, dates and durations


def as_columns(columns: Mapping[str, Any], num_samples: int) -> dict[str, np.ndarray]:
    """Return columns as arrays whose first axis is the samples. `sample_weight` becomes `float32`.

    Raises:
        DataError: If a column has another length, or contains neither numbers, strings nor dates.
        OptionError: If `sample_weight` is not one number per sample.
    """
    return {str(name): _as_column(str(name), values, num_samples) for name, values in columns.items()}


def _as_column(name: str, values: Any, num_samples: int) -> np.ndarray:
    try:
        array = np.asarray(values)
        array = np.array(array.tolist()) if array.dtype == object else array
    except ValueError as error:
        raise DataError(
            f"The rows of the column {name!r} should have the same shape, but their shapes differ."
        ) from error
    if array.ndim == 0 or len(array) != num_samples:
        raise DataError(
            f"The column {name!r} should have one value per sample. Received: shape {array.shape} for {num_samples:,} "
            "samples"
        )
    if array.dtype.kind not in KINDS:
        raise DataError(f"The column {name!r} should contain numbers, strings or dates. Received: dtype {array.dtype}")
    if name == SAMPLE_WEIGHT:
        if array.shape != (num_samples,) or array.dtype.kind not in "biuf":
            raise OptionError(
                f"`sample_weight` should be one number per sample. Received: dtype {array.dtype}, shape {array.shape}"
            )
        array = array.astype(np.float32)
    return array


def select(columns: Mapping[str, np.ndarray], indices: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values of the samples at `indices`."""
    return {name: values[indices] for name, values in columns.items()}


def encode(array: np.ndarray) -> dict[str, Any]:
    """Return an array as plain JSON.

    >>> encode(np.array([1.0, 0.5], "<f4"))
    {'dtype': '<f4', 'shape': [2], 'base64': 'AACAPwAAAD8='}
    """
    array = np.ascontiguousarray(array)
    return {
        "dtype": array.dtype.str,
        "shape": [*array.shape],
        "base64": base64.b64encode(array.tobytes()).decode("ascii"),
    }


def decode(encoded: Mapping[str, Any], num_samples: int) -> np.ndarray:
    """Return the array that `encode` wrote.

    Raises:
        ValueError: If it is not an array of `num_samples` rows.
    """
    dtype, shape = np.dtype(encoded["dtype"]), tuple(encoded["shape"])
    if dtype.kind not in KINDS or shape[:1] != (num_samples,):
        raise ValueError(f"a column has dtype {dtype} and shape {shape}")
    return np.frombuffer(base64.b64decode(encoded["base64"], validate=True), dtype).reshape(shape).copy()
