"""Finds labels that are probably a mistake: names of files, classes without samples, and one class per sample."""

import os
from collections.abc import Sequence

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import LISTED_NAMES, and_more
from keras_oocore.core.warn import warn_user

NAMES_LOOKED_AT = 3
FEW_SAMPLES = 20  # below, each sample may well have a class of its own
MANY_CLASSES = 2**16  # from here on, do not count in an array of all classes unless there are as many samples


def refuse_file_names(names: Sequence[str], directory: str | os.PathLike[str] | None) -> None:
    """Check that labels are not names of files, such as masks, which would silently become one class each.

    Args:
        names: The distinct labels. Three of them are looked at.
        directory: Directory that the files may be in, besides the working directory, or `None`.

    Raises:
        OptionError: If all of these are existing files.
    """
    looked_at = [names[at] for at in sorted({0, len(names) // 2, len(names) - 1})][:NAMES_LOOKED_AT]
    if all(_is_file(name) or (directory is not None and _is_file(os.path.join(directory, name))) for name in looked_at):
        raise OptionError(
            "`labels` should contain one class or number per sample, but they are names of existing files, such as "
            f"{looked_at[0]!r}: each file would become a class. For images as targets, such as masks, pass the images "
            'in one array, in memory or from disk: labels=np.load("masks.npy", mmap_mode="r"), label_mode="raw". '
            "If these are names of classes, pass them as `class_names`, too."
        )


def _is_file(path: str) -> bool:
    try:
        return storage.status(path).is_file
    except (OSError, ValueError):  # such as a null character in a label
        return False


def warn_of_one_class_per_sample(labels: np.ndarray, num_classes: int) -> None:
    """Warn if no two of 20 or more samples have the same class.

    Args:
        labels: Class indices, an integer array of shape `(num_samples,)`.
        num_classes: Number of classes.
    """
    num_samples = len(labels)
    if FEW_SAMPLES <= num_samples <= num_classes and len(np.unique(labels)) == num_samples:
        warn_user(
            f"There are as many classes as samples: each of the {num_samples:,} samples has a class of its own. If "
            '`labels` are measured values, use label_mode="raw". If they are names or numbers of the samples, pass '
            "their classes instead."
        )


def warn_of_empty_classes(labels: np.ndarray, num_classes: int, class_names: Sequence[str] | None = None) -> None:
    """Warn about classes without samples. They keep their index, as in Keras.

    Args:
        labels: Class indices, an integer array of shape `(num_samples,)`.
        num_classes: Number of classes.
        class_names: Names of the classes in the order of their indices, or `None`.
    """
    count, first = empty_classes(labels, num_classes)
    if not count:
        return
    hint = ""
    if class_names is None and first == [0] and count == 1:
        hint = " If the classes are numbered from 1, subtract 1 from the labels."
    warn_user(
        f"{count:,} of {num_classes:,} classes without samples: {listed_classes(count, first, class_names)}. They keep "
        f"their index, so a model needs {num_classes:,} outputs.{hint}"
    )


def empty_classes(labels: np.ndarray, num_classes: int) -> tuple[int, list[int]]:
    """Return the number of classes without samples, and the first ten of them.

    >>> empty_classes(np.array([1, 3, 3]), num_classes=4)
    (2, [0, 2])
    """
    if num_classes <= max(MANY_CLASSES, len(labels)):
        empty = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
        return len(empty), empty[:LISTED_NAMES].tolist()
    used = np.unique(labels)
    candidates = np.arange(min(num_classes, len(used) + LISTED_NAMES))
    return num_classes - len(used), np.setdiff1d(candidates, used)[:LISTED_NAMES].tolist()


def listed_classes(count: int, first: Sequence[int], class_names: Sequence[str] | None) -> str:
    """Return the first of `count` classes by name, or by index without names, and how many more there are."""
    names = [repr(index if class_names is None else class_names[index]) for index in first]
    return ", ".join(names) + and_more(count, len(first))
