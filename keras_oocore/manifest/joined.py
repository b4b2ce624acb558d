"""Joins two manifests: their files, labels, class names and columns."""

import os
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.text import listed
from keras_oocore.manifest.features import joined_features


class Joined(NamedTuple):
    """What a joined manifest is made of."""

    filenames: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None
    directory: str | None
    skipped: dict[str, int]
    columns: dict[str, np.ndarray]
    features: np.ndarray | None


def joined(first: Any, second: Any) -> Joined:
    """Return the samples of two manifests, one after the other.

    Args:
        first, second: Manifests.

    Raises:
        DataError: If only one has labels or class names, their labels have different shapes, their columns or features
            have different names, or a file is in both.
    """
    filenames, directory = _filenames(first, second)
    unique, counts = np.unique(filenames, return_counts=True)
    if len(unique) < len(filenames):
        twice = unique[counts > 1]
        raise DataError(
            f"{len(twice):,} files are in both manifests: {listed(twice[:3].tolist())}"
            f"{', ...' if len(twice) > 3 else ''}. To draw samples more often, use `sampling` of the Sequence."
        )
    labels, class_names = _labels(first, second)
    if first.columns.keys() != second.columns.keys():
        different = sorted(first.columns.keys() ^ second.columns.keys())
        raise DataError(f"Both manifests should have the same columns. Only one has: {listed(different)}")
    columns = {name: np.concatenate([values, second.columns[name]]) for name, values in first.columns.items()}
    skipped = dict(Counter(first.skipped) + Counter(second.skipped))
    return Joined(filenames, labels, class_names, directory, skipped, columns, joined_features(first, second))


def _filenames(first: Any, second: Any) -> tuple[np.ndarray, str | None]:
    """Return the filenames, and the directory that they are relative to."""
    parts = first, second
    folders = [None if part.directory is None else os.path.abspath(part.current_directory) for part in parts]
    if folders[0] == folders[1]:
        return np.concatenate([part.filenames for part in parts]), folders[0]
    common = None if None in folders else _common(folders)
    return np.concatenate([_below(folder, common, part.filenames) for part, folder in zip(parts, folders)]), common


def _common(folders: list[str]) -> str | None:
    """Return the innermost folder that contains all folders, or `None` if they are on two drives of Windows."""
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def _below(folder: str | None, common: str | None, filenames: np.ndarray) -> np.ndarray:
    """Return filenames that are relative to `folder` as filenames relative to `common`, or as absolute ones."""
    if folder is None or folder == common:
        return filenames
    relative = folder if common is None else os.path.relpath(folder, common)
    return np.char.add(relative.replace(os.sep, "/").rstrip("/") + "/", filenames)


def _labels(first: Any, second: Any) -> tuple[np.ndarray | None, list[str] | None]:
    """Return labels and class names. Classes of the second that the first does not have get the next numbers."""
    one, two = first.labels, second.labels
    if one is None and two is None:
        return None, None
    if one is None or two is None:
        raise DataError("Both manifests should have labels, or none. Received: labels of one of them")
    if (first.class_names is None) != (second.class_names is None):
        raise DataError(
            "Both manifests should have class names, or none: otherwise it is not known which labels are the same class"
        )
    if one.shape[1:] != two.shape[1:]:
        raise DataError(f"Labels of one shape are required. Received: labels of shape {one.shape} and {two.shape}")
    names = first.class_names
    if names is not None and names != second.class_names:
        if two.ndim != 1 or two.dtype.kind not in "iu":
            raise DataError(
                "With several labels per sample, both manifests should have the same class names in the same order."
            )
        names = [*names, *(name for name in second.class_names if name not in names)]
        two = np.array([names.index(name) for name in second.class_names], two.dtype)[two]
    return np.concatenate([one, two]), names
