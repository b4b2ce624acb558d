"""Divides samples into the folds of a cross-validation, as arrays of sample indices."""

from collections.abc import Sequence

import numpy as np

from keras_oocore.core.checks import is_integer
from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.group_splits import split_groups
from keras_oocore.manifest.splits import as_groups, as_seed, refuse_small


def fold_indices(
    num_samples: int,
    n: int,
    stratify: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int | None = None,
    class_names: Sequence[str] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return training and validation samples of each fold, in ascending order.

    Each sample is in the validation part of one fold. Without groups, the folds are those of scikit-learn's `KFold` or
    `StratifiedKFold` with `shuffle=True`.

    Args:
        num_samples: Number of samples.
        n: Number of folds.
        stratify: One class per sample, an array of shape `(num_samples,)`, or `None`.
        groups: One group per sample, an array of shape `(num_samples,)`, or `None`. A group is in one fold.
        seed: Random seed.
        class_names: Names of the classes, for messages.

    Raises:
        OptionError: If there are too few samples, groups, or samples of a class.

    >>> [val.tolist() for train, val in fold_indices(5, 2, seed=0)]
    [[0, 1, 2], [3, 4]]
    """
    if not is_integer(n) or not 2 <= n <= num_samples:
        raise OptionError(
            f"`n` should be a number of folds from 2 to {num_samples:,}, the number of samples. Received: n={n!r}"
        )
    n, seed = int(n), as_seed(seed)
    if groups is not None:
        sizes = {f"fold {number}": len(part) for number, part in enumerate(np.array_split(np.arange(num_samples), n))}
        parts = split_groups(as_groups(groups, num_samples), stratify, sizes, seed, class_names)
    else:
        parts = _without_groups(num_samples, n, stratify, seed, class_names)
    everything = np.arange(num_samples)
    return [(np.setdiff1d(everything, part, assume_unique=True), np.sort(part)) for part in parts]


def _without_groups(
    num_samples: int, n: int, stratify: np.ndarray | None, seed: int, class_names: Sequence[str] | None
) -> list[np.ndarray]:
    from sklearn.model_selection import KFold, StratifiedKFold  # takes a second to import

    rows = np.empty((num_samples, 0))
    if stratify is None:
        return [part for _, part in KFold(n, shuffle=True, random_state=seed).split(rows)]
    values, codes, counts = np.unique(stratify, return_inverse=True, return_counts=True)
    refuse_small(values[counts < n], stratify, class_names)
    return [part for _, part in StratifiedKFold(n, shuffle=True, random_state=seed).split(rows, codes)]
