"""Filenames and labels as two arrays of one length, whatever they came as: lists, `.npy` files, columns of a table."""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.core.files import leaves_folder, load_array, write_whole
from keras_oocore.core.text import did_you_mean
from keras_oocore.manifest.scan import as_class_names

if TYPE_CHECKING:
    import pandas

BLOCK_ROWS = 65_536
CANONICAL_INTEGER = r"-?(?:0|[1-9]\d*)"
PADDED_INTEGER = r"-?0\d+"
DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


def as_filenames(filenames: Sequence[str | os.PathLike] | np.ndarray | str | os.PathLike) -> np.ndarray:
    """Filenames as one array of text, shape `(num_samples,)`, with forward slashes.

    Args:
        filenames: array, list, or path of a `.npy` file.

    Raises:
        DataError: when there are none, or one is no name.

    >>> as_filenames([Path("cats") / "001.png", "dogs/1.png"])
    array(['cats/001.png', 'dogs/1.png'], dtype='<U12')
    """
    if isinstance(filenames, (str, os.PathLike)):
        filenames = load_array(filenames)
    if not isinstance(filenames, np.ndarray):
        filenames = np.array([*filenames], dtype=object)
    if filenames.ndim == 2 and filenames.shape[1] == 1:
        filenames = filenames[:, 0]
    if filenames.ndim != 1 or not len(filenames):
        raise DataError(f"`filenames` should be a list of at least one name. Received: shape {filenames.shape}")
    if filenames.dtype.kind != "U":
        filenames = np.array([_as_name(name, i) for i, name in enumerate(filenames)], dtype=str)
    if not filenames.all():
        raise DataError(f"The filename of sample {int(np.argmin(filenames.astype(bool)))} is empty.")
    return np.char.replace(filenames, "\\", "/") if os.name == "nt" else filenames


def _as_name(name, i: int) -> str:
    try:
        return os.fsdecode(name)
    except TypeError:
        raise DataError(f"The filename of sample {i} should be text. Received: {name!r}") from None


def require_inside(filenames: np.ndarray, directory: str | os.PathLike) -> None:
    """Raise for a filename that, joined to `directory`, would leave it.

    Raises:
        DataError: which names it.
    """
    for start in range(0, len(filenames), BLOCK_ROWS):
        block = np.ascontiguousarray(filenames[start : start + BLOCK_ROWS], dtype=filenames.dtype.newbyteorder("="))
        codes = block.view(np.uint32).reshape(len(block), -1)  # a character a column
        dots = codes == ord(".")
        suspects = (dots[:, :-1] & dots[:, 1:]).any(axis=1) | np.isin(codes[:, 0], [ord("/"), ord("\\")])
        if os.name == "nt" and codes.shape[1] > 1:
            suspects |= codes[:, 1] == ord(":")
        for name in block[suspects].tolist():
            if leaves_folder(name):
                raise DataError(
                    f"The filename {name!r} would leave its folder {os.fspath(directory)!r}. Filenames are relative to "
                    "`directory`; pass directory=None to use them as they are."
                )


def as_labels(
    labels: Sequence | np.ndarray | str | os.PathLike | None,
    class_names: Sequence[str] | None,
    filenames: np.ndarray,
) -> tuple[np.ndarray | None, list[str] | None]:
    """Labels as an array, one row a sample, and the class names when they are known.

    Text becomes `int32` indices into the class names. Integers and whole, non-negative floats of shape
    `(num_samples,)` or `(num_samples, 1)` become `int32` of shape `(num_samples,)`; anything else stays as it is.

    Raises:
        DataError: when lengths differ, a label is missing, or is no class of `class_names`.

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


def require_same_length(filenames: np.ndarray, labels: np.ndarray) -> None:
    """Raise a DataError that gives both lengths when they differ."""
    if len(labels) != len(filenames):
        raise DataError(
            "Each sample needs one filename and one label. "
            f"Received: {len(filenames):,} filenames and {len(labels):,} labels"
        )


def as_label_array(labels: Sequence | np.ndarray | str | os.PathLike) -> np.ndarray:
    """Labels as numbers or text, never as Python objects; a path of a `.npy` file is loaded."""
    if isinstance(labels, (str, os.PathLike)):
        if not os.fspath(labels).endswith(".npy"):
            raise OptionError(
                f'`labels` should be "inferred", None, an array, or a .npy file. Received: labels={labels!r}'
            )
        return load_array(labels)
    try:
        array = np.asarray(labels)
        array = np.array(array.tolist()) if array.dtype == object else array
    except ValueError as error:
        raise DataError("`labels` should be rows of one shape, but their shapes differ.") from error
    if array.ndim == 0:
        raise OptionError(f"`labels` should hold one label a sample. Received: labels={labels!r}")
    if array.dtype == object:
        i, odd = next((i, label) for i, label in enumerate(array) if not isinstance(label, (str, int, float)))
        raise DataError(f"The label of sample {i} should be a number or text. Received: {odd!r}")
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def _are_indices(labels: np.ndarray) -> bool:
    return labels.dtype.kind == "f" and bool(((labels >= 0) & (labels < 2**31) & (labels == np.floor(labels))).all())


def _encode(labels, class_names, filenames):
    if labels.ndim != 1:
        raise DataError(f"Text labels should be one a sample. Received: labels of shape {labels.shape}")
    found, codes = np.unique(labels, return_inverse=True)
    found = found.tolist()
    if class_names is None:
        return codes.astype(np.int32), found
    index = {name: i for i, name in enumerate(class_names)}
    for i, name in enumerate(found):
        if name not in index:
            sample = int(np.argmax(codes == i))
            raise DataError(
                f"Unknown class {name!r} of sample {sample} ({str(filenames[sample])!r}): `class_names` does not hold "
                f"it.{did_you_mean(name, class_names)}"
            )
    return np.array([index[name] for name in found], dtype=np.int32)[codes], class_names


def _require_classes(labels, class_names, filenames) -> None:
    unknown = (labels < 0) | (labels >= len(class_names))
    if unknown.any():
        sample = int(np.argmax(unknown))
        raise DataError(
            f"Unknown class {labels[sample]} of sample {sample} ({str(filenames[sample])!r}): `class_names` holds "
            f"{len(class_names)} names, so labels should be 0 to {len(class_names) - 1}."
        )


def save_pair(directory: str | os.PathLike, filenames: np.ndarray, labels: np.ndarray | None) -> None:
    """Write `filenames.npy` and `labels.npy` together: both are whole before either takes its name."""
    folder = Path(directory)
    with contextlib.ExitStack() as stack:
        np.save(stack.enter_context(write_whole(folder / "filenames.npy")), filenames, allow_pickle=False)
        if labels is not None:
            np.save(stack.enter_context(write_whole(folder / "labels.npy")), labels, allow_pickle=False)
    if labels is None:
        (folder / "labels.npy").unlink(missing_ok=True)  # of an earlier save: these filenames have none


def read_table(
    data: "str | os.PathLike | pandas.DataFrame", x_col: str, y_col: str | Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Filenames and labels from the columns of a CSV file or DataFrame, as `Manifest.from_csv` describes them."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            'Reading a table of filenames needs pandas. Install it: pip install "keras_oocore[pandas]"'
        ) from error
    columns = [] if y_col is None else [y_col] if isinstance(y_col, str) else [*y_col]
    if y_col is not None and not columns:
        raise OptionError("`y_col` should name at least one column. Received: an empty list")
    if isinstance(data, pd.DataFrame):
        name, from_file = "the DataFrame", False
        _require_columns(data.columns, x_col, columns, name)
    else:
        name, from_file = repr(os.fspath(data)), True
        data = _read_csv(pd, data, x_col, columns, name)
    filenames = as_filenames(_whole(data, x_col, name).astype(str).to_numpy(dtype=object))
    if y_col is None:
        return filenames, None
    if isinstance(y_col, str):
        return filenames, _as_classes(_whole(data, y_col, name), from_file)
    return filenames, np.stack([_as_numbers(pd, _whole(data, y, name), name) for y in columns], axis=1)


def _read_csv(pd, path, x_col, columns, name):
    try:
        header = pd.read_csv(path, nrows=0).columns
        _require_columns(header, x_col, columns, name)
        wanted = {x_col, *columns}
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], usecols=lambda c: c in wanted)
    except OSError as error:
        raise DataError(f"Cannot read {name}: {error.strerror or error}.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a CSV file with a header, in UTF-8: {error}.") from error


def _require_columns(header: Iterable, x_col: str, columns: list[str], name: str) -> None:
    header = [*map(str, header)]
    for argument, column in [("x_col", x_col), *(("y_col", column) for column in columns)]:
        if column not in header:
            separator = next((s for s in ";\t|" if len(header) == 1 and s in header[0]), None)
            hint = f" It seems to be separated by {separator!r}: pass pandas.read_csv(path, sep={separator!r})."
            raise DataError(
                f"{name} has no column {column!r} ({argument}).{did_you_mean(column, header)} "
                f"Columns: {', '.join(map(repr, header[:20]))}{'.' + hint if separator else ''}"
            )


def _whole(table, column, name):
    """A column without missing values."""
    values = table[column]
    if values.isna().any():
        row = int(values.isna().to_numpy().argmax())
        raise DataError(f"Row {row + 1} of {name} (the header not counted) has no value in column {column!r}.")
    return values


def _as_classes(values, from_file: bool) -> np.ndarray:
    """A column of text, of `int64`, or of `float32`; in a file, integers are those written without padding zeros."""
    if values.dtype.kind in "iub":
        return values.to_numpy()
    if values.dtype.kind == "f":
        return values.to_numpy(dtype=np.float32)
    text = values.astype(str)
    if from_file and text.str.fullmatch(CANONICAL_INTEGER).all():
        return text.to_numpy(dtype=np.int64)
    if from_file and text.str.fullmatch(DECIMAL).all() and not text.str.fullmatch(PADDED_INTEGER).any():
        return text.to_numpy(dtype=np.float32)
    return text.to_numpy(dtype=object).astype(str)


def _as_numbers(pd, values, name) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any():
        row = int(numbers.isna().to_numpy().argmax())
        raise DataError(
            f"Row {row + 1} of {name} (the header not counted) holds {values.iloc[row]!r} in column {values.name!r}, "
            "where a number is needed. A column of classes is named by itself: y_col='name', not a list."
        )
    return numbers.to_numpy(dtype=np.float32)
