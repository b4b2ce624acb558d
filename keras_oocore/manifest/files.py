"""Writes a manifest as three files and reads them back, with checksums that show whether they belong together."""

import contextlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import load_array, write_whole
from keras_oocore.core.record import MissingRecordError, RecordFormat
from keras_oocore.manifest.columns import decode, encode
from keras_oocore.manifest.inputs import require_inside, save_pair
from keras_oocore.manifest.scan import existing_directory

RECORD = "manifest.json"
RECORD_FORMAT = RecordFormat(version=1, remedy="Save the manifest again.", indent=1)
KEYS = ("num_samples", "class_names", "directory", "directory_absolute", "filenames_crc32", "labels_crc32")


def write(
    folder: str | os.PathLike,
    filenames: np.ndarray,
    labels: np.ndarray | None,
    class_names: list[str] | None,
    directory: Path | None,
    columns: Mapping[str, np.ndarray] | None = None,
    indices: np.ndarray | None = None,
) -> Path:
    """Write `filenames.npy`, `labels.npy` and, last, `manifest.json`. Returns the folder as a `Path`."""
    folder = Path(folder)
    relative = absolute = None
    if directory is not None:
        absolute = os.path.realpath(directory)
        with contextlib.suppress(ValueError):  # on another drive (Windows)
            relative = Path(os.path.relpath(absolute, os.path.realpath(folder))).as_posix()
    record = {
        "num_samples": len(filenames),
        "class_names": class_names,
        "directory": relative,
        "directory_absolute": absolute,
        "filenames_crc32": _checksum(filenames),
        "labels_crc32": None if labels is None else _checksum(labels),
    }
    if columns:
        record["columns"] = {name: encode(values) for name, values in columns.items()}
    if indices is not None:
        record["indices"] = encode(indices.astype(np.uint32) if indices.max(initial=0) < 2**32 else indices)
    with write_whole(folder / RECORD) as file:  # the last to be left, so the last to be published
        save_pair(folder, filenames, labels)
        file.write(RECORD_FORMAT.encode(record))
    return folder


def read(
    folder: str | os.PathLike,
) -> tuple[np.ndarray, np.ndarray | None, list[str] | None, str | None, dict[str, np.ndarray], np.ndarray | None]:
    """The filenames, labels, class names, directory, columns and indices that `write` has written.

    Raises:
        DataError: If a file is missing, was written by a newer version, or does not belong to the others.
    """
    folder = existing_directory(folder)
    saved = _read_record(folder)
    filenames, labels = load_array(folder / "filenames.npy"), None
    if saved["labels_crc32"] is not None:
        labels = load_array(folder / "labels.npy")
    for name, array in (("filenames", filenames), ("labels", labels)):
        if array is not None and (len(array), _checksum(array)) != (saved["num_samples"], saved[f"{name}_crc32"]):
            raise DataError(
                f"{os.fspath(folder / f'{name}.npy')!r} ({len(array):,} samples) does not belong to {RECORD} "
                f"({saved['num_samples']:,} samples): a save was interrupted, or the file has changed. Save the "
                "manifest again, or pass the arrays to Manifest.from_arrays."
            )
    if saved["directory_absolute"] is not None:
        require_inside(filenames, folder)
    return (
        filenames,
        labels,
        saved["class_names"],
        _current_directory(saved, folder),
        saved["columns"],
        saved["indices"],
    )


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0


def _read_record(folder: Path) -> dict:
    try:
        return RECORD_FORMAT.read(folder / RECORD, _parsed)
    except MissingRecordError as error:
        has_arrays = (folder / "filenames.npy").exists()
        remedy = " To open its filenames.npy, use Manifest.from_arrays." if has_arrays else ""
        raise DataError(
            f"{os.fspath(folder)!r} contains no {RECORD}: no manifest was saved there, or its save was interrupted."
            f"{remedy}"
        ) from error


def _parsed(saved: dict) -> dict:
    num_samples, indices = saved["num_samples"], saved.get("indices")  # older files have no columns and no indices
    return {
        **{key: saved[key] for key in KEYS},
        "columns": {name: decode(values, num_samples) for name, values in saved.get("columns", {}).items()},
        "indices": None if indices is None else decode(indices, num_samples).astype(np.int64),
    }


def _current_directory(saved: dict, folder: Path) -> str | None:
    """Where the data is now: relative to the saved manifest, or else at its absolute path at the time of saving."""
    relative, absolute = saved["directory"], saved["directory_absolute"]
    moved = None if relative is None else os.path.realpath(folder / relative)
    if moved is not None and (os.path.isdir(moved) or not os.path.isdir(absolute)):
        return moved
    return absolute
