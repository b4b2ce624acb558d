"""Copies, links or moves one file, completely or not at all, and never overwrites a file with other content."""

import errno
import os
from collections.abc import Callable
from typing import Literal

from keras_oocore.core.errors import DestinationError, SampleError
from keras_oocore.core.files import publish, read_chunks, write_whole

Mode = Literal["copy", "hardlink", "symlink", "move"]


def transfer(source: str, target: str, mode: Mode, link: str) -> None:
    """Copy, link or move one file, unless `target` already exists with the same content.

    Args:
        source: Path of the file.
        target: Path of the new file.
        mode: One of `MODES`.
        link: Path of `source` relative to the folder of `target`, for `mode="symlink"`.

    Raises:
        SampleError: If `source` cannot be read.
        DestinationError: If `target` cannot be written, or exists with other content.
    """
    if os.path.lexists(target):
        if not _is_same(source, target, mode):
            raise DestinationError(
                f"{target!r} exists and is not {_LIKE[mode]} {source!r}. Neither file was changed. Move one of them "
                "away, or choose another destination."
            )
        if mode == "move":  # an earlier run was killed between copying and removing
            with open(target, "rb") as file:
                os.fsync(file.fileno())
            os.unlink(source)
        return
    try:
        MODES[mode](source, target, link)
    except DestinationError:
        raise
    except OSError as error:
        raise DestinationError(
            f"Cannot {mode} {source!r} to {target!r}: {error.strerror or error}. "
            'Choose another destination or another mode, such as mode="copy".'
        ) from error


def _is_same(source: str, target: str, mode: Mode) -> bool:
    linked = os.path.islink(target)
    if not os.path.exists(target) or linked != (mode == "symlink"):
        return False  # a copy must not be a link: its target may be the file to move
    if os.path.samefile(source, target):
        return True
    return mode in ("copy", "move") and os.path.isfile(target) and _same_bytes(source, target)


def _same_bytes(one: str, other: str) -> bool:
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    return all(a == b for a, b in zip(read_chunks(one), read_chunks(other), strict=True))


def _copy(source: str, target: str, _, durable: bool = False) -> None:
    try:
        status = os.stat(source)
    except OSError as error:
        raise SampleError(f"Cannot read {source!r}: {error.strerror or error}.") from error
    with write_whole(target, overwrite=False, durable=durable) as file:
        for chunk in read_chunks(source):
            file.write(chunk)
        file.flush()
        os.utime(file.name, ns=(status.st_atime_ns, status.st_mtime_ns))


def _hardlink(source: str, target: str, _) -> None:
    os.link(os.path.realpath(source) if os.path.islink(source) else source, target)


def _symlink(_, target: str, link: str) -> None:
    os.symlink(os.path.normpath(link), target)


def _move(source: str, target: str, link: str) -> None:
    if not os.path.islink(source):
        try:
            return publish(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    _copy(source, target, link, durable=True)
    os.unlink(source)


MODES: dict[Mode, Callable[..., None]] = {"copy": _copy, "hardlink": _hardlink, "symlink": _symlink, "move": _move}
_LIKE = {"copy": "a copy of", "hardlink": "a hard link to", "symlink": "a symbolic link to", "move": "a copy of"}
