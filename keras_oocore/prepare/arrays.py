"""Shuffle, split, save and load for those who keep filenames and labels as two arrays."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import load_array
from keras_oocore.manifest import splits
from keras_oocore.manifest.inputs import as_filenames, as_label_array, require_same_length, save_pair


def shuffle_arrays(
    filenames: Sequence[str] | np.ndarray, labels: Sequence | np.ndarray | None, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Filenames and labels in one random order.

    Args:
        filenames: array or list of `num_samples` names.
        labels: array or list whose first axis is the samples, or `None`.
        seed: makes the order repeatable. `None` draws one from Python's `random`, which
            `keras.utils.set_random_seed` governs.

    Returns:
        `(filenames, labels)`: arrays of the same shapes (`labels` is `None` without labels).

    Raises:
        DataError: when lengths differ.

    >>> filenames, labels = shuffle_arrays(["a.png", "b.png", "c.png"], [0, 1, 2], seed=0)
    >>> filenames.tolist(), labels.tolist()
    (['c.png', 'a.png', 'b.png'], [2, 0, 1])
    """
    filenames, labels = _pair(filenames, labels)
    order = np.random.default_rng(splits.as_seed(seed)).permutation(len(filenames))
    return filenames[order], _at(labels, order)


def split_arrays(
    filenames: Sequence[str] | np.ndarray,
    labels: Sequence | np.ndarray | None,
    validation_split: float | int | None = 0.2,
    test_split: float | int | None = None,
    stratify: bool | Sequence | np.ndarray = True,
    groups: Sequence | np.ndarray | None = None,
    seed: int | None = None,
) -> tuple[np.ndarray | None, ...]:
    """Filenames of each part, then labels of each part, ordered as scikit-learn's `train_test_split` returns them.

    Args:
        filenames: array or list of `num_samples` names.
        labels: array or list whose first axis is the samples, or `None`.
        validation_split: fraction of the samples, or their number as an integer; `None` for no validation part.
        test_split: likewise for a test part.
        stratify: whether each part keeps the mix of classes; or an array with one class a sample to keep to.
        groups: an array with one group a sample; those of one group (a patient, a video) stay in one part.
        seed: makes the split repeatable. `None` draws one from Python's `random`.

    Returns:
        `(train_filenames, val_filenames, train_labels, val_labels)`, or with a test part
        `(train_filenames, val_filenames, test_filenames, train_labels, val_labels, test_labels)`. Labels are `None`
        without labels. With the same seed and no test part, the samples are those of `train_test_split`.

    Raises:
        OptionError: when a size cannot work, a class is too small to stratify, or labels are no classes.
        DataError: when lengths differ.

    >>> parts = split_arrays(["a.png", "b.png", "c.png", "d.png"], [0, 0, 1, 1], validation_split=0.5, seed=0)
    >>> train_filenames, val_filenames, train_labels, val_labels = parts
    >>> sorted(train_labels.tolist()), sorted(val_labels.tolist())
    ([0, 1], [0, 1])
    """
    filenames, labels = _pair(filenames, labels)
    strata, _ = splits.as_strata(stratify, labels, len(filenames))
    parts = splits.split_indices(len(filenames), validation_split, test_split, strata, groups, seed)
    return *(filenames[part] for part in parts), *(_at(labels, part) for part in parts)


def save_arrays(
    directory: str | os.PathLike, filenames: Sequence[str] | np.ndarray, labels: Sequence | np.ndarray | None = None
) -> Path:
    """The folder, made when missing, that now holds `filenames.npy` and, with labels, `labels.npy`.

    Files of those names are replaced, both at once; without labels, a `labels.npy` from before is removed. Never
    pickles: the files open with plain `numpy.load`.

    Raises:
        DataError: when lengths differ, or a label is neither a number nor text.
        DestinationError: when they cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = save_arrays(directory, ["a.png", "b.png"], [0, 1])
    ...     load_arrays(directory)
    (array(['a.png', 'b.png'], dtype='<U5'), array([0, 1]))
    """
    save_pair(directory, *_pair(filenames, labels))
    return Path(directory)


def load_arrays(directory: str | os.PathLike) -> tuple[np.ndarray, np.ndarray | None]:
    """`(filenames, labels)` from `filenames.npy` and `labels.npy` in a folder; labels are `None` when not there.

    Raises:
        DataError: when `filenames.npy` is missing, lengths differ, or a file holds pickled objects.
    """
    folder = Path(directory)
    filenames = load_array(folder / "filenames.npy")
    labels = load_array(folder / "labels.npy") if (folder / "labels.npy").exists() else None
    if labels is not None and len(labels) != len(filenames):
        raise DataError(
            f"{os.fspath(folder)!r} holds {len(filenames):,} filenames but {len(labels):,} labels: a save was "
            "interrupted, or the files are not of one data set. Save them again with save_arrays."
        )
    return filenames, labels


def _pair(filenames, labels) -> tuple[np.ndarray, np.ndarray | None]:
    filenames = as_filenames(filenames)
    if labels is not None:
        labels = as_label_array(labels)
        require_same_length(filenames, labels)
    return filenames, labels


def _at(labels: np.ndarray | None, indices: np.ndarray) -> np.ndarray | None:
    return None if labels is None else labels[indices]
