"""The values in a history of Keras, and the epochs that they are of: for a plot and for a table."""

from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.plots.best_epoch import best_epoch

NOT_METRICS = ("phase", "partition")  # columns of a history


def values_and_epochs(history: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return the dictionary of a history, and the numbers of its epochs, counted from 1."""
    values = getattr(history, "history", history)
    if not isinstance(values, dict):
        raise OptionError(
            "`history` should be a keras.callbacks.History, as returned by `fit`, or its dictionary "
            f"`history.history`. Received: {shown(history)}"
        )
    lengths = [len(as_numbers(numbers)) for key, numbers in values.items() if key not in NOT_METRICS]
    if not any(lengths):
        raise OptionError("`history` contains no epochs. Pass the History that `fit` returns after at least one epoch.")
    epochs, known = np.arange(max(lengths)), np.asarray(getattr(history, "epoch", ()))
    # If a History is passed to several calls of `fit`, each call resets this list, but continues the dictionary.
    usable = len(known) == len(epochs) and np.all(np.diff(known) > 0)
    return values, 1 + (known if usable else epochs)


def as_numbers(values: Any) -> np.ndarray:
    """Return one number per epoch as a `float64` array, which is empty if the values are something else."""
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):  # strings, or lists of different lengths
        return np.empty(0)
    return numbers if numbers.ndim == 1 else np.empty(0)


def epochs_of(curve: str, num_values: int, epochs: np.ndarray) -> np.ndarray:
    """Return the epochs of a curve. With `fit(validation_freq=k)`, there are fewer values than epochs."""
    if curve == "validation" and num_values < len(epochs):
        validated = epochs[epochs % (len(epochs) // num_values) == 0]
        if len(validated) == num_values:
            return validated
    return epochs[len(epochs) - num_values :]


def best_of(values: dict[str, Any], epochs: np.ndarray) -> tuple[int, str] | None:
    """Return the best epoch and the name of the numbers that decide. `None` if there is one epoch only."""
    columns = {key: as_numbers(numbers) for key, numbers in values.items() if key not in NOT_METRICS}
    found = best_epoch(columns) if len(epochs) > 1 else None
    if found is None:
        return None
    known = epochs_of(curve_of(found.monitor), len(columns[found.monitor]), epochs)
    return int(known[found.index]), found.monitor


def curve_of(key: str) -> str:
    """Return whether a column of a history is a `"training"` or a `"validation"` curve."""
    return "validation" if key.startswith("val_") else "training"
