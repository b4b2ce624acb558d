"""Opens HDF5 files (the extra `hdf5`), and finds the datasets in them whose rows can be read."""

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.core.storage import absolute, first_bytes, local_path, status, where_instead
from keras_oocore.core.text import LISTED_NAMES, and_more, did_you_mean, listed

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of a file without a user block
SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")


def import_h5py() -> Any:
    """Return the module h5py.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError('HDF5 files require h5py: pip install "keras_oocore[hdf5]"') from error
    return h5py


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a path has the suffix of an HDF5 file, or is one."""
    if Path(path).suffix.lower() in SUFFIXES:
        return True
    with contextlib.suppress(OSError):
        return first_bytes(path, len(SIGNATURE)) == SIGNATURE
    return False


def is_open_dataset(data: Any) -> bool:
    """Whether `data` is an open `h5py.Dataset` of a file that another process can open by its path."""
    if not type(data).__module__.startswith("h5py.") or type(data).__name__ != "Dataset" or not data:
        return False
    return data.name is not None and os.path.isfile(data.file.filename)


def open_hdf5(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Raises:
        DataError: If it cannot be read. The message names it.
        MissingExtraError: If h5py is not installed.
    """
    h5py, name = import_h5py(), repr(str(path))
    try:
        size_bytes = status(path).size_bytes
        first_bytes(path, 1)
    except OSError as error:
        raise DataError(f"Cannot read {name}: {error.strerror or error}.{where_instead(path)}") from error
    if not size_bytes:
        raise DataError(f"{name} is empty.")
    if not h5py.is_hdf5(local_path(path)):
        raise DataError(f"{name} is not an HDF5 file.")
    try:
        return h5py.File(local_path(path), "r")
    except OSError as error:  # truncated, or locked by a process that writes it
        raise DataError(
            f"Cannot read {name}: {error}. Is it complete, and closed by the program that wrote it? A file that grows "
            "has no fixed rows: wait for the end, or copy the rows that it has now to another file."
        ) from error


def find_dataset(file: Any, name: str | None, path: Path, argument: str = "dataset") -> Any:
    """Return a dataset of an open HDF5 file.

    Args:
        file: The file.
        name: Name of the dataset. `None` if the user named none.
        path: Path of the file, for messages.
        argument: The argument of the user, for messages.

    Raises:
        OptionError: If there is no such dataset. The message lists the datasets of the file.
    """
    if isinstance(name, str) and isinstance(file.get(name), import_h5py().Dataset):
        return file[name]
    found = {}
    file.visititems(lambda name, thing: found.update({name: thing}) if hasattr(thing, "dtype") else None)
    if not found:
        raise OptionError(f"{str(path)!r} contains no datasets. Received: {argument}={name!r}")
    shapes = ", ".join(
        f"{name!r} {_contents(dataset.dtype)[0] or dataset.dtype} {dataset.shape}"
        for name, dataset in list(found.items())[:LISTED_NAMES]
    )
    raise OptionError(
        f"`{argument}` should be the name of a dataset in {str(path)!r}: {shapes}{and_more(len(found))}. "
        f"Received: {argument}={name!r}.{did_you_mean(str(name), found)}"
    )


def require_readable(dataset: Any, where: str) -> None:
    """Check that the rows of a dataset are numbers that can be read.

    Args:
        dataset: The dataset.
        where: What messages call it.

    Raises:
        OptionError: If they are not numbers, or the user opened the file in SWMR mode.
        DataError: If h5py lacks the filter that decompresses them.
    """
    _require_no_writer(dataset, where)
    _require_rows(dataset, where)
    _require_filters(dataset, where)


def _require_rows(dataset: Any, where: str) -> None:
    """Check that a dataset contains rows of numbers.

    Raises:
        OptionError: If it does not. The message says what it contains.
    """
    if dataset.shape is None:
        raise OptionError(f"{where!r} is an empty dataset, without a shape.")
    contents, fix = _contents(dataset.dtype)
    if contents:
        raise OptionError(f"{where!r} should contain numbers. Received: {contents}. {fix}")
    if not dataset.shape:
        raise OptionError(f"{where!r} should have rows along its first axis. Received: a single number")


def _contents(dtype: np.dtype) -> tuple[str, str]:
    """Return what a dataset contains that is not numbers, and what to do; or `""`."""
    h5py = import_h5py()
    if h5py.check_string_dtype(dtype) is not None or dtype.kind in "SU":
        return "strings", "Write them as numbers. As labels, they are accepted"
    if h5py.check_ref_dtype(dtype) is not None:
        return "references", "Name the dataset that they refer to"
    if h5py.check_vlen_dtype(dtype) is not None:
        return "arrays of different lengths", "Pad them to one length"
    if dtype.names:
        return f"a compound dtype with the fields {listed(dtype.names)}", "Write each field as a dataset of its own"
    if dtype.kind not in "biufc":
        return f"dtype {dtype}", "Write it as an array of numbers"
    return "", ""


def _require_no_writer(dataset: Any, where: str) -> None:
    """Check that no other program may append rows: after a `refresh`, HDF5 1.14 returned rows of other chunks.

    Raises:
        OptionError: If the user opened the file in SWMR mode.
    """
    if dataset.file.swmr_mode:
        raise OptionError(
            f"{where!r} is open in SWMR mode, in which another program may append rows. An order of rows requires a "
            "file that does not change. Wait until it is closed, or copy the rows that it has now to another file: "
            f"other.create_dataset({dataset.name.strip('/')!r}, data=dataset[:])"
        )


def _require_filters(dataset: Any, where: str) -> None:
    """Check that h5py can decompress a dataset.

    Raises:
        DataError: If it cannot. The message names the missing filter.
    """
    h5py, created = import_h5py(), dataset.id.get_create_plist()
    filters = [created.get_filter(index) for index in range(created.get_nfilters())]
    missing = [(code, name.decode()) for code, _, _, name in filters if not h5py.h5z.filter_avail(code)]
    if not missing or not len(dataset):
        return
    try:
        dataset[:1]  # chunks may be stored without an optional filter
    except OSError as error:
        code, name = missing[0]
        raise DataError(
            f"{where!r} is compressed with filter {code}{f' ({name})' * bool(name)}, which h5py does not contain. "
            "Install it: pip install hdf5plugin, and import hdf5plugin before you open the file."
        ) from error


def read_labels(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """Return a dataset of an HDF5 file as labels. Strings are bytes.

    Raises:
        OptionError: If there is no such dataset.
        DataError: If the file cannot be read.
    """
    path = Path(absolute(os.path.expanduser(path)))
    with open_hdf5(path) as file:
        return find_dataset(file, name, path, "labels")[()]
