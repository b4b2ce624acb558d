"""What is stored at a path, from names and the first bytes of files; no sample is read."""

import dataclasses
import enum
import glob
import os
import zipfile
from pathlib import Path

import numpy as np

from keras_oocore.commands.report import WrongUseError
from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.npy import read_header
from keras_oocore.csv.dialect import SUFFIXES as TABLE_SUFFIXES
from keras_oocore.manifest import files as manifest_files
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.found import counted_extensions
from keras_oocore.manifest.scan import find_files
from keras_oocore.manifest.splits import PARTS
from keras_oocore.sources.hdf5_file import is_hdf5
from keras_oocore.store.format import RECORD as STORE_RECORD

ARRAY_EXTENSIONS = (".npy",)
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4")
CHECKPOINT = "checkpoint-[0-9]*"


class Kind(enum.StrEnum):
    """What a path contains."""

    CLASS_FOLDERS = "class folders"
    FILES = "files without classes"
    MANIFEST = "manifest"
    NAMES = "file names"
    SAVED_ARRAYS = "saved arrays"
    SPLIT = "split"
    ARRAY = "array"
    HDF5 = "HDF5 file"
    STORE = "packed store"
    STORES = "packed stores"
    TABLE_CACHE = "cache of a table"
    CSV = "CSV"
    PARQUET = "Parquet"
    ARROW = "Arrow"
    CHECKPOINTS = "checkpoints"
    ZIP = "zip file"
    EMPTY = "empty folder"
    OTHER = "nothing usable"


TABLE_KINDS = (Kind.CSV, Kind.PARQUET, Kind.ARROW)
FILE_KINDS = (Kind.CLASS_FOLDERS, Kind.FILES, Kind.MANIFEST, Kind.NAMES, Kind.SAVED_ARRAYS)

WHAT = {
    Kind.STORE: "a packed store, whose rows are ready",
    Kind.ARRAY: "an array",
    Kind.HDF5: "an HDF5 file",
    Kind.CSV: "a CSV file",
    Kind.PARQUET: "a Parquet file",
    Kind.ARROW: "an Arrow file",
}


@dataclasses.dataclass(frozen=True)
class Place:
    """A path and what it contains.

    Attributes:
        path: The path as it was typed. For a folder of CSV files, the pattern of these files.
        kind: What it contains.
        extensions: For folders, the extensions of the files to use.
        detail: What else was found, as words.
    """

    path: str
    kind: Kind
    extensions: tuple[str, ...] = ()
    detail: str = ""


def place_of(path: str) -> Place:
    """Return what is stored at a path.

    Raises:
        WrongUseError: If it does not exist. The message has the most similar name.
        DataError: If a folder cannot be listed, or a file cannot be read.
    """
    if storage.is_directory(path):
        return _folder(path)
    if storage.exists(path):
        is_file = storage.status(path).is_file
        return _file(path) if is_file else Place(path, Kind.OTHER, detail="not an ordinary file")
    if glob.has_magic(path) and storage.match(path):
        return Place(path, _typed_table(path) or Kind.CSV)
    raise WrongUseError(_missing(path))


def subfolders_with(path: str, name: str) -> list[str]:
    """Return the sorted names of the folders in a folder that contain a file of this name."""
    return sorted(os.path.basename(os.path.dirname(found)) for found in glob.glob(f"{glob.escape(path)}/*/{name}"))


def _missing(path: str) -> str:
    from keras_oocore.csv.not_csv import require_local  # imports pyarrow

    try:
        require_local(path)
    except DataError as error:
        return str(error)
    if os.path.islink(path):
        return f"{path!r} is a link to {os.readlink(path)!r}, which does not exist."
    return f"{path!r} does not exist.{storage.where_instead(path)}"


def _folder(path: str) -> Place:
    folder = Path(path)
    if (folder / STORE_RECORD).exists():
        is_table = not (folder / manifest_files.RECORD).exists()
        return Place(path, Kind.TABLE_CACHE if is_table else Kind.STORE)
    if subfolders_with(path, STORE_RECORD):
        return Place(path, Kind.STORES)
    if (folder / manifest_files.RECORD).exists():
        return Place(path, Kind.MANIFEST)
    if (folder / manifest_files.FILENAMES).exists():
        return Place(path, Kind.SAVED_ARRAYS)
    if PARTS[0] in subfolders_with(path, manifest_files.RECORD):
        return Place(path, Kind.SPLIT)
    if any(folder.glob(CHECKPOINT)):
        return Place(path, Kind.CHECKPOINTS)
    return _folder_of_files(path)


def _folder_of_files(path: str) -> Place:
    found = find_files(path, IMAGE_EXTENSIONS)
    if len(found.filenames):
        return Place(path, Kind.CLASS_FOLDERS, IMAGE_EXTENSIONS)
    if found.skipped["outside the class folders"]:
        return Place(path, Kind.FILES, IMAGE_EXTENSIONS)
    within = found.other_extensions - found.outside_extensions
    for extension in ARRAY_EXTENSIONS:
        if within[extension]:
            return Place(path, Kind.CLASS_FOLDERS, ARRAY_EXTENSIONS)
        if found.outside_extensions[extension]:
            return Place(path, Kind.FILES, ARRAY_EXTENSIONS)
    if typed := _typed_table(path):
        return Place(path, typed)
    for suffix in TABLE_SUFFIXES:
        if found.outside_extensions[suffix]:
            return Place(os.path.join(glob.escape(path), f"*{suffix}"), Kind.CSV)
    others = found.other_extensions
    if not others and not found.skipped["linked folder (follow_links=False)"]:
        return Place(path, Kind.EMPTY)
    return Place(path, Kind.OTHER, tuple(others), counted_extensions(others))


def _file(path: str) -> Place:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".npy":
        return Place(path, Kind.NAMES if _npy_dtype(path).kind == "U" else Kind.ARRAY)
    if is_hdf5(path):
        return Place(path, Kind.HDF5)
    is_other = suffix in (*TABLE_SUFFIXES, *COMPRESSED_SUFFIXES, ".zip", *IMAGE_EXTENSIONS)
    if not is_other and (typed := _typed_table(path)):
        return Place(path, typed)
    is_zipped_table = suffix == ".zip" and suffixes[-2:-1] and suffixes[-2] in TABLE_SUFFIXES
    if suffix in TABLE_SUFFIXES or is_zipped_table or (suffix in COMPRESSED_SUFFIXES and suffixes[-2:-1] != [".tar"]):
        return Place(path, Kind.CSV)
    if suffix == ".zip" and zipfile.is_zipfile(path):
        return Place(path, Kind.ZIP)
    if suffix in (".txt", ".data", "") and _is_text(path):
        return Place(path, Kind.CSV)
    return Place(path, Kind.OTHER, (suffix,), f"one file, {suffix or 'without extension'}")


def _typed_table(path: str) -> Kind | None:
    """Return the kind of tables whose columns have types, or `None` if there is none at this path."""
    from keras_oocore.tables.ipc.paths import is_arrow  # imports pyarrow
    from keras_oocore.tables.parquet.paths import is_parquet

    return Kind.PARQUET if is_parquet(path) else Kind.ARROW if is_arrow(path) else None


def _npy_dtype(path: str) -> np.dtype:
    try:
        with storage.open_file(path) as file:
            return read_header(file)[2]
    except (OSError, ValueError) as error:
        raise DataError(f"{path!r} is not a complete .npy file ({error}). Save it again with numpy.save.") from error


def _is_text(path: str) -> bool:
    try:
        start = storage.first_bytes(path, 4096)
    except OSError as error:
        raise DataError(f"Cannot read {path!r}: {error.strerror or error}.") from error
    return bool(start.strip()) and b"\0" not in start
