"""A disk on which some files cannot be opened, until the test ends the fault."""

import contextlib
import gc
import os
import resource
from collections import Counter

from keras_oocore.core import faults, storage

_open = open


class FailingDisk:
    """Opens the files of data sets in the place of `open`.

    Attributes:
        opened: Name → how often a file of this name was opened, or tried.
    """

    def __init__(self):
        self.opened = Counter()
        self.heal()

    def fail(self, code, names, times=10**6):
        """Raise this `errno` for files of these names, the first `times` times each."""
        self.code, self.names, self.times = code, names, times
        self.opened.clear()

    def heal(self):
        self.fail(0, ())

    def open(self, path, *arguments, **options):
        name = os.path.basename(str(path))
        self.opened[name] += 1
        if name in self.names and self.opened[name] <= self.times:
            raise OSError(self.code, os.strerror(self.code), os.fspath(path))
        return _open(path, *arguments, **options)


def failing_disk(monkeypatch):
    """Let the package read the files of data sets from a new `FailingDisk`, and not pause before it tries again."""
    disk = FailingDisk()
    monkeypatch.setattr(storage, "open", disk.open, raising=False)
    monkeypatch.setattr(faults, "MOST_PAUSE_SECONDS", 0)
    return disk


@contextlib.contextmanager
def no_free_descriptor():
    """Within the block, this process cannot open any file."""
    gc.collect()  # a file that is closed within the block would free its descriptor
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
