"""Shuffles, splits, saves and loads filenames and labels as a pair of arrays."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.commit import open_together
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import as_path
from keras_oocore.manifest import splits
from keras_oocore.manifest.files import FILENAMES, LABELS, load_pair, save_pair
from keras_oocore.manifest.inputs import as_filenames, as_label_array, require_same_length


def shuffle_arrays(
    filenames: Sequence[str] | np.ndarray, labels: Sequence[Any] | np.ndarray | None, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray | Any]:
    """Shuffles filenames and labels in the same random order.

    Args:
        filenames: Array or list of `num_samples` filenames.
        labels: Array or list whose first axis is the samples, or `None`.
        seed: Random seed. Defaults to a seed from Python's `random`, which `keras.utils.set_random_seed` seeds.

    Returns:
        `(filenames, labels)`: arrays of the same shapes. `labels` is `None` if there are no labels.

    Raises:
        DataError: If the lengths differ.

    >>> filenames, labels = shuffle_arrays(["a.png", "b.png", "c.png"], [0, 1, 2], seed=0)
    >>> filenames.tolist(), labels.tolist()
    (['c.png', 'a.png', 'b.png'], [2, 0, 1])
    """
    filenames, labels = _pair(filenames, labels)
    order = np.random.default_rng(splits.as_seed(seed)).permutation(len(filenames))
    return filenames[order], _at(labels, order)


def split_arrays(
    filenames: Sequence[str] | np.ndarray,
    labels: Sequence[Any] | np.ndarray | None,
    validation_split: float | int | None = 0.2,
    test_split: float | int | None = None,
    stratify: bool | Sequence[Any] | np.ndarray = True,
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int | None = None,
) -> tuple[np.ndarray | Any, ...]:
    """Splits filenames and labels into training, validation and test parts.

    Args:
        filenames: Array or list of `num_samples` filenames.
        labels: Array or list whose first axis is the samples, or `None`.
        validation_split: Fraction (float) or number (int) of samples to use for validation. `None` for no validation
            part. Defaults to `0.2`.
        test_split: Fraction (float) or number (int) of samples to use for testing. Defaults to no test part.
        stratify: Whether each part has the same proportion of each class. Pass an array with one class per sample to
            use these classes instead of the labels. Defaults to `True`.
        groups: Array with one group per sample. Samples of one group (such as one patient or one video) stay in the
            same part.
        seed: Random seed. Defaults to a seed from Python's `random`.

    Returns:
        `(train_filenames, val_filenames, train_labels, val_labels)`, in the order of scikit-learn's
        `train_test_split`, or `(train_filenames, val_filenames, test_filenames, train_labels, val_labels,
        test_labels)`. Labels are `None` if there are no labels. Without a test part, the samples are those of
        `train_test_split` with the same seed.

    Raises:
        OptionError: If a part would be empty or too large, a class is too small to stratify, or the labels are not
            classes.
        DataError: If the lengths differ.

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
    directory: str | os.PathLike[str],
    filenames: Sequence[str] | np.ndarray,
    labels: Sequence[Any] | np.ndarray | None = None,
) -> Path:
    """Saves filenames and labels as `filenames.npy` and `labels.npy`.

    Existing files of these names are replaced together: after a kill, and for `load_arrays` in another process, either
    both are old or both are new. If there are no labels, an existing `labels.npy` is removed.
    Arrays are never pickled and can be read with `numpy.load`.

    Args:
        directory: Directory to save to. It is created if it does not exist.
        filenames: Array or list of `num_samples` filenames.
        labels: Array or list whose first axis is the samples, or `None`.

    Returns:
        The directory as a `Path`.

    Raises:
        DataError: If the lengths differ, or a label is neither a number nor a string.
        DestinationError: If the files cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = save_arrays(directory, ["a.png", "b.png"], [0, 1])
    ...     load_arrays(directory)
    (array(['a.png', 'b.png'], dtype='<U5'), array([0, 1]))
    """
    directory = as_path(directory, "directory")
    save_pair(directory, *_pair(filenames, labels))
    return directory


def load_arrays(directory: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray | Any]:
    """Loads filenames and labels that were saved with `save_arrays` or with `numpy.save`.

    Args:
        directory: Directory that contains `filenames.npy` and, optionally, `labels.npy`.

    Returns:
        `(filenames, labels)`. `labels` is `None` if there is no `labels.npy`.

    Raises:
        DataError: If `filenames.npy` does not exist, the lengths differ, or a file is damaged or contains pickled
            objects.
    """
    folder = as_path(directory, "directory")
    with open_together(folder, (FILENAMES, LABELS)) as files:
        filenames, labels = load_pair(folder, files)
    if labels is not None and len(labels) != len(filenames):
        raise DataError(
            f"{os.fspath(folder)!r} contains {len(filenames):,} filenames but {len(labels):,} labels: the files "
            "belong to different datasets. Save them again with save_arrays."
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
