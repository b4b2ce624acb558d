"""Splits samples into training, validation and test parts, as arrays of sample indices."""

import math
import numbers
import operator
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import and_more
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.group_splits import split_groups

MOST_NAMED = 5  # classes, in a message
PARTS = ("train", "validation", "test")


WORDS = {  # of scikit-learn, Keras and others, for `split`
    "test_size": "validation_split",
    "val_size": "validation_split",
    "val_split": "validation_split",
    "right_size": "validation_split",
    "train_size": "Use `validation_split`, the fraction that is not for training.",
    "left_size": "Use `validation_split`, the fraction that is not for training.",
    "random_state": "seed",
    "subset": "`split` returns all parts: train, val = data.split(validation_split=0.2).",
}


def as_seed(seed: int | None) -> int:
    """`seed` as an integer. `None` draws a seed from Python's `random`, which `keras.utils.set_random_seed` seeds.

    Raises:
        OptionError: If `seed` is not an integer from 0 to 2**32 - 1.

    >>> as_seed(7)
    7
    """
    if seed is None:
        return random.randrange(2**32)
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise OptionError(f"`seed` should be an integer from 0 to 2**32 - 1, or None. Received: seed={seed!r}")
    return number


def split_indices(
    num_samples: int,
    validation_split: float | int | None = None,
    test_split: float | int | None = None,
    stratify: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    class_names: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """Sample indices of each part: `[train, validation]`, `[train, test]` or `[train, validation, test]`.

    Without groups, scikit-learn's `train_test_split` draws the parts, with the same samples for the same seed. The
    test part is drawn first, and the validation part from the remaining samples.

    Args:
        num_samples: Number of samples.
        validation_split: Fraction (float) or number (int) of samples to use for validation.
        test_split: Fraction (float) or number (int) of samples to use for testing.
        stratify: Array of shape `(num_samples,)` with one class per sample, or `None`. Every part gets the same
            proportion of each class.
        groups: Array of shape `(num_samples,)` with one group per sample, or `None`. Samples of one group (such as
            one patient or one video) stay in the same part.
        seed: Random seed.
        shuffle: Whether to draw the parts at random. If `False`, the last samples are split off, in order.
        class_names: List of class names, for error messages.

    Raises:
        OptionError: If a part would be empty or too large, or a class is too small to stratify.

    >>> [part.tolist() for part in split_indices(10, validation_split=0.2, test_split=0.1, seed=0)]
    [[4, 6, 5, 3, 1, 8, 7], [0, 9], [2]]
    >>> [part.tolist() for part in split_indices(5, validation_split=0.4, shuffle=False)]
    [[0, 1, 2], [3, 4]]
    """
    num_validation, num_test = part_sizes(num_samples, validation_split, test_split)
    warn_of_small_training(validation_split)
    seed = as_seed(seed)
    if not shuffle:
        if stratify is not None or groups is not None:
            raise OptionError(
                "shuffle=False splits off the last samples, so it can neither stratify nor keep groups together. Pass "
                "stratify=False (and groups=None), or shuffle=True."
            )
        ends = np.cumsum([num_samples - num_validation - num_test, num_validation])
        parts = np.split(np.arange(num_samples), ends)
    elif groups is not None:
        sizes = (num_samples - num_validation - num_test, num_validation, num_test)
        wanted = {name: size for name, size in zip(PARTS, sizes) if size}
        return split_groups(as_groups(groups, num_samples), stratify, wanted, seed, class_names)
    else:
        if stratify is not None:
            _require_strata(stratify, num_validation, num_test, class_names)
        train, test = _draw(np.arange(num_samples), num_test, stratify, seed, class_names)
        train, validation = _draw(train, num_validation, stratify, seed, class_names)
        parts = [train, validation, test]
    return [part for part, size in zip(parts, (True, num_validation, num_test)) if size]


def part_sizes(num_samples: int, validation_split: float | None, test_split: float | None) -> tuple[int, int]:
    """Number of validation samples and of test samples. Fractions are rounded up, as in scikit-learn.

    Raises:
        OptionError: If both are `None`, one is out of range, or no training samples remain.

    >>> part_sizes(101, 0.2, None), part_sizes(100, 0.25, 5)
    ((21, 0), (25, 5))
    """
    if validation_split is None and test_split is None:
        raise OptionError(
            "Pass `validation_split` or `test_split`, such as validation_split=0.2. Received: None for both"
        )
    sizes = []
    for name, split in (("validation_split", validation_split), ("test_split", test_split)):
        whole = isinstance(split, numbers.Integral) and not isinstance(split, bool)
        fraction = isinstance(split, numbers.Real) and not isinstance(split, numbers.Integral)
        if split is not None and not ((whole and split > 0) or (fraction and 0 < split < 1)):
            require_no_list(split)
            raise OptionError(
                f"`{name}` should be a float between 0 and 1, or a positive integer number of samples. "
                f"Received: {name}={split!r}"
            )
        sizes.append(0 if split is None else int(split) if whole else math.ceil(split * num_samples))
    if sum(sizes) >= num_samples:
        raise OptionError(
            f"No samples remain for training: {sizes[0]:,} of {num_samples:,} samples would be used for validation "
            f"and {sizes[1]:,} for testing. Received: validation_split={validation_split!r}, test_split={test_split!r}"
        )
    return sizes[0], sizes[1]


def require_no_list(split: Any) -> None:
    """Check that a size of `split` is not a list of the sizes of all parts.

    Raises:
        OptionError: If it is.

    >>> require_no_list([0.7, 0.2, 0.1])
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `split` takes the sizes of the parts one by one, and the training part is \
the rest: split(validation_split=0.2, test_split=0.1). Received: [0.7, 0.2, 0.1]
    """
    if isinstance(split, list | tuple) and len(split) > 1:
        raise OptionError(
            "`split` takes the sizes of the parts one by one, and the training part is the rest: "
            f"split(validation_split=0.2, test_split=0.1). Received: {split!r}"
        )


def warn_of_small_training(validation_split: float | None) -> None:
    """Warn if the validation part is more than half of the samples: the fraction may be meant for training."""
    if isinstance(validation_split, numbers.Real) and 0.5 < validation_split < 1:
        rest = f"{1 - validation_split:.3g}"
        warn_user(
            f"validation_split={validation_split:g} leaves {rest} of the samples for training. If {validation_split:g} "
            f"should be for training, pass validation_split={rest}."
        )


def as_strata(
    stratify: bool | Sequence[Any] | np.ndarray, labels: np.ndarray | None, num_samples: int
) -> tuple[np.ndarray | None, bool]:
    """The classes to stratify by, and whether these are the labels.

    Args:
        stratify: `True` to stratify by the labels (if there are labels), `False` or `None`, or an array with one
            class per sample.
        labels: Labels of shape `(num_samples, ...)`, or `None`.
        num_samples: Number of samples.

    Returns:
        `(classes, are_labels)`: an array of shape `(num_samples,)` or `None`, and a boolean.
    """
    if stratify is None or isinstance(stratify, (bool, np.bool_)):
        return (class_codes(labels), True) if stratify and labels is not None else (None, True)
    if isinstance(stratify, str | numbers.Real):
        raise OptionError(
            "`stratify` should be True, False or an array with one class per sample. The sizes of the parts are "
            f"`validation_split` and `test_split`; the training part is the rest. Received: stratify={stratify!r}"
        )
    strata = class_codes(stratify)
    if len(strata) != num_samples:
        raise DataError(
            "`stratify` should contain one class per sample. "
            f"Received: {len(strata):,} classes for {num_samples:,} samples"
        )
    return strata, False


def class_codes(labels: np.ndarray) -> np.ndarray:
    """Labels as one class per sample, of shape `(num_samples,)`, to stratify by.

    Args:
        labels: Integers, strings or whole floats, of shape `(num_samples,)` or `(num_samples, 1)`, or one-hot rows of
            shape `(num_samples, num_classes)`.

    Raises:
        OptionError: If the labels are not classes, such as multi-label rows or measured values.

    >>> class_codes(np.array([[0, 1], [1, 0]])).tolist()
    [1, 0]
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    numeric = labels.dtype.kind in "iubf"
    if labels.ndim == 2 and numeric and _is_one_hot(labels):
        return labels.argmax(axis=1)
    if labels.ndim == 1 and (labels.dtype.kind != "f" or (np.isfinite(labels) & (labels == np.floor(labels))).all()):
        return labels
    raise OptionError(
        f"stratify=True requires one class per sample. Received: labels of dtype {labels.dtype} and shape "
        f"{labels.shape}. Pass stratify=False, or pass `stratify` an array with one class per sample, such as binned "
        "values."
    )


def as_groups(groups: Sequence[Any] | np.ndarray, num_samples: int) -> np.ndarray:
    """Groups as integers from 0, of shape `(num_samples,)`.

    Raises:
        DataError: If there is not exactly one group per sample.
    """
    groups = np.asarray(groups)
    if groups.shape != (num_samples,):
        raise DataError(
            f"`groups` should have shape ({num_samples},), one group per sample. Received: shape {groups.shape}"
        )
    missing = groups != groups  # NaN
    if groups.dtype == object:
        missing = np.array([group is None or group != group for group in groups])
        groups = groups.astype(str)
    if np.any(missing):
        raise DataError(f"`groups` has no group for sample {int(np.argmax(missing))}.")
    return np.unique(groups, return_inverse=True)[1]


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def _draw(indices, size, stratify, seed, class_names):
    """Draw `size` of the `indices`: the remaining indices, and the drawn ones."""
    if not size:
        return indices, indices[:0]
    from sklearn.model_selection import train_test_split  # takes a second to import

    strata = None if stratify is None else stratify[indices]
    if strata is not None:
        values, counts = np.unique(strata, return_counts=True)
        refuse_small(values[counts < 2], stratify, class_names)  # the others are in the test part
    return train_test_split(indices, test_size=size, random_state=seed, stratify=strata)


def _require_strata(stratify, num_validation, num_test, class_names) -> None:
    sizes = (len(stratify) - num_validation - num_test, num_validation, num_test)
    values, counts = np.unique(stratify, return_counts=True)
    refuse_small(values[counts < np.count_nonzero(sizes)], stratify, class_names)
    for name, size in zip(PARTS, sizes):
        if 0 < size < len(values):
            raise OptionError(
                f"The {name} part would have {size} of {len(stratify):,} samples, which is fewer than the "
                f"{len(values)} classes to stratify by. Choose a larger part, or pass stratify=False."
            )


def refuse_small(classes: np.ndarray, stratify: np.ndarray, class_names: Sequence[str] | None) -> None:
    """Raise an error that names classes with too few samples.

    Raises:
        OptionError: If there are such classes.
    """
    if not len(classes):
        return
    named = [
        f"{str(code if class_names is None else class_names[code])!r} ({np.count_nonzero(stratify == code)})"
        for code in classes[:MOST_NAMED]
    ]
    more = and_more(len(classes), MOST_NAMED)
    raise OptionError(
        "stratify=True requires samples of every class in every part. "
        f"Too few samples of class {', '.join(named)}{more}. Pass stratify=False, add samples, or "
        "merge the class with another class."
    )
