"""A directory of checkpoints, each complete or absent; this module does not know what they describe.

A kill or a power cut at any moment leaves complete checkpoints and hidden temporary directories, which the next
training in the directory removes. The last good checkpoint is never lost.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import BusyError, DataError, DestinationError
from keras_oocore.core.faults import fault_of, require_damage, retried, stopped_by
from keras_oocore.core.files import absolute_path, explained, require_disk, sync_folder
from keras_oocore.core.locks import write_lock
from keras_oocore.core.temporary import remove_leftovers, temporary_name
from keras_oocore.core.warn import warn_user
from keras_oocore.training.state.checkpoint import RECORD, Checkpoint, DamagedError, encoded_record, read, write

NAME = re.compile(r"checkpoint-([0-9]{8}|[1-9][0-9]{8,})")
ARRAY_OVERHEAD_BYTES = 1024  # headers of one array in zip and npy


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
    directory = absolute_path(directory)
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
                checkpoint = retried(read, path, number, check)
            except DamagedError as error:
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
        record = encoded_record(state, arrays)
        needed_bytes = len(record) + sum(array.nbytes + ARRAY_OVERHEAD_BYTES for array in arrays.values())
        require_disk(self.directory, needed_bytes, "a checkpoint")
        with explained(path):
            write(path, record, arrays)
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
