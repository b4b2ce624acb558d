"""A directory of checkpoints, each complete or absent; this module does not know what they describe.

    DIR/checkpoint-00000007/arrays.npz         the arrays as a0, a1, ...; numpy.load opens it
    DIR/checkpoint-00000007/checkpoint.json    their names, dtypes and shapes, the state, a checksum of all this

A kill or a power cut at any moment leaves complete checkpoints and hidden temporary directories, which the next
training in the directory removes. The last good checkpoint is never lost.
"""

import contextlib
import dataclasses
import math
import operator
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import BusyError, DataError, DestinationError, MissingExtraError
from keras_oocore.core.faults import fault_of, require_damage, retried, stopped_by
from keras_oocore.core.files import explained, require_disk, sync_folder
from keras_oocore.core.locks import write_lock
from keras_oocore.core.record import NewerRecordError, RecordError, RecordFormat
from keras_oocore.core.temporary import remove_leftovers, temporary_name
from keras_oocore.core.version import __version__
from keras_oocore.core.warn import warn_user
from keras_oocore.training.state.plain_values import NotPlainError, dtype_name, named_dtype

ARRAYS, RECORD = "arrays.npz", "checkpoint.json"
RECORD_FORMAT = RecordFormat(version=1, remedy="Remove the checkpoint.", requires_checksum=True)
NAME = re.compile(r"checkpoint-([0-9]{8}|[1-9][0-9]{8,})")
ARRAY_OVERHEAD_BYTES = 1024  # headers of one array in zip and npy


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


@contextlib.contextmanager
def exclusive(directory: str | os.PathLike[str], keep: int = 2) -> Iterator["Checkpoints"]:
    """Lock `directory` for one training, and remove what killed runs left in it.

    Args:
        directory: Created if it does not exist. It may contain files of other names.
        keep: Number of the latest checkpoints to keep.

    Raises:
        BusyError: If another training has locked it.
        DestinationError: If it cannot be written to.
        OptionError: If `keep` is not a positive integer.

    >>> with exclusive(getfixture("tmp_path"), keep=1) as checkpoints:
    ...     path = checkpoints.save({"epoch": 3}, {"kernel": np.ones(2)})
    ...     latest = checkpoints.latest()
    >>> path.name, latest.state, latest.arrays
    ('checkpoint-00000000', {'epoch': 3}, {'kernel': array([1., 1.])})
    """
    keep = positive(keep, "keep")
    directory = Path(os.path.expanduser(directory)).absolute()
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise DestinationError(f"{str(directory)!r} is a file. Choose another directory.")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(write_lock(directory))
        except BusyError as error:
            raise BusyError(
                f"Another training is running in {str(directory)!r}. Wait for it to end, or choose another directory."
            ) from error
        with explained(directory):
            _try_to_write(directory)
            remove_leftovers(directory, folders=True)
        sync_folder(directory.parent)  # the directory may be new
        yield Checkpoints(directory, keep)


def require_own_directory(directory: str | os.PathLike[str]) -> None:
    """Raise an error if checkpoints in `directory` would be mixed with other files, such as the images of a class.

    Raises:
        DestinationError: If it contains other files and no checkpoint. The message names some of them.
    """
    try:
        entries = sorted(os.listdir(os.path.expanduser(directory)))
    except OSError:  # it does not exist, or `exclusive` will say why it cannot be used
        return
    others = [entry for entry in entries if not entry.startswith(".")]
    if others and not any(NAME.fullmatch(entry) for entry in others):
        raise DestinationError(
            f"{os.fspath(directory)!r} contains other files ({', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}) and no checkpoint. Choose an empty or a new directory."
        )


def _try_to_write(directory: Path) -> None:
    """Fail now, not at the end of the first epoch. An old lock file opens even if the directory is read-only."""
    temporary = temporary_name(directory / RECORD)
    temporary.mkdir()
    temporary.rmdir()


class Checkpoints:
    """The checkpoints of a directory that `exclusive` has locked.

    Args:
        directory: The directory.
        keep: Number of the latest good checkpoints to keep.
    """

    def __init__(self, directory: Path, keep: int):
        self.directory: Path = directory
        self.keep: int = keep
        self._good = set()  # numbers of the checkpoints that this object wrote, or read completely

    def latest(self, check: Callable[[Checkpoint], None] | None = None) -> Checkpoint | None:
        """Return the newest complete checkpoint, or `None` if there is no checkpoint.

        Warns of every newer checkpoint that is damaged.

        Args:
            check: Function that raises an error if the content of a checkpoint is wrong. Such a checkpoint is damaged.

        Raises:
            DataError: If all checkpoints are damaged, or a newer version wrote one.
            ResourceError: If this process has too many open files.
            MissingExtraError: If an array requires ml_dtypes, which is not installed.
        """
        damaged = []
        for number in sorted(self._numbers(), reverse=True):
            path = self._path(number)
            try:
                checkpoint = retried(_read, path, number, check)
            except _DamagedError as error:
                exhausted = fault_of(error, implicit=False).exhausted
                if exhausted is not None:
                    raise stopped_by(error, exhausted, f"the checkpoint {os.fspath(path)!r}") from error
                damaged.append((path, error))
                continue
            self._good.add(number)
            for other, reason in damaged:
                warn_user(f"{str(other)!r} is damaged ({reason}). The checkpoint before it is used.")
            return checkpoint
        if damaged:
            path, reason = damaged[0]
            require_damage(reason, f"the checkpoint {os.fspath(path)!r}")
            raise DataError(
                f"{str(self.directory)!r} contains no complete checkpoint: {str(path)!r} is damaged ({reason}). "
                "Remove the directory to start over, or choose another one."
            ) from reason
        return None

    def save(self, state: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
        """Write a checkpoint, wait until it is on disk, then remove older ones beyond `keep`.

        Args:
            state: Plain JSON.
            arrays: Name → array of a plain dtype, or one of ml_dtypes. Names may contain any characters.

        Returns:
            The directory of the new checkpoint.

        Raises:
            DestinationError: If the disk is full or cannot be written to. All older checkpoints are kept.
            NotPlainError: If an array contains objects or records.
        """
        with explained(self.directory):
            number = max(self._numbers(), default=-1) + 1  # also higher than that of a damaged checkpoint
        path = self._path(number)
        record = _record(state, arrays)
        needed_bytes = len(record) + sum(array.nbytes + ARRAY_OVERHEAD_BYTES for array in arrays.values())
        require_disk(self.directory, needed_bytes, "a checkpoint")
        with explained(path):
            _write(path, record, arrays)
        self._good.add(number)
        self._remove_old()
        return path

    def _path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number:08d}"

    def _numbers(self) -> list[int]:
        matches = [NAME.fullmatch(name) for name in os.listdir(self.directory)]
        return [int(match[1]) for match in matches if match]

    def _remove_old(self) -> None:
        """Remove all checkpoints older than the good ones to keep. Damaged checkpoints do not count towards `keep`.

        A partly removed directory never has the name of a checkpoint. One that cannot be removed stays, which does no
        harm.
        """
        good = sorted(self._good)[-self.keep :]
        if len(good) < self.keep:
            return
        renamed = []
        with contextlib.suppress(OSError):
            for number in self._numbers():
                if number < good[0]:
                    temporary = temporary_name(self._path(number))
                    with contextlib.suppress(OSError):
                        os.rename(self._path(number), temporary)
                        renamed.append(temporary)
        if renamed:
            sync_folder(self.directory)
        for temporary in renamed:
            with contextlib.suppress(OSError):
                shutil.rmtree(temporary)


# --- writing --------------------------------------------------------------------------------------------------------


def _record(state: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the text of `checkpoint.json`."""
    for name, array in arrays.items():
        if dtype_name(array.dtype) is None:
            raise NotPlainError(f"The array {name!r} should contain numbers or strings. Received: dtype {array.dtype}")
    described = {name: {"dtype": dtype_name(array.dtype), "shape": array.shape} for name, array in arrays.items()}
    return RECORD_FORMAT.encode({"keras_oocore": __version__, "arrays": described, "state": state})


def _write(path: Path, record: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    """Write both files to a temporary directory, and rename it once they are on disk."""
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


# --- reading --------------------------------------------------------------------------------------------------------


class _DamagedError(Exception):
    """A checkpoint is not complete. The message says why, for use in brackets."""


def _read(path: Path, number: int, check: Callable[[Checkpoint], None] | None) -> Checkpoint:
    """Return a checkpoint, after checking every byte of its state and arrays.

    Raises:
        NewerRecordError: If a newer version wrote it.
        MissingExtraError: If an array requires ml_dtypes, which is not installed.
        _DamagedError: If it is not complete, or its content is wrong.
    """
    try:
        described, state = RECORD_FORMAT.read(path / RECORD, _parse)
    except NewerRecordError:
        raise
    except RecordError as error:
        raise _DamagedError(f"{RECORD}: {error.reason}") from error
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
    """Turn nearly any error about the content of a file into a `_DamagedError`: a flipped bit can raise them all."""
    try:
        yield
    except (MemoryError, MissingExtraError, _DamagedError):
        raise
    except Exception as error:
        raise _DamagedError(f"{name}: {_in_words(error)}") from error


def _read_array(npz: zipfile.ZipFile, member: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return one array. Its header must match the record before memory is allocated; reading to the end checks it."""
    with npz.open(member) as file:
        np.lib.format.read_magic(file)
        header_shape, _, header_dtype = np.lib.format.read_array_header_1_0(file)
        header_bytes = file.tell()
    if (header_shape, header_dtype) != (shape, _stored_dtype(dtype)):
        raise _DamagedError(f"{ARRAYS}: {member} has shape {header_shape} and dtype {header_dtype}")
    info = npz.getinfo(member)
    is_cut = info.compress_type == zipfile.ZIP_STORED and info.file_size > os.path.getsize(npz.filename)
    if is_cut or info.file_size != header_bytes + math.prod(shape) * dtype.itemsize:  # before memory is allocated
        raise _DamagedError(f"{ARRAYS}: {member} has {info.file_size} bytes, not those of its array")
    with npz.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise _DamagedError(f"{ARRAYS}: {member} is longer than its array")
    return array.view(dtype)


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
