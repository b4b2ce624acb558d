"""A directory of checkpoints, each whole or not there, the last good one never lost; it does not know what they hold.

    DIR/checkpoint-00000007/arrays.npz         the arrays as a0, a1, ...; numpy.load opens it
    DIR/checkpoint-00000007/checkpoint.json    their names, dtypes and shapes, the state, a checksum of all this

A kill or a power cut at any moment leaves whole checkpoints and hidden temporary directories, which the next holder of
the directory removes.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, DestinationError, MissingExtraError, OptionError
from keras_oocore.core.files import (
    explained,
    remove_leftovers,
    require_disk,
    sync_folder,
    temporary_name,
)
from keras_oocore.core.locks import write_lock
from keras_oocore.training.state.plain_values import NotPlainError, dtype_name, named_dtype

FORMAT_VERSION = 1
ARRAYS, RECORD = "arrays.npz", "checkpoint.json"
NAME = re.compile(r"checkpoint-([0-9]{8}|[1-9][0-9]{8,})")
# The checksum stands last, and is of the JSON text without it. Every format to come keeps this, its number and the
# version that wrote it, so that a newer one is told from a damaged one.
CHECKSUM = re.compile(rb'(\{.*), "crc32": ([0-9]{1,10})\}', re.DOTALL)
ARRAY_OVERHEAD_BYTES = 1024  # headers of one array in zip and npy


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, read.

    Attributes:
        path: its directory.
        number: of its directory; later ones have higher numbers.
        state: plain JSON.
        arrays: name -> array.
        written_by: the version of keras_oocore that wrote it.
    """

    path: Path
    number: int
    state: dict
    arrays: dict[str, np.ndarray]
    written_by: str


@contextlib.contextmanager
def held(directory: str | os.PathLike, keep: int = 2) -> Iterator["Checkpoints"]:
    """Hold `directory` as the one training in it; what killed runs left there is removed.

    Args:
        directory: made when missing; files of other names may lie there.
        keep: how many of the latest checkpoints stay.

    Raises:
        BusyError: when another training holds it.
        DestinationError: when it cannot be written.
        OptionError: when `keep` is not a positive integer.

    >>> with held(getfixture("tmp_path"), keep=1) as checkpoints:
    ...     path = checkpoints.save({"epoch": 3}, {"kernel": np.ones(2)})
    ...     latest = checkpoints.latest()
    >>> path.name, latest.state, latest.arrays
    ('checkpoint-00000000', {'epoch': 3}, {'kernel': array([1., 1.])})
    """
    if not isinstance(keep, (int, np.integer)) or isinstance(keep, bool) or keep < 1:
        raise OptionError(f"`keep` should be a positive integer. Received: keep={keep!r}")
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
            remove_leftovers(directory)
        sync_folder(directory.parent)  # which may have got this name just now
        yield Checkpoints(directory, int(keep))


def require_own_directory(directory: str | os.PathLike) -> None:
    """Raise when checkpoints in `directory` would lie among somebody else's files, such as the images of a class.

    Raises:
        DestinationError: which names some of them.
    """
    try:
        entries = sorted(os.listdir(os.path.expanduser(directory)))
    except OSError:  # there is none yet, or `held` will say why
        return
    others = [entry for entry in entries if not entry.startswith(".")]
    if others and not any(NAME.fullmatch(entry) for entry in others):
        raise DestinationError(
            f"{os.fspath(directory)!r} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}) "
            "and no checkpoint. Choose an empty or a new directory."
        )


def _try_to_write(directory: Path) -> None:
    """Fail now, not at the end of the first epoch; the lock may be an old file, which tells nothing."""
    temporary = temporary_name(directory / RECORD)
    temporary.mkdir()
    temporary.rmdir()


class Checkpoints:
    """The checkpoints of a directory that is held: `held` makes it.

    Args:
        directory: where they are.
        keep: how many of the latest good ones stay.
    """

    def __init__(self, directory: Path, keep: int):
        self.directory, self.keep = directory, keep
        self._good = set()  # numbers of those that this object wrote, or read whole

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; `None` where there is none at all.

        Warns of every newer one that is damaged.

        Raises:
            DataError: when all are damaged, or one is of a newer version.
            MissingExtraError: when an array needs ml_dtypes, which is not installed.
        """
        damaged = []
        for number in sorted(self._numbers(), reverse=True):
            path = self._path(number)
            try:
                checkpoint = _read(path, number)
            except _DamagedError as error:
                damaged.append((path, error))
                continue
            self._good.add(number)
            for other, why in damaged:
                warnings.warn(f"{str(other)!r} is damaged ({why}); the one before it is used.", stacklevel=2)
            return checkpoint
        if damaged:
            path, why = damaged[0]
            raise DataError(
                f"{str(self.directory)!r} holds no checkpoint that is whole: {str(path)!r} is damaged ({why}). "
                "Remove the directory to begin anew, or choose another one."
            ) from why
        return None

    def save(self, state: dict, arrays: Mapping[str, np.ndarray]) -> Path:
        """Write a checkpoint, wait until the disk holds it, then remove those beyond `keep`.

        Args:
            state: plain JSON.
            arrays: name -> array of a plain dtype, or one of ml_dtypes; names may hold any characters.

        Returns:
            The directory of the new checkpoint.

        Raises:
            DestinationError: when the disk is full or cannot be written; all older ones are still there.
            NotPlainError: when an array holds objects or records.
        """
        with explained(self.directory):
            number = max(self._numbers(), default=-1) + 1  # higher than a damaged one's, too
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
        """Remove all below the oldest good one that stays: damaged ones take no good one's place.

        No half-removed directory bears a checkpoint's name. One that cannot be removed stays, which harms nothing.
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


# --- written --------------------------------------------------------------------------------------------------------


def _own_version() -> str:
    from keras_oocore.core.version import __version__  # late: the package may be importing this module

    return __version__


def _record(state: dict, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The text of `checkpoint.json`."""
    for name, array in arrays.items():
        if dtype_name(array.dtype) is None:
            raise NotPlainError(f"The array {name!r} should hold numbers or text. Received: dtype {array.dtype}")
    described = {name: {"dtype": dtype_name(array.dtype), "shape": array.shape} for name, array in arrays.items()}
    record = {"format": FORMAT_VERSION, "keras_oocore": _own_version(), "arrays": described, "state": state}
    text = json.dumps(record).encode()
    return text[:-1] + b', "crc32": %d}' % zlib.crc32(text)


def _write(path: Path, record: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    """Write both files under a temporary name, and give them their own once the disk holds them."""
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
    """What npz can hold: the bits of ml_dtypes' numbers as unsigned integers."""
    return array.view(_stored_dtype(array.dtype))


def _stored_dtype(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"u{dtype.itemsize}") if dtype.type.__module__ == "ml_dtypes" else dtype


# --- read -----------------------------------------------------------------------------------------------------------


class _DamagedError(Exception):
    """A checkpoint that is not whole; the message says why, to stand in brackets."""


def _read(path: Path, number: int) -> Checkpoint:
    """A checkpoint, every byte of its state and arrays checked.

    Raises:
        DataError: when it is of a newer version.
        _DamagedError: when it is not whole.
    """
    record = _read_record(path / RECORD)
    if record["format"] != FORMAT_VERSION:
        raise DataError(
            f"{str(path)!r} has format {record['format']!r}, written by keras_oocore {record['keras_oocore']}, but "
            f"this is keras_oocore {_own_version()}, which reads format {FORMAT_VERSION}. "
            "Upgrade: pip install -U keras_oocore"
        )
    try:
        with zipfile.ZipFile(path / ARRAYS) as npz:
            arrays = {
                name: _read_array(npz, f"a{i}.npy", tuple(array["shape"]), named_dtype(array["dtype"]))
                for i, (name, array) in enumerate(record["arrays"].items())
            }
    except (MemoryError, MissingExtraError, _DamagedError):
        raise
    except Exception as error:  # a flipped bit makes zipfile and numpy raise nearly anything
        raise _DamagedError(f"{ARRAYS}: {_in_words(error)}") from error
    return Checkpoint(path, number, record["state"], arrays, record["keras_oocore"])


def _read_record(path: Path) -> dict:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _DamagedError(f"{RECORD}: {_in_words(error)}") from error
    parts = CHECKSUM.fullmatch(content)
    if not parts:
        raise _DamagedError(f"{RECORD} is cut short")
    text = parts[1] + b"}"
    if zlib.crc32(text) != int(parts[2]):
        raise _DamagedError(f"{RECORD} does not fit its checksum")
    return json.loads(text)


def _read_array(npz: zipfile.ZipFile, member: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """One array, which is allocated only once its header says what the record says; reading to the end checks it."""
    with npz.open(member) as file:
        np.lib.format.read_magic(file)
        header_shape, _, header_dtype = np.lib.format.read_array_header_1_0(file)
    if (header_shape, header_dtype) != (shape, _stored_dtype(dtype)):
        raise _DamagedError(f"{ARRAYS}: {member} has shape {header_shape} and dtype {header_dtype}")
    with npz.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise _DamagedError(f"{ARRAYS}: {member} is longer than its array")
    return array.view(dtype)


def _in_words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
