"""A disk that stops at a chosen step, as if the process were killed there: nothing on it changes any more.

Unlike a kill, it needs no child process, so that every step of a function can be tried.
"""

import contextlib
import errno
import os

CHANGES = ("fsync", "link", "mkdir", "rename", "replace", "unlink", "utime")


class Killed(BaseException):
    """Raised at the step where the process ends, and by every later attempt to change the disk."""


@contextlib.contextmanager
def killed_at(step, monkeypatch):
    """Stop the disk before a step, and yield a list that grows by the name of each step.

    Args:
        step: The number of the step from 0, the name of a step, its name and how often it was done before, or `None`
            to stop it never.
        monkeypatch: The fixture.
    """
    steps, stopped = [], []

    def counting(name, real):
        def change(*arguments, **options):
            if stopped or step in (name, len(steps), (name, steps.count(name))):
                stopped.append(name)
                raise Killed
            steps.append(name)
            return real(*arguments, **options)

        return change

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counting(name, getattr(os, name)))
        if step is None:
            yield steps
        else:
            with contextlib.suppress(Killed):
                yield steps


@contextlib.contextmanager
def read_only_disk(monkeypatch):
    """Nothing can be written, renamed or removed, even by an administrator."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, refuse)
        yield
