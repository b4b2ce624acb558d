"""Numbers per sample that a model receives beside its file: checks and joins them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.core.checks import distinct
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import listed

FEATURES = "features"  # name of the input of a model


def as_features(
    features: Any, feature_cols: Sequence[str] | None, num_samples: int
) -> tuple[np.ndarray | None, list[str] | None]:
    """Return features as `float32` of shape `(num_samples, num_features)`, and their names.

    Raises:
        DataError: If there is not one row per sample, a feature is not a finite number, or the names do not fit.
        OptionError: If two features have the same name.

    >>> as_features([[1, 2], [3, 4]], ["age", "height"], num_samples=2)
    (array([[1., 2.],
           [3., 4.]], dtype=float32), ['age', 'height'])
    """
    if features is None:
        return None, None
    values = np.asarray(features)
    if values.ndim != 2 or len(values) != num_samples or not values.shape[1] or values.dtype.kind not in "biuf":
        raise DataError(
            f"`features` should be numbers of shape ({num_samples:,}, number of features), one row per sample. "
            f"Received: an array of shape {values.shape} and dtype {values.dtype}"
        )
    names = (
        [f"feature {number}" for number in range(values.shape[1])]
        if feature_cols is None
        else distinct(feature_cols, "feature_cols")
    )
    if len(names) != values.shape[1] or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"`feature_cols` should have one name per feature, {values.shape[1]} names. Received: {names[:3]}"
            f"{', ...' if len(names) > 3 else ''}"
        )
    with np.errstate(over="ignore"):  # what `float32` cannot hold becomes infinite
        numbers = values.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0].tolist()
        raise DataError(
            f"Features should be finite numbers that float32 can hold. Received: {values[row, column]} for sample "
            f"{row}, feature {names[column]!r}"
        )
    return numbers, names


def joined_features(first: Any, second: Any) -> np.ndarray | None:
    """Return the features of two manifests, one after the other.

    Raises:
        DataError: If they do not have the same features.
    """
    if first.feature_cols != second.feature_cols:
        received = " and ".join(
            "no features" if part.feature_cols is None else listed(part.feature_cols) for part in (first, second)
        )
        raise DataError(f"Both manifests should have the same features in the same order. Received: {received}")
    return None if first.features is None else np.concatenate([first.features, second.features])


def require_names(feature_cols: str | Sequence[str] | None) -> list[str]:
    """Return the names of columns of features as a list.

    Raises:
        OptionError: If there is none, or one of them twice.
    """
    if feature_cols is None:
        return []
    names = [feature_cols] if isinstance(feature_cols, str) else distinct(feature_cols, "feature_cols")
    if not names:
        raise OptionError(f"`feature_cols` should contain at least one column. Received: {names}")
    return names
