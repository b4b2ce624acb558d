"""Finds the best epoch of a training in the numbers of its history."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

BETTER_HIGHER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "io_u", "dice", "r2", "similarity")
BETTER_HIGHER += ("sensitivity", "specificity", "score", "positives", "negatives", "correlation")
WORSE_HIGHER = ("false_", "loss", "error")


class BestEpoch(NamedTuple):
    """The best epoch of a training.

    Attributes:
        monitor: Name of the numbers that decide, such as `"val_loss"`.
        index: Position of the best number among them.
        value: The best number.
    """

    monitor: str
    index: int
    value: float


def best_epoch(columns: Mapping[str, np.ndarray]) -> BestEpoch | None:
    """Return the best epoch by `val_loss`, or by the first of: another validation metric, the loss, another metric.

    Args:
        columns: Name → one number per epoch, a float array. Epochs without a number have NaN.

    Returns:
        The first epoch with the best number. `None` if there are no finite numbers.

    >>> best_epoch({"loss": np.array([3.0, 2.0, 1.0]), "val_loss": np.array([3.0, 2.5, 2.8])})
    BestEpoch(monitor='val_loss', index=1, value=2.5)
    """
    validation = [name for name in columns if name.startswith("val_")]
    for monitor in ("val_loss", *validation, "loss", *columns):
        values = columns.get(monitor, np.empty(0))
        if monitor != "learning_rate" and np.isfinite(values).any():
            values = np.where(np.isfinite(values), values, np.nan)
            index = int(np.nanargmax(values) if higher_is_better(monitor) else np.nanargmin(values))
            return BestEpoch(monitor, index, float(values[index]))
    return None


def higher_is_better(metric: str) -> bool:
    """Return whether larger numbers of a metric are better, by its name.

    >>> higher_is_better("val_accuracy"), higher_is_better("loss"), higher_is_better("false_positives")
    (True, False, False)
    """
    name = metric.lower()
    return any(word in name for word in BETTER_HIGHER) and not any(word in name for word in WORSE_HIGHER)
