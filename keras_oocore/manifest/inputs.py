"""Converts the filenames, labels, class names and extensions that a user passes into arrays and lists of one form."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.commit import open_together
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.files import leaves_folder
from keras_oocore.core.npy import load_opened
from keras_oocore.core.storage import is_directory
from keras_oocore.core.text import did_you_mean, shown

BLOCK_ROWS = 65_536


def as_extensions(extensions: str | Iterable[str]) -> tuple[str, ...]:
    """File extensions in lower case, each with its dot.

    Args:
        extensions: An extension, or a list of extensions.

    Raises:
        OptionError: If there are no extensions, or one of them is empty or not a string.

    >>> as_extensions("npy"), as_extensions([".PNG", ".nii.gz"])
    (('.npy',), ('.png', '.nii.gz'))
    """
    extensions = [extensions] if isinstance(extensions, str) else list(extensions)
    if not extensions or not all(isinstance(extension, str) and extension.strip(".") for extension in extensions):
        raise OptionError(
            f"`extensions` should be a list of file extensions, such as ('.png', '.jpg'). Received: {shown(extensions)}"
        )
    return tuple("." + extension.lower().lstrip(".") for extension in extensions)


def as_class_names(class_names: Sequence[str] | None) -> list[str] | None:
    """Class names as a list of distinct strings, or `None`.

    Raises:
        OptionError: If `class_names` is a string, or contains a name twice.
    """
    if class_names is None:
        return None
    if isinstance(class_names, str):
        raise OptionError(f"`class_names` should be a list of strings. Received: class_names={class_names!r}")
    names = [str(name) for name in class_names]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise OptionError(f"`class_names` should contain each class once, but contains {repeated[0]!r} more than once.")
    return names


def as_filenames(filenames: Sequence[str | os.PathLike[str]] | np.ndarray | str | os.PathLike[str]) -> np.ndarray:
    """Filenames as one string array of shape `(num_samples,)`, with forward slashes.

    Args:
        filenames: Array, list, or path of a `.npy` file.

    Raises:
        DataError: If there are no filenames, or one of them is empty or not a string.

    >>> as_filenames([Path("cats") / "001.png", "dogs/1.png"])
    array(['cats/001.png', 'dogs/1.png'], dtype='<U12')
    """
    where = ""
    if isinstance(filenames, (str, os.PathLike)):
        _require_no_folder(filenames)
        where, filenames = f"{os.fspath(filenames)!r}: ", _load(filenames)
    if not isinstance(filenames, np.ndarray):
        filenames = np.array([*filenames], dtype=object)
    if filenames.ndim == 2 and filenames.shape[1] == 1:
        filenames = filenames[:, 0]
    if filenames.ndim != 1 or not len(filenames):
        raise DataError(
            f"{where}`filenames` should be a list of at least one filename. Received: shape {filenames.shape}"
        )
    if filenames.dtype.kind != "U":
        filenames = np.array([_as_name(name, i, where) for i, name in enumerate(filenames)], dtype=str)
    if not filenames.all():
        raise DataError(f"{where}The filename of sample {int(np.argmin(filenames.astype(bool)))} is empty.")
    return np.char.replace(filenames, "\\", "/") if os.name == "nt" else filenames


def _require_no_folder(path: str | os.PathLike[str]) -> None:
    """Check that the path of filenames is not that of a folder or a table."""
    name, path = repr(os.fspath(path)), os.path.expanduser(path)
    if is_directory(path):
        raise DataError(f"{name} is a folder, not a .npy file. To list its files: Manifest.from_directory({name})")
    if path.lower().endswith((".csv", ".tsv")):
        raise DataError(f"{name} is a table, not a .npy file. To read its names and labels: Manifest.from_csv({name})")


def _as_name(name, i: int, where: str) -> str:
    try:
        return os.fsdecode(name)
    except TypeError:
        raise DataError(f"{where}The filename of sample {i} should be a string. Received: {name!r}") from None


def require_inside(filenames: np.ndarray, directory: str | os.PathLike[str]) -> None:
    """Check that every filename, joined to `directory`, stays inside it.

    Raises:
        DataError: If a filename is absolute or leads out of `directory`. The message contains the filename.
    """
    for start in range(0, len(filenames), BLOCK_ROWS):
        block = np.ascontiguousarray(filenames[start : start + BLOCK_ROWS], dtype=filenames.dtype.newbyteorder("="))
        codes = block.view(np.uint32).reshape(len(block), -1)  # one column per character
        dots = codes == ord(".")
        suspects = (dots[:, :-1] & dots[:, 1:]).any(axis=1) | np.isin(codes[:, 0], [ord("/"), ord("\\")])
        if os.name == "nt" and codes.shape[1] > 1:
            suspects |= codes[:, 1] == ord(":")
        for name in block[suspects].tolist():
            if leaves_folder(name):
                raise DataError(
                    f"The filename {name!r} is outside the directory {os.fspath(directory)!r}. Filenames are relative "
                    "to `directory`. To use the filenames as they are, pass directory=None."
                )


def as_labels(
    labels: Sequence[Any] | np.ndarray | str | os.PathLike[str] | None,
    class_names: Sequence[str] | None,
    filenames: np.ndarray,
) -> tuple[np.ndarray | None, list[str] | None]:
    """Labels as an array with one row per sample, and the class names if they are known.

    Strings become `int32` indices into the class names. Integers and whole, non-negative floats of shape
    `(num_samples,)` or `(num_samples, 1)` become `int32` of shape `(num_samples,)`. All other labels stay unchanged.

    Args:
        labels: Array, list, path of a `.npy` file, or `None`.
        class_names: List of class names in the order of their indices, or `None`.
        filenames: String array of shape `(num_samples,)`, for error messages.

    Raises:
        DataError: If `labels` and `filenames` have different lengths, or a label is missing or is not in
            `class_names`.

    >>> as_labels(["dog", "cat"], None, np.array(["a.png", "b.png"]))
    (array([1, 0], dtype=int32), ['cat', 'dog'])
    """
    class_names = as_class_names(class_names)
    if labels is None:
        return None, class_names
    labels = as_label_array(labels)
    require_same_length(filenames, labels)
    if labels.ndim == 2 and labels.shape[1] == 1 and (labels.dtype.kind in "USiub" or _are_indices(labels)):
        labels = labels[:, 0]
    if labels.dtype.kind in "US":
        return _encode(labels, class_names, filenames)
    if labels.ndim == 1 and (labels.dtype.kind in "iub" or _are_indices(labels)):
        labels = labels.astype(np.int32 if np.abs(labels).max(initial=0) < 2**31 else np.int64)
        if class_names is not None:
            _require_classes(labels, class_names, filenames)
    return labels, class_names


def require_same_length(filenames: np.ndarray, labels: np.ndarray, one: str = "filename") -> None:
    """Raise a `DataError` if `filenames`, or rows that `one` names, and `labels` have different lengths."""
    if len(labels) != len(filenames):
        raise DataError(
            f"There should be one label per {one}. Received: {len(filenames):,} {one}s and {len(labels):,} labels"
        )


def as_label_array(labels: Sequence[Any] | np.ndarray | str | os.PathLike[str]) -> np.ndarray:
    """Labels as an array of numbers or strings, never of Python objects.

    Args:
        labels: Array, list, or path of a `.npy` file.

    Raises:
        OptionError: If `labels` is a single value, or a string that is not the path of a `.npy` file.
        DataError: If the rows have different shapes, or a label is neither a number nor a string.
    """
    if isinstance(labels, (str, os.PathLike)):
        if not os.fspath(labels).endswith(".npy"):
            raise OptionError(
                f'`labels` should be "inferred", None, an array, or a .npy file. Received: labels={labels!r}'
            )
        labels = _load(labels)
    try:
        array = np.asarray(labels)
        array = np.array(array.tolist()) if array.dtype == object else array
    except ValueError as error:
        raise DataError("The rows of `labels` should have the same shape, but their shapes differ.") from error
    if array.ndim == 0:
        raise OptionError(f"`labels` should contain one label per sample. Received: labels={labels!r}")
    if array.dtype == object:
        i, odd = next((i, label) for i, label in enumerate(array) if not isinstance(label, (str, int, float)))
        raise DataError(f"The label of sample {i} should be a number or a string. Received: {odd!r}")
    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"The labels should be strings in UTF-8. Received: {error.object!r}") from error


def _load(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of a `.npy` file, also if a process was killed that saved it together with others."""
    path = Path(os.path.expanduser(path))
    with open_together(path.parent, [path.name]) as files:
        return load_opened(files[path.name], path)


def _are_indices(labels: np.ndarray) -> bool:
    return labels.dtype.kind == "f" and bool(((labels >= 0) & (labels < 2**31) & (labels == np.floor(labels))).all())


def _encode(labels, class_names, filenames):
    if labels.ndim != 1:
        raise DataError(f"There should be one string label per sample. Received: labels of shape {labels.shape}")
    found, codes = np.unique(labels, return_inverse=True)
    found = found.tolist()
    if class_names is None:
        return codes.astype(np.int32), found
    index = {name: i for i, name in enumerate(class_names)}
    for i, name in enumerate(found):
        if name not in index:
            sample = int(np.argmax(codes == i))
            raise DataError(
                f"Unknown class {name!r} of sample {sample} ({str(filenames[sample])!r}): it is not in `class_names`."
                f"{did_you_mean(name, class_names)}"
            )
    return np.array([index[name] for name in found], dtype=np.int32)[codes], class_names


def _require_classes(labels, class_names, filenames) -> None:
    unknown = (labels < 0) | (labels >= len(class_names))
    if unknown.any():
        sample = int(np.argmax(unknown))
        raise DataError(
            f"Unknown class {labels[sample]} of sample {sample} ({str(filenames[sample])!r}): `class_names` contains "
            f"{len(class_names)} names, so labels should be 0 to {len(class_names) - 1}."
        )
