"""Opens a dataset of an HDF5 file (the extra `hdf5`): its rows in slices, or as a memory map if it is contiguous."""

import contextlib
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.storage import GONE, UNKNOWN, absolute, first_bytes, local_path, stamp, status, where_instead
from keras_oocore.core.text import LISTED_NAMES, and_more, did_you_mean, listed

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of a file without a user block
SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")


class HDF5Rows:
    """The rows of a dataset of an HDF5 file, read in slices. Any number of threads may share it.

    The file is opened when it is first read, and closed by `close()` or with the object.

    Args:
        path: Path of the file.
        name: Name of the dataset, such as `"images"` or `"train/images"`.
        dataset: The dataset, if the user opened it. It is opened again if the user closes it.

    Attributes:
        shape: Shape of the dataset. The first axis is the samples.
        dtype: Dtype of the rows, in the byte order of this machine.
        chunk_rows: Number of rows of a chunk, 1 if the dataset is not chunked.

    Raises:
        OptionError: If the dataset does not exist, or does not contain rows of numbers.
        DataError: If the file cannot be read.
        MissingExtraError: If h5py is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None, dataset: Any = None):
        self.path: Path = Path(absolute(os.path.expanduser(path)))
        self.name: str | None = name
        self._stamp = None if dataset is not None else stamp(self.path)
        self._closing = None  # finalizer that closes the file, unless the user opened it
        self.reset_after_fork()
        register_fork_aware(self)
        try:
            opened = self._dataset = self._open() if dataset is None else dataset
            _require_no_writer(opened, str(self))
            require_rows(opened, str(self))
            _require_filters(opened, str(self))
        except BaseException:
            self.close()  # otherwise a stored traceback would keep the file open
            raise
        self.shape: tuple[int, ...] = opened.shape
        self.dtype: np.dtype = np.dtype(opened.dtype.str).newbyteorder("=")
        self.chunk_rows: int = opened.chunks[0] if opened.chunks else 1

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"  # as the tools of HDF5 write it

    def reset_after_fork(self) -> None:
        """Forget the open file, for a new object or in a forked child."""
        if self._closing is not None:
            self._closing.detach()
        self._dataset = self._closing = None
        self._reading = threading.Lock()  # of h5py, there is only one for all files anyway

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`.

        Raises:
            DataError: If the file changed after it was opened.
        """
        with self._reading:
            if not self._dataset:  # also if the user closed it
                self._stamp = self._stamp or stamp(self.path)
                self._dataset = self._open()
            if self._stamp is not None and (now := stamp(self.path)) != self._stamp and now not in (GONE, UNKNOWN):
                raise DataError(f"{str(self.path)!r} changed after it was opened. Create the Sequence again.")
            return self._dataset[start:stop]

    def stamp(self) -> tuple[int, int]:
        """Return size and time of the file, which show whether it changed."""
        return stamp(self.path)

    def memory_map(self) -> np.memmap | None:
        """Return all rows as a memory map if the dataset is contiguous numbers in the file, and else `None`."""
        h5py = import_h5py()
        dataset = self._dataset = self._dataset or self._open()
        if dataset.file.mode != "r":
            dataset.file.flush()
        offset = dataset.id.get_offset()
        layout = dataset.id.get_create_plist().get_layout()
        if layout != h5py.h5d.CONTIGUOUS or offset is None or not self.shape[0]:
            return None
        if dataset.id.get_type() != h5py.h5t.py_create(dataset.dtype, logical=True):
            return None  # such as integers of 12 bits, which h5py converts
        if offset + dataset.nbytes > status(self.path).size_bytes:
            return None
        rows = np.memmap(local_path(self.path), dataset.dtype.str, "r", offset, self.shape)
        # In a file that is divided among several, the offset belongs to another one.
        if any(rows[row].tobytes() != dataset[row].tobytes() for row in (0, -1)):
            return None
        self.close()  # the map needs no open file
        return rows

    def close(self) -> None:
        """Close the file, unless the user opened it. Reading opens it again."""
        with self._reading:
            if self._closing is not None:
                self._closing()
                self._dataset = self._closing = None

    def _open(self) -> Any:
        file = open_hdf5(self.path)
        self._closing = weakref.finalize(self, file.close)  # h5py would leave the file open
        self._closing.atexit = False
        return find_dataset(file, self.name, self.path)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process opens the file by."""
        hidden = ("_dataset", "_reading", "_closing")
        return {**{name: value for name, value in vars(self).items() if name not in hidden}, "_closing": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
        register_fork_aware(self)


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


def require_rows(dataset: Any, where: str) -> None:
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
