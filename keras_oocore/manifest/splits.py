"""Which samples go to training, validation and test: arrays of integers, drawn by scikit-learn's splitters."""

import math
import numbers
import operator
import random
from collections.abc import Sequence

import numpy as np

from keras_oocore.core.errors import DataError, OptionError

PARTS = ("train", "validation", "test")
GROUP_DRAWS = 32


def as_seed(seed: int | None) -> int:
    """`seed`, or one drawn from Python's `random`, which `keras.utils.set_random_seed` governs.

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
    """Indices of each part: `[train, validation]`, `[train, test]` or `[train, validation, test]`.

    Without groups, `scikit-learn`'s `train_test_split` draws the parts, so the same seed gives the same samples as
    there; the test part is drawn first, the validation part from the rest.

    Args:
        num_samples: how many samples there are.
        validation_split: fraction of the samples (as in Keras), or their number as an integer.
        test_split: likewise.
        stratify: an array `(num_samples,)` of classes whose mix each part should keep, or `None`.
        groups: an array `(num_samples,)`; samples of one group (a patient, a video) stay in one part.
        seed: makes the draw repeatable.
        shuffle: `False` takes the last samples, in their order.
        class_names: names of the classes, for errors.

    Raises:
        OptionError: when a size cannot work, or a class is too small to stratify.

    >>> [part.tolist() for part in split_indices(10, validation_split=0.2, test_split=0.1, seed=0)]
    [[4, 6, 5, 3, 1, 8, 7], [0, 9], [2]]
    >>> [part.tolist() for part in split_indices(5, validation_split=0.4, shuffle=False)]
    [[0, 1, 2], [3, 4]]
    """
    num_validation, num_test = part_sizes(num_samples, validation_split, test_split)
    seed = as_seed(seed)
    if not shuffle:
        if stratify is not None or groups is not None:
            raise OptionError(
                "shuffle=False takes the last samples as they stand, and can neither stratify nor keep groups together."
                " Pass stratify=False (and groups=None) with it, or leave shuffle=True."
            )
        ends = np.cumsum([num_samples - num_validation - num_test, num_validation])
        parts = np.split(np.arange(num_samples), ends)
    elif groups is not None:
        parts = _split_groups(as_groups(groups, num_samples), stratify, num_validation, num_test, seed)
    else:
        if stratify is not None:
            _require_strata(stratify, num_validation, num_test, class_names)
        train, test = _draw(np.arange(num_samples), num_test, stratify, seed, class_names)
        train, validation = _draw(train, num_validation, stratify, seed, class_names)
        parts = [train, validation, test]
    return [part for part, wanted in zip(parts, (True, num_validation, num_test)) if wanted]


def part_sizes(num_samples: int, validation_split, test_split) -> tuple[int, int]:
    """Numbers of validation and test samples, fractions rounded up as scikit-learn does.

    >>> part_sizes(101, 0.2, None), part_sizes(100, 0.25, 5)
    ((21, 0), (25, 5))
    """
    if validation_split is None and test_split is None:
        raise OptionError("Say how much to split off, such as validation_split=0.2. Received: neither split.")
    sizes = []
    for name, split in (("validation_split", validation_split), ("test_split", test_split)):
        whole = isinstance(split, numbers.Integral) and not isinstance(split, bool)
        fraction = isinstance(split, numbers.Real) and not isinstance(split, numbers.Integral)
        if split is not None and not ((whole and split > 0) or (fraction and 0 < split < 1)):
            raise OptionError(
                f"`{name}` should be a fraction between 0 and 1, or a number of samples as an integer. "
                f"Received: {name}={split!r}"
            )
        sizes.append(0 if split is None else int(split) if whole else math.ceil(split * num_samples))
    if sum(sizes) >= num_samples:
        raise OptionError(
            f"Nothing is left to train on: {sizes[0]:,} of {num_samples:,} samples would be for validation and "
            f"{sizes[1]:,} for test. Received: validation_split={validation_split!r}, test_split={test_split!r}"
        )
    return sizes[0], sizes[1]


def as_strata(stratify, labels: np.ndarray | None, num_samples: int) -> tuple[np.ndarray | None, bool]:
    """What `split_indices` stratifies by, and whether that is the labels themselves.

    Args:
        stratify: `True` for the labels (when there are any), `False` or `None`, or an array with one class a sample.
        labels: labels of shape `(num_samples, ...)`, or `None`.
        num_samples: how many samples there are.
    """
    if stratify is None or isinstance(stratify, (bool, np.bool_)):
        return (class_codes(labels), True) if stratify and labels is not None else (None, True)
    strata = class_codes(stratify)
    if len(strata) != num_samples:
        raise DataError(
            f"`stratify` should name one class a sample. Received: {len(strata):,} classes for {num_samples:,} samples"
        )
    return strata, False


def class_codes(labels: np.ndarray) -> np.ndarray:
    """Labels as one class a sample, shape `(num_samples,)`, for stratifying.

    Accepts integers, text, whole floats, each also of shape `(num_samples, 1)`, and one-hot rows.

    Raises:
        OptionError: for labels that are no classes (several a sample, or measured values).

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
        f"stratify=True needs one class a sample, but these labels are {labels.dtype} of shape {labels.shape}. Pass "
        "stratify=False, or, as `stratify`, an array with one class a sample (such as the values sorted into bins)."
    )


def as_groups(groups, num_samples: int) -> np.ndarray:
    """Groups as integers from 0, shape `(num_samples,)`."""
    groups = np.asarray(groups)
    if groups.shape != (num_samples,):
        raise DataError(f"`groups` should name one group a sample: {num_samples} expected. Received: {groups.shape}")
    missing = groups != groups  # NaN
    if groups.dtype == object:
        missing = np.array([group is None or group != group for group in groups])
        groups = groups.astype(str)
    if np.any(missing):
        raise DataError(f"`groups` holds no group for sample {int(np.argmax(missing))}.")
    return np.unique(groups, return_inverse=True)[1]


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def _draw(indices, size, stratify, seed, class_names):
    """`indices` without `size` of them, and those."""
    if not size:
        return indices, indices[:0]
    from sklearn.model_selection import train_test_split  # a second to import

    strata = None if stratify is None else stratify[indices]
    if strata is not None:
        values, counts = np.unique(strata, return_counts=True)
        _refuse_small(values[counts < 2], stratify, class_names)  # the test part may have taken the others
    return train_test_split(indices, test_size=size, random_state=seed, stratify=strata)


def _require_strata(stratify, num_validation, num_test, class_names) -> None:
    sizes = (len(stratify) - num_validation - num_test, num_validation, num_test)
    values, counts = np.unique(stratify, return_counts=True)
    _refuse_small(values[counts < np.count_nonzero(sizes)], stratify, class_names)
    for name, size in zip(PARTS, sizes):
        if 0 < size < len(values):
            raise OptionError(
                f"The {name} part would be {size} of {len(stratify):,} samples, fewer than the {len(values)} classes "
                "that stratify=True spreads over it. Make that part larger, or pass stratify=False."
            )


def _refuse_small(classes, stratify, class_names) -> None:
    if not len(classes):
        return
    named = [
        f"{str(code if class_names is None else class_names[code])!r} ({np.count_nonzero(stratify == code)})"
        for code in classes[:5]
    ]
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    raise OptionError(
        f"stratify=True spreads every class over all parts, but too few samples are of class {', '.join(named)}{more}. "
        "Pass stratify=False, add samples, or merge the class with another."
    )


def _split_groups(groups, stratify, num_validation, num_test, seed) -> list[np.ndarray]:
    """Whole groups for each part, as near the sizes (and the mix of classes) as the best of some draws comes.

    scikit-learn's `GroupShuffleSplit` counts groups, not samples: "20%" of 30 groups of 1 to 100 samples held 9% to
    31% of the samples in 200 tries; its `StratifiedGroupKFold` splits off a k-th only. So each draw here is a random
    order of the groups, cut where the number of samples is nearest to what was asked for (19.9% to 20.3%).
    """
    names = [name for name, size in zip(PARTS, (1, num_validation, num_test)) if size]
    wanted_sizes = np.array([size for size in (num_validation, num_test) if size])
    group_sizes = np.bincount(groups)
    if len(group_sizes) < len(names):
        raise OptionError(f"{len(group_sizes)} groups cannot fill {len(names)} parts: {', '.join(names)}.")
    classes = np.zeros_like(groups) if stratify is None else np.unique(stratify, return_inverse=True)[1]
    num_classes, num_parts = classes.max() + 1, len(names)
    shares = np.array([len(groups) - wanted_sizes.sum(), *wanted_sizes]) / len(groups)
    wanted = shares[:, None] * np.bincount(classes)
    rng, best, best_error = np.random.default_rng(seed), None, np.inf
    for _ in range(GROUP_DRAWS):
        order = rng.permutation(len(group_sizes))
        part_of_group = np.zeros(len(group_sizes), dtype=np.int64)
        ends, start = group_sizes[order].cumsum(), 0
        for part, boundary in enumerate(wanted_sizes.cumsum(), start=1):
            last = len(order) - (num_parts - part)  # leaves a group to each part to come, and one to train
            stop = start + 1 + np.abs(ends[start:last] - boundary).argmin()
            part_of_group[order[start:stop]] = part
            start = stop
        parts = part_of_group[groups]
        mix = np.bincount(parts * num_classes + classes, minlength=num_parts * num_classes).reshape(wanted.shape)
        error = np.abs(mix - wanted).sum()
        if error < best_error:
            best, best_error = parts, error
    drawn = [rng.permutation(np.flatnonzero(best == part)) for part in range(num_parts)]
    empty = np.arange(0)
    return [drawn[0], drawn[1] if num_validation else empty, drawn[-1] if num_test else empty]
