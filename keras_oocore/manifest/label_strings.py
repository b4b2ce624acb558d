"""Labels and predictions as strings for people: class names, several labels, shares of soft labels, and numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.text import and_more

SHARES = 3  # of a soft label, the largest first
SMALLEST_SHARE = 0.005  # smaller ones would be written as 0%
LISTED = 6  # labels of one sample; further ones are counted
SUM_TOLERANCE = 0.01  # of probabilities, whose sum is 1 (float16 and label smoothing round)


class Prediction(NamedTuple):
    """What is shown of the prediction for a sample.

    Attributes:
        text: The predicted class or classes, with a probability if there is one, or numbers.
        is_right: Whether it is the label. `None` if there is no label, or if it is not a class.
    """

    text: str
    is_right: bool | None


def label_strings(y: Any, class_names: Sequence[str] | None = None, label_mode: str | None = "raw") -> list[str]:
    """Each row of `y` as a string: its class, its classes, its soft label with the largest shares, or its numbers.

    Args:
        y: Array of shape `(batch,)` or `(batch, n)`.
        class_names: Names of the classes, or `None`.
        label_mode: Tells whether numbers are classes, as in `Labels`.

    >>> label_strings(np.array([[0, 1, 1], [0, 0, 0]]), ["cat", "dog", "owl"])
    ['dog, owl', 'none']
    >>> label_strings(np.array([[0.7, 0.3, 0.0]]), ["cat", "dog", "owl"], "categorical")
    ['cat 70%, dog 30%']
    """
    y = np.asarray(y)
    if _is_binary(y, label_mode):
        return [_binary(float(value), class_names) for value in y.reshape(len(y))]
    if _is_single(y):
        if not _are_indices(y, class_names, label_mode):
            return [str(row) for row in y]
        return [_name(int(value), class_names) for value in y.reshape(len(y))]
    if label_mode == "raw" and not _names_columns(y, class_names):
        return [str(row) for row in y]
    if not _within_0_and_1(y):
        return [", ".join(f"{_name(i, class_names)} {value:.4g}" for i, value in enumerate(row[:LISTED])) for row in y]
    if label_mode != "raw" or _sums_to_1(y):
        return [_shares(row, class_names) for row in y]
    if np.isin(y, (0, 1)).all():
        return [_several(np.flatnonzero(row), class_names) for row in y]
    return [_shares(row, class_names) or "none" for row in y]  # several soft labels


def prediction_strings(
    predictions: Any, y: Any, class_names: Sequence[str] | None = None, label_mode: str | None = "raw"
) -> list[Prediction]:
    """Each row of predictions as a string, and whether it is the label.

    Args:
        predictions: Array of shape `(batch,)` or `(batch, n)`: probabilities, logits, classes or numbers.
        y: The labels, as in `label_strings`, or `None`.
        class_names: Names of the classes, or `None`.
        label_mode: Form of the labels, as in `Labels`.

    >>> predicted = np.array([[0.1, 0.9], [0.8, 0.2]])
    >>> [tuple(found) for found in prediction_strings(predicted, np.array([1, 1]), ["cat", "dog"], "int")]
    [('dog 90%', True), ('cat 80%', False)]
    """
    predictions, y = np.asarray(predictions), None if y is None else np.asarray(y)
    is_single = _is_single(predictions)
    if is_single and (_is_binary(y, label_mode) or _may_be_binary(predictions, y, class_names, label_mode)):
        return _binary_predictions(predictions.reshape(len(predictions)), y, class_names)
    truth = _classes_of(y, class_names, label_mode)
    if is_single and predictions.dtype.kind in "iu" and (truth is not None or class_names):
        found = predictions.reshape(len(predictions))
        return [Prediction(_name(int(i), class_names), _is_right(i, truth, k)) for k, i in enumerate(found)]
    if y is not None and not is_single and _has_several(y, predictions, truth, label_mode):
        chosen = predictions > (0.5 if _within_0_and_1(predictions) else 0)
        return [
            Prediction(_several(np.flatnonzero(row), class_names), bool((row == label.astype(bool)).all()))
            for row, label in zip(chosen, y)
        ]
    has_shares = not is_single and _are_shares(predictions)
    is_unlabeled = y is None and has_shares  # such as a test folder, whose Sequence does not know the classes
    if is_single or not (truth is not None or _names_columns(predictions, class_names) or is_unlabeled):
        return [Prediction(_numbers(row), None) for row in predictions]
    indices, prefix = predictions.argmax(axis=1), "class " if is_unlabeled and not class_names else ""
    return [
        Prediction(
            prefix + _name(int(i), class_names) + (f" {row[i]:.0%}" if has_shares else ""), _is_right(i, truth, k)
        )
        for k, (i, row) in enumerate(zip(indices, predictions))
    ]


def _binary_predictions(values: np.ndarray, y: np.ndarray | None, class_names) -> list[Prediction]:
    """Probabilities or logits of the second of two classes."""
    if not _within_0_and_1(values):
        values = 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -60, 60)))
    truth = None if y is None else y.reshape(len(y)) > 0.5
    return [
        Prediction(
            f"{_name(int(value > 0.5), class_names)} {max(value, 1 - value):.0%}",
            _is_right(value > 0.5, truth, k),
        )
        for k, value in enumerate(values.tolist())
    ]


def _classes_of(y: np.ndarray | None, class_names, label_mode: str | None) -> np.ndarray | None:
    """The class index of each row of `y`, or `None` if its rows are not one class each."""
    if y is None:
        return None
    if _is_single(y):
        return y.reshape(len(y)).astype(int) if _are_indices(y, class_names, label_mode) else None
    if label_mode in ("int", "categorical") or (
        _names_columns(y, class_names) and _within_0_and_1(y) and _sums_to_1(y)
    ):
        return y.argmax(axis=1)
    return None


def _is_single(values: np.ndarray) -> bool:
    return values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)


def _are_indices(y: np.ndarray, class_names, label_mode: str | None) -> bool:
    """Whether single values are indices of classes."""
    if label_mode == "int":
        return bool((y % 1 == 0).all())
    return bool(class_names) and y.dtype.kind in "iu"


def _is_binary(y: np.ndarray | None, label_mode: str | None) -> bool:
    return label_mode == "binary" and y is not None and _is_single(y)


def _may_be_binary(predictions: np.ndarray, y: np.ndarray | None, class_names, label_mode: str | None) -> bool:
    """Whether single predictions are probabilities of the second of two classes."""
    has_two = len(class_names) == 2 if class_names else label_mode == "int"
    is_label = y is None or (_is_single(y) and bool(np.isin(y, (0, 1)).all()))
    return has_two and is_label and predictions.dtype.kind == "f"


def _has_several(y: np.ndarray, predictions: np.ndarray, truth: np.ndarray | None, label_mode: str | None) -> bool:
    """Whether each row of labels and of predictions has any number of classes."""
    is_open = truth is None or (label_mode == "raw" and not _are_shares(predictions))
    return is_open and y.shape == predictions.shape and bool(np.isin(y, (0, 1)).all())


def _is_right(index: int, truth: np.ndarray | None, row: int) -> bool | None:
    return None if truth is None else bool(index == truth[row])


def _names_columns(values: np.ndarray, class_names) -> bool:
    return bool(class_names) and values.ndim == 2 and values.shape[1] == len(class_names)


def _within_0_and_1(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _sums_to_1(values: np.ndarray) -> bool:
    return bool((np.abs(values.astype(np.float64).sum(axis=1) - 1) <= SUM_TOLERANCE).all())


def _are_shares(values: np.ndarray) -> bool:
    return _within_0_and_1(values) and _sums_to_1(values)


def _numbers(row: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in np.ravel(row)[:LISTED].tolist())


def _binary(value: float, class_names) -> str:
    if value in (0, 1) or not 0 <= value <= 1:
        return _name(int(value), class_names) if value in (0, 1) else f"{value:.4g}"
    return _shares(np.array([1 - value, value]), class_names)


def _shares(row: np.ndarray, class_names) -> str:
    """The largest shares of a soft label, or only its class if that has all."""
    largest = [int(i) for i in np.argsort(-row, kind="stable")[:SHARES] if row[i] >= SMALLEST_SHARE]
    if len(largest) == 1 and row[largest[0]] >= 1 - SMALLEST_SHARE:
        return _name(largest[0], class_names)
    prefix = "" if class_names else "class "
    return ", ".join(f"{prefix}{_name(i, class_names)} {row[i]:.0%}" for i in largest)


def _several(indices: np.ndarray, class_names) -> str:
    names = [_name(int(i), class_names) for i in indices[:LISTED]]
    return ", ".join(names) + and_more(len(indices), LISTED) if names else "none"


def _name(index: int, class_names: Sequence[str] | None) -> str:
    return class_names[index] if class_names and 0 <= index < len(class_names) else str(index)
