"""The two files of one checkpoint: written whole, and read only if every byte is right.

checkpoint-00000007/arrays.npz         the arrays as a0, a1, ...; numpy.load opens it
checkpoint-00000007/checkpoint.json    their names, dtypes and shapes, the state, a checksum of all this
"""

import contextlib
import dataclasses
import math
import operator
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import sync_folder
from keras_oocore.core.record import NewerRecordError, RecordError, RecordFormat
from keras_oocore.core.temporary import temporary_name
from keras_oocore.core.version import __version__
from keras_oocore.training.state.dtypes import dtype_name, named_dtype
from keras_oocore.training.state.plain_values import NotPlainError

ARRAYS, RECORD = "arrays.npz", "checkpoint.json"
RECORD_FORMAT = RecordFormat(version=1, remedy="Remove the checkpoint.", requires_checksum=True)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of one checkpoint.

    Attributes:
        path: Its directory.
        number: Number of its directory. Later checkpoints have higher numbers.
        state: Plain JSON.
        arrays: Name → array.
    """

    path: Path
    number: int
    state: dict[str, Any]
    arrays: dict[str, np.ndarray]


class DamagedError(Exception):
    """A checkpoint is not complete. The message says why, for use in brackets."""


def encoded_record(state: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the text of `checkpoint.json`.

    Raises:
        NotPlainError: If an array contains objects or records.
    """
    for name, array in arrays.items():
        if dtype_name(array.dtype) is None:
            raise NotPlainError(f"The array {name!r} should contain numbers or strings. Received: dtype {array.dtype}")
    described = {name: {"dtype": dtype_name(array.dtype), "shape": array.shape} for name, array in arrays.items()}
    return RECORD_FORMAT.encode({"keras_oocore": __version__, "arrays": described, "state": state})


def write(path: Path, record: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    """Write both files to a temporary directory, and rename it once they are on disk.

    Args:
        path: The directory of the checkpoint.
        record: The result of `encoded_record`.
        arrays: Name → array.
    """
    temporary = temporary_name(path)
    try:
        os.mkdir(temporary)
        with _durable(temporary / ARRAYS) as file:
            np.savez(file, **{f"a{i}": _as_stored(array) for i, array in enumerate(arrays.values())})
        with _durable(temporary / RECORD) as file:
            file.write(record)
        sync_folder(temporary)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def _durable(path: Path) -> Iterator:
    with open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _as_stored(array: np.ndarray) -> np.ndarray:
    """Return what npz can store: the bits of ml_dtypes numbers as unsigned integers."""
    return array.view(_stored_dtype(array.dtype))


def _stored_dtype(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"u{dtype.itemsize}") if dtype.type.__module__ == "ml_dtypes" else dtype


def read(path: Path, number: int, check: Callable[[Checkpoint], None] | None) -> Checkpoint:
    """Return a checkpoint, after checking every byte of its state and arrays.

    Raises:
        NewerRecordError: If a newer version wrote it.
        MissingExtraError: If an array requires ml_dtypes, which is not installed.
        DamagedError: If it is not complete, or its content is wrong.
    """
    try:
        described, state = RECORD_FORMAT.read(path / RECORD, _parse)
    except NewerRecordError:
        raise
    except RecordError as error:
        raise DamagedError(f"{RECORD}: {error.reason}") from error
    with _damage_in(ARRAYS), zipfile.ZipFile(path / ARRAYS) as npz:
        arrays = {
            name: _read_array(npz, f"a{i}.npy", *described_array)
            for i, (name, *described_array) in enumerate(described)
        }
    checkpoint = Checkpoint(path, number, state, arrays)
    if check is not None:
        with _damage_in(RECORD):
            check(checkpoint)
    return checkpoint


def _parse(saved: dict[str, Any]) -> tuple[list[tuple], dict[str, Any]]:
    """Return name, shape and dtype of each array, and the state."""
    described = [
        (name, tuple(map(operator.index, array["shape"])), named_dtype(array["dtype"]))
        for name, array in saved["arrays"].items()
    ]
    if not isinstance(saved["state"], dict):
        raise ValueError("its state is not a JSON object")
    return described, saved["state"]


@contextlib.contextmanager
def _damage_in(name: str) -> Iterator[None]:
    """Turn nearly any error about the content of a file into a `DamagedError`: a flipped bit can raise them all."""
    try:
        yield
    except (MemoryError, MissingExtraError, DamagedError):
        raise
    except Exception as error:
        raise DamagedError(f"{name}: {_in_words(error)}") from error


def _read_array(npz: zipfile.ZipFile, member: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return one array. Its header must match the record before memory is allocated; reading to the end checks it."""
    with npz.open(member) as file:
        np.lib.format.read_magic(file)
        header_shape, _, header_dtype = np.lib.format.read_array_header_1_0(file)
        header_bytes = file.tell()
    if (header_shape, header_dtype) != (shape, _stored_dtype(dtype)):
        raise DamagedError(f"{ARRAYS}: {member} has shape {header_shape} and dtype {header_dtype}")
    info = npz.getinfo(member)
    is_cut = info.compress_type == zipfile.ZIP_STORED and info.file_size > os.path.getsize(npz.filename)
    if is_cut or info.file_size != header_bytes + math.prod(shape) * dtype.itemsize:  # before memory is allocated
        raise DamagedError(f"{ARRAYS}: {member} has {info.file_size} bytes, not those of its array")
    with npz.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise DamagedError(f"{ARRAYS}: {member} is longer than its array")
    return array.view(dtype)


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
