"""The writers that this process has open, by directory; they are closed when the interpreter exits."""

import atexit
import contextlib
import os
import weakref
from pathlib import Path
from typing import Protocol

from keras_oocore.core.errors import OutOfCoreError


class Writer(Protocol):
    """A `PackedStoreWriter`, as far as this module uses it."""

    directory: Path
    writable: bool

    def close(self) -> None: ...


_writers = weakref.WeakValueDictionary()  # real path of the directory -> its writer


def register(writer: Writer) -> None:
    """Add a writer that has locked its directory."""
    _writers[os.path.realpath(writer.directory)] = writer


def find(directory: str | os.PathLike[str]) -> Writer | None:
    """Return the writer of a directory that can still be written to, or `None`."""
    writer = _writers.get(os.path.realpath(Path(directory)))
    return writer if writer is not None and writer.writable else None


def directories() -> list[str]:
    """Return the directories with a writer that can still be written to."""
    return [directory for directory, writer in list(_writers.items()) if writer.writable]


@atexit.register
def _close_all() -> None:
    for writer in list(_writers.values()):
        with contextlib.suppress(OutOfCoreError):
            writer.close()
