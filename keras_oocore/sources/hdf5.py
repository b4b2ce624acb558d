"""`HDF5Rows`: the rows of a dataset of an HDF5 file in slices, or as a memory map if it is contiguous."""

import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.storage import GONE, UNKNOWN, absolute, local_path, stamp, status
from keras_oocore.sources.hdf5_file import find_dataset, import_h5py, open_hdf5, require_readable


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
            require_readable(opened, str(self))
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
