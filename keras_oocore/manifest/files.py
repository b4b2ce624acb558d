"""A manifest's three files: written so that what does not belong together is noticed, and read back."""

import contextlib
import json
import os
import zlib
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import load_array, write_whole
from keras_oocore.manifest.inputs import require_inside, save_pair
from keras_oocore.manifest.scan import existing_directory

FORMAT_VERSION = 1
KEYS = ("num_samples", "class_names", "directory", "directory_absolute", "filenames_crc32", "labels_crc32")


def write(
    folder: str | os.PathLike,
    filenames: np.ndarray,
    labels: np.ndarray | None,
    class_names: list[str] | None,
    directory: Path | None,
) -> Path:
    """Write `filenames.npy`, `labels.npy` and, last, `manifest.json` into `folder`; returns it as a path."""
    folder = Path(folder)
    relative = absolute = None
    if directory is not None:
        absolute = os.path.realpath(directory)
        with contextlib.suppress(ValueError):  # on another drive (Windows)
            relative = Path(os.path.relpath(absolute, os.path.realpath(folder))).as_posix()
    record = {
        "format": FORMAT_VERSION,
        "num_samples": len(filenames),
        "class_names": class_names,
        "directory": relative,
        "directory_absolute": absolute,
        "filenames_crc32": _checksum(filenames),
        "labels_crc32": None if labels is None else _checksum(labels),
    }
    with write_whole(folder / "manifest.json") as file:  # left last, so published last
        save_pair(folder, filenames, labels)
        file.write(json.dumps(record, indent=1).encode())
    return folder


def read(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray | None, list[str] | None, str | None]:
    """Filenames, labels, class names and directory, as `write` was given them.

    Raises:
        DataError: when they are missing, from a newer version, half saved, or changed since.
    """
    folder = existing_directory(folder)
    saved = _read_json(folder)
    filenames, labels = load_array(folder / "filenames.npy"), None
    if saved["labels_crc32"] is not None:
        labels = load_array(folder / "labels.npy")
    for name, array in (("filenames", filenames), ("labels", labels)):
        if array is not None and (len(array), _checksum(array)) != (saved["num_samples"], saved[f"{name}_crc32"]):
            raise DataError(
                f"{os.fspath(folder / f'{name}.npy')!r} ({len(array):,} samples) is not the file that "
                f"manifest.json was saved with ({saved['num_samples']:,} samples): a save was interrupted, or the "
                "file changed since. Save the manifest again, or use the arrays by Manifest.from_arrays."
            )
    if saved["directory_absolute"] is not None:
        require_inside(filenames, folder)
    return filenames, labels, saved["class_names"], _found_again(saved, folder)


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0


def _read_json(folder: Path) -> dict:
    path = folder / "manifest.json"
    try:
        saved = json.loads(path.read_bytes())
        saved_format = saved["format"]
        if saved_format == FORMAT_VERSION:
            return {key: saved[key] for key in KEYS}
    except FileNotFoundError as error:
        arrays = (
            " It holds filenames.npy: open that with Manifest.from_arrays."
            if (folder / "filenames.npy").exists()
            else ""
        )
        raise DataError(
            f"{os.fspath(folder)!r} holds no manifest.json: no manifest was saved there, or not to the end.{arrays}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{os.fspath(path)!r} is damaged ({error!r}). Save the manifest again.") from error
    raise DataError(
        f"{os.fspath(path)!r} has format {saved_format!r}, but this version of keras_oocore reads format "
        f"{FORMAT_VERSION}. Upgrade: pip install -U keras_oocore"
    )


def _found_again(saved: dict, folder: Path) -> str | None:
    """The saved directory where it lies now: relative to the saved folder, or else where it was."""
    relative, absolute = saved["directory"], saved["directory_absolute"]
    moved = None if relative is None else os.path.realpath(folder / relative)
    if moved is not None and (os.path.isdir(moved) or not os.path.isdir(absolute)):
        return moved
    return absolute
