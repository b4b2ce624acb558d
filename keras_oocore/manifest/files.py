"""Writes a manifest as a few files and reads them back, with checksums that show whether they belong together."""

import contextlib
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from keras_oocore.core.commit import open_together, save_together
from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.files import as_path
from keras_oocore.core.fingerprint import array_spec
from keras_oocore.core.npy import load_opened
from keras_oocore.core.record import RecordFormat
from keras_oocore.manifest.columns import decode, encode
from keras_oocore.manifest.folders import existing_directory
from keras_oocore.manifest.inputs import require_inside

RECORD, FILENAMES, LABELS, FEATURES = "manifest.json", "filenames.npy", "labels.npy", "features.npy"
RECORD_FORMAT = RecordFormat(version=1, remedy="Save the manifest again.", indent=1)


def save_pair(
    folder: str | os.PathLike[str],
    filenames: np.ndarray,
    labels: np.ndarray | None,
    record: bytes | None = None,
    others: Mapping[str, np.ndarray | None] | None = None,
) -> None:
    """Write `filenames.npy`, `labels.npy` and, if given, the text of `manifest.json`. Earlier files stay, or all go.

    Args:
        folder: The folder. It is created if it does not exist.
        filenames: The file names.
        labels: The labels, or `None` to remove an earlier file of labels.
        record: The text of `manifest.json`, or `None`.
        others: Name of a further file → its array, or `None` to remove it.

    Raises:
        DestinationError: If the files cannot be written.
    """
    arrays = {FILENAMES: filenames, LABELS: labels, **(others or {})}
    contents = {name: None if array is None else _saver(array) for name, array in arrays.items()}
    if record is not None:
        contents[RECORD] = lambda file: file.write(record)
    save_together(folder, contents)


def _saver(array: np.ndarray) -> Callable[[IO[bytes]], Any]:
    return lambda file: np.save(file, array, allow_pickle=False)


def load_pair(folder: Path, files: Mapping[str, BinaryIO | None]) -> tuple[np.ndarray, np.ndarray | None]:
    """Read filenames and labels from the files of `folder` that `open_together` has opened.

    Raises:
        DataError: If there are no filenames, or a file is damaged.
    """
    filenames = load_opened(files[FILENAMES], folder / FILENAMES)
    labels = None if files[LABELS] is None else load_opened(files[LABELS], folder / LABELS)
    for name, array in ((FILENAMES, filenames), (LABELS, labels)):
        if array is not None and array.ndim == 0:
            raise DataError(f"{os.fspath(folder / name)!r} should contain one row per sample. Received: a single value")
    return filenames, labels


def write(
    folder: str | os.PathLike[str],
    filenames: np.ndarray,
    labels: np.ndarray | None,
    class_names: list[str] | None,
    directory: Path | None,
    columns: Mapping[str, np.ndarray] | None = None,
    indices: np.ndarray | None = None,
    features: np.ndarray | None = None,
    feature_cols: list[str] | None = None,
) -> Path:
    """Write `filenames.npy`, `labels.npy`, `manifest.json` and, with features, `features.npy`.

    Returns:
        The folder as a `Path`.

    Raises:
        DestinationError: If the files cannot be written, or there is a `features.npy` that no manifest has written.
    """
    folder = as_path(folder, "directory")
    has_features = _has_features(folder)
    if features is not None and not has_features and (folder / FEATURES).exists():
        raise DestinationError(
            f"{os.fspath(folder / FEATURES)!r} does not belong to a manifest, and would be replaced by the features of "
            "this one. Rename it, or save to another folder."
        )
    relative = absolute = None
    if directory is not None:
        absolute = os.path.realpath(directory)
        with contextlib.suppress(ValueError):  # on another drive (Windows)
            relative = Path(os.path.relpath(absolute, os.path.realpath(folder))).as_posix()
    arrays = {"filenames": filenames} if labels is None else {"filenames": filenames, "labels": labels}
    record = {
        "num_samples": len(filenames),
        "class_names": class_names,
        "directory": relative,
        "directory_absolute": absolute,
        "filenames_crc32": _checksum(filenames),
        "labels_crc32": None if labels is None else _checksum(labels),
        "arrays": {name: array_spec(array) for name, array in arrays.items()},
    }
    if columns:
        record["columns"] = {name: encode(values) for name, values in columns.items()}
    if indices is not None:
        record["indices"] = encode(indices.astype(np.uint32) if indices.max(initial=0) < 2**32 else indices)
    if features is not None:
        record |= {"feature_cols": feature_cols, "features_crc32": _checksum(features)}
        record["arrays"]["features"] = array_spec(features)
    others = {FEATURES: features} if features is not None or has_features else {}
    save_pair(folder, filenames, labels, RECORD_FORMAT.encode(record), others)
    return folder


def _has_features(folder: Path) -> bool:
    """Whether the folder has a manifest whose record names `features.npy`."""
    try:
        with open_together(folder, (RECORD,)) as files:
            return files[RECORD] is not None and _read_record(folder, files)["feature_cols"] is not None
    except (DataError, OSError):
        return False


def read(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of the manifest that `write` has written.

    Raises:
        DataError: If a file is missing, was written by a newer version, or does not belong to the others.
    """
    folder = existing_directory(folder)
    features = None
    with open_together(folder, (RECORD, FILENAMES, LABELS, FEATURES)) as files:
        saved = _read_record(folder, files)
        if saved["labels_crc32"] is None:
            files[LABELS] = None  # it belongs to something else
        filenames, labels = load_pair(folder, files)
        if saved["labels_crc32"] is not None and labels is None:
            load_opened(None, folder / LABELS)
        if saved["feature_cols"] is not None:
            features = load_opened(files[FEATURES], folder / FEATURES)
    for name, array in (("filenames", filenames), ("labels", labels), ("features", features)):
        if array is not None and not _belongs(name, array, saved):
            raise DataError(
                f"{os.fspath(folder / f'{name}.npy')!r} ({len(array):,} samples) does not belong to {RECORD} "
                f"({saved['num_samples']:,} samples): a save was interrupted, or the file has changed. Save the "
                "manifest again, or pass the arrays to Manifest.from_arrays."
            )
    if filenames.ndim != 1 or filenames.dtype.kind != "U":
        raise DataError(
            f"{os.fspath(folder / FILENAMES)!r} should contain one filename per sample. Received: dtype "
            f"{filenames.dtype} and shape {filenames.shape}"
        )
    if saved["directory_absolute"] is not None:
        require_inside(filenames, folder)
    return {
        "filenames": filenames,
        "labels": labels,
        "class_names": saved["class_names"],
        "directory": _current_directory(saved, folder),
        "columns": saved["columns"],
        "indices": saved["indices"],
        "features": features,
        "feature_cols": saved["feature_cols"],
    }


def _belongs(name: str, array: np.ndarray, saved: dict[str, Any]) -> bool:
    """Whether an array is the one that was saved: a bit of its header changes dtype or shape, not the bytes."""
    spec = array_spec(array)
    same_spec = len(array) == saved["num_samples"] and saved["arrays"].get(name, spec) == spec
    return same_spec and _checksum(array) == saved[f"{name}_crc32"]


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0


def _read_record(folder: Path, files: Mapping[str, BinaryIO | None]) -> dict[str, Any]:
    file = files[RECORD]
    if file is not None:
        return RECORD_FORMAT.decode(file.read(), folder / RECORD, _values)
    remedy = " To open its filenames.npy, use Manifest.from_arrays." if files[FILENAMES] is not None else ""
    raise DataError(f"{os.fspath(folder)!r} contains no {RECORD}: no manifest was saved there.{remedy}")


def _values(saved: dict[str, Any]) -> dict[str, Any]:
    """The values of a record, with the types that `write` gives them. Anything else raises a `ValueError`."""
    class_names, directories = saved["class_names"], (saved["directory"], saved["directory_absolute"])
    if class_names is not None and not (isinstance(class_names, list) and all(isinstance(c, str) for c in class_names)):
        raise ValueError(f"its class_names are {class_names!r}")
    for path in directories:
        if path is not None and (not isinstance(path, str) or "\0" in path):
            raise ValueError(f"its directory is {path!r}")
    if directories[0] is not None and directories[1] is None:
        raise ValueError("its directory_absolute is missing")
    num_samples, indices = int(saved["num_samples"]), saved.get("indices")
    return {
        "num_samples": num_samples,
        "class_names": class_names,
        "directory": directories[0],
        "directory_absolute": directories[1],
        "filenames_crc32": int(saved["filenames_crc32"]),
        "labels_crc32": None if saved["labels_crc32"] is None else int(saved["labels_crc32"]),
        # Not in the first files:
        "arrays": dict(saved.get("arrays", {})),
        "columns": {name: decode(values, num_samples) for name, values in saved.get("columns", {}).items()},
        "indices": None if indices is None else decode(indices, num_samples).astype(np.int64),
        "feature_cols": _names(saved.get("feature_cols")),
        "features_crc32": int(saved["features_crc32"]) if "feature_cols" in saved else None,
    }


def _names(feature_cols: Any) -> list[str] | None:
    if feature_cols is None or (isinstance(feature_cols, list) and all(isinstance(n, str) for n in feature_cols)):
        return feature_cols
    raise ValueError(f"its feature_cols are {feature_cols!r}")


def _current_directory(saved: dict[str, Any], folder: Path) -> str | None:
    """Where the data is now: relative to the saved manifest, or else at its absolute path at the time of saving."""
    relative, absolute = saved["directory"], saved["directory_absolute"]
    moved = None if relative is None else os.path.realpath(folder / relative)
    if moved is not None and (os.path.isdir(moved) or not os.path.isdir(absolute)):
        return moved
    return absolute
